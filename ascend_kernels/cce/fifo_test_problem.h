// SPDX-License-Identifier: Apache-2.0
// Tiles through the FIFOs of fifo_test_kernel.cce: tensors whose every element says
// where it belongs, the launch, and what arrived.
#ifndef ASCEND_ATTENTION_ASCEND_KERNELS_CCE_FIFO_TEST_PROBLEM_H_
#define ASCEND_ATTENTION_ASCEND_KERNELS_CCE_FIFO_TEST_PROBLEM_H_

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "ascend_kernels/cce/fifo_test_cases.h"
#include "tools/vnpu/core/device.h"

namespace ascend_attention {

inline std::string Text(const FifoTestCase& c) {
  const auto field = [](const char* name, uint32_t value) {
    return " " + std::string(name) + " " + std::to_string(value);
  };
  return field("depth", c.depth) + field("period", c.period) + field("local", c.local_depth) +
         field("tiles", c.tiles) + field("rows", c.rows) + field("cols", c.cols) +
         field("to_vector", c.to_vector) + field("to_cube", c.to_cube) + field("ahead", c.ahead);
}

// A device and the kernel on it: shared by many launches, as counters that one of them
// left behind would be the next one's.
class FifoRig {
 public:
  FifoRig() {
    std::string error;
    module_ = vnpu::KernelModule::LoadFile("ascend_kernels/cce/fifo_relay.so", &error);
    EXPECT_NE(module_, nullptr) << error;
    kernel_ = module_->Find("fifo_relay_0");
  }
  vnpu::Device& device() { return device_; }
  const vnpu::Kernel& kernel() const { return *kernel_; }

 private:
  vnpu::Device device_{vnpu::DeviceConfig()};
  std::shared_ptr<vnpu::KernelModule> module_;
  const vnpu::Kernel* kernel_ = nullptr;
};

class FifoProblem {
 public:
  FifoProblem(FifoRig* rig, const FifoTestCase& c, uint32_t num_blocks = 1)
      : rig_(rig), case_(c), num_blocks_(num_blocks) {
    const uint32_t tile_elems = c.rows * c.cols;
    elems_ = uint64_t{num_blocks} * c.tiles * tile_elems;
    cube_source_ = New<_Float16>(elems_, "cube_source", vnpu::RegionRule::kReadOnly);
    vector_source_ = New<float>(elems_, "vector_source", vnpu::RegionRule::kReadOnly);
    identity_ = New<_Float16>(c.cols * c.cols, "identity", vnpu::RegionRule::kReadOnly);
    cube_out_ = New<float>(elems_, "cube_out", vnpu::RegionRule::kOutput);
    vector_out_ = New<_Float16>(elems_, "vector_out", vnpu::RegionRule::kOutput);
    slots_ = New<uint8_t>(uint64_t{num_blocks} * c.depth * tile_elems * 6, "slots",
                          vnpu::RegionRule::kReadWrite);
    on_device_ = New<FifoTestCase>(1, "test_case", vnpu::RegionRule::kReadOnly);
    *on_device_ = c;
    for (uint32_t i = 0; i < c.cols; ++i) identity_[i * c.cols + i] = 1;
    Defined(on_device_, 1);
    Defined(identity_, c.cols * c.cols);
  }
  ~FifoProblem() {
    for (void* memory : allocations_) rig_->device().Free(memory);
  }
  FifoProblem(const FifoProblem&) = delete;
  FifoProblem& operator=(const FifoProblem&) = delete;

  // `salt`: other values each time.
  vnpu::LaunchResult Launch(uint32_t salt = 0) {
    salt_ = salt;
    for (uint64_t i = 0; i < elems_; ++i) {
      cube_source_[i] = static_cast<_Float16>(Value(i));
      vector_source_[i] = Value(i);
    }
    Defined(cube_source_, elems_);
    Defined(vector_source_, elems_);
    std::memset(cube_out_, 0xff, elems_ * sizeof(float));
    std::memset(vector_out_, 0xff, elems_ * sizeof(_Float16));
    const struct {
      void *signals, *cube_source, *vector_source, *identity, *cube_out, *vector_out, *slots, *c;
    } args = {nullptr,   cube_source_, vector_source_, identity_,
              cube_out_, vector_out_,  slots_,         on_device_};
    return rig_->device().Launch(rig_->kernel(), num_blocks_, &args, sizeof(args));
  }

  // The first element that did not arrive as it was sent; empty if there is none.
  std::string FirstWrong() const {
    for (uint64_t i = 0; i < elems_; ++i) {
      const float arrived = case_.to_cube != 0 ? cube_out_[i] : static_cast<float>(vector_out_[i]);
      if (!(arrived == Value(i))) return Describe(i, arrived);
    }
    return "";
  }

 private:
  // An integer that a half holds, from a hash of block, tile, row and column.
  float Value(uint64_t index) const {
    uint64_t hash = (index + 1) * 0x9e3779b97f4a7c15u + salt_ * 0xbf58476d1ce4e5b9u;
    hash ^= hash >> 29;
    hash *= 0x94d049bb133111ebu;
    return static_cast<float>(static_cast<int>(hash >> 40) % 4093 - 2046);
  }
  std::string Describe(uint64_t index, float arrived) const {
    const uint64_t row = index / case_.cols;
    const uint64_t tile = row / case_.rows;
    return "block " + std::to_string(tile / case_.tiles) + " tile " +
           std::to_string(tile % case_.tiles) + " row " + std::to_string(row % case_.rows) +
           " column " + std::to_string(index % case_.cols) + ": " + std::to_string(arrived) +
           " arrived, " + std::to_string(Value(index)) + " was sent";
  }

  template <typename T>
  T* New(uint64_t elems, const std::string& name, vnpu::RegionRule rule) {
    const uint64_t count = std::max<uint64_t>(elems, 1);
    void* memory = rig_->device().Allocate(count * sizeof(T));
    allocations_.push_back(memory);
    EXPECT_TRUE(rig_->device().NameRegion(memory, count * sizeof(T), name, rule));
    return static_cast<T*>(memory);
  }
  template <typename T>
  void Defined(const T* memory, uint64_t count) {
    rig_->device().SetDefined(memory, count * sizeof(T), true);
  }

  FifoRig* const rig_;
  const FifoTestCase case_;
  const uint32_t num_blocks_;
  uint64_t elems_ = 0;
  uint32_t salt_ = 0;
  std::vector<void*> allocations_;
  _Float16* cube_source_;
  float* vector_source_;
  _Float16* identity_;
  float* cube_out_;
  _Float16* vector_out_;
  uint8_t* slots_;
  FifoTestCase* on_device_;
};

}  // namespace ascend_attention

#endif  // ASCEND_ATTENTION_ASCEND_KERNELS_CCE_FIFO_TEST_PROBLEM_H_
