// SPDX-License-Identifier: Apache-2.0
// The operator library torch.ops.ascend_attention: schemas, and who computes what.
//
// Built against PyTorch's stable interface: one file serves every PyTorch from 2.10 on,
// any Python version, and any torch_npu.
//
// Next: decode_ops.cc - what the calls do.
#include <torch/csrc/stable/library.h>
#include <torch/csrc/stable/ops.h>

#include <tuple>
#include <utility>

#include "python/ascend_attention/torch_ops/cache_ops.h"
#include "python/ascend_attention/torch_ops/decode_ops.h"
#include "python/ascend_attention/torch_ops/raise.h"

namespace ascend_attention::torch_ops {
namespace {

using torch::stable::detail::from;
using torch::stable::detail::to;

// Arguments 0..15 of the one-shot operators; what follows is at kRest.
constexpr int kRest = 16;

OneShot TakeOneShot(StableIValue* stack) {
  using Text = std::string;
  return {to<Tensor>(stack[0]),
          to<Tensor>(stack[1]),
          to<Tensor>(stack[2]),
          to<Tensor>(stack[3]),
          to<Tensor>(stack[4]),
          to<std::optional<double>>(stack[5]),
          to<OptionalTensor>(stack[6]),
          to<OptionalTensor>(stack[7]),
          to<OptionalTensor>(stack[8]),
          to<OptionalTensor>(stack[9]),
          to<OptionalTensor>(stack[10]),
          to<Text>(stack[11]),
          to<Text>(stack[12]),
          to<Text>(stack[13]),
          to<std::optional<int64_t>>(stack[14]),
          to<std::optional<int64_t>>(stack[15])};
}

// Takes the tensor out of a slot of the stack, or null, and frees it at the end.
class TakenTensor {
 public:
  // `optional`: the slot holds the address of a slot.
  TakenTensor(StableIValue slot, bool optional) {
    if (!optional) {
      handle_ = to<AtenTensorHandle>(slot);
    } else if (auto* inner = to<StableIValue*>(slot)) {
      handle_ = to<AtenTensorHandle>(*inner);
      delete inner;
    }
  }
  TakenTensor(const TakenTensor&) = delete;
  TakenTensor& operator=(const TakenTensor&) = delete;
  ~TakenTensor() {
    if (handle_ != nullptr) (void)aoti_torch_delete_tensor_object(handle_);
  }
  AtenTensorHandle get() const { return handle_; }

 private:
  AtenTensorHandle handle_ = nullptr;
};

// By hand: TORCH_BOX would allocate a counter for each tensor.
void BoxedRunPlan(StableIValue* stack, uint64_t, uint64_t) {
  const TakenTensor query(stack[0], false), key_cache(stack[1], false);
  const TakenTensor value_cache(stack[2], false), block_table(stack[3], false);
  const TakenTensor workspace(stack[4], false), out(stack[6], false), lse(stack[7], true);
  const TakenTensor key_scale(stack[8], true), key_offset(stack[9], true);
  const TakenTensor value_scale(stack[10], true), value_offset(stack[11], true);
  RunPlan({query.get(), key_cache.get(), value_cache.get(), block_table.get(), workspace.get(),
           to<int64_t>(stack[5]), out.get(), lse.get(), key_scale.get(), key_offset.get(),
           value_scale.get(), value_offset.get()});
}

void BoxedPagedAttention(StableIValue* stack, uint64_t, uint64_t) {
  const bool out_float32 = to<bool>(stack[kRest]);
  stack[0] = from(PagedAttention(TakeOneShot(stack), out_float32));
}

void BoxedPagedAttentionOut(StableIValue* stack, uint64_t, uint64_t) {
  const auto out = to<Tensor>(stack[kRest]);
  PagedAttentionOut(TakeOneShot(stack), out);
}

void BoxedPagedAttentionLse(StableIValue* stack, uint64_t, uint64_t) {
  const bool out_float32 = to<bool>(stack[kRest]);
  auto [out, lse] = PagedAttentionLse(TakeOneShot(stack), out_float32);
  stack[0] = from(out);
  stack[1] = from(lse);
}

void BoxedPagedAttentionLseOut(StableIValue* stack, uint64_t, uint64_t) {
  const auto out = to<Tensor>(stack[kRest]);
  const auto lse = to<Tensor>(stack[kRest + 1]);
  PagedAttentionLseOut(TakeOneShot(stack), out, lse);
}

// Meta: results without data. Sizes may be symbols here, which no call of the stable
// interface reads: everything is derived by operators.

Tensor EmptyLike(const Tensor& like, bool float32) {
  std::optional<torch::headeronly::ScalarType> dtype;
  if (float32) dtype = torch::headeronly::ScalarType::Float;
  std::optional<torch::headeronly::MemoryFormat> format =
      torch::headeronly::MemoryFormat::Contiguous;
  std::array<StableIValue, 6> stack = {from(like),         from(dtype),        from(std::nullopt),
                                       from(std::nullopt), from(std::nullopt), from(format)};
  STABLE_TORCH_ERROR_CODE_CHECK(
      torch_call_dispatcher("aten::empty_like", "", stack.data(), TORCH_ABI_VERSION));
  return to<Tensor>(stack[0]);
}

// [rows, heads, dims] -> [rows, heads] float32
Tensor LseLike(const Tensor& query) {
  return EmptyLike(torch::stable::select(query, 2, 0), /*float32=*/true);
}

// PyTorch calls these as soon as one tensor has no data. Where others have, somebody waits for
// results that nobody computes.
void RequireMeta(const char* name, const Tensor& tensor) {
  int32_t device_type = 0;
  STABLE_TORCH_ERROR_CODE_CHECK(aoti_torch_get_device_type(tensor.get(), &device_type));
  if (device_type == aoti_torch_device_type_meta()) return;
  Raise(InvalidArgument(name, " has data, but another tensor is on the meta device"));
}

void RequireMeta(const OneShot& args) {
  RequireMeta("query", args.query);
  RequireMeta("key_cache", args.key_cache);
  RequireMeta("value_cache", args.value_cache);
  RequireMeta("block_table", args.block_table);
}

void MetaPagedAttention(StableIValue* stack, uint64_t, uint64_t) {
  const bool out_float32 = to<bool>(stack[kRest]);
  const OneShot args = TakeOneShot(stack);
  RequireMeta(args);
  stack[0] = from(EmptyLike(args.query, out_float32));
}

void MetaPagedAttentionLse(StableIValue* stack, uint64_t, uint64_t) {
  const bool out_float32 = to<bool>(stack[kRest]);
  const OneShot args = TakeOneShot(stack);
  RequireMeta(args);
  stack[0] = from(EmptyLike(args.query, out_float32));
  stack[1] = from(LseLike(args.query));
}

void MetaPagedAttentionOut(StableIValue* stack, uint64_t, uint64_t) {
  const auto out = to<Tensor>(stack[kRest]);
  RequireMeta(TakeOneShot(stack));
  RequireMeta("out", out);
}

void MetaPagedAttentionLseOut(StableIValue* stack, uint64_t, uint64_t) {
  const auto out = to<Tensor>(stack[kRest]);
  const auto lse = to<Tensor>(stack[kRest + 1]);
  RequireMeta(TakeOneShot(stack));
  RequireMeta("out", out);
  RequireMeta("lse", lse);
}

void MetaRunPlan(const Tensor& query, const Tensor& key_cache, const Tensor& value_cache,
                 const Tensor& block_table, const Tensor& workspace, int64_t, const Tensor& out,
                 const OptionalTensor&, const OptionalTensor&, const OptionalTensor&,
                 const OptionalTensor&, const OptionalTensor&) {
  RequireMeta("query", query);
  RequireMeta("key_cache", key_cache);
  RequireMeta("value_cache", value_cache);
  RequireMeta("block_table", block_table);
  RequireMeta("workspace", workspace);
  RequireMeta("out", out);
}

void MetaReshapeAndCache(const Tensor& key, const Tensor& value, const Tensor& key_cache,
                         const Tensor& value_cache, const Tensor& slot_mapping, std::string,
                         std::string, const OptionalTensor&, const OptionalTensor&,
                         const OptionalTensor&, const OptionalTensor&, bool) {
  RequireMeta("key", key);
  RequireMeta("value", value);
  RequireMeta("key_cache", key_cache);
  RequireMeta("value_cache", value_cache);
  RequireMeta("slot_mapping", slot_mapping);
}

std::tuple<Tensor, Tensor> MetaMergeStates(const Tensor& outs, const Tensor& lses) {
  RequireMeta("outs", outs);
  RequireMeta("lses", lses);
  return {EmptyLike(torch::stable::select(outs, 0, 0), false),
          EmptyLike(torch::stable::select(lses, 0, 0), false)};
}

void MetaMergeStatesOut(const Tensor& outs, const Tensor& lses, const Tensor& out,
                        const Tensor& lse) {
  RequireMeta("outs", outs);
  RequireMeta("lses", lses);
  RequireMeta("out", out);
  RequireMeta("lse", lse);
}

}  // namespace
}  // namespace ascend_attention::torch_ops

namespace ops = ascend_attention::torch_ops;

#define ONE_SHOT_ARGUMENTS                                                      \
  "Tensor query, Tensor key_cache, Tensor value_cache, Tensor block_table, "    \
  "Tensor context_lens, *, float? softmax_scale=None, Tensor? q_lens=None, "    \
  "Tensor? key_scale=None, Tensor? key_offset=None, Tensor? value_scale=None, " \
  "Tensor? value_offset=None, str kv_quant='none', str kv_route='auto', "       \
  "str kv_layout='token_major', int? fixed_split_tokens=None, int? num_cores=None, "

STABLE_TORCH_LIBRARY(ascend_attention, m) {
  m.def(
      "run_plan(Tensor query, Tensor key_cache, Tensor value_cache, Tensor block_table, "
      "Tensor(a!) workspace, int plan, Tensor(b!) out, Tensor(c!)? lse=None, "
      "Tensor? key_scale=None, Tensor? key_offset=None, Tensor? value_scale=None, "
      "Tensor? value_offset=None) -> ()");
  m.def("paged_attention(" ONE_SHOT_ARGUMENTS "bool out_float32=False) -> Tensor");
  m.def("paged_attention.out(" ONE_SHOT_ARGUMENTS "Tensor(a!) out) -> ()");
  m.def("paged_attention_lse(" ONE_SHOT_ARGUMENTS "bool out_float32=False) -> (Tensor, Tensor)");
  m.def("paged_attention_lse.out(" ONE_SHOT_ARGUMENTS "Tensor(a!) out, Tensor(b!) lse) -> ()");
  m.def(
      "reshape_and_cache(Tensor key, Tensor value, Tensor(a!) key_cache, Tensor(b!) value_cache, "
      "Tensor slot_mapping, *, str kv_quant='none', str kv_layout='token_major', "
      "Tensor(c!)? key_scale=None, Tensor? key_offset=None, Tensor(d!)? value_scale=None, "
      "Tensor? value_offset=None, bool check_slots=False) -> ()");
  m.def("merge_states(Tensor outs, Tensor lses) -> (Tensor, Tensor)");
  m.def("merge_states.out(Tensor outs, Tensor lses, *, Tensor(a!) out, Tensor(b!) lse) -> ()");

  // Behind ascend_attention.torch.DecodeAttention; not for other callers.
  m.def(
      "_make_decoder(int[] sizes, ScalarType dtype, str kv_quant, str kv_route, str kv_layout, "
      "int[] kv_strides, bool out_float32, float? softmax_scale, int npu) -> int");
  m.def("_workspace_bytes(int plan) -> int");
  m.def("_device_name(int plan) -> str");
  m.def("_plan(int plan, Tensor(a!) workspace, Tensor context_lens, Tensor? q_lens) -> ()");
  m.def("_synchronize(int plan) -> ()");
  m.def("_length_copies() -> int");
}

namespace {

// NPU and host tensors: the operators look where their tensors are.
void RegisterKernels(torch::stable::detail::StableLibrary& m) {
  m.impl("run_plan", &ops::BoxedRunPlan);
  m.impl("paged_attention", &ops::BoxedPagedAttention);
  m.impl("paged_attention.out", &ops::BoxedPagedAttentionOut);
  m.impl("paged_attention_lse", &ops::BoxedPagedAttentionLse);
  m.impl("paged_attention_lse.out", &ops::BoxedPagedAttentionLseOut);
  m.impl("reshape_and_cache", TORCH_BOX(&ops::ReshapeAndCache));
  m.impl("merge_states", TORCH_BOX(&ops::MergeStatesOp));
  m.impl("merge_states.out", TORCH_BOX(&ops::MergeStatesOutOp));
}

}  // namespace

// No operator: objects may end while PyTorch traces operators, and this is not one of the
// program's.
extern "C" __attribute__((visibility("default"))) void ascend_attention_torch_release(
    int64_t plan) {
  ops::ReleaseDecoder(plan);
}

STABLE_TORCH_LIBRARY_IMPL(ascend_attention, CPU, m) { RegisterKernels(m); }
STABLE_TORCH_LIBRARY_IMPL(ascend_attention, PrivateUse1, m) { RegisterKernels(m); }

STABLE_TORCH_LIBRARY_IMPL(ascend_attention, Meta, m) {
  m.impl("run_plan", TORCH_BOX(&ops::MetaRunPlan));
  m.impl("paged_attention", &ops::MetaPagedAttention);
  m.impl("paged_attention.out", &ops::MetaPagedAttentionOut);
  m.impl("paged_attention_lse", &ops::MetaPagedAttentionLse);
  m.impl("paged_attention_lse.out", &ops::MetaPagedAttentionLseOut);
  m.impl("reshape_and_cache", TORCH_BOX(&ops::MetaReshapeAndCache));
  m.impl("merge_states", TORCH_BOX(&ops::MetaMergeStates));
  m.impl("merge_states.out", TORCH_BOX(&ops::MetaMergeStatesOut));
}

STABLE_TORCH_LIBRARY_IMPL(ascend_attention, CompositeExplicitAutograd, m) {
  m.impl("_make_decoder", TORCH_BOX(&ops::MakeDecoder));
  m.impl("_workspace_bytes", TORCH_BOX(&ops::WorkspaceBytes));
  m.impl("_device_name", TORCH_BOX(&ops::DeviceName));
  m.impl("_plan", TORCH_BOX(&ops::MakePlan));
  m.impl("_synchronize", TORCH_BOX(&ops::SynchronizeStream));
  m.impl("_length_copies", TORCH_BOX(&ops::LengthCopies));
}
