// SPDX-License-Identifier: Apache-2.0
// Two engine threads share one device, one operator and one cache; each has its
// own stream, workspace and plan. What may be shared is in README.md.
#include <gtest/gtest.h>

#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "host_cc/examples/tiny_problem.h"
#include "host_cc/include/ascend_attention/decode.h"
#include "host_cc/include/ascend_attention/device_buffer.h"
#include "host_cc/include/ascend_attention/stream.h"

namespace ascend_attention {
namespace {

constexpr int kSteps = 12;
constexpr int kLayers = 2;

DecodeShape Shape() {
  DecodeShape shape;
  shape.batch = 3;
  shape.num_heads = tiny_problem::kHeads;
  shape.num_kv_heads = tiny_problem::kKvHeads;
  shape.head_dim = tiny_problem::kHeadDim;
  shape.kv_block_size = tiny_problem::kKvBlockSize;
  shape.num_kv_blocks = tiny_problem::kNumKvBlocks;
  shape.max_kv_blocks = tiny_problem::kMaxKvBlocks;
  return shape;
}

template <typename T>
DeviceBuffer OnDevice(const std::shared_ptr<Runtime>& runtime, const std::vector<T>& values) {
  DeviceBuffer buffer = *DeviceBuffer::Allocate(runtime, values.size() * sizeof(T));
  EXPECT_TRUE(buffer.Upload(values.data(), buffer.size()).ok());
  return buffer;
}

// What the threads share.
struct Model {
  std::shared_ptr<Runtime> runtime = *Runtime::Open({});
  DecodeAttention decode = *DecodeAttention::Create(runtime, Shape(), tiny_problem::kSoftmaxScale);
  tiny_problem::Problem problem;
  DeviceBuffer key_cache = OnDevice(runtime, problem.key_cache);
  DeviceBuffer value_cache = OnDevice(runtime, problem.value_cache);
  DeviceBuffer block_table = OnDevice(runtime, problem.block_table);
};

// What a thread has for itself.
class Engine {
 public:
  Engine(const Model& model, uint32_t seed) : model_(model), problem_(model.problem) {
    problem_.query = tiny_problem::Values(problem_.query.size(), seed);
    for (int layer = 0; layer < kLayers; ++layer) {
      query_.push_back(OnDevice(model.runtime, problem_.query));
      out_.push_back(*DeviceBuffer::Allocate(model.runtime, query_[0].size()));
    }
    workspace_ = *DeviceBuffer::Allocate(model.runtime, model.decode.workspace_bytes());
    stream_.emplace(*Stream::Create(model.runtime));
  }

  // The lengths differ from step to step and from thread to thread.
  StatusOr<PreparedPlan> Plan(int step) {
    problem_.context_lens = {5 + step, step % 3, 200 - 7 * step};
    return model_.decode.Plan(problem_.context_lens, workspace_.data(), workspace_.size(),
                              stream_->handle());
  }

  Status Run(const PreparedPlan& plan) {
    for (size_t layer = 0; layer < kLayers; ++layer) {
      DecodeTensors tensors;
      tensors.query = query_[layer].data();
      tensors.key_cache = model_.key_cache.data();
      tensors.value_cache = model_.value_cache.data();
      tensors.block_table = static_cast<const int32_t*>(model_.block_table.data());
      tensors.out = out_[layer].data();
      AA_RETURN_IF_ERROR(out_[layer].Fill(0xff));  // NaN
      AA_RETURN_IF_ERROR(model_.decode.Run(plan, tensors, stream_->handle()));
    }
    return stream_->Synchronize();
  }

  double MaxError() const {
    double max_error = 0;
    for (const DeviceBuffer& out : out_) {
      std::vector<uint16_t> values(problem_.query.size());
      EXPECT_TRUE(out.Download(values.data(), out.size()).ok());
      const double error = problem_.MaxError(values);
      if (!(error <= max_error)) max_error = error;
    }
    return max_error;
  }

 private:
  const Model& model_;
  tiny_problem::Problem problem_;
  std::vector<DeviceBuffer> query_, out_;
  DeviceBuffer workspace_;
  std::optional<Stream> stream_;
};

TEST(Threads, TwoEnginesShareAnOperator) {
  const Model model;
  const auto serve = [&](uint32_t seed, int first_step) {
    Engine engine(model, seed);
    for (int step = first_step; step < first_step + kSteps; ++step) {
      const StatusOr<PreparedPlan> plan = engine.Plan(step);
      ASSERT_TRUE(plan.ok()) << plan.status().ToString();
      const Status status = engine.Run(*plan);
      ASSERT_TRUE(status.ok()) << status.ToString();
      ASSERT_LE(engine.MaxError(), 1e-3) << "step " << step << " of the thread of seed " << seed;
    }
  };
  std::thread first(serve, 11, 0);
  std::thread second(serve, 12, 7);
  first.join();
  second.join();
}

// A scheduler thread plans ahead what a worker thread runs.
TEST(Threads, APlanRunsOnAnotherThread) {
  const Model model;
  Engine engine(model, 13);
  std::optional<StatusOr<PreparedPlan>> plan;
  std::thread([&] { plan = engine.Plan(2); }).join();
  ASSERT_TRUE(plan->ok()) << plan->status().ToString();
  const Status status = engine.Run(**plan);
  ASSERT_TRUE(status.ok()) << status.ToString();
  EXPECT_LE(engine.MaxError(), 1e-3);
}

// Each thread opens and closes the device by itself, as independent engines of one
// process do.
TEST(Threads, OpenTheDeviceAtTheSameTime) {
  const auto serve = [](uint32_t seed) {
    for (int round = 0; round < 3; ++round) {
      const Model model;
      Engine engine(model, seed);
      const StatusOr<PreparedPlan> plan = engine.Plan(round);
      ASSERT_TRUE(plan.ok()) << plan.status().ToString();
      ASSERT_TRUE(engine.Run(*plan).ok());
      ASSERT_LE(engine.MaxError(), 1e-3);
    }
  };
  std::vector<std::thread> threads;
  for (const uint32_t seed : {14u, 15u, 16u, 17u}) threads.emplace_back(serve, seed);
  for (std::thread& thread : threads) thread.join();
}

}  // namespace
}  // namespace ascend_attention
