// SPDX-License-Identifier: Apache-2.0
// Stands for the headers of a kernel; its target has a define of its own.
#ifndef TOOLS_BAZEL_TESTS_PROBE_H_
#define TOOLS_BAZEL_TESTS_PROBE_H_
#endif  // TOOLS_BAZEL_TESTS_PROBE_H_
