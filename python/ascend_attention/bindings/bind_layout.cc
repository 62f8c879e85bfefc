// SPDX-License-Identifier: Apache-2.0
// The byte layout of a plan, so that tests can compare the Python mirror of it.
#include <nanobind/stl/string.h>
#include <nanobind/stl/tuple.h>
#include <nanobind/stl/vector.h>

#include <cstddef>
#include <string>
#include <tuple>
#include <vector>

#include "python/ascend_attention/bindings/bindings.h"
#include "tiling/abi/decode_plan.h"

namespace ascend_attention::python {
namespace {

// (struct, field, first byte) of every field of the plan, and (struct, "", size).
using Layout = std::vector<std::tuple<std::string, std::string, size_t>>;

#define AA_FIELD(type, field) layout.emplace_back(#type, #field, offsetof(type, field))

Layout ItemLayout() {
  Layout layout;
  AA_FIELD(WorkItem, sequence);
  AA_FIELD(WorkItem, query_row);
  AA_FIELD(WorkItem, q_len);
  AA_FIELD(WorkItem, kv_head_begin);
  AA_FIELD(WorkItem, kv_head_count);
  AA_FIELD(WorkItem, token_begin);
  AA_FIELD(WorkItem, token_end);
  AA_FIELD(WorkItem, visible_tokens);
  AA_FIELD(WorkItem, partial);
  AA_FIELD(CoreItems, first_item);
  AA_FIELD(CoreItems, item_count);
  AA_FIELD(SplitRange, query_row);
  AA_FIELD(SplitRange, q_len);
  AA_FIELD(SplitRange, kv_head_begin);
  AA_FIELD(SplitRange, kv_head_count);
  AA_FIELD(SplitRange, first_partial);
  AA_FIELD(SplitRange, num_partials);
  layout.emplace_back("WorkItem", "", sizeof(WorkItem));
  layout.emplace_back("CoreItems", "", sizeof(CoreItems));
  layout.emplace_back("SplitRange", "", sizeof(SplitRange));
  return layout;
}

Layout HeaderLayout() {
  Layout layout;
  AA_FIELD(DecodePlanHeader, magic);
  AA_FIELD(DecodePlanHeader, abi_version);
  AA_FIELD(DecodePlanHeader, header_size);
  AA_FIELD(DecodePlanHeader, plan_size);
  AA_FIELD(DecodePlanHeader, workspace_size);
  AA_FIELD(DecodePlanHeader, batch);
  AA_FIELD(DecodePlanHeader, num_heads);
  AA_FIELD(DecodePlanHeader, num_kv_heads);
  AA_FIELD(DecodePlanHeader, head_dim);
  AA_FIELD(DecodePlanHeader, kv_block_size);
  AA_FIELD(DecodePlanHeader, max_kv_blocks);
  AA_FIELD(DecodePlanHeader, num_kv_blocks);
  AA_FIELD(DecodePlanHeader, dtype);
  AA_FIELD(DecodePlanHeader, softmax_scale);
  AA_FIELD(DecodePlanHeader, kv_quant);
  AA_FIELD(DecodePlanHeader, kv_route);
  AA_FIELD(DecodePlanHeader, num_query_rows);
  AA_FIELD(DecodePlanHeader, kv_heads_per_group);
  AA_FIELD(DecodePlanHeader, q_tokens_per_item);
  AA_FIELD(DecodePlanHeader, operand_limbs);
  AA_FIELD(DecodePlanHeader, kv_tile_tokens);
  AA_FIELD(DecodePlanHeader, kv_chunk_tokens);
  AA_FIELD(DecodePlanHeader, num_cores);
  AA_FIELD(DecodePlanHeader, num_items);
  AA_FIELD(DecodePlanHeader, num_splits);
  AA_FIELD(DecodePlanHeader, num_partials);
  AA_FIELD(DecodePlanHeader, fixed_split_tokens);
  AA_FIELD(DecodePlanHeader, out_dtype);
  AA_FIELD(DecodePlanHeader, reserved);
  AA_FIELD(DecodePlanHeader, context_lens);
  AA_FIELD(DecodePlanHeader, kv_head_parts);
  AA_FIELD(DecodePlanHeader, max_q_len);
  AA_FIELD(DecodePlanHeader, kv_token_stride);
  AA_FIELD(DecodePlanHeader, kv_head_stride);
  AA_FIELD(DecodePlanHeader, kv_block_stride);
  AA_FIELD(DecodePlanHeader, core_items);
  AA_FIELD(DecodePlanHeader, items);
  AA_FIELD(DecodePlanHeader, splits);
  AA_FIELD(DecodePlanHeader, error_records);
  AA_FIELD(DecodePlanHeader, scores);
  AA_FIELD(DecodePlanHeader, probs);
  AA_FIELD(DecodePlanHeader, o_tiles);
  AA_FIELD(DecodePlanHeader, partial_out);
  AA_FIELD(DecodePlanHeader, partial_lse);
  AA_FIELD(DecodePlanHeader, query_operands);
  AA_FIELD(DecodePlanHeader, dequant_keys);
  AA_FIELD(DecodePlanHeader, dequant_values);
  AA_FIELD(DecodePlanHeader, scores_slot_size);
  AA_FIELD(DecodePlanHeader, probs_slot_size);
  AA_FIELD(DecodePlanHeader, o_tile_slot_size);
  AA_FIELD(DecodePlanHeader, query_operand_slot_size);
  AA_FIELD(DecodePlanHeader, dequant_slot_size);
  layout.emplace_back("DecodePlanHeader", "", sizeof(DecodePlanHeader));
  return layout;
}

#undef AA_FIELD

Layout PlanLayout() {
  Layout layout = HeaderLayout();
  const Layout items = ItemLayout();
  layout.insert(layout.end(), items.begin(), items.end());
  return layout;
}

}  // namespace

void BindLayout(nanobind::module_& module) {
  module.def("plan_layout", &PlanLayout,
             "(struct, field, offset) of the plan ABI, and (struct, '', size).");
}

}  // namespace ascend_attention::python
