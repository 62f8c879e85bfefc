// SPDX-License-Identifier: Apache-2.0
// How an engine embeds the decode operator: open the device, size the workspace,
// plan a ragged batch, run it. Runs on an NPU, or on the virtual one if there is
// none, and compares with a plain double loop (tiny_problem.h).
#include <cstdio>
#include <cstdlib>

#include "ascend_attention/decode.h"
#include "ascend_attention/device_buffer.h"
#include "ascend_attention/stream.h"
#include "host_cc/examples/tiny_problem.h"

using namespace ascend_attention;  // NOLINT: short example

// An engine would pass the Status on.
void OrDie(const Status& status) {
  if (status.ok()) return;
  std::fprintf(stderr, "%s\n", status.ToString().c_str());
  std::exit(1);
}

template <typename T>
T OrDie(StatusOr<T> value) {
  OrDie(value.status());
  return *std::move(value);
}

template <typename T>
DeviceBuffer OnDevice(const std::shared_ptr<Runtime>& runtime, const std::vector<T>& values) {
  DeviceBuffer buffer = OrDie(DeviceBuffer::Allocate(runtime, values.size() * sizeof(T)));
  OrDie(buffer.Upload(values.data(), buffer.size()));
  return buffer;
}

int main() {
  const tiny_problem::Problem problem;

  // Once per model.
  const auto runtime = OrDie(Runtime::Open({}));
  DecodeShape shape;
  shape.batch = 8;  // the largest batch ever planned
  shape.num_heads = tiny_problem::kHeads;
  shape.num_kv_heads = tiny_problem::kKvHeads;
  shape.head_dim = tiny_problem::kHeadDim;
  shape.kv_block_size = tiny_problem::kKvBlockSize;
  shape.num_kv_blocks = tiny_problem::kNumKvBlocks;
  shape.max_kv_blocks = tiny_problem::kMaxKvBlocks;
  const auto decode = OrDie(DecodeAttention::Create(runtime, shape, tiny_problem::kSoftmaxScale));
  const auto workspace = OrDie(DeviceBuffer::Allocate(runtime, decode.workspace_bytes()));

  // The engine's own stream and tensors.
  const auto query = OnDevice(runtime, problem.query);
  const auto key_cache = OnDevice(runtime, problem.key_cache);
  const auto value_cache = OnDevice(runtime, problem.value_cache);
  const auto block_table = OnDevice(runtime, problem.block_table);
  const auto out = OrDie(DeviceBuffer::Allocate(runtime, query.size()));
  const auto stream = OrDie(Stream::Create(runtime));

  // Once per step.
  const auto plan =
      OrDie(decode.Plan(problem.context_lens, workspace.data(), workspace.size(), stream.handle()));
  // Once per layer.
  DecodeTensors tensors;
  tensors.query = query.data();
  tensors.key_cache = key_cache.data();
  tensors.value_cache = value_cache.data();
  tensors.block_table = static_cast<const int32_t*>(block_table.data());
  tensors.out = out.data();
  OrDie(decode.Run(plan, tensors, stream.handle()));
  OrDie(stream.Synchronize());

  std::vector<uint16_t> result(problem.query.size());
  OrDie(out.Download(result.data(), out.size()));
  const double max_error = problem.MaxError(result);
  std::printf("%s: max error %.1e\n", runtime->description().c_str(), max_error);
  return max_error <= 1e-3 ? 0 : 1;
}
