// SPDX-License-Identifier: Apache-2.0
// Problems for the copy and matmul kernels: memory, arguments, launch.
#ifndef VNPU_TIMING_CALIBRATION_STREAM_RUNS_H_
#define VNPU_TIMING_CALIBRATION_STREAM_RUNS_H_

#include <cstdint>

#include "tools/vnpu/core/device.h"
#include "tools/vnpu/timing/calibration/kernel_launch.h"
#include "tools/vnpu/timing/calibration/matmul.h"

namespace vnpu {
namespace calibration {

LaunchResult LaunchEmpty(Device* device, uint32_t blocks);

class DeviceCopy {
 public:
  // `bytes` is a multiple of 64 KiB.
  DeviceCopy(Device* device, uint64_t bytes);
  LaunchResult Launch(uint32_t blocks);

  uint8_t* source() { return source_.as<uint8_t>(); }
  const uint8_t* target() const { return target_.as<uint8_t>(); }

 private:
  Device* device_;
  uint64_t bytes_;
  Buffer source_, target_;
};

class WeightStreamRun {
 public:
  WeightStreamRun(Device* device, const WeightStream& shape);
  LaunchResult Launch(uint32_t blocks);

  uint64_t weight_bytes() const { return uint64_t{shape_.k} * shape_.n * 2; }
  uint16_t* a() { return a_.as<uint16_t>(); }
  uint16_t* w() { return w_.as<uint16_t>(); }
  const float* c() const { return c_.as<float>(); }

 private:
  Device* device_;
  WeightStream shape_;
  Buffer a_, w_, c_;
};

class GemmRun {
 public:
  GemmRun(Device* device, const Gemm& shape);
  LaunchResult Launch();

  uint16_t* a() { return a_.as<uint16_t>(); }
  uint16_t* b() { return b_.as<uint16_t>(); }
  const float* c() const { return c_.as<float>(); }

 private:
  Device* device_;
  Gemm shape_;
  Buffer a_, b_, c_;
};

// `tasks` of `pages` pages of 128 tokens, 16 query rows, bf16.
class SerialBlocks {
 public:
  SerialBlocks(Device* device, uint32_t tasks, uint32_t pages);
  LaunchResult Launch(uint32_t blocks);

  uint64_t key_bytes() const { return uint64_t{tasks_} * pages_ * 128 * 128 * 2; }
  uint16_t* query() { return query_.as<uint16_t>(); }
  uint16_t* key() { return key_.as<uint16_t>(); }
  const float* scores() const { return scores_.as<float>(); }

 private:
  Device* device_;
  uint32_t tasks_, pages_;
  Buffer query_, key_, scores_;
};

}  // namespace calibration
}  // namespace vnpu

#endif  // VNPU_TIMING_CALIBRATION_STREAM_RUNS_H_
