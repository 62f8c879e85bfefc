// SPDX-License-Identifier: Apache-2.0
// Names shared by the core, the intrinsics and the observers.
#ifndef VNPU_CORE_TYPES_H_
#define VNPU_CORE_TYPES_H_

#include <cstdint>

namespace vnpu {

// Same numbers as pipe_t of the dialect.
enum class Pipe : uint8_t { kS, kV, kM, kMte1, kMte2, kMte3, kFix, kAll, kArg0, kArg1 };
constexpr int kNumPipes = 7;

enum class Space : uint8_t { kGm, kUb, kL1, kL0a, kL0b, kL0c, kBt, kFb };
constexpr int kNumSpaces = 8;

enum class CoreRole : uint8_t { kAic, kAiv0, kAiv1 };

const char* PipeName(Pipe pipe);      // "MTE2"
const char* SpaceName(Space space);   // "UB"
const char* RoleName(CoreRole role);  // "AIV0"

struct CoreId {
  uint32_t block;
  CoreRole role;
};

// Special registers, as the scalar unit has set them when an instruction is
// issued. `defined` has a bit per register that kernels must set before use.
struct Spr {
  enum : uint32_t {
    kMask = 1,
    kNdPara = 2,
    kQuantPre = 4,
    kFpc = 8,
    kPadding = 16,
    kMovPadVal = 32,
    kDeqscale = 64,
    kLreluAlpha = 128,
  };
  uint32_t defined;
  uint8_t atomic_type;  // VnpuType; VNPU_T_none: atomics off
  uint8_t atomic_op;    // AtomicOp
  uint64_t mask[2];     // lanes 0..63, 64..127
  uint64_t ctrl;
  uint64_t nd_para;
  uint64_t quant_pre;
  uint64_t fpc;
  uint64_t padding;
  uint64_t mov_pad_val;
  uint64_t deqscale;
  uint64_t lrelu_alpha;
  uint16_t va[8][8];  // transpose address registers: UB address / 32
};
enum AtomicOp : uint8_t { kAtomicAdd, kAtomicMax, kAtomicMin };

// CTRL register bits.
constexpr int kCtrlHf32 = 46;
constexpr int kCtrlHf32TiesToZero = 47;  // 0: nearest even
constexpr int kCtrlKeepInfNan = 48;      // 0: float overflow saturates, nan becomes 0
constexpr int kCtrlLeakyRelu = 50;       // relu of the fixpipe
constexpr int kCtrlSaturateInt = 53;     // integer add, sub, mul
constexpr int kCtrlCounterMode = 56;     // vector mask counts elements
constexpr int kCtrlTruncate = 59;        // conversions to integer drop the high bits

constexpr int kMaxArgs = 16;

// One issued intrinsic.
struct Instruction {
  uint16_t insn;               // VnpuInsn
  uint8_t type;                // VnpuType
  Pipe pipe;                   // resolved: never kArg0, kArg1
  uint64_t sequence;           // issue order on its core, from 0
  const void* return_address;  // in the kernel; see core/call_table.h
  const int64_t* args;         // as many as the row names
  const Spr* spr;              // as of issue
};

}  // namespace vnpu

#endif  // VNPU_CORE_TYPES_H_
