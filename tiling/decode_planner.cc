// SPDX-License-Identifier: Apache-2.0
// Plans: checks, layout (decode_layout.h), walk (split_walk.h), in that order.
#include "tiling/decode_planner.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <optional>

#include "tiling/abi/split_decision.h"
#include "tiling/checked_math.h"
#include "tiling/decode_costs.h"
#include "tiling/decode_layout.h"
#include "tiling/fifo_costs.h"
#include "tiling/fifo_planner.h"
#include "tiling/tile_size.h"

namespace ascend_attention {
namespace {

// Costs stay below this, so that sums and products with a few cores or
// percents do not wrap.
constexpr uint64_t kMaxCost = uint64_t{1} << 52;

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
      costs.hbm_bytes_per_us > kMaxRate || costs.core_bytes_per_us == 0 ||
      costs.l2_bytes_per_us < costs.hbm_bytes_per_us || costs.l2_bytes_per_us > kMaxRate ||
      costs.cube_mhz == 0 || costs.cube_mhz > kMaxRate) {
    return InvalidArgument("platform costs: hbm_bytes_per_us = ", costs.hbm_bytes_per_us,
                           ", core_bytes_per_us = ", costs.core_bytes_per_us,
                           ", l2_bytes_per_us = ", costs.l2_bytes_per_us,
                           ", cube_mhz = ", costs.cube_mhz, "; take them from PlatformFor");
  }
  constexpr uint64_t kMaxNs = 1'000'000;
  if (std::max({costs.cache_row_ps, costs.apart_row_ps, costs.l2_row_ps, costs.load_ps,
                costs.score_ps, costs.convert_ps}) > kMaxNs) {
    return InvalidArgument(
        "platform costs: a row, load or score takes more than a microsecond; take them from "
        "PlatformFor");
  }
  if (std::max({costs.core_fixed_ns, costs.core_start_ns, costs.item_fixed_ns, costs.empty_item_ns,
                costs.merge_fixed_ns, costs.fifo_step16_ns, costs.fifo_step64_ns,
                costs.fifo_item_ns, costs.fifo_pair_ns, costs.direct_fill_ns, costs.direct_row_ns,
                costs.direct_head_row_ns}) > kMaxNs) {
    return InvalidArgument(
        "platform costs: a fixed cost exceeds one millisecond; take them from "
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

// Minimum and maximum only, so that the common case is one short loop.
bool AllWithin(const int32_t* values, size_t count, int64_t least_allowed, int64_t most_allowed) {
  int32_t least = values[0];
  int32_t most = values[0];
  for (size_t i = 1; i < count; ++i) {
    least = std::min(least, values[i]);
    most = std::max(most, values[i]);
  }
  return least >= least_allowed && most <= most_allowed;
}

Status CheckLengths(const DecodeShape& shape, const int32_t* context_lens, size_t batch) {
  if (context_lens == nullptr) return InvalidArgument("context_lens is null");
  if (AllWithin(context_lens, batch, 0, shape.max_context())) return OkStatus();
  return DescribeBadLength(shape, context_lens, batch);
}

Status CheckQLens(const DecodeShape& shape, const int32_t* q_lens, size_t batch) {
  if (q_lens == nullptr || AllWithin(q_lens, batch, 1, shape.max_q_len)) return OkStatus();
  for (size_t i = 0; i < batch; ++i) {
    if (q_lens[i] >= 1 && q_lens[i] <= shape.max_q_len) continue;
    return InvalidArgument("q_lens[", i, "] = ", q_lens[i], "; expected 1..", shape.max_q_len);
  }
  return Internal("no bad q_len found");
}

// Before the walk: no cost may wrap, and the rows must be countable.
Status CheckTotals(const SplitParams& params, const LengthTotals& totals) {
  const auto granule_cost = CheckedProduct(params.granule_cost, params.num_kv_heads);
  const auto cost = granule_cost ? CheckedMul(totals.granules, *granule_cost) : std::nullopt;
  if (!cost || *cost >= kMaxCost) {
    return OutOfRange(
        "context_lens: ", totals.granules, " x ", kTokenGranule, " tokens in one batch; at most ",
        granule_cost ? (kMaxCost - 1) / *granule_cost : 0, " x ", kTokenGranule, " can be planned");
  }
  if (totals.num_query_rows <= std::numeric_limits<uint32_t>::max()) return OkStatus();
  return OutOfRange("q_lens: ", totals.num_query_rows, " query tokens; at most 4294967295");
}

// A shape with everything that follows from it and the platform.
struct Prepared {
  DecodeShape shape;
  TileSize tiles;
  SplitParams params;  // with kFifo only the extents
};

// `shape` as planned: as many sequences as there are, the route chosen.
StatusOr<Prepared> Prepare(const DecodeShape& capacity, size_t batch, const Platform& platform) {
  Prepared prepared;
  prepared.shape = capacity;
  prepared.shape.batch = static_cast<int64_t>(batch);
  AA_ASSIGN_OR_RETURN(prepared.shape.kv_route, ResolveRoute(capacity, platform));
  AA_ASSIGN_OR_RETURN(prepared.tiles, ChooseTiles(prepared.shape));
  const bool is_fifo = prepared.shape.kv_route == KvRoute::kFifo;
  prepared.params = is_fifo ? LayoutExtents(prepared.shape, prepared.tiles,
                                            static_cast<uint32_t>(platform.num_cores))
                            : MakeSplitParams(prepared.shape, prepared.tiles, platform);
  return prepared;
}

}  // namespace

using Lengths = BatchLengths<const int32_t*>;

// Fills the bytes of a DecodePlan.
class DecodePlanBuilder {
 public:
  DecodePlanBuilder(const SplitParams& params, const Platform& platform, DecodePlan& plan)
      : params_(params), platform_(platform), plan_(plan) {}

  void Build(const DecodePlanHeader& layout, const LengthTotals& totals, const Lengths& lengths) {
    const SplitDecision decision = DecideSplit(params_, totals, lengths);
    plan_.bytes_.resize(layout.plan_size.bytes);
    PlanArrays<CoreItems*, WorkItem*, SplitRange*> arrays = {At<CoreItems>(layout.core_items),
                                                             At<WorkItem>(layout.items),
                                                             At<SplitRange>(layout.splits)};
    const WalkResult walk = WalkSegments(params_, decision, lengths, arrays);
    for (uint32_t core = walk.num_cores_used; core < params_.num_cores; ++core) {
      arrays.AddCore(core, walk.num_items, 0);
    }
    DecodePlanHeader header = layout;
    header.num_query_rows = static_cast<uint32_t>(totals.num_query_rows);
    header.num_items = walk.num_items;
    header.num_splits = walk.num_splits;
    header.num_partials = walk.num_partials;
    std::memcpy(plan_.bytes_.data(), &header, sizeof(header));
    ClearUnused(header);
    Predict(totals, decision, walk);
  }

  // On KvRoute::kFifo.
  void BuildFifo(DecodePlanHeader header, const PlanPrediction& prediction,
                 const int32_t* context_lens) {
    plan_.bytes_.resize(header.plan_size.bytes);
    header.num_query_rows = header.batch;
    const uint64_t lengths_begin = header.context_lens.bytes;
    const uint64_t lengths_size = header.batch * sizeof(int32_t);
    std::memcpy(plan_.bytes_.data(), &header, sizeof(header));
    ClearFrom(header.header_size.bytes, lengths_begin);
    std::memcpy(plan_.bytes_.data() + lengths_begin, context_lens, lengths_size);
    ClearFrom(lengths_begin + lengths_size, header.plan_size.bytes);
    plan_.prediction_ = prediction;
  }

 private:
  template <typename T>
  T* At(ByteOffset offset) {
    return reinterpret_cast<T*>(plan_.bytes_.data() + offset.bytes);
  }

  // Zeros between and behind the entries in use, so that the memory of another
  // plan does not shine through: the same lengths, the same bytes.
  void ClearUnused(const DecodePlanHeader& header) {
    ClearFrom(header.header_size.bytes, header.core_items.bytes);
    ClearFrom(header.core_items.bytes + header.num_cores * sizeof(CoreItems), header.items.bytes);
    ClearFrom(header.items.bytes + header.num_items * sizeof(WorkItem), header.splits.bytes);
    ClearFrom(header.splits.bytes + header.num_splits * sizeof(SplitRange), header.plan_size.bytes);
  }

  void ClearFrom(uint64_t begin, uint64_t end) {
    std::memset(plan_.bytes_.data() + begin, 0, end - begin);
  }

  void Predict(const LengthTotals& totals, const SplitDecision& decision, const WalkResult& walk) {
    const uint64_t share = CoreShare(platform_);
    const uint64_t core_cost = CostOf(platform_.costs.core_fixed_ns, share);
    plan_.prediction_.busiest_core = core_cost + walk.busiest;
    plan_.prediction_.ideal = core_cost + EvenShare(params_, totals, decision.num_cores);
    plan_.prediction_.bytes_per_us = share;
  }

  const SplitParams& params_;
  const Platform& platform_;
  DecodePlan& plan_;
};

int DecodePlan::used_cores() const {
  if (header().kv_route == KvRoute::kFifo) return static_cast<int>(NumFifoCores(header()));
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
  AA_RETURN_IF_ERROR(Validate(capacity));
  AA_RETURN_IF_ERROR(CheckPlatform(platform));
  AA_RETURN_IF_ERROR(CheckBatch(capacity, batch, softmax_scale));
  AA_RETURN_IF_ERROR(CheckLengths(capacity, context_lens, batch));
  AA_RETURN_IF_ERROR(CheckQLens(capacity, q_lens, batch));

  AA_ASSIGN_OR_RETURN(const Prepared prepared, Prepare(capacity, batch, platform));
  const SplitParams& params = prepared.params;
  AA_ASSIGN_OR_RETURN(DecodePlanHeader layout,
                      LayOutDecode(prepared.shape, prepared.tiles, params));
  layout.softmax_scale = softmax_scale;
  DecodePlanBuilder builder(params, platform, *plan);
  if (layout.kv_route == KvRoute::kFifo) {
    const FifoPrices prices = MakeFifoPrices(prepared.shape, prepared.tiles, platform);
    AA_ASSIGN_OR_RETURN(const PlanPrediction prediction,
                        PredictFifo(layout, prices, platform, context_lens));
    builder.BuildFifo(layout, prediction, context_lens);
    return OkStatus();
  }

  const Lengths lengths = {context_lens, q_lens};
  const LengthTotals totals = SumLengths(params, lengths);
  AA_RETURN_IF_ERROR(CheckTotals(params, totals));
  builder.Build(layout, totals, lengths);
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
  AA_ASSIGN_OR_RETURN(const Prepared prepared,
                      Prepare(capacity, static_cast<size_t>(capacity.batch), platform));
  AA_ASSIGN_OR_RETURN(const DecodePlanHeader layout,
                      LayOutDecode(prepared.shape, prepared.tiles, prepared.params));
  return layout.workspace_size;
}

}  // namespace ascend_attention
