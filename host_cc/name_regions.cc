// SPDX-License-Identifier: Apache-2.0
#include "host_cc/name_regions.h"

#include <algorithm>

#include "tiling/abi/decode_plan.h"

namespace ascend_attention {
namespace {

constexpr uint64_t kElemBytes = 2;  // of query and a cache that is not int8: float16, bfloat16

class Namer {
 public:
  Namer(const Runtime::Impl& runtime, const void* workspace, NameRules rules)
      : acl_(*runtime.acl),
        device_(runtime.device),
        workspace_(static_cast<const uint8_t*>(workspace)),
        rules_(rules) {}

  // Memory that the device does not know, as in other processes, has no name.
  void Tensor(const void* begin, uint64_t bytes, const char* name, int rule) const {
    if (begin == nullptr || bytes == 0) return;
    (void)acl_.vnpuAclNameRegion(device_, begin, bytes, name, RuleUnder(rules_, rule));
  }
  void Scratch(const Region& region, const char* name) const {
    if (region.size.bytes == 0) return;
    const uint8_t* begin = workspace_ + region.begin.bytes;
    Tensor(begin, region.size.bytes, name, VNPU_ACL_READ_WRITE);
    if (rules_ == NameRules::kOfAGraph) return;
    (void)acl_.vnpuAclMarkUndefined(device_, begin, region.size.bytes);
  }

 private:
  const AclApi& acl_;
  const int device_;
  const uint8_t* const workspace_;
  const NameRules rules_;
};

// Bytes from the first element of a cache to behind its last.
uint64_t CacheBytes(const DecodePlanHeader& header) {
  if (header.num_kv_blocks == 0) return 0;
  const uint64_t last = (header.num_kv_blocks - 1) * header.kv_block_stride +
                        (header.kv_block_size - 1) * uint64_t{header.kv_token_stride} +
                        (header.num_kv_heads - 1) * uint64_t{header.kv_head_stride};
  const uint64_t elem_bytes = header.kv_quant == KvQuant::kNone ? kElemBytes : 1;
  return (last + header.head_dim) * elem_bytes;
}

void NameCaches(const Namer& namer, const DecodePlanHeader& header, const DecodeTensors& tensors) {
  const uint64_t bytes = CacheBytes(header);
  const auto* key = static_cast<const uint8_t*>(tensors.key_cache);
  const auto* value = static_cast<const uint8_t*>(tensors.value_cache);
  const uint8_t* first = std::min(key, value);
  const auto between = static_cast<uint64_t>(std::max(key, value) - first);
  if (between < bytes && between != 0) {
    // Interleaved slices of one pool: a name holds one range.
    namer.Tensor(first, between + bytes, "kv_pool", VNPU_ACL_READ_ONLY);
    return;
  }
  namer.Tensor(key, bytes, "key_cache", VNPU_ACL_READ_ONLY);
  namer.Tensor(value, bytes, "value_cache", VNPU_ACL_READ_ONLY);
}

void NameScales(const Namer& namer, const DecodePlanHeader& header, const DecodeTensors& tensors) {
  const uint64_t per_head = header.kv_quant == KvQuant::kInt8Token
                                ? uint64_t{header.num_kv_blocks} * header.kv_block_size
                                : header.head_dim;
  const uint64_t bytes = header.num_kv_heads * per_head * sizeof(float);
  namer.Tensor(tensors.key_scale, bytes, "key_scale", VNPU_ACL_READ_ONLY);
  namer.Tensor(tensors.key_offset, bytes, "key_offset", VNPU_ACL_READ_ONLY);
  namer.Tensor(tensors.value_scale, bytes, "value_scale", VNPU_ACL_READ_ONLY);
  namer.Tensor(tensors.value_offset, bytes, "value_offset", VNPU_ACL_READ_ONLY);
}

// The lengths, which the FIFO kernel reads, have a name of their own.
void NamePlan(const Namer& namer, const DecodePlanHeader& header, const uint8_t* workspace,
              uint64_t size) {
  const uint64_t lens = header.context_lens.bytes;
  namer.Tensor(workspace, lens == 0 ? size : lens, "workspace/plan", VNPU_ACL_READ_ONLY);
  if (lens == 0) return;
  namer.Tensor(workspace + lens, uint64_t{header.batch} * sizeof(int32_t), "workspace/context_lens",
               VNPU_ACL_READ_ONLY);
}

}  // namespace

bool ChecksEnabled(const Runtime::Impl& runtime) {
  const AclApi& acl = *runtime.acl;
  return acl.vnpuAclChecksEnabled != nullptr && acl.vnpuAclNameRegion != nullptr &&
         acl.vnpuAclMarkUndefined != nullptr && acl.vnpuAclChecksEnabled(runtime.device) != 0;
}

void NameRegions(const PreparedPlan::Impl& prepared, const DecodeTensors& tensors,
                 NameRules rules) {
  const DecodePlanHeader& header = prepared.plan.header();
  const Namer namer(prepared.runtime(), prepared.workspace, rules);
  const uint64_t rows = uint64_t{header.num_query_rows} * header.num_heads;
  const uint64_t elems = rows * header.head_dim;
  const uint64_t out_elem_bytes = header.out_dtype == DType::kFloat32 ? sizeof(float) : kElemBytes;
  namer.Tensor(tensors.query, elems * kElemBytes, "query", VNPU_ACL_READ_ONLY);
  NameCaches(namer, header, tensors);
  NameScales(namer, header, tensors);
  namer.Tensor(tensors.block_table, uint64_t{header.batch} * header.max_kv_blocks * sizeof(int32_t),
               "block_table", VNPU_ACL_READ_ONLY);
  namer.Tensor(tensors.out, elems * out_elem_bytes, "out", VNPU_ACL_OUTPUT);
  namer.Tensor(tensors.lse, rows * sizeof(float), "lse", VNPU_ACL_OUTPUT);

  const auto* workspace = static_cast<const uint8_t*>(prepared.workspace);
  NamePlan(namer, header, workspace, prepared.plan.bytes().size());
  namer.Tensor(workspace + header.error_records.begin.bytes, header.error_records.size.bytes,
               "workspace/error_records", VNPU_ACL_READ_WRITE);
  namer.Scratch(header.scores, "workspace/scores");
  namer.Scratch(header.probs, "workspace/probs");
  namer.Scratch(header.o_tiles, "workspace/o_tiles");
  namer.Scratch(header.partial_out, "workspace/partial_out");
  namer.Scratch(header.partial_lse, "workspace/partial_lse");
  namer.Scratch(header.query_operands, "workspace/query_operands");
  namer.Scratch(header.dequant_keys, "workspace/dequant_keys");
  namer.Scratch(header.dequant_values, "workspace/dequant_values");
}

}  // namespace ascend_attention
