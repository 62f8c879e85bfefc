// SPDX-License-Identifier: Apache-2.0
#include "testdata/decode_case.h"

#include <gtest/gtest.h>

#include <fstream>
#include <string>
#include <utility>
#include <vector>

namespace ascend_attention::testdata {
namespace {

constexpr char kGrammarErrors[] = "testdata/cases/grammar_errors.txt";
constexpr char kCases[] = "testdata/cases/decode_ci.txt";

// (line, message)
std::vector<std::pair<std::string, std::string>> ReadGrammarErrors() {
  std::vector<std::pair<std::string, std::string>> errors;
  std::ifstream file(kGrammarErrors);
  for (std::string line; std::getline(file, line);) {
    const size_t arrow = line.find(" => ");
    if (line[0] == '#' || arrow == std::string::npos) continue;
    errors.emplace_back(line.substr(0, arrow), line.substr(arrow + 4));
  }
  return errors;
}

TEST(DecodeCase, ReadsEveryField) {
  const DecodeCase c =
      ParseCase("decode:b2:h8:kv4:d64:bs32:ctx7,300:bf16:cores20:shared:onehot:seed9");
  ASSERT_TRUE(c.ok()) << c.error;
  EXPECT_EQ(c.batch, 2);
  EXPECT_EQ(c.num_heads, 8);
  EXPECT_EQ(c.num_kv_heads, 4);
  EXPECT_EQ(c.head_dim, 64);
  EXPECT_EQ(c.kv_block_size, 32);
  EXPECT_EQ(c.context_lens, (std::vector<int32_t>{7, 300}));
  EXPECT_TRUE(c.bfloat16);
  EXPECT_EQ(c.num_cores, 20);
  EXPECT_TRUE(c.shared && c.onehot);
  EXPECT_FALSE(c.fulltable || c.outliers || c.sharp || c.bigscores);
  EXPECT_EQ(c.seed, 9u);
  EXPECT_EQ(c.max_context(), 300);
  EXPECT_EQ(c.max_kv_blocks(), 11);  // ten used, one spare
  EXPECT_EQ(c.softmax_scale(), 0.125f);
}

TEST(DecodeCase, ReadsEveryDecodeOption) {
  const DecodeCase c = ParseCase(
      "decode:b3:h8:kv4:d64:bs32:ctx7:f16:cores2:qlen1,16,4:headmajor:interleaved:"
      "kvint8-channel-asym:route-limbs:split512:seed9");
  ASSERT_TRUE(c.ok()) << c.error;
  EXPECT_EQ(c.q_lens, (std::vector<int32_t>{1, 16, 4}));
  EXPECT_EQ(c.num_query_rows(), 21);
  EXPECT_EQ(c.max_q_len(), 16);
  EXPECT_TRUE(c.headmajor);
  EXPECT_TRUE(c.interleaved);
  EXPECT_EQ(c.kv_quant, KvQuant::kInt8ChannelAsym);
  EXPECT_EQ(c.route, KvRoute::kLimbs);
  EXPECT_EQ(c.fixed_split_tokens, 512);

  const DecodeCase plain = ParseCase("decode:b3:h8:kv4:d64:bs32:ctx7:f16:seed9");
  EXPECT_EQ(plain.q_lens, (std::vector<int32_t>{1, 1, 1}));
  EXPECT_EQ(plain.num_query_rows(), 3);
  EXPECT_EQ(plain.kv_quant, KvQuant::kNone);
  EXPECT_EQ(plain.route, KvRoute::kAuto);
  EXPECT_EQ(plain.fixed_split_tokens, 0);
}

TEST(DecodeCase, PrintsDecodeOptionsInOrder) {
  const std::string head = "decode:b2:h8:kv4:d64:bs32:ctx7:f16";
  EXPECT_EQ(ParseCase(head + ":split64:route-limbs:kvint8-token:interleaved:headmajor:qlen2,2:"
                             "cores3:seed0")
                .ToString(),
            head + ":cores3:qlen2:headmajor:interleaved:kvint8-token:route-limbs:split64:seed0");
  EXPECT_EQ(ParseCase(head + ":qlen3,1:kvint8-channel:route-dequant:seed0").ToString(),
            head + ":qlen3,1:kvint8-channel:route-dequant:seed0");
  EXPECT_EQ(ParseCase(head + ":qlen1:seed0").ToString(), head + ":seed0");
}

TEST(DecodeCase, ReadsTheFifoRouteAndAFloat32Out) {
  const std::string head = "decode:b2:h8:kv4:d128:bs64:ctx7:f16";
  const DecodeCase c = ParseCase(head + ":sharp:split64:outf32:route-fifo:interleaved:seed9");
  ASSERT_TRUE(c.ok()) << c.error;
  EXPECT_EQ(c.kv_quant, KvQuant::kNone);
  EXPECT_EQ(c.route, KvRoute::kFifo);
  EXPECT_TRUE(c.out_float32);
  EXPECT_EQ(c.ToString(), head + ":interleaved:route-fifo:outf32:split64:sharp:seed9");
  EXPECT_FALSE(ParseCase(head + ":route-fifo:seed9").out_float32);
  EXPECT_EQ(ParseCase(head + ":outf32:seed9").route, KvRoute::kAuto);
  const DecodeCase direct = ParseCase(head + ":fulltable:route-direct:headmajor:seed9");
  EXPECT_EQ(direct.route, KvRoute::kDirect);
  EXPECT_EQ(direct.ToString(), head + ":headmajor:route-direct:fulltable:seed9");
  EXPECT_TRUE(ParseCase(head + ":kvint8-token:route-limbs:outf32:seed9").out_float32);
}

TEST(DecodeCase, PrintsTheCanonicalLine) {
  EXPECT_EQ(
      ParseCase(" decode:b2:h8:kv4:d64:bs32:ctx7,7:f16:onehot:cores1:shared:seed0\n").ToString(),
      "decode:b2:h8:kv4:d64:bs32:ctx7:f16:cores1:shared:onehot:seed0");
}

TEST(DecodeCase, EveryListedCaseIsCanonical) {
  std::ifstream file(kCases);
  int count = 0;
  for (std::string line; std::getline(file, line);) {
    if (line.empty() || line[0] == '#') continue;
    const DecodeCase c = ParseCase(line);
    EXPECT_TRUE(c.ok()) << c.error;
    EXPECT_EQ(c.ToString(), line);
    ++count;
  }
  EXPECT_GE(count, 30);
  EXPECT_EQ(ReadCaseFile(kCases).size(), static_cast<size_t>(count));
}

TEST(DecodeCase, RefusesWithThePythonMessages) {
  const auto errors = ReadGrammarErrors();
  EXPECT_GE(errors.size(), 25u);
  for (const auto& [line, message] : errors) EXPECT_EQ(ParseCase(line).error, message) << line;
}

}  // namespace
}  // namespace ascend_attention::testdata
