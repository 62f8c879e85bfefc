// SPDX-License-Identifier: Apache-2.0
// Lets torch_npu be loaded beside a PyTorch that is built for CUDA, the usual
// one on a machine without an NPU. Both register keys of the same names with
// PyTorch's allocator configuration, which takes that for an error and ends the
// process (c10/core/AllocatorConfig.h, PyTorch 2.13). The dynamic linker finds
// this function before that of libc10.so: when torch_npu comes to register, the
// keys that it is about to register are not there yet.
//
// Declared as PyTorch declares it; PyTorch itself is not needed to build it.
#include <dlfcn.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <unordered_set>

namespace c10 {
namespace CachingAllocator {

using Keys = std::unordered_set<std::string>;

class __attribute__((visibility("default"))) AcceleratorAllocatorConfig {
 public:
  static Keys& getMutableKeys();
};

namespace {

// What both CUDAAllocatorConfig.h and NPUAllocatorConfig.h list.
constexpr const char* kSharedKeys[] = {"per_process_memory_fraction",
                                       "pinned_reserve_segment_size_mb"};

Keys& RealKeys() {
  constexpr char kSymbol[] =
      "_ZN3c1016CachingAllocator26AcceleratorAllocatorConfig14getMutableKeysB5cxx11Ev";
  void* library = dlopen("libc10.so", RTLD_NOW | RTLD_NOLOAD);
  void* function = library != nullptr ? dlsym(library, kSymbol) : nullptr;
  if (function == nullptr) {
    std::fprintf(stderr, "virtual NPU: libc10.so has no %s: this PyTorch is not supported\n",
                 kSymbol);
    std::abort();
  }
  return reinterpret_cast<Keys& (*)()>(function)();
}

bool IsInTorchNpu(const void* address) {
  Dl_info info{};
  return dladdr(address, &info) != 0 && std::strstr(info.dli_fname, "libtorch_npu.so") != nullptr;
}

}  // namespace

Keys& AcceleratorAllocatorConfig::getMutableKeys() {
  Keys& keys = RealKeys();
  if (IsInTorchNpu(__builtin_return_address(0))) {
    for (const char* key : kSharedKeys) keys.erase(key);
  }
  return keys;
}

}  // namespace CachingAllocator
}  // namespace c10
