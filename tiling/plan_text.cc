// SPDX-License-Identifier: Apache-2.0
// Formats plans; no decision is taken here.
#include "tiling/plan_text.h"

#include <algorithm>
#include <cinttypes>
#include <cstdarg>
#include <cstdint>
#include <cstdio>
#include <string>

#include "tiling/support.h"

namespace ascend_attention {
namespace {

// Whether an item's query tokens are worth saying.
bool HasQueryTokens(const DecodePlanHeader& header) {
  return header.num_query_rows != header.batch || header.q_tokens_per_item != 1;
}

bool IsFifo(const DecodePlanHeader& header) { return header.kv_route == KvRoute::kFifo; }

uint64_t IdsOfSequence(const DecodePlanHeader& header) {
  return uint64_t{header.num_kv_heads} * header.kv_head_parts;
}

// printf onto the end of a string.
__attribute__((format(printf, 2, 3))) void AppendF(std::string& text, const char* format, ...) {
  char line[256];
  va_list arguments;
  va_start(arguments, format);
  std::vsnprintf(line, sizeof(line), format, arguments);
  va_end(arguments);
  text.append(line);
}

// Only what differs from a dense 16-bit cache with one query token each.
void AppendOptions(std::string& text, const DecodePlanHeader& header) {
  if (header.out_dtype != header.dtype) {
    AppendF(text, "  out        %s\n", DTypeName(header.out_dtype));
  }
  if (header.kv_quant != KvQuant::kNone) {
    AppendF(text, "  cache      %s\n", KvQuantName(header.kv_quant));
  }
  const bool is_dense =
      header.kv_head_stride == header.head_dim &&
      header.kv_token_stride == header.num_kv_heads * header.head_dim &&
      header.kv_block_stride == uint64_t{header.kv_block_size} * header.kv_token_stride;
  if (!is_dense) {
    AppendF(text, "  strides    block %" PRIu64 ", token %u, head %u elements\n",
            header.kv_block_stride, header.kv_token_stride, header.kv_head_stride);
  }
  if (HasQueryTokens(header)) {
    AppendF(text, "  queries    %u query tokens, at most %u per work item\n", header.num_query_rows,
            header.q_tokens_per_item);
  }
  if (header.fixed_split_tokens != 0) {
    AppendF(text, "  cuts       at multiples of %u tokens\n", header.fixed_split_tokens);
  }
}

void AppendShape(std::string& text, const DecodePlan& plan) {
  const DecodePlanHeader& header = plan.header();
  AppendF(text, "decode plan: batch %u, %u heads on %u kv heads x %u, kv block %u, %s\n",
          header.batch, header.num_heads, header.num_kv_heads, header.head_dim,
          header.kv_block_size, DTypeName(header.dtype));
  AppendF(text, "  capacity   %" PRIu64 " tokens a sequence: %u columns of the block table\n",
          uint64_t{header.max_kv_blocks} * header.kv_block_size, header.max_kv_blocks);
  const SupportRow* row = FindDecodeSupport(header.kv_quant, header.kv_route);
  AppendF(text, "  kernel     %s, kv_route %s\n", row == nullptr ? "none" : row->kernel.c_str(),
          KvRouteName(header.kv_route));
  AppendOptions(text, header);
  if (IsFifo(header)) {
    AppendF(text, "  work       id i = (sequence, kv head, query tile) on core i mod %d\n",
            plan.used_cores());
    AppendF(text, "  tiles      %u query heads x %u tokens, %u query tiles a kv head\n",
            FifoQueryTile(header.num_heads / header.num_kv_heads), header.kv_tile_tokens,
            header.kv_head_parts);
    return;
  }
  AppendF(text, "  tiles      %u kv heads x %u tokens, loads of %u tokens\n",
          header.kv_heads_per_group, header.kv_tile_tokens, header.kv_chunk_tokens);
  if (header.kv_head_parts != 1) {
    AppendF(text, "  kv heads   each in %u parts of its query heads, numbered through below\n",
            header.kv_head_parts);
  }
}

void AppendFifoCounts(std::string& text, const DecodePlan& plan) {
  const uint64_t ids = plan.header().batch * IdsOfSequence(plan.header());
  const auto cores = static_cast<uint64_t>(plan.used_cores());
  AppendF(text, "  ids        %" PRIu64 " on %d of %u cores, %" PRIu64 "-%" PRIu64 " per core\n",
          ids, plan.used_cores(), plan.header().num_cores, ids / cores, (ids + cores - 1) / cores);
}

void AppendCounts(std::string& text, const DecodePlan& plan) {
  const DecodePlanHeader& header = plan.header();
  if (IsFifo(header)) {
    AppendFifoCounts(text, plan);
    return;
  }
  uint32_t least = header.num_items;
  uint32_t most = 0;
  for (int core = 0; core < plan.used_cores(); ++core) {
    least = std::min(least, plan.core_items()[core].item_count);
    most = std::max(most, plan.core_items()[core].item_count);
  }
  AppendF(text, "  work items %u on %d of %u cores, %u-%u per core\n", header.num_items,
          plan.used_cores(), header.num_cores, least, most);
  if (plan.has_splits()) {
    AppendF(text, "  splits     %u, of %u partials in all\n", header.num_splits,
            header.num_partials);
  } else {
    text.append("  splits     none\n");
  }
}

// Only known for plans made here.
void AppendBalance(std::string& text, const PlanPrediction& prediction) {
  if (prediction.ideal == 0) return;
  const double us =
      static_cast<double>(prediction.busiest_core) / static_cast<double>(prediction.bytes_per_us);
  AppendF(text, "  balance    %.3f busiest core / ideal; busiest core %.1f us (modelled)\n",
          prediction.balance(), us);
}

void AppendRegion(std::string& text, const char* name, const Region& region) {
  if (region.size.bytes == 0) return;
  AppendF(text, "    %-14s %12" PRIu64 " at %" PRIu64 "\n", name, region.size.bytes,
          region.begin.bytes);
}

void AppendWorkspace(std::string& text, const DecodePlanHeader& header) {
  AppendF(text, "  workspace  %" PRIu64 " bytes\n", header.workspace_size.bytes);
  AppendRegion(text, "plan", Region{ByteOffset{0}, header.plan_size});
  AppendRegion(text, "error_records", header.error_records);
  AppendRegion(text, "scores", header.scores);
  AppendRegion(text, "probs", header.probs);
  AppendRegion(text, "o_tiles", header.o_tiles);
  AppendRegion(text, "partial_out", header.partial_out);
  AppendRegion(text, "partial_lse", header.partial_lse);
  AppendRegion(text, "query_operands", header.query_operands);
  AppendRegion(text, "dequant_keys", header.dequant_keys);
  AppendRegion(text, "dequant_values", header.dequant_values);
}

void AppendItem(std::string& text, const DecodePlanHeader& header, const WorkItem& item) {
  AppendF(text, "    sequence %u", item.sequence);
  if (HasQueryTokens(header)) {
    AppendF(text, ", query rows %u-%u", item.query_row, item.query_row + item.q_len - 1);
  }
  AppendF(text, ", kv heads %u-%u, tokens [%u, %u)", item.kv_head_begin,
          item.kv_head_begin + item.kv_head_count - 1, item.token_begin, item.token_end);
  if (item.partial != kNoPartial) AppendF(text, ", partial %u", item.partial);
  text.append("\n");
}

void AppendCores(std::string& text, const DecodePlan& plan) {
  for (int core = 0; core < plan.used_cores(); ++core) {
    const CoreItems& range = plan.core_items()[core];
    AppendF(text, "  core %d\n", core);
    for (uint32_t i = 0; i < range.item_count; ++i) {
      AppendItem(text, plan.header(), plan.items()[range.first_item + i]);
    }
  }
}

void AppendSplits(std::string& text, const DecodePlan& plan) {
  for (uint32_t i = 0; i < plan.header().num_splits; ++i) {
    const SplitRange& split = plan.splits()[i];
    AppendF(text, "  split %u: query row %u", i, split.query_row);
    if (split.q_len > 1) AppendF(text, "-%u", split.query_row + split.q_len - 1);
    AppendF(text, ", kv heads %u-%u, partials %u-%u\n", split.kv_head_begin,
            split.kv_head_begin + split.kv_head_count - 1, split.first_partial,
            split.first_partial + split.num_partials - 1);
  }
}

void AppendLengths(std::string& text, const DecodePlan& plan) {
  const uint64_t ids = IdsOfSequence(plan.header());
  for (uint32_t sequence = 0; sequence < plan.header().batch; ++sequence) {
    AppendF(text, "  sequence %u: %d tokens, ids %" PRIu64 "-%" PRIu64 "\n", sequence,
            plan.context_lens()[sequence], sequence * ids, sequence * ids + ids - 1);
  }
}

}  // namespace

std::string PlanText(const DecodePlan& plan, PlanTextDetail detail) {
  std::string text;
  AppendShape(text, plan);
  AppendCounts(text, plan);
  AppendBalance(text, plan.prediction());
  AppendWorkspace(text, plan.header());
  if (detail == PlanTextDetail::kFull && IsFifo(plan.header())) {
    AppendLengths(text, plan);
  } else if (detail == PlanTextDetail::kFull) {
    AppendCores(text, plan);
    AppendSplits(text, plan);
  }
  return text;
}

}  // namespace ascend_attention
