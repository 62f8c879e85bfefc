// SPDX-License-Identifier: Apache-2.0
#include "tools/vnpu/core/kernel_module.h"

#include <dlfcn.h>
#include <link.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstdio>
#include <cstring>
#include <fstream>
#include <iterator>
#include <vector>

#include "tools/vnpu/isa/runtime_abi.h"

namespace vnpu {
namespace {

class LoadedModule : public KernelModule {
 public:
  ~LoadedModule() override {
    if (handle_ != nullptr) dlclose(handle_);
    if (fd_ >= 0) close(fd_);
  }
  // The loader knows a library by its path: as long as this one is loaded, its
  // descriptor's number must not name another.
  void KeepOpen(int fd) { fd_ = fd; }

  bool Open(const std::string& path, const std::string& label, const uint8_t* image, size_t size,
            std::string* error) {
    if (!calls_.Load(image, size, error)) {
      *error = label + ": " + *error;
      return false;
    }
    handle_ = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
    if (handle_ == nullptr) {
      *error = label + ": cannot load kernel library: " + dlerror();
      return false;
    }
    struct link_map* map = nullptr;
    const uint64_t base = dlinfo(handle_, RTLD_DI_LINKMAP, &map) == 0 && map != nullptr
                              ? static_cast<uint64_t>(map->l_addr)
                              : 0;
    calls_.set_base(base, label);
    const void* hash = dlsym(handle_, "vnpu_table_hash");
    const uint64_t expected = VnpuTableHash();
    if (hash != nullptr && std::memcmp(hash, &expected, sizeof(expected)) != 0) {
      *error = label +
               ": kernel library was built for another version of the virtual NPU: "
               "build it again";
      return false;
    }
    const auto* own = static_cast<const VnpuBlockLocal*>(dlsym(handle_, "vnpu_block_local"));
    if (own != nullptr && own->begin != own->end) {
      block_local_ = own->begin;
      block_local_image_.assign(own->begin, own->end);
    }
    // The dialect header calls this symbol where a kernel switches atomics on.
    constexpr char kMarker[] = "vnpu_uses_atomics";
    const auto* begin = reinterpret_cast<const char*>(image);
    uses_atomics_ = std::string(begin, size).find(kMarker) != std::string::npos;
    return true;
  }

  const Kernel* Find(const std::string& name) const override {
    std::lock_guard<std::mutex> lock(mutex_);
    const auto it = kernels_.find(name);
    if (it != kernels_.end()) return it->second.get();
    auto kernel = std::make_unique<Kernel>();
    kernel->name = name;
    kernel->calls = &calls_;
    kernel->uses_atomics = uses_atomics_;
    kernel->block_local = block_local_;
    kernel->block_local_image = block_local_image_;
    const Entry mix_aic = Symbol(kernel.get(), "mix_aic");
    const Entry mix_aiv = Symbol(kernel.get(), "mix_aiv");
    const Entry aic = Symbol(kernel.get(), "aic");
    const Entry aiv = Symbol(kernel.get(), "aiv");
    kernel->aic = mix_aic != nullptr ? mix_aic : aic;
    kernel->aiv = mix_aiv != nullptr ? mix_aiv : aiv;
    kernel->mixed = mix_aic != nullptr && mix_aiv != nullptr;
    // Entries of both core kinds without the mix suffix are two kernels.
    if (!kernel->mixed && kernel->aic != nullptr && kernel->aiv != nullptr) kernel->aiv = nullptr;
    if (kernel->aic == nullptr && kernel->aiv == nullptr) return nullptr;
    return kernels_.emplace(name, std::move(kernel)).first->second.get();
  }

 private:
  Entry Symbol(Kernel* kernel, const char* kind) const {
    const std::string suffix = kernel->name + "_" + kind;
    void* entry = dlsym(handle_, ("vnpu_entry_" + suffix).c_str());
    if (entry == nullptr) return nullptr;
    const void* bytes = dlsym(handle_, ("vnpu_argument_bytes_" + suffix).c_str());
    if (bytes != nullptr) {
      uint64_t value;
      std::memcpy(&value, bytes, sizeof(value));
      if (value > kernel->argument_bytes) kernel->argument_bytes = value;
    }
    return reinterpret_cast<Entry>(entry);
  }

  void* handle_ = nullptr;
  int fd_ = -1;
  CallTable calls_;
  bool uses_atomics_ = false;
  char* block_local_ = nullptr;
  std::string block_local_image_;
  mutable std::mutex mutex_;
  mutable std::map<std::string, std::unique_ptr<Kernel>> kernels_;
};

}  // namespace

std::shared_ptr<KernelModule> KernelModule::LoadFile(const std::string& path, std::string* error) {
  std::ifstream file(path, std::ios::binary);
  if (!file) {
    *error = path + ": cannot open kernel binary: " + std::strerror(errno);
    return nullptr;
  }
  const std::string image((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
  // dlopen searches the library path for a name without a slash.
  const std::string full = path.find('/') == std::string::npos ? "./" + path : path;
  const size_t slash = path.rfind('/');
  const std::string label = slash == std::string::npos ? path : path.substr(slash + 1);
  auto module = std::make_shared<LoadedModule>();
  if (!module->Open(full, label, reinterpret_cast<const uint8_t*>(image.data()), image.size(),
                    error)) {
    return nullptr;
  }
  return module;
}

std::shared_ptr<KernelModule> KernelModule::LoadBytes(const void* data, size_t size,
                                                      std::string* error) {
  const int fd = memfd_create("vnpu_kernel", MFD_CLOEXEC);
  if (fd < 0) {
    *error = std::string("cannot create a memory file for the kernel: ") + std::strerror(errno);
    return nullptr;
  }
  const auto* bytes = static_cast<const uint8_t*>(data);
  size_t written = 0;
  while (written < size) {
    const ssize_t n = write(fd, bytes + written, size - written);
    if (n <= 0) break;
    written += static_cast<size_t>(n);
  }
  if (written == size) {
    auto module = std::make_shared<LoadedModule>();
    const std::string path = "/proc/self/fd/" + std::to_string(fd);
    module->KeepOpen(fd);
    if (!module->Open(path, "kernel", bytes, size, error)) module.reset();
    return module;
  }
  *error = std::string("cannot copy the kernel: ") + std::strerror(errno);
  close(fd);
  return nullptr;
}

}  // namespace vnpu
