// SPDX-License-Identifier: Apache-2.0
#include "python/ascend_attention/torch_ops/decode_ops.h"

#include <torch/csrc/stable/ops.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <limits>
#include <map>
#include <mutex>
#include <utility>

#include "python/ascend_attention/torch_ops/decode_args.h"
#include "python/ascend_attention/torch_ops/decoder.h"
#include "python/ascend_attention/torch_ops/npu_runtime.h"
#include "python/ascend_attention/torch_ops/raise.h"
#include "tiling/support.h"

namespace ascend_attention::torch_ops {
namespace {

using torch::headeronly::ScalarType;

StatusOr<float> ScaleOrDefault(std::optional<double> softmax_scale, int64_t head_dim) {
  if (!softmax_scale) {
    return static_cast<float>(1.0 / std::sqrt(static_cast<double>(std::max<int64_t>(1, head_dim))));
  }
  if (std::abs(*softmax_scale) <= std::numeric_limits<float>::max()) {
    return static_cast<float>(*softmax_scale);
  }
  return InvalidArgument("softmax_scale is ", *softmax_scale, "; allowed: a finite float32");
}

StatusOr<int> CoresOrAll(std::optional<int64_t> num_cores) {
  if (!num_cores) return 0;
  if (*num_cores >= 1 && *num_cores <= std::numeric_limits<int>::max()) {
    return static_cast<int>(*num_cores);
  }
  return InvalidArgument("num_cores is ", *num_cores,
                         "; allowed: 1 up to the cores of the device, or None for all");
}

// Most query tokens of a sequence that a kernel for such a cache takes.
int64_t MostQueryTokens(KvQuant kv_quant) {
  int64_t most = 1;
  for (const SupportRow& row : SupportTable()) {
    const auto& quants = row.kv_quants;
    if (row.op == "decode" && std::find(quants.begin(), quants.end(), kv_quant) != quants.end()) {
      most = std::max(most, row.max_q_len);
    }
  }
  return most;
}

// Operators by what they are made for: one call after the other mostly differs in its
// lengths only.
class OperatorCache {
 public:
  struct Key {
    DecodeShape shape;
    Place place;
    float softmax_scale;
    int num_cores;
  };

  StatusOr<DecodeAttention> Get(const std::shared_ptr<Runtime>& runtime, const Key& key) {
    const Fields fields = FieldsOf(key);
    const std::lock_guard<std::mutex> lock(mutex_);
    const auto found = operators_.find(fields);
    if (found != operators_.end()) return found->second;
    AA_ASSIGN_OR_RETURN(
        DecodeAttention op,
        DecodeAttention::Create(runtime, key.shape, key.softmax_scale, key.num_cores));
    if (operators_.size() == kMost) operators_.clear();
    operators_.emplace(fields, op);
    return op;
  }

 private:
  // Every field of Key.
  using Fields = std::array<int64_t, 19>;
  static constexpr size_t kMost = 64;

  static Fields FieldsOf(const Key& key) {
    const DecodeShape& shape = key.shape;
    int32_t scale_bits = 0;
    static_assert(sizeof(scale_bits) == sizeof(key.softmax_scale));
    std::memcpy(&scale_bits, &key.softmax_scale, sizeof(scale_bits));
    return {shape.batch,
            shape.num_heads,
            shape.num_kv_heads,
            shape.head_dim,
            shape.kv_block_size,
            shape.num_kv_blocks,
            shape.max_kv_blocks,
            static_cast<int64_t>(shape.dtype),
            shape.out_float32 ? 1 : 0,
            shape.max_q_len,
            static_cast<int64_t>(shape.kv_quant),
            static_cast<int64_t>(shape.kv_route),
            shape.kv_strides.block,
            shape.kv_strides.token,
            shape.kv_strides.head,
            shape.fixed_split_tokens,
            key.place.is_npu ? key.place.device : -1,
            scale_bits,
            key.num_cores};
  }

  std::mutex mutex_;
  std::map<Fields, DecodeAttention> operators_;
};

// Never destroyed: operators hold streams and kernels of a library that may end first.
OperatorCache& Operators() {
  static auto* const cache = new OperatorCache;
  return *cache;
}

// A one-shot call, read and ready to plan.
struct Prepared {
  DecodeArgs args;
  DecodeShape shape;
  bool head_major = false;
  Place place;
  std::vector<int32_t> context_lens;
  std::vector<int32_t> q_lens;
  float softmax_scale = 0;
  int num_cores = 0;
};

Status ReadTensors(const OneShot& given, DecodeArgs* args) {
  AA_RETURN_IF_ERROR(Read("query", given.query, &args->query));
  AA_RETURN_IF_ERROR(Read("key_cache", given.key_cache, &args->key_cache));
  AA_RETURN_IF_ERROR(Read("value_cache", given.value_cache, &args->value_cache));
  AA_RETURN_IF_ERROR(Read("block_table", given.block_table, &args->block_table));
  AA_RETURN_IF_ERROR(CheckRank(args->query, {"num_query_rows", "num_heads", "head_dim"}));
  AA_RETURN_IF_ERROR(CheckRank(args->block_table, {"batch", "max_kv_blocks"}));
  return ReadScales(given.key_scale, given.key_offset, given.value_scale, given.value_offset,
                    &args->scales);
}

Status ReadShape(const OneShot& given, bool out_float32, Prepared* call) {
  DecodeShape& shape = call->shape;
  AA_ASSIGN_OR_RETURN(call->head_major, HeadMajorFrom(given.kv_layout));
  AA_ASSIGN_OR_RETURN(shape.kv_quant, KvQuantFrom(given.kv_quant));
  AA_ASSIGN_OR_RETURN(shape.kv_route, KvRouteFrom(given.kv_route));
  AA_ASSIGN_OR_RETURN(shape.dtype, DTypeFrom("query", call->args.query.dtype));
  AA_RETURN_IF_ERROR(ShapeFromCache(call->args.key_cache, call->head_major, &shape));
  shape.num_heads = call->args.query.sizes[1];
  shape.max_kv_blocks = call->args.block_table.sizes[1];
  shape.batch = call->args.block_table.sizes[0];
  shape.out_float32 = out_float32;
  shape.fixed_split_tokens = given.fixed_split_tokens.value_or(0);
  AA_ASSIGN_OR_RETURN(call->softmax_scale, ScaleOrDefault(given.softmax_scale, shape.head_dim));
  AA_ASSIGN_OR_RETURN(call->num_cores, CoresOrAll(given.num_cores));
  return OkStatus();
}

Status ReadBatch(const OneShot& given, Prepared* call) {
  AA_ASSIGN_OR_RETURN(call->context_lens,
                      ReadLengths("context_lens", given.context_lens, call->shape.max_context()));
  if (given.q_lens) {
    AA_ASSIGN_OR_RETURN(
        call->q_lens, ReadLengths("q_lens", *given.q_lens, MostQueryTokens(call->shape.kv_quant)));
    if (call->q_lens.size() != call->context_lens.size()) {
      return InvalidArgument("q_lens has ", call->q_lens.size(), " numbers; expected ",
                             call->context_lens.size(), ", one per length of context_lens");
    }
  }
  DecodeShape& shape = call->shape;
  if (static_cast<int64_t>(call->context_lens.size()) != shape.batch) {
    return InvalidArgument("context_lens has ", call->context_lens.size(),
                           " lengths; expected batch ", shape.batch, " as in block_table");
  }
  for (const int32_t tokens : call->q_lens) {
    shape.max_q_len = std::max<int64_t>(shape.max_q_len, tokens);
  }
  // Tiles follow from max_q_len, and from them the bits of a row: with fixed cuts the
  // same for all calls.
  if (shape.fixed_split_tokens != 0) {
    shape.max_q_len = std::max(shape.max_q_len, MostQueryTokens(shape.kv_quant));
  }
  return OkStatus();
}

StatusOr<Prepared> Prepare(const OneShot& given, bool out_float32) {
  Prepared call;
  AA_RETURN_IF_ERROR(ReadTensors(given, &call.args));
  AA_RETURN_IF_ERROR(ReadShape(given, out_float32, &call));
  call.place = call.args.query.place;
  AA_RETURN_IF_ERROR(
      RefuseInCapture(call.place,
                      "paged_attention plans, which would freeze the lengths. Use DecodeAttention: "
                      "plan before the capture, capture run, plan again before each replay"));
  AA_RETURN_IF_ERROR(ReadBatch(given, &call));
  return call;
}

// Workspace from PyTorch's allocator. It is kept until the launch is in the stream: from
// then on it may serve others on the same stream, who come behind it. Given back between
// plan and launch, another thread could take it there.
Status PlanAndRunOnNpu(const std::shared_ptr<Runtime>& runtime, const DecodeAttention& op,
                       const OneShot& given, Prepared& call) {
  constexpr size_t kAlignment = kRegionAlignmentBytes;
  const auto bytes = static_cast<int64_t>(op.workspace_bytes() + kAlignment);
  const Tensor workspace = torch::stable::new_empty(
      given.query, torch::headeronly::IntHeaderOnlyArrayRef(&bytes, 1), ScalarType::Byte);
  auto begin = reinterpret_cast<uintptr_t>(workspace.mutable_data_ptr());
  begin = (begin + kAlignment - 1) / kAlignment * kAlignment;
  AA_ASSIGN_OR_RETURN(void* const stream, CurrentNpuStream(call.place.device));
  AA_ASSIGN_OR_RETURN(PreparedPlan plan, op.Plan(call.context_lens, reinterpret_cast<void*>(begin),
                                                 op.workspace_bytes(), stream, call.q_lens));
  return RunPlanned({runtime, op, std::move(plan), BatchOf(call.context_lens, call.q_lens),
                     call.head_major, call.place, nullptr},
                    call.args);
}

Status PlanAndRun(const OneShot& given, Prepared call) {
  AA_ASSIGN_OR_RETURN(const std::shared_ptr<Runtime> runtime, RuntimeFor(call.place));
  AA_ASSIGN_OR_RETURN(
      const DecodeAttention op,
      Operators().Get(runtime, {call.shape, call.place, call.softmax_scale, call.num_cores}));
  const Batch batch = BatchOf(call.context_lens, call.q_lens);
  // Before a plan is uploaded for them.
  AA_RETURN_IF_ERROR(CheckDecodeArgs(call.args, op.shape(), call.head_major, batch, call.place));
  if (call.place.is_npu) return PlanAndRunOnNpu(runtime, op, given, call);
  AA_ASSIGN_OR_RETURN(const DeviceBuffer workspace,
                      DeviceBuffer::Allocate(runtime, op.workspace_bytes()));
  AA_ASSIGN_OR_RETURN(const HostStream stream, HostStream::Take());
  AA_ASSIGN_OR_RETURN(PreparedPlan plan, op.Plan(call.context_lens, workspace.data(),
                                                 workspace.size(), stream.handle(), call.q_lens));
  AA_RETURN_IF_ERROR(runtime->Synchronize(stream.handle()));
  return RunPlanned({runtime, op, std::move(plan), batch, call.head_major, call.place, nullptr},
                    call.args);
}

Tensor NewOut(const OneShot& given, const Prepared& call, bool out_float32) {
  std::optional<ScalarType> dtype;
  if (out_float32) dtype = ScalarType::Float;
  const torch::headeronly::IntHeaderOnlyArrayRef sizes(call.args.query.sizes, 3);
  return torch::stable::new_empty(given.query, sizes, dtype);
}

Tensor NewLse(const OneShot& given, const Prepared& call) {
  const torch::headeronly::IntHeaderOnlyArrayRef sizes(call.args.query.sizes, 2);
  return torch::stable::new_empty(given.query, sizes, ScalarType::Float);
}

bool IsFloat32(const Tensor& out) {
  int32_t dtype = 0;
  STABLE_TORCH_ERROR_CODE_CHECK(aoti_torch_get_dtype(out.get(), &dtype));
  return dtype == aoti_torch_dtype_float32();
}

void Attend(const OneShot& given, Prepared call, const Tensor& out, const Tensor* lse) {
  RaiseIfError(Read("out", out, &call.args.out));
  if (lse != nullptr) RaiseIfError(Read("lse", *lse, &call.args.lse));
  RaiseIfError(PlanAndRun(given, std::move(call)));
}

StatusOr<DecodeShape> ShapeOf(const std::vector<int64_t>& sizes, int32_t dtype,
                              const std::vector<int64_t>& kv_strides) {
  if (sizes.size() != 10) return Internal("sizes has ", sizes.size(), " entries");
  if (!kv_strides.empty() && kv_strides.size() != 3) {
    return Internal("kv_strides has ", kv_strides.size(), " entries");
  }
  DecodeShape shape;
  shape.batch = sizes[0];
  shape.num_heads = sizes[1];
  shape.num_kv_heads = sizes[2];
  shape.head_dim = sizes[3];
  shape.kv_block_size = sizes[4];
  shape.num_kv_blocks = sizes[5];
  shape.max_kv_blocks = sizes[6];
  shape.max_q_len = sizes[7];
  shape.fixed_split_tokens = sizes[8];
  if (!kv_strides.empty()) shape.kv_strides = {kv_strides[0], kv_strides[1], kv_strides[2]};
  AA_ASSIGN_OR_RETURN(shape.dtype, DTypeFrom("dtype", dtype));
  return shape;
}

}  // namespace

int64_t MakeDecoder(std::vector<int64_t> sizes, ScalarType dtype, std::string kv_quant,
                    std::string kv_route, std::string kv_layout, std::vector<int64_t> kv_strides,
                    bool out_float32, std::optional<double> softmax_scale, int64_t npu) {
  const auto dtype_code = torch::stable::detail::to<int32_t>(torch::stable::detail::from(dtype));
  DecodeShape shape = ValueOrRaise(ShapeOf(sizes, dtype_code, kv_strides));
  shape.kv_quant = ValueOrRaise(KvQuantFrom(kv_quant));
  shape.kv_route = ValueOrRaise(KvRouteFrom(kv_route));
  shape.out_float32 = out_float32;
  const bool head_major = ValueOrRaise(HeadMajorFrom(kv_layout));
  RaiseIfError(Validate(shape));
  const float scale = ValueOrRaise(ScaleOrDefault(softmax_scale, shape.head_dim));
  Place place;
  place.is_npu = npu >= 0;
  if (place.is_npu) place.device = static_cast<int>(npu);
  return AddDecoder(
      ValueOrRaise(Decoder::Create(shape, head_major, scale, static_cast<int>(sizes[9]), place)));
}

void ReleaseDecoder(int64_t plan) { DropDecoder(plan); }

int64_t WorkspaceBytes(int64_t plan) {
  return static_cast<int64_t>(ValueOrRaise(FindDecoder(plan))->op().workspace_bytes());
}

std::string DeviceName(int64_t plan) {
  return ValueOrRaise(FindDecoder(plan))->runtime().description();
}

void MakePlan(int64_t plan, Tensor workspace, Tensor context_lens, OptionalTensor q_lens) {
  const std::shared_ptr<Decoder> decoder = ValueOrRaise(FindDecoder(plan));
  RaiseIfError(RefuseInCapture(decoder->place(),
                               "a captured plan would freeze the lengths. Plan before the "
                               "capture, capture only run, plan again before each replay"));
  const DecodeShape& shape = decoder->op().shape();
  const std::vector<int32_t> lengths =
      ValueOrRaise(ReadLengths("context_lens", context_lens, shape.max_context()));
  std::vector<int32_t> tokens;
  if (q_lens) tokens = ValueOrRaise(ReadLengths("q_lens", *q_lens, shape.max_q_len));
  RaiseIfError(decoder->Plan(workspace, lengths, tokens));
}

void SynchronizeStream(int64_t plan) {
  RaiseIfError(ValueOrRaise(FindDecoder(plan))->Synchronize());
}

int64_t LengthCopies() { return HostCopiesOfLengths(); }

void RunPlan(const RunPlanArgs& given) {
  DecodeArgs args;
  TensorArg workspace;
  Scales& scales = args.scales;
  RaiseIfError(Read("query", given.query, &args.query));
  RaiseIfError(Read("key_cache", given.key_cache, &args.key_cache));
  RaiseIfError(Read("value_cache", given.value_cache, &args.value_cache));
  RaiseIfError(Read("block_table", given.block_table, &args.block_table));
  RaiseIfError(Read("workspace", given.workspace, &workspace));
  RaiseIfError(Read("out", given.out, &args.out));
  RaiseIfError(Read("lse", given.lse, &args.lse));
  RaiseIfError(Read("key_scale", given.key_scale, &scales.key_scale));
  RaiseIfError(Read("key_offset", given.key_offset, &scales.key_offset));
  RaiseIfError(Read("value_scale", given.value_scale, &scales.value_scale));
  RaiseIfError(Read("value_offset", given.value_offset, &scales.value_offset));
  const auto planned = ValueOrRaise(ValueOrRaise(FindDecoder(given.plan))->planned());
  // The plan lies where it was uploaded to; here the workspace says who writes what.
  RaiseIfError(CheckPlace(workspace, planned->place, "the plan"));
  RaiseIfError(RunPlanned(*planned, args));
}

Tensor PagedAttention(const OneShot& given, bool out_float32) {
  Prepared call = ValueOrRaise(Prepare(given, out_float32));
  Tensor out = NewOut(given, call, out_float32);
  Attend(given, std::move(call), out, nullptr);
  return out;
}

void PagedAttentionOut(const OneShot& given, const Tensor& out) {
  Attend(given, ValueOrRaise(Prepare(given, IsFloat32(out))), out, nullptr);
}

std::tuple<Tensor, Tensor> PagedAttentionLse(const OneShot& given, bool out_float32) {
  Prepared call = ValueOrRaise(Prepare(given, out_float32));
  Tensor out = NewOut(given, call, out_float32);
  Tensor lse = NewLse(given, call);
  Attend(given, std::move(call), out, &lse);
  return {std::move(out), std::move(lse)};
}

void PagedAttentionLseOut(const OneShot& given, const Tensor& out, const Tensor& lse) {
  Attend(given, ValueOrRaise(Prepare(given, IsFloat32(out))), out, &lse);
}

}  // namespace ascend_attention::torch_ops
