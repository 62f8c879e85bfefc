// SPDX-License-Identifier: Apache-2.0
// Ranges of bits in arrays of words: the shadow of a memory, one bit per byte.
// Bits are numbered from 0; arrays have a spare word behind the last one used.
#ifndef VNPU_CHECK_BIT_PLANE_H_
#define VNPU_CHECK_BIT_PLANE_H_

#include <cstdint>
#include <cstring>

namespace vnpu {

// The lowest `count` bits, count 0..64.
inline uint64_t LowBits(uint64_t count) {
  return count >= 64 ? ~uint64_t{0} : (uint64_t{1} << count) - 1;
}

// `count` bits from `at` on, count 1..64.
inline uint64_t LoadBits(const uint64_t* words, uint64_t at, uint64_t count) {
  const uint64_t shift = at % 64;
  uint64_t bits = words[at / 64] >> shift;
  if (shift + count > 64) bits |= words[at / 64 + 1] << (64 - shift);
  return bits & LowBits(count);
}

inline void StoreBits(uint64_t* words, uint64_t at, uint64_t count, uint64_t bits) {
  const uint64_t shift = at % 64, mask = LowBits(count);
  bits &= mask;
  uint64_t* word = words + at / 64;
  word[0] = (word[0] & ~(mask << shift)) | bits << shift;
  if (shift + count > 64) {
    word[1] = (word[1] & ~(mask >> (64 - shift))) | bits >> (64 - shift);
  }
}

inline bool AnyBit(const uint64_t* words, uint64_t begin, uint64_t end) {
  if (begin >= end) return false;
  const uint64_t first = begin / 64, last = (end - 1) / 64;
  const uint64_t head = ~uint64_t{0} << (begin % 64), tail = LowBits((end - 1) % 64 + 1);
  if (first == last) return (words[first] & head & tail) != 0;
  if ((words[first] & head) != 0 || (words[last] & tail) != 0) return true;
  uint64_t any = 0;
  for (uint64_t i = first + 1; i < last; ++i) any |= words[i];
  return any != 0;
}

inline void FillBits(uint64_t* words, uint64_t begin, uint64_t end, bool value) {
  if (begin >= end) return;
  const uint64_t first = begin / 64, last = (end - 1) / 64;
  const uint64_t head = ~uint64_t{0} << (begin % 64), tail = LowBits((end - 1) % 64 + 1);
  const auto apply = [&](uint64_t* word, uint64_t mask) {
    *word = value ? *word | mask : *word & ~mask;
  };
  if (first == last) return apply(words + first, head & tail);
  apply(words + first, head);
  apply(words + last, tail);
  std::memset(words + first + 1, value ? 0xff : 0, (last - first - 1) * sizeof(*words));
}

// The first set bit of a range; `end` if there is none.
inline uint64_t FirstBit(const uint64_t* words, uint64_t begin, uint64_t end) {
  for (uint64_t at = begin; at < end;) {
    const uint64_t count = end - at < 64 ? end - at : 64;
    const uint64_t bits = LoadBits(words, at, count);
    if (bits != 0) return at + static_cast<uint64_t>(__builtin_ctzll(bits));
    at += count;
  }
  return end;
}

}  // namespace vnpu

#endif  // VNPU_CHECK_BIT_PLANE_H_
