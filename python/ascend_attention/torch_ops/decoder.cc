// SPDX-License-Identifier: Apache-2.0
#include "python/ascend_attention/torch_ops/decoder.h"

#include <algorithm>
#include <numeric>
#include <unordered_map>
#include <utility>

#include "host_cc/tensor_checks.h"
#include "python/ascend_attention/torch_ops/host_copies.h"
#include "python/ascend_attention/torch_ops/npu_runtime.h"

namespace ascend_attention::torch_ops {
namespace {

// As for an NPU's tensors: the copies below have memory of their own.
Status CheckApartOnHost(const Planned& planned, const DecodeArgs& args) {
  DecodePlanHeader header = {};
  header.batch = static_cast<decltype(header.batch)>(planned.batch.size);
  header.num_query_rows =
      static_cast<decltype(header.num_query_rows)>(planned.batch.num_query_rows);
  return CheckApart(PointersOf(args), {"workspace", nullptr, 0}, planned.op.shape(), header);
}

Status RunOnHost(const Planned& planned, DecodeArgs& args) {
  AA_RETURN_IF_ERROR(CheckApartOnHost(planned, args));
  AA_ASSIGN_OR_RETURN(const HostStream stream, HostStream::Take());
  HostCopies copies(planned.runtime);
  AA_RETURN_IF_ERROR(copies.Input(&args.query));
  AA_RETURN_IF_ERROR(copies.Caches(&args.key_cache, &args.value_cache, /*written=*/false));
  AA_RETURN_IF_ERROR(copies.Input(&args.block_table));
  for (TensorArg* scale : {&args.scales.key_scale, &args.scales.key_offset,
                           &args.scales.value_scale, &args.scales.value_offset}) {
    AA_RETURN_IF_ERROR(copies.Input(scale));
  }
  AA_RETURN_IF_ERROR(copies.Output(&args.out));
  AA_RETURN_IF_ERROR(copies.Output(&args.lse));
  const Status run = planned.op.Run(planned.plan, PointersOf(args), stream.handle());
  // Whatever happened, nothing may use the copies when they are freed.
  const Status done = planned.runtime->Synchronize(stream.handle());
  AA_RETURN_IF_ERROR(run);
  AA_RETURN_IF_ERROR(done);
  return copies.BringBack();
}

struct Handles {
  std::mutex mutex;
  std::unordered_map<int64_t, std::shared_ptr<Decoder>> decoders;
  int64_t next = 1;
};

// Never destroyed: at exit the ACL library may be gone before us.
Handles& AllHandles() {
  static auto* const handles = new Handles;
  return *handles;
}

}  // namespace

Status UsedStreams::Change(Runtime& runtime, void* stream) {
  const std::lock_guard<std::mutex> lock(mutex_);
  const bool known =
      stream == first_ || std::find(others_.begin(), others_.end(), stream) != others_.end();
  if (!known) others_.push_back(stream);
  // What is captured runs with its graph, on a stream that only the caller knows.
  AA_ASSIGN_OR_RETURN(const bool captures, runtime.IsCapturing(stream));
  if (captures) return OkStatus();
  void* const last = last_.load(std::memory_order_relaxed);
  // A stream that captures by now has nothing to wait for outside of its graph.
  AA_ASSIGN_OR_RETURN(const bool last_captures, runtime.IsCapturing(last));
  if (!last_captures) AA_RETURN_IF_ERROR(runtime.MakeWait(stream, last));
  last_.store(stream, std::memory_order_relaxed);
  return OkStatus();
}

void UsedStreams::Join(Runtime& runtime) {
  const std::lock_guard<std::mutex> lock(mutex_);
  // What was captured runs when its graph is replayed, whose owner keeps the operator; and a
  // stream that captures must not wait for work outside of its graph.
  const auto runs = [&runtime](void* stream) {
    const StatusOr<bool> capturing = runtime.IsCapturing(stream);
    return capturing.ok() && !*capturing;
  };
  if (others_.empty() || !runs(first_)) return;
  for (void* other : others_) {
    if (runs(other)) (void)runtime.MakeWait(first_, other);
  }
}

Batch BatchOf(const std::vector<int32_t>& context_lens, const std::vector<int32_t>& q_lens) {
  Batch batch;
  batch.size = static_cast<int64_t>(context_lens.size());
  batch.num_query_rows =
      q_lens.empty() ? batch.size : std::accumulate(q_lens.begin(), q_lens.end(), int64_t{0});
  return batch;
}

Status RunPlanned(const Planned& planned, DecodeArgs& args) {
  AA_RETURN_IF_ERROR(
      CheckDecodeArgs(args, planned.op.shape(), planned.head_major, planned.batch, planned.place));
  if (!planned.place.is_npu) return RunOnHost(planned, args);
  AA_ASSIGN_OR_RETURN(void* const stream, CurrentNpuStream(planned.place.device));
  if (planned.used != nullptr) {
    AA_RETURN_IF_ERROR(planned.used->Enter(*planned.runtime, stream));
  }
  return planned.op.Run(planned.plan, PointersOf(args), stream);
}

StatusOr<std::shared_ptr<Decoder>> Decoder::Create(const DecodeShape& shape, bool head_major,
                                                   float softmax_scale, int num_cores,
                                                   const Place& place) {
  AA_ASSIGN_OR_RETURN(std::shared_ptr<Runtime> runtime, RuntimeFor(place));
  AA_ASSIGN_OR_RETURN(DecodeAttention op,
                      DecodeAttention::Create(runtime, shape, softmax_scale, num_cores));
  void* stream = nullptr;
  if (place.is_npu) {
    AA_ASSIGN_OR_RETURN(stream, CurrentNpuStream(place.device));
  }
  return std::shared_ptr<Decoder>(
      new Decoder(std::move(runtime), std::move(op), head_major, place, stream));
}

Decoder::~Decoder() {
  if (place_.is_npu) used_->Join(*runtime_);
}

StatusOr<PreparedPlan> Decoder::Upload(const TensorArg& workspace,
                                       const std::vector<int32_t>& context_lens,
                                       const std::vector<int32_t>& q_lens) {
  if (place_.is_npu) {
    AA_ASSIGN_OR_RETURN(void* const stream, CurrentNpuStream(place_.device));
    AA_RETURN_IF_ERROR(used_->Enter(*runtime_, stream));
    return op_.Plan(context_lens, workspace.data, static_cast<size_t>(workspace.bytes()), stream,
                    q_lens);
  }
  AA_ASSIGN_OR_RETURN(const HostStream stream, HostStream::Take());
  if (host_workspace_.data() == nullptr) {
    AA_ASSIGN_OR_RETURN(host_workspace_, DeviceBuffer::Allocate(runtime_, op_.workspace_bytes()));
  }
  AA_ASSIGN_OR_RETURN(PreparedPlan plan, op_.Plan(context_lens, host_workspace_.data(),
                                                  host_workspace_.size(), stream.handle(), q_lens));
  AA_RETURN_IF_ERROR(runtime_->Synchronize(stream.handle()));
  return plan;
}

Status Decoder::Plan(const Tensor& workspace, const std::vector<int32_t>& context_lens,
                     const std::vector<int32_t>& q_lens) {
  TensorArg arg;
  AA_RETURN_IF_ERROR(Read("workspace", workspace, &arg));
  AA_RETURN_IF_ERROR(CheckPlace(arg, place_, "the operator"));
  AA_RETURN_IF_ERROR(CheckTensor(arg, aoti_torch_dtype_uint8(), {{"bytes", kAnySize}}));
  if (arg.bytes() < static_cast<int64_t>(op_.workspace_bytes())) {
    return InvalidArgument("workspace has ", arg.bytes(), " bytes; expected at least ",
                           op_.workspace_bytes());
  }
  const std::lock_guard<std::mutex> lock(mutex_);
  AA_ASSIGN_OR_RETURN(PreparedPlan plan, Upload(arg, context_lens, q_lens));
  const Batch batch = BatchOf(context_lens, q_lens);
  planned_ = std::make_shared<const Planned>(
      Planned{runtime_, op_, std::move(plan), batch, head_major_, place_, used_});
  workspace_ = workspace;
  return OkStatus();
}

StatusOr<std::shared_ptr<const Planned>> Decoder::planned() const {
  const std::lock_guard<std::mutex> lock(mutex_);
  if (planned_ != nullptr) return planned_;
  return FailedPrecondition("run needs a plan: call plan(context_lens) first");
}

Status Decoder::Synchronize() const {
  if (!place_.is_npu) return OkStatus();  // nothing is pending between calls
  AA_ASSIGN_OR_RETURN(void* const stream, CurrentNpuStream(place_.device));
  return runtime_->Synchronize(stream);
}

int64_t AddDecoder(std::shared_ptr<Decoder> decoder) {
  Handles& handles = AllHandles();
  const std::lock_guard<std::mutex> lock(handles.mutex);
  handles.decoders[handles.next] = std::move(decoder);
  return handles.next++;
}

StatusOr<std::shared_ptr<Decoder>> FindDecoder(int64_t handle) {
  Handles& handles = AllHandles();
  const std::lock_guard<std::mutex> lock(handles.mutex);
  const auto found = handles.decoders.find(handle);
  if (found != handles.decoders.end()) return found->second;
  return InvalidArgument("plan = ", handle, " is no handle of a living DecodeAttention");
}

void DropDecoder(int64_t handle) {
  Handles& handles = AllHandles();
  std::shared_ptr<Decoder> dropped;  // declared before the lock: ends after it
  const std::lock_guard<std::mutex> lock(handles.mutex);
  const auto found = handles.decoders.find(handle);
  if (found == handles.decoders.end()) return;
  dropped = std::move(found->second);
  handles.decoders.erase(found);
}

}  // namespace ascend_attention::torch_ops
