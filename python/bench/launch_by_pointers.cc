// SPDX-License-Identifier: Apache-2.0
// What a launch through ctypes calls: one C function that takes a stream and 24 pointers, as the
// host stubs that a device compiler generates do. For bench_overhead.py; not part of the package.
#include <dlfcn.h>

#include <chrono>
#include <cstdint>
#include <fstream>
#include <iterator>
#include <vector>

#include "tools/vnpu/acl/acl_abi.h"

namespace {

constexpr int kNumPointers = 24;

decltype(&aclrtLaunchKernelWithHostArgs) launch_kernel = nullptr;
aclrtFuncHandle function = nullptr;

template <typename Function>
bool Resolve(void* library, const char* name, Function* function) {
  *function = reinterpret_cast<Function>(dlsym(library, name));
  return *function != nullptr;
}

}  // namespace

extern "C" {

// Loads `name` from a kernel file. 0, an ACL error, or -1 without ACL or file.
int open_kernel(const char* path, const char* name) {
  void* acl = dlopen("libascendcl.so", RTLD_NOW | RTLD_NOLOAD);
  decltype(&aclrtBinaryLoadFromData) load = nullptr;
  decltype(&aclrtBinaryGetFunction) get = nullptr;
  if (acl == nullptr || !Resolve(acl, "aclrtBinaryLoadFromData", &load) ||
      !Resolve(acl, "aclrtBinaryGetFunction", &get) ||
      !Resolve(acl, "aclrtLaunchKernelWithHostArgs", &launch_kernel)) {
    return -1;
  }
  std::ifstream file(path, std::ios::binary);
  const std::vector<char> bytes((std::istreambuf_iterator<char>(file)), {});
  if (bytes.empty()) return -1;
  aclrtBinHandle binary = nullptr;
  const int failed = load(bytes.data(), bytes.size(), nullptr, &binary);
  return failed != 0 ? failed : get(binary, name, &function);
}

int launch_by_pointers(uint32_t num_blocks, void* stream, void* p0, void* p1, void* p2, void* p3,
                       void* p4, void* p5, void* p6, void* p7, void* p8, void* p9, void* p10,
                       void* p11, void* p12, void* p13, void* p14, void* p15, void* p16, void* p17,
                       void* p18, void* p19, void* p20, void* p21, void* p22, void* p23) {
  void* args[kNumPointers] = {p0,  p1,  p2,  p3,  p4,  p5,  p6,  p7,  p8,  p9,  p10, p11,
                              p12, p13, p14, p15, p16, p17, p18, p19, p20, p21, p22, p23};
  return launch_kernel(function, num_blocks, stream, nullptr, args, sizeof(args), nullptr, 0);
}

// Nanoseconds that `count` launches take the host, with nothing around them; negative: failed.
int64_t time_launches(uint32_t num_blocks, void* stream, int count) {
  void* args[kNumPointers] = {};
  const auto begin = std::chrono::steady_clock::now();
  for (int i = 0; i < count; ++i) {
    if (launch_kernel(function, num_blocks, stream, nullptr, args, sizeof(args), nullptr, 0) != 0) {
      return -1;
    }
  }
  const auto spent = std::chrono::steady_clock::now() - begin;
  return std::chrono::duration_cast<std::chrono::nanoseconds>(spent).count();
}

}  // extern "C"
