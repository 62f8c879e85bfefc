// SPDX-License-Identifier: Apache-2.0
#include <torch/csrc/stable/ops.h>

#include "host_cc/include/ascend_attention/merge_states.h"
#include "host_cc/pointer_checks.h"
#include "python/ascend_attention/torch_ops/cache_ops.h"
#include "python/ascend_attention/torch_ops/host_copies.h"
#include "python/ascend_attention/torch_ops/npu_runtime.h"
#include "python/ascend_attention/torch_ops/raise.h"

namespace ascend_attention::torch_ops {
namespace {

struct MergeTensors {
  TensorArg outs;
  TensorArg lses;
  TensorArg out;
  TensorArg lse;
};

StatusOr<StateDType> StateDTypeOf(const TensorArg& outs) {
  if (outs.dtype == aoti_torch_dtype_float16()) return StateDType::kFloat16;
  if (outs.dtype == aoti_torch_dtype_bfloat16()) return StateDType::kBFloat16;
  if (outs.dtype == aoti_torch_dtype_float32()) return StateDType::kFloat32;
  return InvalidArgument("outs has dtype ", DTypeText(outs.dtype),
                         "; allowed: torch.float16, torch.bfloat16, torch.float32");
}

// Of outs and lses alone: what must hold before results are allocated.
Status CheckParts(const MergeTensors& tensors) {
  const TensorArg& outs = tensors.outs;
  AA_RETURN_IF_ERROR(CheckRank(outs, {"num_parts", "num_query_rows", "num_heads", "head_dim"}));
  AA_RETURN_IF_ERROR(CheckDense(outs));
  if (outs.sizes[0] == 0) {
    return InvalidArgument("outs has shape ", ShapeText(outs), "; expected at least one part");
  }
  AA_RETURN_IF_ERROR(CheckPlace(tensors.lses, outs.place, "outs"));
  return CheckTensor(tensors.lses, aoti_torch_dtype_float32(),
                     {{"num_parts", outs.sizes[0]},
                      {"num_query_rows", outs.sizes[1]},
                      {"num_heads", outs.sizes[2]}});
}

Status CheckResults(const MergeTensors& tensors) {
  const TensorArg& outs = tensors.outs;
  const Axis rows = {"num_query_rows", outs.sizes[1]};
  const Axis heads = {"num_heads", outs.sizes[2]};
  AA_RETURN_IF_ERROR(CheckPlace(tensors.out, outs.place, "outs"));
  AA_RETURN_IF_ERROR(
      CheckTensor(tensors.out, outs.dtype, {rows, heads, {"head_dim", outs.sizes[3]}}));
  AA_RETURN_IF_ERROR(CheckPlace(tensors.lse, outs.place, "outs"));
  return CheckTensor(tensors.lse, aoti_torch_dtype_float32(), {rows, heads});
}

Status Launch(Runtime& runtime, const MergeTensors& tensors, void* stream) {
  MergeStatesArgs args;
  AA_ASSIGN_OR_RETURN(args.dtype, StateDTypeOf(tensors.outs));
  args.parts_out = tensors.outs.data;
  args.parts_lse = static_cast<const float*>(tensors.lses.data);
  args.out = tensors.out.data;
  args.lse = static_cast<float*>(tensors.lse.data);
  args.num_parts = tensors.outs.sizes[0];
  args.rows = tensors.outs.sizes[1] * tensors.outs.sizes[2];
  args.head_dim = tensors.outs.sizes[3];
  return MergeStates(runtime, args, stream);
}

// As for an NPU's tensors: the copies below have memory of their own.
Status CheckApartOnHost(const MergeTensors& tensors) {
  const auto memory = [](const TensorArg& arg) { return Memory{arg.name, arg.data, arg.bytes()}; };
  for (const TensorArg* written : {&tensors.out, &tensors.lse}) {
    AA_RETURN_IF_ERROR(CheckApart(memory(*written), memory(tensors.outs)));
    AA_RETURN_IF_ERROR(CheckApart(memory(*written), memory(tensors.lses)));
  }
  return CheckApart(memory(tensors.lse), memory(tensors.out));
}

Status MergeOnHost(const std::shared_ptr<Runtime>& runtime, MergeTensors& tensors) {
  AA_RETURN_IF_ERROR(CheckApartOnHost(tensors));
  AA_ASSIGN_OR_RETURN(const HostStream stream, HostStream::Take());
  HostCopies copies(runtime);
  AA_RETURN_IF_ERROR(copies.Input(&tensors.outs));
  AA_RETURN_IF_ERROR(copies.Input(&tensors.lses));
  AA_RETURN_IF_ERROR(copies.Output(&tensors.out));
  AA_RETURN_IF_ERROR(copies.Output(&tensors.lse));
  const Status run = Launch(*runtime, tensors, stream.handle());
  const Status done = runtime->Synchronize(stream.handle());
  AA_RETURN_IF_ERROR(run);
  AA_RETURN_IF_ERROR(done);
  return copies.BringBack();
}

Status Merge(MergeTensors& tensors, const Tensor& out, const Tensor& lse) {
  AA_RETURN_IF_ERROR(Read("out", out, &tensors.out));
  AA_RETURN_IF_ERROR(Read("lse", lse, &tensors.lse));
  AA_RETURN_IF_ERROR(CheckResults(tensors));
  const Place place = tensors.outs.place;
  AA_ASSIGN_OR_RETURN(const std::shared_ptr<Runtime> runtime, RuntimeFor(place));
  if (!place.is_npu) return MergeOnHost(runtime, tensors);
  AA_ASSIGN_OR_RETURN(void* const stream, CurrentNpuStream(place.device));
  return Launch(*runtime, tensors, stream);
}

MergeTensors ReadParts(const Tensor& outs, const Tensor& lses) {
  MergeTensors tensors;
  RaiseIfError(Read("outs", outs, &tensors.outs));
  RaiseIfError(Read("lses", lses, &tensors.lses));
  RaiseIfError(StateDTypeOf(tensors.outs).status());
  RaiseIfError(CheckParts(tensors));
  return tensors;
}

}  // namespace

std::tuple<Tensor, Tensor> MergeStatesOp(const Tensor& outs, const Tensor& lses) {
  using torch::headeronly::IntHeaderOnlyArrayRef;
  MergeTensors tensors = ReadParts(outs, lses);
  const int64_t* sizes = tensors.outs.sizes + 1;
  Tensor out = torch::stable::new_empty(outs, IntHeaderOnlyArrayRef(sizes, 3));
  Tensor lse = torch::stable::new_empty(lses, IntHeaderOnlyArrayRef(sizes, 2));
  RaiseIfError(Merge(tensors, out, lse));
  return {std::move(out), std::move(lse)};
}

void MergeStatesOutOp(const Tensor& outs, const Tensor& lses, const Tensor& out,
                      const Tensor& lse) {
  MergeTensors tensors = ReadParts(outs, lses);
  RaiseIfError(Merge(tensors, out, lse));
}

}  // namespace ascend_attention::torch_ops
