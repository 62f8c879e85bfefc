// SPDX-License-Identifier: Apache-2.0
#include "tools/vnpu/timing/calibration/stream_runs.h"

namespace vnpu {
namespace calibration {

LaunchResult LaunchEmpty(Device* device, uint32_t blocks) {
  void* const unused = nullptr;
  return LaunchKernel(device, "empty", "empty", blocks, unused);
}

DeviceCopy::DeviceCopy(Device* device, uint64_t bytes)
    : device_(device),
      bytes_(bytes),
      source_(device, bytes),
      target_(device, bytes, Contents::kUndefined) {}

LaunchResult DeviceCopy::Launch(uint32_t blocks) {
  const struct {
    void *dst, *src;
    uint64_t bytes;
  } args = {target_.data(), source_.data(), bytes_};
  return LaunchKernel(device_, "device_copy", "device_copy", blocks, args);
}

WeightStreamRun::WeightStreamRun(Device* device, const WeightStream& shape)
    : device_(device),
      shape_(shape),
      a_(device, uint64_t{shape.m} * shape.k * 2),
      w_(device, uint64_t{shape.k} * shape.n_pitch * 2),
      c_(device, uint64_t{shape.m} * shape.n_pitch * 4, Contents::kUndefined) {}

LaunchResult WeightStreamRun::Launch(uint32_t blocks) {
  const struct {
    void *a, *w, *c;
    WeightStream shape;
  } args = {a_.data(), w_.data(), c_.data(), shape_};
  return LaunchKernel(device_, "weight_stream", "weight_stream", blocks, args);
}

GemmRun::GemmRun(Device* device, const Gemm& shape)
    : device_(device),
      shape_(shape),
      a_(device, uint64_t{shape.m} * shape.k * 2),
      b_(device, uint64_t{shape.n} * shape.k * 2),
      c_(device, uint64_t{shape.m} * shape.n * 4, Contents::kUndefined) {}

LaunchResult GemmRun::Launch() {
  const struct {
    void *a, *b, *c;
    Gemm shape;
  } args = {a_.data(), b_.data(), c_.data(), shape_};
  return LaunchKernel(device_, "gemm", "gemm",
                      shape_.m / shape_.core_m * (shape_.n / shape_.core_n), args);
}

SerialBlocks::SerialBlocks(Device* device, uint32_t tasks, uint32_t pages)
    : device_(device),
      tasks_(tasks),
      pages_(pages),
      query_(device, uint64_t{tasks} * 16 * 128 * 2),
      key_(device, key_bytes()),
      scores_(device, uint64_t{tasks} * pages * 16 * 128 * 4, Contents::kUndefined) {}

LaunchResult SerialBlocks::Launch(uint32_t blocks) {
  const struct {
    void *query, *key, *scores;
    uint32_t tasks, pages;
  } args = {query_.data(), key_.data(), scores_.data(), tasks_, pages_};
  return LaunchKernel(device_, "serial_block", "serial_block", blocks, args);
}

}  // namespace calibration
}  // namespace vnpu
