// SPDX-License-Identifier: Apache-2.0
// Memory and launches for the kernels of this folder.
#ifndef VNPU_TIMING_CALIBRATION_KERNEL_LAUNCH_H_
#define VNPU_TIMING_CALIBRATION_KERNEL_LAUNCH_H_

#include <cstdint>
#include <string>

#include "tools/vnpu/core/device.h"

namespace vnpu {
namespace calibration {

// What a kernel may take a fresh buffer for.
enum class Contents { kZeros, kUndefined };

// GM that is freed with it. What nobody writes reads as zeros and costs no host
// memory.
class Buffer {
 public:
  Buffer(Device* device, uint64_t bytes, Contents contents = Contents::kZeros);
  ~Buffer() { device_->Free(data_); }
  Buffer(const Buffer&) = delete;
  Buffer& operator=(const Buffer&) = delete;

  void* data() const { return data_; }
  template <typename T>
  T* as() const {
    return static_cast<T*>(data_);
  }

 private:
  Device* device_;
  void* data_;
};

// Runs kernel `entry` of `library`.so of this folder; ends the process with a
// message if there is none. `args` is the C struct of its parameters.
LaunchResult LaunchBytes(Device* device, const std::string& library, const std::string& entry,
                         uint32_t blocks, const void* args, size_t args_size);

template <typename Args>
LaunchResult LaunchKernel(Device* device, const std::string& library, const std::string& entry,
                          uint32_t blocks, const Args& args) {
  return LaunchBytes(device, library, entry, blocks, &args, sizeof(args));
}

}  // namespace calibration
}  // namespace vnpu

#endif  // VNPU_TIMING_CALIBRATION_KERNEL_LAUNCH_H_
