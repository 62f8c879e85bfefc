// SPDX-License-Identifier: Apache-2.0
// The support table: every kernel has one name, every combination one answer.
#include "tiling/support.h"

#include <algorithm>
#include <set>
#include <string>
#include <vector>

#include "gtest/gtest.h"

namespace ascend_attention {
namespace {

constexpr KvQuant kInt8[] = {KvQuant::kInt8Channel, KvQuant::kInt8ChannelAsym, KvQuant::kInt8Token};

TEST(Support, NamesTheKernelOfEveryPlan) {
  EXPECT_EQ(*DecodeKernelName(KvQuant::kNone, KvRoute::kDirect, DType::kFloat16), "decode_f16");
  EXPECT_EQ(*DecodeKernelName(KvQuant::kNone, KvRoute::kDirect, DType::kBFloat16), "decode_bf16");
  EXPECT_EQ(*DecodeKernelName(KvQuant::kNone, KvRoute::kFifo, DType::kFloat16), "decode_fifo_f16");
  EXPECT_EQ(*DecodeKernelName(KvQuant::kNone, KvRoute::kFifo, DType::kBFloat16),
            "decode_fifo_bf16");
  for (const KvQuant kv_quant : kInt8) {
    EXPECT_EQ(*DecodeKernelName(kv_quant, KvRoute::kDequant, DType::kFloat16),
              "decode_int8_dequant_f16");
    EXPECT_EQ(*DecodeKernelName(kv_quant, KvRoute::kLimbs, DType::kBFloat16),
              "decode_int8_limbs_bf16");
  }
}

TEST(Support, RefusesRoutesThatACacheCannotTake) {
  EXPECT_EQ(DecodeKernelName(KvQuant::kNone, KvRoute::kLimbs, DType::kFloat16).status().ToString(),
            "UNIMPLEMENTED: no decode kernel reads kv_quant = none on kv_route = limbs for dtype = "
            "float16");
  for (const KvQuant kv_quant : kInt8) {
    EXPECT_FALSE(DecodeKernelName(kv_quant, KvRoute::kDirect, DType::kFloat16).ok());
    EXPECT_FALSE(DecodeKernelName(kv_quant, KvRoute::kFifo, DType::kFloat16).ok());
  }
  EXPECT_EQ(DecodeKernelName(KvQuant::kNone, KvRoute::kAuto, DType::kFloat16).status().code(),
            StatusCode::kInvalidArgument);
  EXPECT_FALSE(DecodeKernelName(static_cast<KvQuant>(9), KvRoute::kDirect, DType::kFloat16).ok());
  EXPECT_FALSE(DecodeKernelName(KvQuant::kNone, KvRoute::kDirect, static_cast<DType>(9)).ok());
}

TEST(Support, AutoFindsARowForEveryCache) {
  EXPECT_EQ(FindDecodeSupport(KvQuant::kNone, KvRoute::kAuto)->kernel, "decode");
  for (const KvQuant kv_quant : kInt8) {
    EXPECT_EQ(FindDecodeSupport(kv_quant, KvRoute::kAuto)->kv_route, KvRoute::kLimbs);
  }
}

TEST(Support, RowsAreWellFormed) {
  std::set<std::string> kernels;
  for (const SupportRow& row : SupportTable()) {
    EXPECT_TRUE(kernels.insert(row.kernel).second) << row.kernel << " twice";
    EXPECT_FALSE(row.dtypes.empty());
    EXPECT_TRUE(std::is_sorted(
        row.heads.begin(), row.heads.end(),
        [](const HeadDimSupport& a, const HeadDimSupport& b) { return a.head_dim < b.head_dim; }));
  }
  EXPECT_EQ(
      KernelNames("merge_states"),
      (std::vector<std::string>{"merge_states_f16", "merge_states_bf16", "merge_states_f32"}));
  EXPECT_EQ(KernelNames("decode").size(), 8u);
}

TEST(Support, HeadDimsAreAListOrARange) {
  const SupportRow& merge = *FindSupport("merge_states");
  EXPECT_EQ(merge.heads.size(), 32u);
  for (int64_t head_dim = 1; head_dim <= 600; ++head_dim) {
    EXPECT_EQ(merge.CheckHeadDim(head_dim).ok(), head_dim % 16 == 0 && head_dim <= 512);
  }
  EXPECT_EQ(
      merge.CheckHeadDim(100).ToString(),
      "UNIMPLEMENTED: head_dim = 100 has no kernel (multiples of 16 in 16..512 have); nearest "
      "supported: 96, 112");
  EXPECT_EQ(FindSupport("decode")->CheckHeadDim(80).ToString(),
            "UNIMPLEMENTED: head_dim = 80 has no kernel; nearest supported: 64, 96");
  EXPECT_NE(SupportTableMarkdown().find("| - | 16..512, multiples of 16 | - |"), std::string::npos);
  EXPECT_NE(SupportTableJson().find("\"head_dims\": \"16..512, multiples of 16\""),
            std::string::npos);
  EXPECT_EQ(FindSupport("prefill"), nullptr);
}

TEST(Support, RendersOneLinePerKernel) {
  const std::string markdown = SupportTableMarkdown();
  const std::string json = SupportTableJson();
  EXPECT_EQ(static_cast<size_t>(std::count(markdown.begin(), markdown.end(), '\n')),
            SupportTable().size() + 2);
  for (const SupportRow& row : SupportTable()) {
    EXPECT_NE(markdown.find("| `" + row.kernel + "` |"), std::string::npos);
    EXPECT_NE(json.find("\"kernel\": \"" + row.kernel + "\""), std::string::npos);
  }
  EXPECT_NE(
      markdown.find("| `decode_fifo` | float16, bfloat16 | query dtype, float32 | none | 128 | "
                    "128 | 64..128, multiples of 64 | 1 | "),
      std::string::npos);
  EXPECT_NE(json.find("\"out_dtypes\": [\"query dtype\", \"float32\"]"), std::string::npos);
  EXPECT_NE(json.find("\"binaries\": [\"decode_fifo_f16\", \"decode_fifo_bf16\"]"),
            std::string::npos);
  EXPECT_NE(json.find("{\"head_dim\": 192, \"max_q_per_kv\": 128}"), std::string::npos);
  EXPECT_NE(json.find("\"kv_quants\": [\"int8_channel\", \"int8_channel_asym\", \"int8_token\"]"),
            std::string::npos);
}

}  // namespace
}  // namespace ascend_attention
