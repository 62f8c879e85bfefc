// SPDX-License-Identifier: Apache-2.0
// Physical memory that has no address of its own, to be mapped into reserved
// ranges: pieces of one file in memory per device.
#ifndef VNPU_ACL_VMM_H_
#define VNPU_ACL_VMM_H_

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>

#include "tools/vnpu/core/device.h"

namespace vnpu_acl {

class PhysicalMemory;

// A piece of a device's physical memory; mappings keep it alive.
class PhysicalBlock {
 public:
  PhysicalBlock(PhysicalMemory* home, int device_id, uint64_t offset, uint64_t bytes)
      : device_id(device_id), offset(offset), bytes(bytes), home_(home) {}
  ~PhysicalBlock();
  PhysicalBlock(const PhysicalBlock&) = delete;
  PhysicalBlock& operator=(const PhysicalBlock&) = delete;

  const int device_id;
  const uint64_t offset;
  const uint64_t bytes;

 private:
  PhysicalMemory* home_;
};

class PhysicalMemory {
 public:
  explicit PhysicalMemory(vnpu::Device* npu, int device_id) : npu_(npu), device_id_(device_id) {}

  // Null: does not fit into the device's memory. `bytes` is a multiple of kGranule.
  std::shared_ptr<PhysicalBlock> Allocate(uint64_t bytes);
  int file() const { return file_; }

  static constexpr uint64_t kGranule = uint64_t{2} << 20;

 private:
  friend class PhysicalBlock;
  void Return(uint64_t offset, uint64_t bytes);

  vnpu::Device* const npu_;
  const int device_id_;
  std::mutex mutex_;
  int file_ = -1;
  uint64_t end_ = 0;                    // of what was ever used
  std::map<uint64_t, uint64_t> holes_;  // offset to bytes, below end_
};

struct Mapping {
  std::shared_ptr<PhysicalBlock> block;
  uint64_t bytes;
};

}  // namespace vnpu_acl

#endif  // VNPU_ACL_VMM_H_
