// SPDX-License-Identifier: Apache-2.0
// What shapes we support, by support.inc, and the words with which we refuse
// the others.
#include "tiling/shape.h"

#include <algorithm>
#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include "tiling/kv_layout.h"
#include "tiling/support.h"

namespace ascend_attention {
namespace {

constexpr int64_t kMinFixedSplit = 64;  // one vector repeat of float32 scores

Status CheckPositive(const char* name, int64_t value) {
  if (value > 0) return OkStatus();
  return InvalidArgument(name, " = ", value, "; expected at least 1");
}

Status CheckNotNegative(const char* name, int64_t value) {
  if (value >= 0) return OkStatus();
  return InvalidArgument(name, " = ", value, "; expected 0 or more");
}

constexpr KvRoute kRoutes[] = {KvRoute::kDirect, KvRoute::kDequant, KvRoute::kLimbs,
                               KvRoute::kFifo};

// The route whose limits count: forced, or the only one that has what is asked for.
KvRoute RouteAsked(const DecodeShape& shape) {
  const bool is_auto = shape.kv_route == KvRoute::kAuto;
  return is_auto && shape.out_float32 ? KvRoute::kFifo : shape.kv_route;
}

const SupportRow& RowAsked(const DecodeShape& shape) {
  return *FindDecodeSupport(shape.kv_quant, RouteAsked(shape));
}

// Why the limits are not those of any decode kernel: for errors, behind the value.
std::string Condition(const DecodeShape& shape) {
  if (shape.kv_route == KvRoute::kFifo) return " with kv_route = fifo";
  return RouteAsked(shape) == KvRoute::kFifo ? " with out_dtype = float32" : "";
}

// The decode kernel that reads this cache on this route; null if there is none,
// or another route is asked for.
const SupportRow* RowFor(const DecodeShape& shape, KvRoute route) {
  const KvRoute asked = RouteAsked(shape);
  if (asked != KvRoute::kAuto && asked != route) return nullptr;
  return FindDecodeSupport(shape.kv_quant, route);
}

std::string RouteNames(KvQuant kv_quant) {
  std::string names;
  for (const KvRoute route : kRoutes) {
    if (FindDecodeSupport(kv_quant, route) == nullptr) continue;
    names.append(KvRouteName(route)).append(", ");
  }
  return names + KvRouteName(KvRoute::kAuto);
}

Status CheckTypes(const DecodeShape& shape) {
  if (shape.dtype != DType::kFloat16 && shape.dtype != DType::kBFloat16) {
    return Unimplemented("dtype code ", static_cast<uint32_t>(shape.dtype),
                         " has no kernel; supported: 0 (float16), 1 (bfloat16)");
  }
  if (FindDecodeSupport(shape.kv_quant, KvRoute::kAuto) == nullptr) {
    return Unimplemented("kv_quant code ", static_cast<uint32_t>(shape.kv_quant),
                         " has no kernel; supported: 0 (none), 1 (int8_channel), 2 "
                         "(int8_channel_asym), 3 (int8_token)");
  }
  if (FindDecodeSupport(shape.kv_quant, shape.kv_route) != nullptr) return OkStatus();
  if (shape.kv_route > KvRoute::kFifo) {
    return Unimplemented(
        "kv_route code ", static_cast<uint32_t>(shape.kv_route),
        " has no kernel; supported: 0 (auto), 1 (direct), 2 (dequant), 3 (limbs), 4 (fifo)");
  }
  return Unimplemented("kv_route = ", KvRouteName(shape.kv_route),
                       " has no kernel for kv_quant = ", KvQuantName(shape.kv_quant),
                       "; nearest supported: ", RouteNames(shape.kv_quant));
}

// Types must be supported.
Status CheckOut(const DecodeShape& shape) {
  if (!shape.out_float32) return OkStatus();
  if (FindDecodeSupport(shape.kv_quant, KvRoute::kFifo) == nullptr) {
    return Unimplemented(
        "out_dtype = float32 has no kernel for kv_quant = ", KvQuantName(shape.kv_quant),
        "; nearest supported: kv_quant = none, which kv_route = fifo reads");
  }
  if (RouteAsked(shape) == KvRoute::kFifo) return OkStatus();
  return Unimplemented("out_dtype = float32 has no kernel on kv_route = ",
                       KvRouteName(shape.kv_route), "; nearest supported: kv_route = fifo, auto");
}

Status CheckKvBlockSize(const DecodeShape& shape) {
  const BlockSizeSupport& rule = RowAsked(shape).kv_block_size;
  const int64_t size = shape.kv_block_size;
  if (rule.Has(size)) return OkStatus();
  std::vector<int64_t> supported;
  for (int64_t s = rule.least; s <= rule.most; s += rule.multiple) supported.push_back(s);
  return Unimplemented("kv_block_size = ", size, Condition(shape), " has no kernel (multiples of ",
                       rule.multiple, " in ", rule.least, "..", rule.most,
                       " have); nearest supported: ", NearestSupported(size, supported));
}

// head_dim must be supported.
Status CheckHeads(const DecodeShape& shape) {
  int64_t most = 0;
  int64_t most_of_all = 0;
  for (const KvRoute route : kRoutes) {
    const SupportRow* row = RowFor(shape, route);
    if (row == nullptr) continue;
    for (const HeadDimSupport& head : row->heads) {
      most_of_all = std::max(most_of_all, head.max_q_per_kv);
      if (head.head_dim == shape.head_dim) most = std::max(most, head.max_q_per_kv);
    }
  }
  if (shape.q_per_kv() <= most) return OkStatus();
  const std::string condition =  // the largest number is no matter of head_dim
      most == most_of_all ? "" : " with head_dim = " + std::to_string(shape.head_dim);
  return Unimplemented("num_heads / num_kv_heads = ", shape.q_per_kv(), condition,
                       " has no kernel; nearest supported: ", most);
}

Status CheckQLen(const DecodeShape& shape) {
  AA_RETURN_IF_ERROR(CheckPositive("max_q_len", shape.max_q_len));
  int64_t most = 0;
  for (const KvRoute route : kRoutes) {
    const SupportRow* row = RowFor(shape, route);
    if (row != nullptr) most = std::max(most, row->max_q_len);
  }
  if (shape.max_q_len <= most) return OkStatus();
  const std::string condition =
      shape.kv_quant == KvQuant::kNone
          ? Condition(shape)
          : std::string(" with kv_quant = ") + KvQuantName(shape.kv_quant);
  return Unimplemented("max_q_len = ", shape.max_q_len, condition,
                       " has no kernel; nearest supported: ", most);
}

Status CheckFixedSplit(const DecodeShape& shape) {
  const int64_t tokens = shape.fixed_split_tokens;
  if (tokens == 0) return OkStatus();
  const bool fits = tokens >= kMinFixedSplit && tokens <= std::numeric_limits<int32_t>::max();
  if (!fits || tokens % kTokenGranule != 0) {
    return InvalidArgument("fixed_split_tokens = ", tokens, "; expected 0 or a multiple of ",
                           kTokenGranule, ", at least ", kMinFixedSplit, " and less than 2^31");
  }
  if (RouteAsked(shape) != KvRoute::kFifo) return OkStatus();
  return Unimplemented("fixed_split_tokens = ", tokens, Condition(shape),
                       " has no kernel, as it never cuts a sequence; nearest supported: 0");
}

// Block ids are int32, table columns and sequences 32 bits wide in the plan,
// and so is a context length.
Status CheckExtents(const DecodeShape& shape) {
  constexpr int64_t kMaxInt32 = std::numeric_limits<int32_t>::max();
  if (shape.num_kv_blocks - 1 > kMaxInt32) {
    return InvalidArgument("num_kv_blocks = ", shape.num_kv_blocks,
                           " exceeds what an int32 block id can name: ", kMaxInt32 + 1);
  }
  if (shape.max_kv_blocks > kMaxInt32) {
    return InvalidArgument("max_kv_blocks = ", shape.max_kv_blocks, "; expected at most ",
                           kMaxInt32);
  }
  if (shape.batch > kMaxInt32) {
    return InvalidArgument("batch = ", shape.batch, "; expected at most ", kMaxInt32);
  }
  if (shape.num_heads > kMaxInt32) {
    return InvalidArgument("num_heads = ", shape.num_heads, "; expected at most ", kMaxInt32);
  }
  return OkStatus();
}

}  // namespace

bool FifoServes(const DecodeShape& shape) {
  const SupportRow* row = FindDecodeSupport(shape.kv_quant, KvRoute::kFifo);
  if (row == nullptr || shape.fixed_split_tokens != 0) return false;
  const HeadDimSupport* head = row->ForHeadDim(shape.head_dim);
  return head != nullptr && shape.q_per_kv() <= head->max_q_per_kv &&
         row->kv_block_size.Has(shape.kv_block_size) && shape.max_q_len <= row->max_q_len;
}

Status Validate(const DecodeShape& shape) {
  AA_RETURN_IF_ERROR(CheckPositive("batch", shape.batch));
  AA_RETURN_IF_ERROR(CheckPositive("num_heads", shape.num_heads));
  AA_RETURN_IF_ERROR(CheckPositive("num_kv_heads", shape.num_kv_heads));
  AA_RETURN_IF_ERROR(CheckPositive("head_dim", shape.head_dim));
  AA_RETURN_IF_ERROR(CheckPositive("kv_block_size", shape.kv_block_size));
  // Both may be 0 as long as every sequence is empty.
  AA_RETURN_IF_ERROR(CheckNotNegative("num_kv_blocks", shape.num_kv_blocks));
  AA_RETURN_IF_ERROR(CheckNotNegative("max_kv_blocks", shape.max_kv_blocks));
  if (shape.num_heads % shape.num_kv_heads != 0) {
    return InvalidArgument("num_heads = ", shape.num_heads,
                           " is not a multiple of num_kv_heads = ", shape.num_kv_heads);
  }
  AA_RETURN_IF_ERROR(CheckTypes(shape));
  AA_RETURN_IF_ERROR(CheckOut(shape));
  if (RowAsked(shape).ForHeadDim(shape.head_dim) == nullptr) {
    return RowAsked(shape).CheckHeadDim(shape.head_dim, Condition(shape));
  }
  AA_RETURN_IF_ERROR(CheckHeads(shape));
  AA_RETURN_IF_ERROR(CheckKvBlockSize(shape));
  AA_RETURN_IF_ERROR(CheckQLen(shape));
  AA_RETURN_IF_ERROR(CheckFixedSplit(shape));
  AA_RETURN_IF_ERROR(CheckExtents(shape));
  return CheckKvLayout(shape);
}

}  // namespace ascend_attention
