// SPDX-License-Identifier: Apache-2.0
// Sizes and limits of one Atlas A2 core block (dav-c220): one cube core (AIC)
// and two vector cores (AIV). Sources: CANN arch-2201 documentation [doc],
// vendor operator code [hw]. Kernel-safe: no standard library.
//
// Next: tools/vnpu/isa/insns.inc - one row per intrinsic.
#ifndef VNPU_ISA_ARCH_A2_H_
#define VNPU_ISA_ARCH_A2_H_

namespace vnpu {

constexpr unsigned kUbBytes = 192 * 1024;   // AIV unified buffer [doc][hw]
constexpr unsigned kL1Bytes = 512 * 1024;   // AIC L1 [doc][hw]
constexpr unsigned kL0aBytes = 64 * 1024;   // AIC left operand [doc][hw]
constexpr unsigned kL0bBytes = 64 * 1024;   // AIC right operand [doc][hw]
constexpr unsigned kL0cBytes = 128 * 1024;  // AIC accumulators [doc][hw]
constexpr unsigned kBtBytes = 1024;         // AIC bias table [doc]
constexpr unsigned kFbBytes = 7 * 1024;     // AIC fixpipe parameters [hw]

constexpr unsigned kBlockBytes = 32;         // datablock: the grain of UB and L1
constexpr unsigned kFractalBytes = 512;      // 16 x 32 bytes: the grain of L0A and L0B
constexpr unsigned kL0cFractalBytes = 1024;  // 16 x 16 words
constexpr unsigned kRepeatBytes = 256;       // one repeat of the vector unit
constexpr unsigned kCacheLineBytes = 64;     // scalar data cache line

constexpr unsigned kEventsPerPipePair = 8;
constexpr unsigned kCrossCoreFlags = 16;
constexpr unsigned kCrossCoreCounterMax = 15;  // 4-bit counters [doc]

// Host stack of one core's scalar program. Hardware has 32 KiB.
constexpr unsigned kScalarStackBytes = 256 * 1024;

}  // namespace vnpu

#endif  // VNPU_ISA_ARCH_A2_H_
