// SPDX-License-Identifier: Apache-2.0
// The operator behind a handle: one DecodeAttention, one workspace, the latest plan.
//
// A handle is an integer, so that a traced or captured call keeps it while plans come
// and go. What is planned lies in the workspace.
#ifndef ASCEND_ATTENTION_TORCH_OPS_DECODER_H_
#define ASCEND_ATTENTION_TORCH_OPS_DECODER_H_

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <vector>

#include "host_cc/include/ascend_attention/decode.h"
#include "host_cc/include/ascend_attention/device_buffer.h"
#include "python/ascend_attention/torch_ops/decode_args.h"
#include "python/ascend_attention/torch_ops/tensor_arg.h"

namespace ascend_attention::torch_ops {

// The streams of an NPU that a workspace was used on. It serves one of them at a time: a
// call on another one first waits for what the last one does. PyTorch's allocator knows
// only the one it was allocated on: when the memory goes back, that one must wait for the
// others.
class UsedStreams {
 public:
  explicit UsedStreams(void* first) : first_(first), last_(first) {}
  // Call before work on the workspace is enqueued on `stream`. Returns at once.
  Status Enter(Runtime& runtime, void* stream) {
    if (stream == last_.load(std::memory_order_relaxed)) return OkStatus();
    return Change(runtime, stream);
  }
  // Makes the first stream wait for the others; returns at once.
  void Join(Runtime& runtime);

 private:
  Status Change(Runtime& runtime, void* stream);

  void* const first_;
  std::atomic<void*> last_;  // where work of ours runs; not one that captures
  std::mutex mutex_;
  std::vector<void*> others_;
};

// What a call runs with. Never changed: calls share it.
struct Planned {
  std::shared_ptr<Runtime> runtime;
  DecodeAttention op;
  PreparedPlan plan;
  Batch batch;
  bool head_major;
  Place place;
  std::shared_ptr<UsedStreams> used;  // null: nobody wants to know
};

// Checks the tensors and runs: an NPU's on its current stream without waiting, host
// tensors on the virtual NPU to the end.
Status RunPlanned(const Planned& planned, DecodeArgs& args);

// The query rows of a batch; null q_lens: one each.
Batch BatchOf(const std::vector<int32_t>& context_lens, const std::vector<int32_t>& q_lens);

class Decoder {
 public:
  static StatusOr<std::shared_ptr<Decoder>> Create(const DecodeShape& shape, bool head_major,
                                                   float softmax_scale, int num_cores,
                                                   const Place& place);

  ~Decoder();

  const DecodeAttention& op() const { return op_; }
  const Place& place() const { return place_; }
  const Runtime& runtime() const { return *runtime_; }

  // On an NPU the plan is uploaded to `workspace`, on its current stream; for host
  // tensors to memory of the virtual NPU.
  Status Plan(const Tensor& workspace, const std::vector<int32_t>& context_lens,
              const std::vector<int32_t>& q_lens);

  // The latest plan; FailedPrecondition before the first.
  StatusOr<std::shared_ptr<const Planned>> planned() const;

  // Waits for the current stream; names what a kernel of ours found wrong there.
  Status Synchronize() const;

 private:
  // `stream`: the current one, on which the caller allocates the workspace.
  Decoder(std::shared_ptr<Runtime> runtime, DecodeAttention op, bool head_major, Place place,
          void* stream)
      : runtime_(std::move(runtime)),
        op_(std::move(op)),
        head_major_(head_major),
        place_(place),
        used_(std::make_shared<UsedStreams>(stream)) {}
  StatusOr<PreparedPlan> Upload(const TensorArg& workspace,
                                const std::vector<int32_t>& context_lens,
                                const std::vector<int32_t>& q_lens);

  const std::shared_ptr<Runtime> runtime_;
  const DecodeAttention op_;
  const bool head_major_;
  const Place place_;
  const std::shared_ptr<UsedStreams> used_;

  mutable std::mutex mutex_;  // guards what follows
  std::shared_ptr<const Planned> planned_;
  std::optional<Tensor> workspace_;  // keeps the memory of planned_
  DeviceBuffer host_workspace_;      // likewise, on the virtual NPU
};

// Handles are never used twice.
int64_t AddDecoder(std::shared_ptr<Decoder> decoder);
StatusOr<std::shared_ptr<Decoder>> FindDecoder(int64_t handle);
void DropDecoder(int64_t handle);

}  // namespace ascend_attention::torch_ops

#endif  // ASCEND_ATTENTION_TORCH_OPS_DECODER_H_
