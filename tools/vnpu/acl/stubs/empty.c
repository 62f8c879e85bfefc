/* SPDX-License-Identifier: Apache-2.0 */
/* A library that frameworks are linked with and need nothing of: what they look
 * up in it by name is found in libascendcl.so, which every such library needs. */
__attribute__((visibility("default"))) extern const char vnpu_placeholder[];
const char vnpu_placeholder[] = "a placeholder of the virtual NPU";
