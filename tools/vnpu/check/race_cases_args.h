// SPDX-License-Identifier: Apache-2.0
// What all cases of race_cases.cce share.
#ifndef VNPU_CHECK_RACE_CASES_ARGS_H_
#define VNPU_CHECK_RACE_CASES_ARGS_H_

#include "tools/vnpu/check/race_cases.h"

template <typename P>
inline P At(uint64_t offset) {
  return reinterpret_cast<P>(static_cast<uintptr_t>(offset));
}
constexpr uint64_t Ffts(int64_t mode, int64_t flag) {
  return 1 | static_cast<uint64_t>(mode) << 4 | static_cast<uint64_t>(flag) << 8;
}

// Own functions, so that a report names the case. The core's place in the launch
// is in the arguments.
struct Args {
  __gm__ uint8_t* gm;
  bool fixed;
  int64_t block;
  int64_t aiv;
};
#define CASE(name) __attribute__((noinline)) static void name([[maybe_unused]] const Args& a)
#define SYNC(src, dst, id)   \
  do {                       \
    set_flag(src, dst, id);  \
    wait_flag(src, dst, id); \
  } while (0)

#endif  // VNPU_CHECK_RACE_CASES_ARGS_H_
