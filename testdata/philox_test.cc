// SPDX-License-Identifier: Apache-2.0
#include "testdata/philox.h"

#include <gtest/gtest.h>

namespace ascend_attention::testdata {
namespace {

struct KnownAnswer {
  PhiloxWords counter;
  uint32_t key[2];
  PhiloxWords words;
};

// The known answers for philox4x32, 10 rounds, that Random123 publishes
// (kat_vectors); test_rng.py has the same.
constexpr KnownAnswer kKnownAnswers[] = {
    {{{0, 0, 0, 0}}, {0, 0}, {{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}}},
    {{{0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff}},
     {0xffffffff, 0xffffffff},
     {{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}}},
    {{{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}},
     {0xa4093822, 0x299f31d0},
     {{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}}},
};

TEST(Philox, GivesThePublishedAnswers) {
  for (const KnownAnswer& known : kKnownAnswers) {
    const PhiloxWords words = Philox4x32(known.counter, known.key[0], known.key[1]);
    for (int i = 0; i < 4; ++i) EXPECT_EQ(words.word[i], known.words.word[i]);
  }
}

// The same lanes are asserted of rng.lanes16 in test_rng.py.
TEST(Philox, LanesAgreeWithPython) {
  const uint16_t lanes[] = {59776, 38871, 62566, 18806, 32978, 35453, 60476, 27359};
  const PhiloxWords words = PhiloxBlock(7, 2, 5, 12345);
  for (int i = 0; i < kLanes16PerCounter; ++i) EXPECT_EQ(PhiloxLane16(words, i), lanes[i]) << i;
}

}  // namespace
}  // namespace ascend_attention::testdata
