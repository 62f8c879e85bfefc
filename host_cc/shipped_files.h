// SPDX-License-Identifier: Apache-2.0
// Finds the files that belong to this library, wherever it was installed: the
// virtual NPU and the kernel binaries.
#ifndef ASCEND_ATTENTION_HOST_CC_SHIPPED_FILES_H_
#define ASCEND_ATTENTION_HOST_CC_SHIPPED_FILES_H_

#include <string>
#include <vector>

namespace ascend_attention {

// The folders that may be the root of an installation or of a Bazel tree,
// nearest first: every folder above the file this code was loaded from (as
// named and with symbolic links resolved), then the runfiles of this process.
const std::vector<std::string>& ShippedRoots();

// The first existing root/relative_path over all roots and then paths, or "".
std::string FindShipped(const std::vector<std::string>& relative_paths);

bool FileExists(const std::string& path);

// The variable's value, or "" if it is not set.
std::string Environment(const char* name);

}  // namespace ascend_attention

#endif  // ASCEND_ATTENTION_HOST_CC_SHIPPED_FILES_H_
