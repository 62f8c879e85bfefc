// SPDX-License-Identifier: Apache-2.0
#include "tools/vnpu/timing/calibration/kernel_launch.h"

#include <cstdio>
#include <cstdlib>
#include <map>
#include <memory>

namespace vnpu {
namespace calibration {

namespace {

[[noreturn]] void Fail(const std::string& text) {
  std::fprintf(stderr, "calibration: %s\n", text.c_str());
  std::exit(2);
}

const Kernel& KernelOf(const std::string& library, const std::string& entry) {
  static auto* const modules = new std::map<std::string, std::shared_ptr<KernelModule>>;
  std::shared_ptr<KernelModule>& module = (*modules)[library];
  if (module == nullptr) {
    const std::string path = "tools/vnpu/timing/calibration/" + library + ".so";
    std::string error;
    module = KernelModule::LoadFile(path, &error);
    if (module == nullptr) Fail("cannot load " + path + ": " + error);
  }
  const Kernel* kernel = module->Find(entry + "_0");
  if (kernel == nullptr) Fail(library + ".so has no kernel " + entry);
  return *kernel;
}

}  // namespace

Buffer::Buffer(Device* device, uint64_t bytes, Contents contents)
    : device_(device), data_(device->Allocate(bytes)) {
  if (data_ == nullptr) Fail("no room for " + std::to_string(bytes) + " bytes");
  device_->SetDefined(data_, bytes, contents == Contents::kZeros);
}

LaunchResult LaunchBytes(Device* device, const std::string& library, const std::string& entry,
                         uint32_t blocks, const void* args, size_t args_size) {
  return device->Launch(KernelOf(library, entry), blocks, args, args_size);
}

}  // namespace calibration
}  // namespace vnpu
