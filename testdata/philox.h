// SPDX-License-Identifier: Apache-2.0
// Philox 4x32-10: random numbers that are a pure function of (seed, stream,
// unit, index). The twin of ascend_attention_reference/rng.py, which says more;
// both give the same values.
//
// Next: testdata/decode_inputs.h - the arrays made of them.
#ifndef ASCEND_ATTENTION_TESTDATA_PHILOX_H_
#define ASCEND_ATTENTION_TESTDATA_PHILOX_H_

#include <cstdint>

namespace ascend_attention::testdata {

struct PhiloxWords {
  uint32_t word[4];
};

constexpr int kLanes16PerCounter = 8;

// Ten rounds on a counter, with a key of two words.
inline PhiloxWords Philox4x32(PhiloxWords counter, uint32_t key0, uint32_t key1) {
  for (int round = 0; round < 10; ++round) {
    const uint64_t product0 = uint64_t{0xD2511F53u} * counter.word[0];
    const uint64_t product1 = uint64_t{0xCD9E8D57u} * counter.word[2];
    counter = {{static_cast<uint32_t>(product1 >> 32) ^ counter.word[1] ^ key0,
                static_cast<uint32_t>(product1),
                static_cast<uint32_t>(product0 >> 32) ^ counter.word[3] ^ key1,
                static_cast<uint32_t>(product0)}};
    key0 += 0x9E3779B9u;
    key1 += 0xBB67AE85u;
  }
  return counter;
}

// The words of one counter of a unit: words32 of rng.py, four at a time.
inline PhiloxWords PhiloxBlock(uint32_t seed, uint32_t stream, uint32_t unit, uint32_t block) {
  return Philox4x32({{block, 0, unit, 0}}, seed, stream);
}

// Lane `lane` (0..7) of a block: lanes16 of rng.py.
inline uint16_t PhiloxLane16(const PhiloxWords& words, int lane) {
  return static_cast<uint16_t>(words.word[lane / 2] >> (lane % 2 * 16));
}

}  // namespace ascend_attention::testdata

#endif  // ASCEND_ATTENTION_TESTDATA_PHILOX_H_
