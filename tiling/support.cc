// SPDX-License-Identifier: Apache-2.0
// Lookups in support.inc, and its two renderings.
#include "tiling/support.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace ascend_attention {
namespace {

constexpr const char* kUnknown = "unknown";
constexpr uint32_t kNumQuants = 4;
constexpr uint32_t kNumRoutes = 5;

// "float16" -> "f16"
std::string Suffix(std::string_view dtype) {
  if (dtype == "float16") return "f16";
  if (dtype == "bfloat16") return "bf16";
  return "f32";
}

std::vector<std::string> BinariesOf(const SupportRow& row) {
  std::vector<std::string> names;
  for (const std::string& dtype : row.dtypes) names.push_back(row.kernel + "_" + Suffix(dtype));
  return names;
}

std::vector<std::string> QuantNames(const SupportRow& row) {
  std::vector<std::string> names;
  for (const KvQuant kv_quant : row.kv_quants) names.emplace_back(KvQuantName(kv_quant));
  return names;
}

template <typename Values, typename Text>
std::string Join(const Values& values, const char* separator, Text text) {
  std::string joined;
  for (const auto& value : values) {
    if (!joined.empty()) joined.append(separator);
    joined.append(text(value));
  }
  return joined;
}

std::string JoinNames(const std::vector<std::string>& names, const char* separator) {
  return Join(names, separator, [](const std::string& name) { return name; });
}

std::string JsonList(const std::vector<std::string>& names) {
  return "[" + Join(names, ", ", [](const std::string& name) { return '"' + name + '"'; }) + "]";
}

// {least, most, multiple} if the head_dims are all multiples in a range of some length,
// else zeros.
BlockSizeSupport HeadDimRange(const SupportRow& row) {
  constexpr size_t kWorthARange = 8;
  if (row.heads.size() < kWorthARange) return {0, 0, 0};
  const int64_t least = row.heads.front().head_dim;
  for (size_t i = 0; i < row.heads.size(); ++i) {
    const HeadDimSupport& head = row.heads[i];
    if (head.head_dim != least * static_cast<int64_t>(i + 1) || head.max_q_per_kv != 0) {
      return {0, 0, 0};
    }
  }
  return {least, row.heads.back().head_dim, least};
}

std::string RangeText(const BlockSizeSupport& range) {
  return std::to_string(range.least) + ".." + std::to_string(range.most) + ", multiples of " +
         std::to_string(range.multiple);
}

std::string HeadDimsText(const SupportRow& row) {
  const BlockSizeSupport range = HeadDimRange(row);
  if (range.most != 0) return RangeText(range);
  return Join(row.heads, ", ",
              [](const HeadDimSupport& head) { return std::to_string(head.head_dim); });
}

std::string JsonRow(const SupportRow& row) {
  const BlockSizeSupport& block = row.kv_block_size;
  const std::string heads = Join(row.heads, ", ", [](const HeadDimSupport& head) {
    return "{\"head_dim\": " + std::to_string(head.head_dim) +
           ", \"max_q_per_kv\": " + std::to_string(head.max_q_per_kv) + "}";
  });
  return "{\"op\": \"" + row.op + "\", \"kernel\": \"" + row.kernel + "\", \"kv_route\": \"" +
         KvRouteName(row.kv_route) + "\", \"binaries\": " + JsonList(BinariesOf(row)) +
         ", \"dtypes\": " + JsonList(row.dtypes) + ", \"out_dtypes\": " + JsonList(row.outs) +
         ", \"kv_quants\": " + JsonList(QuantNames(row)) + ", \"heads\": [" + heads +
         "], \"head_dims\": \"" + HeadDimsText(row) +
         "\", \"kv_block_size\": {\"least\": " + std::to_string(block.least) +
         ", \"most\": " + std::to_string(block.most) +
         ", \"multiple\": " + std::to_string(block.multiple) +
         "}, \"max_q_len\": " + std::to_string(row.max_q_len) +
         ", \"layouts\": " + JsonList(row.layouts) + "}";
}

// A dash for what the operation does not know.
std::string OrDash(const std::string& text) { return text.empty() ? "-" : text; }

std::string MarkdownRow(const SupportRow& row) {
  const BlockSizeSupport& block = row.kv_block_size;
  const bool has_heads = !row.heads.empty() && row.heads.front().max_q_per_kv != 0;
  const std::string q_per_kv =
      has_heads ? Join(row.heads, ", ",
                       [](const HeadDimSupport& head) { return std::to_string(head.max_q_per_kv); })
                : "-";
  const std::string blocks = block.most == 0 ? "-" : RangeText(block);
  return "| `" + row.kernel + "` | " + JoinNames(row.dtypes, ", ") + " | " +
         OrDash(JoinNames(row.outs, ", ")) + " | " + OrDash(JoinNames(QuantNames(row), ", ")) +
         " | " + HeadDimsText(row) + " | " + q_per_kv + " | " + blocks + " | " +
         (row.max_q_len == 0 ? "-" : std::to_string(row.max_q_len)) + " | " +
         OrDash(JoinNames(row.layouts, ", ")) + " |\n";
}

std::vector<HeadDimSupport> HeadDims(int64_t least, int64_t most, int64_t multiple) {
  std::vector<HeadDimSupport> heads;
  for (int64_t head_dim = least; head_dim <= most; head_dim += multiple) {
    heads.push_back({head_dim, 0});
  }
  return heads;
}

const SupportRow* SearchDecodeRow(KvQuant kv_quant, KvRoute kv_route) {
  for (const SupportRow& row : SupportTable()) {
    if (row.op != "decode") continue;
    if (kv_route != KvRoute::kAuto && kv_route != row.kv_route) continue;
    const auto& quants = row.kv_quants;
    if (std::find(quants.begin(), quants.end(), kv_quant) != quants.end()) return &row;
  }
  return nullptr;
}

}  // namespace

const HeadDimSupport* SupportRow::ForHeadDim(int64_t head_dim) const {
  for (const HeadDimSupport& head : heads) {
    if (head.head_dim == head_dim) return &head;
  }
  return nullptr;
}

Status SupportRow::CheckHeadDim(int64_t head_dim, std::string_view condition) const {
  if (ForHeadDim(head_dim) != nullptr) return OkStatus();
  std::vector<int64_t> supported;
  for (const HeadDimSupport& head : heads) supported.push_back(head.head_dim);
  const BlockSizeSupport range = HeadDimRange(*this);
  const std::string rule = range.most == 0 ? ""
                                           : " (multiples of " + std::to_string(range.multiple) +
                                                 " in " + std::to_string(range.least) + ".." +
                                                 std::to_string(range.most) + " have)";
  return Unimplemented("head_dim = ", head_dim, condition, " has no kernel", rule,
                       "; nearest supported: ", NearestSupported(head_dim, supported));
}

std::string NearestSupported(int64_t value, const std::vector<int64_t>& supported) {
  std::string below;
  for (const int64_t candidate : supported) {
    if (candidate > value) {
      return below.empty() ? std::to_string(candidate) : below + ", " + std::to_string(candidate);
    }
    below = std::to_string(candidate);
  }
  return below;
}

const SupportRow* FindSupport(std::string_view op) {
  for (const SupportRow& row : SupportTable()) {
    if (row.op == op) return &row;
  }
  return nullptr;
}

const std::vector<SupportRow>& SupportTable() {
#define AA_LIST(...) {__VA_ARGS__}
#define AA_HEAD_DIMS(least, most, multiple) HeadDims(least, most, multiple)
#define AA_SUPPORT_ROW(op, kernel, route, dtypes, outs, kv_quants, heads, block, max_q_len, \
                       layouts)                                                             \
  SupportRow{op, kernel, route, dtypes, outs, kv_quants, heads, block, max_q_len, layouts},
  static const auto* const kTable = new std::vector<SupportRow>{
#include "tiling/support.inc"
  };
  return *kTable;
}

const SupportRow* FindDecodeSupport(KvQuant kv_quant, KvRoute kv_route) {
  // Looked up at every plan: once found, kept by code.
  using ByRoute = std::array<const SupportRow*, kNumRoutes>;
  static const auto* const kRows = [] {
    auto* rows = new std::array<ByRoute, kNumQuants>{};
    for (uint32_t quant = 0; quant < kNumQuants; ++quant) {
      for (uint32_t route = 0; route < kNumRoutes; ++route) {
        (*rows)[quant][route] = SearchDecodeRow(KvQuant{quant}, KvRoute{route});
      }
    }
    return rows;
  }();
  const auto quant = static_cast<uint32_t>(kv_quant);
  const auto route = static_cast<uint32_t>(kv_route);
  return quant < kNumQuants && route < kNumRoutes ? (*kRows)[quant][route] : nullptr;
}

StatusOr<std::string> DecodeKernelName(KvQuant kv_quant, KvRoute kv_route, DType dtype) {
  if (kv_route == KvRoute::kAuto) {
    return InvalidArgument("kv_route = auto names no kernel; take the route from the plan");
  }
  const SupportRow* row = FindDecodeSupport(kv_quant, kv_route);
  const std::string name = DTypeName(dtype);
  if (row == nullptr ||
      std::find(row->dtypes.begin(), row->dtypes.end(), name) == row->dtypes.end()) {
    return Unimplemented("no decode kernel reads kv_quant = ", KvQuantName(kv_quant),
                         " on kv_route = ", KvRouteName(kv_route), " for dtype = ", name);
  }
  return row->kernel + "_" + Suffix(name);
}

std::vector<std::string> KernelNames(std::string_view op) {
  std::vector<std::string> names;
  for (const SupportRow& row : SupportTable()) {
    if (row.op != op) continue;
    for (std::string& name : BinariesOf(row)) names.push_back(std::move(name));
  }
  return names;
}

const char* DTypeName(DType dtype) {
  switch (dtype) {
    case DType::kFloat16:
      return "float16";
    case DType::kBFloat16:
      return "bfloat16";
    case DType::kFloat32:
      return "float32";
  }
  return kUnknown;
}

const char* KvQuantName(KvQuant kv_quant) {
  switch (kv_quant) {
    case KvQuant::kNone:
      return "none";
    case KvQuant::kInt8Channel:
      return "int8_channel";
    case KvQuant::kInt8ChannelAsym:
      return "int8_channel_asym";
    case KvQuant::kInt8Token:
      return "int8_token";
  }
  return kUnknown;
}

const char* KvRouteName(KvRoute kv_route) {
  switch (kv_route) {
    case KvRoute::kAuto:
      return "auto";
    case KvRoute::kDirect:
      return "direct";
    case KvRoute::kDequant:
      return "dequant";
    case KvRoute::kLimbs:
      return "limbs";
    case KvRoute::kFifo:
      return "fifo";
  }
  return kUnknown;
}

std::string SupportTableJson() {
  return "[\n  " + Join(SupportTable(), ",\n  ", JsonRow) + "\n]\n";
}

std::string SupportTableMarkdown() {
  std::string text =
      "| kernel | dtypes | out | kv_quant | head_dim | most query heads per kv head | "
      "kv_block_size | "
      "most query tokens | cache layouts |\n|---|---|---|---|---|---|---|---|---|\n";
  for (const SupportRow& row : SupportTable()) text.append(MarkdownRow(row));
  return text;
}

}  // namespace ascend_attention
