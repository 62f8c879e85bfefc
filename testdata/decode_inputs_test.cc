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
template <typename T>
std::string Crc32(const std::vector<T>& values) {
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
  const auto* bytes = reinterpret_cast<const unsigned char*>(values.data());
  for (size_t i = 0; i < values.size() * sizeof(T); ++i) {
    crc = (crc >> 8) ^ table[(crc ^ bytes[i]) & 0xff];
  }
  char text[9];
  std::snprintf(text, sizeof text, "%08x", crc ^ 0xffffffffu);
  return text;
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
  EXPECT_EQ(Crc32(inputs.key_cache), key_cache);
  EXPECT_EQ(Crc32(inputs.value_cache), value_cache);
  EXPECT_EQ(Crc32(inputs.block_table), block_table);
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
