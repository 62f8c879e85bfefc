// SPDX-License-Identifier: Apache-2.0
// The C++ inputs are the Python ones: their CRCs are in golden/input_crcs.txt.
#include "testdata/decode_inputs.h"

#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <cstdio>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

namespace ascend_attention::testdata {
namespace {

constexpr char kInputCrcs[] = "testdata/golden/input_crcs.txt";

// CRC-32 as zlib's, eight bits at a time.
std::string Crc32(const Bytes& data) {
  static const std::array<uint32_t, 256> table = [] {
    std::array<uint32_t, 256> entries;
    for (uint32_t i = 0; i < 256; ++i) {
      entries[i] = i;
      for (int bit = 0; bit < 8; ++bit) {
        entries[i] = (entries[i] >> 1) ^ (entries[i] & 1 ? 0xedb88320u : 0u);
      }
    }
    return entries;
  }();
  uint32_t crc = 0xffffffffu;
  const auto* bytes = static_cast<const unsigned char*>(data.data);
  for (size_t i = 0; i < data.size; ++i) {
    crc = (crc >> 8) ^ table[(crc ^ bytes[i]) & 0xff];
  }
  char text[9];
  std::snprintf(text, sizeof text, "%08x", crc ^ 0xffffffffu);
  return text;
}

template <typename T>
std::string Crc32(const std::vector<T>& values) {
  return Crc32(Bytes{values.data(), values.size() * sizeof(T)});
}

class InputsMatchPython : public testing::TestWithParam<std::string> {};

TEST_P(InputsMatchPython, ByCrc) {
  std::istringstream line(GetParam());
  std::string case_line, query, key_cache, value_cache, block_table;
  line >> case_line >> query >> key_cache >> value_cache >> block_table;
  const DecodeCase problem = ParseCase(case_line);
  ASSERT_TRUE(problem.ok()) << problem.error;
  const DecodeInputs inputs = MakeInputs(problem);
  EXPECT_EQ(Crc32(inputs.query), query);
  EXPECT_EQ(Crc32(inputs.KeyBytes()), key_cache);
  EXPECT_EQ(Crc32(inputs.ValueBytes()), value_cache);
  EXPECT_EQ(Crc32(inputs.block_table), block_table);
  for (const auto* scales :
       {&inputs.key_scale, &inputs.key_offset, &inputs.value_scale, &inputs.value_offset}) {
    std::string crc = "00000000";
    line >> crc;
    EXPECT_EQ(Crc32(*scales), crc);
  }
}

std::vector<std::string> CrcLines() {
  std::vector<std::string> lines;
  std::ifstream file(kInputCrcs);
  for (std::string line; std::getline(file, line);) {
    if (!line.empty() && line[0] != '#') lines.push_back(line);
  }
  return lines;
}

INSTANTIATE_TEST_SUITE_P(Cases, InputsMatchPython, testing::ValuesIn(CrcLines()),
                         [](const auto& info) { return std::to_string(info.index); });

TEST(DecodeInputs, LayoutsHoldTheSameElements) {
  const std::string head = "decode:b2:h4:kv2:d8:bs16:ctx20,3:f16:";
  for (const std::string quant : {"", "kvint8-token:"}) {
    const DecodeInputs plain = MakeInputs(ParseCase(head + quant + "seed1"));
    for (const std::string layout : {"headmajor:", "interleaved:", "headmajor:interleaved:"}) {
      const DecodeCase problem = ParseCase(head + layout + quant + "seed1");
      const DecodeInputs other = MakeInputs(problem);
      EXPECT_EQ(other.KeyBytes().size + other.ValueBytes().size, 2 * plain.KeyBytes().size);
      const int64_t width = quant.empty() ? 2 : 1;
      const auto key = [width](const DecodeInputs& inputs, int64_t b, int64_t t, int64_t h) {
        const KvStrides& by = inputs.kv_strides;
        const auto* data = static_cast<const char*>(inputs.KeyBytes().data);
        data += (b * by.block + t * by.token + h * by.head) * width;
        return std::string(data, data + 8 * width);
      };
      const auto value = [width](const DecodeInputs& inputs, int64_t b, int64_t t, int64_t h) {
        const KvStrides& by = inputs.kv_strides;
        const bool pooled = inputs.ValueBytes().size == 0;
        const auto* data =
            static_cast<const char*>(pooled ? inputs.KeyBytes().data : inputs.ValueBytes().data);
        data += (inputs.values_begin + b * by.block + t * by.token + h * by.head) * width;
        return std::string(data, data + 8 * width);
      };
      for (int64_t i = 0; i < plain.num_kv_blocks * 32; ++i) {
        const int64_t b = i / 32, t = i / 2 % 16, h = i % 2;
        ASSERT_EQ(key(other, b, t, h), key(plain, b, t, h)) << layout << quant << i;
        ASSERT_EQ(value(other, b, t, h), value(plain, b, t, h)) << layout << quant << i;
      }
    }
  }
}

TEST(DecodeInputs, CrcIsTheCommonOne) {
  // The published check value of CRC-32: of the digits 1 to 9.
  EXPECT_EQ(Crc32(std::vector<char>{'1', '2', '3', '4', '5', '6', '7', '8', '9'}), "cbf43926");
}

TEST(DecodeInputs, WidensFloat16Exactly) {
  EXPECT_EQ(ToFloat(0x3c00, false), 1.0f);
  EXPECT_EQ(ToFloat(0xc100, false), -2.5f);
  EXPECT_EQ(ToFloat(0x7bff, false), 65504.0f);
  EXPECT_EQ(ToFloat(0x0001, false), std::ldexp(1.0f, -24));
  EXPECT_EQ(ToFloat(0x8000, false), 0.0f);
  EXPECT_TRUE(std::isinf(ToFloat(0x7c00, false)));
  EXPECT_TRUE(std::isnan(ToFloat(0x7e00, false)));
}

TEST(DecodeInputs, WidensBfloat16Exactly) {
  EXPECT_EQ(ToFloat(0x3f80, true), 1.0f);
  EXPECT_EQ(ToFloat(0xc020, true), -2.5f);
  EXPECT_TRUE(std::isnan(ToFloat(0x7fc0, true)));
}

}  // namespace
}  // namespace ascend_attention::testdata
