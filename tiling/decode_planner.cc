// SPDX-License-Identifier: Apache-2.0
// Plans: checks, layout (decode_layout.h), walk (split_walk.h), in that order.
#include "tiling/decode_planner.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "tiling/abi/split_decision.h"
#include "tiling/decode_layout.h"
#include "tiling/tile_size.h"

namespace ascend_attention {
namespace {

// Granules of a whole batch that keep every cost below 2^62: a granule of all
// kv heads costs less than 65536 elements x 16 tokens x 4 bytes = 2^22.
constexpr uint64_t kMaxGranules = uint64_t{1} << 40;

constexpr int kMaxCores = 1024;

Status CheckPlatform(const Platform& platform) {
  if (platform.num_cores < 1 || platform.num_cores > kMaxCores) {
    return InvalidArgument("num_cores = ", platform.num_cores, "; expected 1..", kMaxCores);
  }
  // Less than one byte per microsecond and core, or more than a petabyte per
  // second: not a chip, and outside the integer range of the cost model.
  const PlanCosts& costs = platform.costs;
  constexpr uint64_t kMaxRate = 1'000'000'000;
  if (costs.hbm_bytes_per_us < static_cast<uint64_t>(platform.num_cores) ||
      costs.hbm_bytes_per_us > kMaxRate || costs.core_bytes_per_us == 0) {
    return InvalidArgument("platform costs: hbm_bytes_per_us = ", costs.hbm_bytes_per_us,
                           ", core_bytes_per_us = ", costs.core_bytes_per_us,
                           "; take them from PlatformFor");
  }
  constexpr uint64_t kMaxNs = 1'000'000'000;
  if (std::max({costs.core_fixed_ns, costs.core_start_ns, costs.item_fixed_ns, costs.empty_item_ns,
                costs.combine_launch_ns}) > kMaxNs) {
    return InvalidArgument(
        "platform costs: a fixed cost exceeds one second; take them from "
        "PlatformFor");
  }
  return OkStatus();
}

Status CheckBatch(const DecodeShape& capacity, size_t batch, float softmax_scale) {
  if (batch == 0) return InvalidArgument("batch = 0; expected 1..", capacity.batch);
  if (batch > static_cast<uint64_t>(capacity.batch)) {
    return InvalidArgument("batch = ", batch, " exceeds the planned capacity of ", capacity.batch);
  }
  if (!std::isfinite(softmax_scale)) {
    return InvalidArgument("softmax_scale = ", softmax_scale, "; expected a finite number");
  }
  return OkStatus();
}

Status DescribeBadLength(const DecodeShape& shape, const int32_t* context_lens, size_t batch) {
  for (size_t i = 0; i < batch; ++i) {
    if (context_lens[i] < 0) {
      return InvalidArgument("context_lens[", i, "] = ", context_lens[i],
                             " is negative; expected 0..", shape.max_context());
    }
    if (context_lens[i] > shape.max_context()) {
      return OutOfRange("context_lens[", i, "] = ", context_lens[i],
                        " exceeds what a block_table row holds: ", shape.max_kv_blocks, " x ",
                        shape.kv_block_size, " = ", shape.max_context());
    }
  }
  return Internal("no bad length found");
}

Status CheckLengths(const DecodeShape& shape, const int32_t* context_lens, size_t batch) {
  // Minimum and maximum only, so that the common case is one short loop.
  int32_t least = 0;
  int32_t most = 0;
  for (size_t i = 0; i < batch; ++i) {
    least = std::min(least, context_lens[i]);
    most = std::max(most, context_lens[i]);
  }
  if (least >= 0 && most <= shape.max_context()) return OkStatus();
  return DescribeBadLength(shape, context_lens, batch);
}

}  // namespace

// Fills the bytes of a DecodePlan.
class DecodePlanBuilder {
 public:
  DecodePlanBuilder(const SplitParams& params, const Platform& platform, DecodePlan& plan)
      : params_(params), platform_(platform), plan_(plan) {}

  void Build(const DecodePlanHeader& layout, const LengthTotals& totals,
             const int32_t* context_lens) {
    const SplitDecision decision = DecideSplit(params_, totals, context_lens);
    // Zeros, so that array entries beyond the counts are the same in every
    // plan of the same lengths.
    plan_.bytes_.assign(layout.plan_size.bytes, 0);
    PlanArrays<CoreItems*, WorkItem*, SplitRange*> arrays = {At<CoreItems>(layout.core_items),
                                                             At<WorkItem>(layout.items),
                                                             At<SplitRange>(layout.splits)};
    const WalkResult walk = WalkSegments(params_, decision, context_lens, arrays);
    for (uint32_t core = walk.num_cores_used; core < params_.num_cores; ++core) {
      arrays.AddCore(core, walk.num_items, 0);
    }
    DecodePlanHeader header = layout;
    header.num_items = walk.num_items;
    header.num_splits = walk.num_splits;
    header.num_partials = walk.num_partials;
    std::memcpy(plan_.bytes_.data(), &header, sizeof(header));
    Predict(totals, decision, walk);
  }

 private:
  template <typename T>
  T* At(ByteOffset offset) {
    return reinterpret_cast<T*>(plan_.bytes_.data() + offset.bytes);
  }

  void Predict(const LengthTotals& totals, const SplitDecision& decision, const WalkResult& walk) {
    const PlanCosts& costs = platform_.costs;
    const uint64_t share =
        std::min(costs.hbm_bytes_per_us / params_.num_cores, costs.core_bytes_per_us);
    const uint64_t core_cost = costs.core_fixed_ns * share / 1000;
    plan_.prediction_.busiest_core = core_cost + walk.busiest;
    plan_.prediction_.ideal = core_cost + EvenShare(params_, totals, decision.num_cores);
    plan_.prediction_.bytes_per_us = share;
  }

  const SplitParams& params_;
  const Platform& platform_;
  DecodePlan& plan_;
};

int DecodePlan::used_cores() const {
  const CoreItems* cores = core_items();
  int used = static_cast<int>(header().num_cores);
  while (used > 0 && cores[used - 1].item_count == 0) --used;
  return used;
}

StatusOr<DecodePlan> DecodePlan::FromBytes(const void* data, size_t size) {
  AA_RETURN_IF_ERROR(CheckPlan(data, size));
  DecodePlan plan;
  const auto* first = static_cast<const uint8_t*>(data);
  plan.bytes_.assign(first, first + size);
  return plan;
}

Status PlanDecode(const DecodeShape& capacity, const Platform& platform,
                  const int32_t* context_lens, size_t batch, float softmax_scale, DecodePlan* plan,
                  const int32_t* q_lens) {
  if (q_lens != nullptr || capacity.max_q_len != 1 || capacity.kv_quant != KvQuant::kNone ||
      !capacity.kv_strides.is_dense() || capacity.fixed_split_tokens != 0) {
    return Unimplemented(
        "q_lens, int8 caches, strided caches and fixed splits are not planned yet");
  }
  AA_RETURN_IF_ERROR(Validate(capacity));
  AA_RETURN_IF_ERROR(CheckPlatform(platform));
  AA_RETURN_IF_ERROR(CheckBatch(capacity, batch, softmax_scale));
  AA_RETURN_IF_ERROR(CheckLengths(capacity, context_lens, batch));

  DecodeShape shape = capacity;
  shape.batch = static_cast<int64_t>(batch);
  AA_ASSIGN_OR_RETURN(const TileSize tiles, ChooseTiles(shape));
  const SplitParams params = MakeSplitParams(shape, tiles, platform);
  AA_ASSIGN_OR_RETURN(DecodePlanHeader layout, LayOutDecode(shape, tiles, params));
  layout.softmax_scale = softmax_scale;

  const LengthTotals totals = SumLengths(context_lens, params.batch);
  if (totals.granules > kMaxGranules) {
    return OutOfRange("context_lens: ", totals.granules * kTokenGranule,
                      " tokens in one batch; at most ", kMaxGranules * kTokenGranule);
  }
  DecodePlanBuilder(params, platform, *plan).Build(layout, totals, context_lens);
  return OkStatus();
}

StatusOr<DecodePlan> PlanDecode(const DecodeShape& capacity, const Platform& platform,
                                const int32_t* context_lens, size_t batch, float softmax_scale,
                                const int32_t* q_lens) {
  DecodePlan plan;
  AA_RETURN_IF_ERROR(
      PlanDecode(capacity, platform, context_lens, batch, softmax_scale, &plan, q_lens));
  return plan;
}

StatusOr<ByteCount> DecodeWorkspaceBytes(const DecodeShape& capacity, const Platform& platform) {
  AA_RETURN_IF_ERROR(Validate(capacity));
  AA_RETURN_IF_ERROR(CheckPlatform(platform));
  AA_ASSIGN_OR_RETURN(const TileSize tiles, ChooseTiles(capacity));
  const SplitParams params = MakeSplitParams(capacity, tiles, platform);
  AA_ASSIGN_OR_RETURN(const DecodePlanHeader layout, LayOutDecode(capacity, tiles, params));
  return layout.workspace_size;
}

}  // namespace ascend_attention
