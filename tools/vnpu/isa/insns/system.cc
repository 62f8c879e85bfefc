// SPDX-License-Identifier: Apache-2.0
// Identity of a core, special registers, trap.
#include <cinttypes>
#include <cstdio>
#include <cstring>
#include <string>

#include "tools/vnpu/core/device.h"
#include "tools/vnpu/core/exec.h"
#include "tools/vnpu/core/launch.h"
#include "tools/vnpu/isa/insns/handlers.h"

namespace vnpu {
namespace insns {
namespace {

void SetCtrlBit(Exec& x, int bit, bool value) {
  uint64_t& ctrl = x.core().spr.ctrl;
  ctrl = value ? ctrl | uint64_t{1} << bit : ctrl & ~(uint64_t{1} << bit);
}

void SetRegister(Exec& x, uint64_t Spr::* reg, uint32_t defined) {
  x.core().spr.*reg = x.u(0);
  x.core().spr.defined |= defined;
}

}  // namespace

void GetBlockIdx(Exec& x) { x.Result(x.core().id().block); }
void GetBlockNum(Exec& x) { x.Result(x.core().launch().num_blocks()); }
void GetSubblockId(Exec& x) { x.Result(x.core().role() == CoreRole::kAiv1 ? 1 : 0); }
void GetSubblockDim(Exec& x) {
  x.Result(x.core().is_aic() ? 1 : x.core().launch().aivs_per_block());
}
// No clock runs in a functional model: a count that grows with the program.
void GetSysCnt(Exec& x) { x.Result(static_cast<int64_t>(x.core().sequence())); }

void GetCtrl(Exec& x) { x.Result(static_cast<int64_t>(x.core().spr.ctrl)); }
void SetCtrl(Exec& x) { x.core().spr.ctrl = x.u(0); }
void SetVectorMask(Exec& x) {
  x.core().spr.mask[1] = x.u(0);
  x.core().spr.mask[0] = x.u(1);
  x.core().spr.defined |= Spr::kMask;
}
void SetMaskNorm(Exec& x) { SetCtrlBit(x, kCtrlCounterMode, false); }
void SetMaskCount(Exec& x) { SetCtrlBit(x, kCtrlCounterMode, true); }
void SetNdPara(Exec& x) { SetRegister(x, &Spr::nd_para, Spr::kNdPara); }
void SetPadding(Exec& x) { SetRegister(x, &Spr::padding, Spr::kPadding); }
void SetQuantPre(Exec& x) { SetRegister(x, &Spr::quant_pre, Spr::kQuantPre); }
void SetFpc(Exec& x) { SetRegister(x, &Spr::fpc, Spr::kFpc); }
void SetLreluAlpha(Exec& x) { SetRegister(x, &Spr::lrelu_alpha, Spr::kLreluAlpha); }
void SetMovPadVal(Exec& x) { SetRegister(x, &Spr::mov_pad_val, Spr::kMovPadVal); }
void SetDeqscale(Exec& x) { SetRegister(x, &Spr::deqscale, Spr::kDeqscale); }

void SetAtomicNone(Exec& x) { x.core().spr.atomic_type = VNPU_T_none; }
void SetAtomicAdd(Exec& x) { x.core().spr.atomic_op = kAtomicAdd; }
void SetAtomicMax(Exec& x) { x.core().spr.atomic_op = kAtomicMax; }
void SetAtomicMin(Exec& x) { x.core().spr.atomic_op = kAtomicMin; }
void SetAtomicType(Exec& x) { x.core().spr.atomic_type = static_cast<uint8_t>(x.type()); }

void SetFftsBase(Exec& x) {
  // The machine keeps the counters itself, so only a wrong address matters. The
  // runtime of a device may have set the base already: null is legal [hw].
  const uint64_t known = x.core().launch().sync_address();
  if (known == 0 || x.u(0) == 0 || x.u(0) == known) return;
  char address[24];
  std::snprintf(address, sizeof(address), "0x%" PRIx64, x.u(0));
  x.core().Fail(FaultKind::kException, &x.in(),
                std::string("bad argument: set_ffts_base_addr(") + address +
                    ") is not the address for cross-core signals that the launch was given",
                "pass the kernel's sync argument on, unchanged");
}

void SetVaReg(Exec& x) {
  uint64_t addresses[8];
  std::memcpy(addresses, reinterpret_cast<const void*>(x.u(1)), sizeof(addresses));
  for (int i = 0; i < 8; ++i) {
    if (addresses[i] % kBlockBytes != 0 || addresses[i] >= kUbBytes) {
      x.Fail("bad argument", "address " + std::to_string(i) + " = " + std::to_string(addresses[i]) +
                                 " is no 32-byte aligned UB address");
    }
    x.core().spr.va[x.arg(0)][i] = static_cast<uint16_t>(addresses[i] / kBlockBytes);
  }
}

void GetRsvdCnt(Exec& x) { x.Result(static_cast<int64_t>(x.core().rsvd_cnt)); }
void GetAccVal(Exec& x) { x.Result(static_cast<int64_t>(x.core().acc_val)); }
void GetMaxMinCnt(Exec& x) { x.Result(static_cast<int64_t>(x.core().max_min_cnt)); }
void GetVms4Sr(Exec& x) { x.Result(static_cast<int64_t>(x.core().vms4_sr)); }

void Trap(Exec& x) { x.core().Fail(FaultKind::kTrap, &x.in(), "trap: the kernel called trap()"); }

}  // namespace insns
}  // namespace vnpu
