// SPDX-License-Identifier: Apache-2.0
// The planner: from the lengths of a batch to what every core will do.
//
//   lengths -> segments (sequence x query block x kv-head group) laid end to end
//           -> cut into num_cores contiguous parts of equal cost   (split_walk.h)
//           -> work items, splits, workspace regions               (decode_plan.h)
//
// With KvRoute::kFifo a plan is the lengths and the regions (fifo_planner.h).
//
// All offsets of a plan follow from (shape, batch, cores); only the counts and
// the array contents follow from the lengths. Planning is integer-only: the
// same input gives the same bytes, on any host and on the device.
//
// Next: tiling/abi/decode_plan.h - the bytes a kernel reads.
#ifndef ASCEND_ATTENTION_TILING_DECODE_PLANNER_H_
#define ASCEND_ATTENTION_TILING_DECODE_PLANNER_H_

#include <cstddef>
#include <cstdint>
#include <vector>

#include "tiling/abi/decode_plan.h"
#include "tiling/platform.h"
#include "tiling/shape.h"
#include "tiling/status.h"

namespace ascend_attention {

// What the cost model expects of a plan, in bytes of KV at one core's share of
// the memory bandwidth. All zero when the plan was read from bytes.
struct PlanPrediction {
  uint64_t busiest_core = 0;  // cost of the core that finishes last
  uint64_t ideal = 0;         // all cost that no plan can avoid, spread evenly over used cores
  uint64_t bytes_per_us = 0;  // one core's share: busiest_core / bytes_per_us is microseconds

  double balance() const {  // 1.0 is perfect
    return ideal == 0 ? 0.0 : static_cast<double>(busiest_core) / static_cast<double>(ideal);
  }
};

// Owns the bytes of one plan, ready to be copied to byte 0 of the workspace.
class DecodePlan {
 public:
  DecodePlan() = default;  // empty: for PlanDecode to fill

  // Copies and checks bytes that come from outside (a file, the device).
  static StatusOr<DecodePlan> FromBytes(const void* data, size_t size);

  bool empty() const { return bytes_.empty(); }

  // The views below need a plan that is not empty.
  const std::vector<uint8_t>& bytes() const { return bytes_; }
  const DecodePlanHeader& header() const { return *At<DecodePlanHeader>(ByteOffset{0}); }
  const CoreItems* core_items() const { return At<CoreItems>(header().core_items); }
  const WorkItem* items() const { return At<WorkItem>(header().items); }
  const SplitRange* splits() const { return At<SplitRange>(header().splits); }

  // header().batch lengths with KvRoute::kFifo, which has nothing of the above but the
  // header. Null on the other routes: their items say what they see.
  const int32_t* context_lens() const {
    return header().kv_route == KvRoute::kFifo ? At<int32_t>(header().context_lens) : nullptr;
  }

  // Cores with work are 0 .. used_cores()-1; launching more is correct, only
  // idle. The kernel merges partial results if has_splits().
  int used_cores() const;
  bool has_splits() const { return header().num_splits != 0; }

  const PlanPrediction& prediction() const { return prediction_; }

 private:
  friend class DecodePlanBuilder;

  template <typename T>
  const T* At(ByteOffset offset) const {
    return reinterpret_cast<const T*>(bytes_.data() + offset.bytes);
  }

  std::vector<uint8_t> bytes_;
  PlanPrediction prediction_;
};

// Plans one batch. `capacity` is the shape with capacity.batch >= batch;
// context_lens holds `batch` lengths in 0..capacity.max_context(), the query
// tokens included; q_lens `batch` numbers of query tokens in
// 1..capacity.max_q_len, or null: one each.
StatusOr<DecodePlan> PlanDecode(const DecodeShape& capacity, const Platform& platform,
                                const int32_t* context_lens, size_t batch, float softmax_scale,
                                const int32_t* q_lens = nullptr);

// The same into an existing plan, whose memory is reused. On error `plan` is
// left as it was.
Status PlanDecode(const DecodeShape& capacity, const Platform& platform,
                  const int32_t* context_lens, size_t batch, float softmax_scale, DecodePlan* plan,
                  const int32_t* q_lens = nullptr);

// Bytes of workspace that every plan with batch <= capacity.batch, lengths <=
// capacity.max_context() and q_lens <= capacity.max_q_len fits in. On one
// route it never shrinks when batch, max_kv_blocks, num_kv_blocks or cores grow. It
// may when max_q_len, heads or head_dim do, which choose other tiles, and where kAuto
// changes the route: size it for the shape that is planned with.
StatusOr<ByteCount> DecodeWorkspaceBytes(const DecodeShape& capacity, const Platform& platform);

// Whether a blob is a plan that kernels may follow: magic, version, sizes,
// every array and region inside its bounds, every item and split inside the
// shape and consistent with its neighbours; with kFifo every length inside the block
// table. It cannot know the lengths, so it does not see a sequence that ends too early
// or too late.
Status CheckPlan(const void* data, size_t size);

}  // namespace ascend_attention

#endif  // ASCEND_ATTENTION_TILING_DECODE_PLANNER_H_
