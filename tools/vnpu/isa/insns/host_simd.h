// SPDX-License-Identifier: Apache-2.0
// Hot loops are compiled twice on x86-64: for any machine, and for one with
// AVX2, chosen at run time. Both are the same C++ source without fused
// multiply-add, so both give the same bits. VNPU_HOST_SIMD=base in the
// environment picks the first, for tests.
#ifndef VNPU_ISA_INSNS_HOST_SIMD_H_
#define VNPU_ISA_INSNS_HOST_SIMD_H_

#include <cstdlib>
#include <cstring>

#define VNPU_ALWAYS_INLINE __attribute__((always_inline)) inline

#if defined(__x86_64__)
#define VNPU_HAS_WIDE 1
#define VNPU_WIDE __attribute__((target("avx2")))
#else
#define VNPU_HAS_WIDE 0
#define VNPU_WIDE
#endif

namespace vnpu {

#if VNPU_HAS_WIDE
inline bool HostIsWide() {
  static const bool wide = [] {
    const char* asked = std::getenv("VNPU_HOST_SIMD");
    return (asked == nullptr || std::strcmp(asked, "base") != 0) &&
           __builtin_cpu_supports("avx2") != 0;
  }();
  return wide;
}
#else
inline bool HostIsWide() { return false; }
#endif

// Runs `body` in the wider of the two builds: body must be a generic callable
// whose call operator is always inlined.
template <typename Body>
VNPU_WIDE void RunWide(const Body& body) {
  body();
}
template <typename Body>
inline void RunFast(const Body& body) {
#if VNPU_HAS_WIDE
  if (HostIsWide()) {
    RunWide(body);
    return;
  }
#endif
  body();
}

}  // namespace vnpu

#endif  // VNPU_ISA_INSNS_HOST_SIMD_H_
