// SPDX-License-Identifier: Apache-2.0
// Pins the layout of the plan ABI: host, kernels and Python read the same bytes.
// A failure here means a new kDecodePlanAbiVersion, not a new number below.
#include "tiling/abi/decode_plan.h"

#include <cstddef>
#include <cstdint>
#include <string>
#include <type_traits>
#include <vector>

#include "gtest/gtest.h"

namespace ascend_attention {
namespace {

struct Field {
  std::string name;
  size_t offset;
  size_t size;
};

#define FIELD(type, name) \
  Field { #name, offsetof(type, name), sizeof(type::name) }

// No holes: every field starts where the one before ends, the last ends with
// the struct. Together with zeroed `reserved` this makes every byte defined.
void ExpectDense(const std::vector<Field>& fields, size_t struct_size) {
  size_t next = 0;
  for (const Field& field : fields) {
    EXPECT_EQ(field.offset, next) << field.name;
    next = field.offset + field.size;
  }
  EXPECT_EQ(next, struct_size);
}

TEST(DecodePlanAbi, VersionIsThree) {
  EXPECT_EQ(kDecodePlanAbiVersion, 3u);
  EXPECT_EQ(kDecodePlanMagic, 0x4c504441u);
}

TEST(DecodePlanAbi, StructsArePlainData) {
  EXPECT_TRUE(std::is_trivially_copyable_v<DecodePlanHeader>);
  EXPECT_TRUE(std::is_standard_layout_v<DecodePlanHeader>);
  EXPECT_TRUE(std::is_trivially_copyable_v<WorkItem>);
  EXPECT_TRUE(std::is_trivially_copyable_v<SplitRange>);
  EXPECT_TRUE(std::is_trivially_copyable_v<CoreItems>);
  EXPECT_TRUE(std::is_trivially_copyable_v<ErrorRecord>);
}

TEST(DecodePlanAbi, SizesArePinned) {
  EXPECT_EQ(sizeof(ByteOffset), 8u);
  EXPECT_EQ(sizeof(ByteCount), 8u);
  EXPECT_EQ(sizeof(Region), 16u);
  EXPECT_EQ(sizeof(CoreItems), 8u);
  EXPECT_EQ(sizeof(WorkItem), 36u);
  EXPECT_EQ(sizeof(SplitRange), 24u);
  EXPECT_EQ(sizeof(ErrorRecord), 64u);
  EXPECT_EQ(alignof(ErrorRecord), 64u);
  EXPECT_EQ(sizeof(DecodePlanHeader), 368u);
  EXPECT_EQ(alignof(DecodePlanHeader), 8u);
}

TEST(DecodePlanAbi, WorkItemFieldsArePinned) {
  ExpectDense(
      {FIELD(WorkItem, sequence), FIELD(WorkItem, query_row), FIELD(WorkItem, q_len),
       FIELD(WorkItem, kv_head_begin), FIELD(WorkItem, kv_head_count), FIELD(WorkItem, token_begin),
       FIELD(WorkItem, token_end), FIELD(WorkItem, visible_tokens), FIELD(WorkItem, partial)},
      sizeof(WorkItem));
  EXPECT_EQ(offsetof(WorkItem, token_begin), 20u);
  EXPECT_EQ(offsetof(WorkItem, partial), 32u);
}

TEST(DecodePlanAbi, CoreItemsAndSplitRangeFieldsArePinned) {
  ExpectDense({FIELD(CoreItems, first_item), FIELD(CoreItems, item_count)}, sizeof(CoreItems));
  ExpectDense({FIELD(SplitRange, query_row), FIELD(SplitRange, q_len),
               FIELD(SplitRange, kv_head_begin), FIELD(SplitRange, kv_head_count),
               FIELD(SplitRange, first_partial), FIELD(SplitRange, num_partials)},
              sizeof(SplitRange));
}

TEST(DecodePlanAbi, ErrorRecordFieldsArePinned) {
  ExpectDense({FIELD(ErrorRecord, code), FIELD(ErrorRecord, core), FIELD(ErrorRecord, row),
               FIELD(ErrorRecord, index), FIELD(ErrorRecord, value), FIELD(ErrorRecord, limit),
               FIELD(ErrorRecord, reserved)},
              sizeof(ErrorRecord));
  EXPECT_EQ(offsetof(ErrorRecord, row), 8u);
}

TEST(DecodePlanAbi, HeaderFieldsArePinned) {
  ExpectDense({FIELD(DecodePlanHeader, magic),
               FIELD(DecodePlanHeader, abi_version),
               FIELD(DecodePlanHeader, dtype),
               FIELD(DecodePlanHeader, kv_quant),
               FIELD(DecodePlanHeader, kv_route),
               FIELD(DecodePlanHeader, num_heads),
               FIELD(DecodePlanHeader, num_kv_heads),
               FIELD(DecodePlanHeader, head_dim),
               FIELD(DecodePlanHeader, kv_block_size),
               FIELD(DecodePlanHeader, max_kv_blocks),
               FIELD(DecodePlanHeader, num_kv_blocks),
               FIELD(DecodePlanHeader, kv_heads_per_group),
               FIELD(DecodePlanHeader, q_tokens_per_item),
               FIELD(DecodePlanHeader, operand_limbs),
               FIELD(DecodePlanHeader, kv_tile_tokens),
               FIELD(DecodePlanHeader, kv_chunk_tokens),
               FIELD(DecodePlanHeader, kv_token_stride),
               FIELD(DecodePlanHeader, kv_head_stride),
               FIELD(DecodePlanHeader, kv_block_stride),
               FIELD(DecodePlanHeader, core_items),
               FIELD(DecodePlanHeader, items),
               FIELD(DecodePlanHeader, softmax_scale),
               FIELD(DecodePlanHeader, num_splits),
               FIELD(DecodePlanHeader, num_partials),
               FIELD(DecodePlanHeader, num_query_rows),
               FIELD(DecodePlanHeader, splits),
               FIELD(DecodePlanHeader, kv_head_parts),
               FIELD(DecodePlanHeader, num_cores),
               FIELD(DecodePlanHeader, batch),
               FIELD(DecodePlanHeader, max_q_len),
               FIELD(DecodePlanHeader, num_items),
               FIELD(DecodePlanHeader, fixed_split_tokens),
               FIELD(DecodePlanHeader, out_dtype),
               FIELD(DecodePlanHeader, reserved),
               FIELD(DecodePlanHeader, context_lens),
               FIELD(DecodePlanHeader, scores_slot_size),
               FIELD(DecodePlanHeader, probs_slot_size),
               FIELD(DecodePlanHeader, o_tile_slot_size),
               FIELD(DecodePlanHeader, scores),
               FIELD(DecodePlanHeader, probs),
               FIELD(DecodePlanHeader, o_tiles),
               FIELD(DecodePlanHeader, partial_out),
               FIELD(DecodePlanHeader, partial_lse),
               FIELD(DecodePlanHeader, error_records),
               FIELD(DecodePlanHeader, query_operands),
               FIELD(DecodePlanHeader, dequant_keys),
               FIELD(DecodePlanHeader, dequant_values),
               FIELD(DecodePlanHeader, query_operand_slot_size),
               FIELD(DecodePlanHeader, dequant_slot_size),
               FIELD(DecodePlanHeader, header_size),
               FIELD(DecodePlanHeader, plan_size),
               FIELD(DecodePlanHeader, workspace_size)},
              sizeof(DecodePlanHeader));
  EXPECT_EQ(offsetof(DecodePlanHeader, kv_token_stride), 64u);
  EXPECT_EQ(offsetof(DecodePlanHeader, batch), 128u);
  EXPECT_EQ(offsetof(DecodePlanHeader, out_dtype), 144u);
  EXPECT_EQ(offsetof(DecodePlanHeader, context_lens), 152u);
  EXPECT_EQ(offsetof(DecodePlanHeader, scores), 184u);
  EXPECT_EQ(offsetof(DecodePlanHeader, header_size), 344u);
}

TEST(DecodePlanAbi, FifoQueryTileIsSixteenOrSixtyFour) {
  for (uint32_t q_per_kv = 1; q_per_kv <= 128; ++q_per_kv) {
    EXPECT_EQ(FifoQueryTile(q_per_kv), q_per_kv < 64 ? 16u : 64u);
  }
  EXPECT_GE(kFifoDepth, 2u);
  EXPECT_LE(kFifoDepth, 8u);
}

// Bytes and element counts must not mix: neither converts to the other.
TEST(DecodePlanAbi, ByteUnitsDoNotConvertToIntegers) {
  EXPECT_FALSE((std::is_convertible_v<uint64_t, ByteOffset>));
  EXPECT_FALSE((std::is_convertible_v<uint64_t, ByteCount>));
  EXPECT_FALSE((std::is_convertible_v<ByteOffset, uint64_t>));
  EXPECT_FALSE((std::is_convertible_v<ByteCount, ByteOffset>));
  constexpr ByteOffset kEnd = ByteOffset{512} + ByteCount{64} * 3;
  EXPECT_EQ(kEnd.bytes, 704u);
}

}  // namespace
}  // namespace ascend_attention
