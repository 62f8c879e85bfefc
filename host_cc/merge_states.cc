// SPDX-License-Identifier: Apache-2.0
// The merge operator: pointers -> checks -> one launch.
#include "host_cc/include/ascend_attention/merge_states.h"

#include <algorithm>
#include <limits>
#include <string>

#include "host_cc/current_device.h"
#include "host_cc/launch.h"
#include "host_cc/name_regions.h"
#include "host_cc/pointer_checks.h"
#include "host_cc/runtime_impl.h"
#include "host_cc/verbose.h"
#include "tiling/support.h"

namespace ascend_attention {
namespace {

constexpr uint64_t kMaxPartBytes = std::numeric_limits<uint32_t>::max();  // gaps of a copy
constexpr uint32_t kVectorCoresPerCore = 2;

// Field order is the parameter order of ascend_kernels/combine/merge_states_*.cce.
struct MergeStatesKernelArgs {
  const void* parts_out = nullptr;
  const float* parts_lse = nullptr;
  void* out = nullptr;
  float* lse = nullptr;
  uint64_t num_parts = 0;
  uint64_t rows = 0;
  uint64_t head_dim = 0;
};
static_assert(sizeof(MergeStatesKernelArgs) == 7 * 8, "one 8-byte slot per kernel parameter");

// Null for a dtype without kernel.
const char* KernelOf(StateDType dtype) {
  switch (dtype) {
    case StateDType::kFloat16:
      return "merge_states_f16";
    case StateDType::kBFloat16:
      return "merge_states_bf16";
    case StateDType::kFloat32:
      return "merge_states_f32";
  }
  return nullptr;
}

uint64_t RowBytes(const MergeStatesArgs& args) {
  return static_cast<uint64_t>(args.head_dim) * (args.dtype == StateDType::kFloat32 ? 4 : 2);
}

Status CheckHeadDim(int64_t head_dim) {
  if (head_dim < 1) return InvalidArgument("head_dim = ", head_dim, "; expected at least 1");
  return FindSupport("merge_states")->CheckHeadDim(head_dim);
}

Status CheckSizes(const MergeStatesArgs& args) {
  if (KernelOf(args.dtype) == nullptr) {
    return Unimplemented("dtype code ", static_cast<uint32_t>(args.dtype),
                         " has no kernel; supported: 0 (float16), 1 (bfloat16), 2 (float32)");
  }
  AA_RETURN_IF_ERROR(CheckHeadDim(args.head_dim));
  constexpr int64_t kMaxParts = std::numeric_limits<int32_t>::max();
  if (args.num_parts < 1 || args.num_parts > kMaxParts) {
    return InvalidArgument("num_parts = ", args.num_parts, "; expected 1..", kMaxParts);
  }
  const auto max_rows = static_cast<int64_t>(kMaxPartBytes / RowBytes(args));
  if (args.rows < 0 || args.rows > max_rows) {
    return InvalidArgument("rows = ", args.rows, "; expected 0..", max_rows,
                           ", so that a part is less than 4 GiB");
  }
  return OkStatus();
}

struct Tensors {
  explicit Tensors(const MergeStatesArgs& args) {
    const auto row_bytes = static_cast<int64_t>(RowBytes(args));
    const auto lse_bytes = static_cast<int64_t>(args.rows * sizeof(float));
    // Below 2^63: a part is less than 4 GiB, and there are less than 2^31.
    parts_out = {"parts_out", args.parts_out, args.num_parts * args.rows * row_bytes};
    parts_lse = {"parts_lse", args.parts_lse, args.num_parts * lse_bytes};
    out = {"out", args.out, args.rows * row_bytes};
    lse = {"lse", args.lse, lse_bytes};
  }
  Memory parts_out, parts_lse, out, lse;
};

Status CheckTensors(const MergeStatesArgs& args) {
  AA_RETURN_IF_ERROR(CheckPointer("parts_out", args.parts_out, kDatablockBytes));
  AA_RETURN_IF_ERROR(CheckPointer("parts_lse", args.parts_lse, kElementBytes));
  AA_RETURN_IF_ERROR(CheckPointer("out", args.out, kDatablockBytes));
  AA_RETURN_IF_ERROR(CheckAligned("lse", args.lse, kElementBytes));
  const Tensors tensors(args);
  AA_RETURN_IF_ERROR(CheckApart(tensors.out, tensors.parts_out));
  AA_RETURN_IF_ERROR(CheckApart(tensors.out, tensors.parts_lse));
  AA_RETURN_IF_ERROR(CheckApart(tensors.lse, tensors.parts_out));
  AA_RETURN_IF_ERROR(CheckApart(tensors.lse, tensors.parts_lse));
  return CheckApart(tensors.lse, tensors.out);
}

// Tells the virtual NPU's checkers what the memory is.
void NameTensors(const Runtime::Impl& runtime, const MergeStatesArgs& args, NameRules rules) {
  const auto name = [&](const Memory& memory, int rule) {
    if (memory.begin == nullptr) return;
    (void)runtime.acl->vnpuAclNameRegion(runtime.device, memory.begin,
                                         static_cast<uint64_t>(memory.run_bytes), memory.name,
                                         RuleUnder(rules, rule));
  };
  const Tensors tensors(args);
  name(tensors.parts_out, VNPU_ACL_READ_ONLY);
  name(tensors.parts_lse, VNPU_ACL_READ_ONLY);
  name(tensors.out, VNPU_ACL_OUTPUT);
  name(tensors.lse, VNPU_ACL_OUTPUT);
}

MergeStatesKernelArgs KernelArgs(const MergeStatesArgs& args) {
  MergeStatesKernelArgs kernel;
  kernel.parts_out = args.parts_out;
  kernel.parts_lse = args.parts_lse;
  kernel.out = args.out;
  kernel.lse = args.lse;
  kernel.num_parts = static_cast<uint64_t>(args.num_parts);
  kernel.rows = static_cast<uint64_t>(args.rows);
  kernel.head_dim = static_cast<uint64_t>(args.head_dim);
  return kernel;
}

}  // namespace

Status MergeStates(Runtime& runtime, const MergeStatesArgs& args, void* stream) {
  AA_RETURN_IF_ERROR(CheckSizes(args));
  if (args.rows == 0) return OkStatus();
  AA_RETURN_IF_ERROR(CheckTensors(args));
  const Runtime::Impl& impl = runtime.impl();
  const CurrentDevice current(*impl.acl, impl.device);
  AA_RETURN_IF_ERROR(current.status());
  AA_ASSIGN_OR_RETURN(const Kernel kernel, impl.kernels->Get(KernelOf(args.dtype)));
  AA_ASSIGN_OR_RETURN(const bool capturing, IsCapturing(*impl.acl, stream));
  if (ChecksEnabled(impl)) {
    if (!capturing) AA_RETURN_IF_ERROR(runtime.Synchronize(stream));
    NameTensors(impl, args, capturing ? NameRules::kOfAGraph : NameRules::kOfThisLaunch);
  }
  // A vector core for each row, at most all.
  const auto blocks = static_cast<uint32_t>(
      std::min<int64_t>(args.rows, int64_t{impl.platform.num_cores} * kVectorCoresPerCore));
  AA_RETURN_IF_ERROR(Launch(*impl.acl, kernel, blocks, KernelArgs(args), stream));
  Verbose("merge_states", "num_parts,rows,head_dim,kernel,lse,blocks,stream", args.num_parts,
          args.rows, args.head_dim, kernel.name, args.lse != nullptr, blocks, AddressText(stream));
  return OkStatus();
}

}  // namespace ascend_attention
