// SPDX-License-Identifier: Apache-2.0
// Racy kernels of the cube core and their correct twins; see race_cases.cce.
#ifndef VNPU_CHECK_RACE_CASES_CUBE_H_
#define VNPU_CHECK_RACE_CASES_CUBE_H_

#include "tools/vnpu/check/race_cases_args.h"

#define L1(offset) At<__cbuf__ half*>(offset)
#define L0A(offset) At<__ca__ half*>(offset)
#define L0B(offset) At<__cb__ half*>(offset)
#define L0C(offset) At<__cc__ float*>(offset)
// A fractal of 512 bytes, a product of 16 x 16, a result of 1 KiB.
#define LOAD_L1(l1, from) copy_gm_to_cbuf(L1(l1), from, 0, 1, 16, 0, 0, PAD_NONE)
#define LOAD_L0A(l0a, l1) load_cbuf_to_ca(L0A(l0a), L1(l1), 0, 1, 1, 0, 0, false, inc)
#define MAD(l0c, unit_flag) mad(L0C(l0c), L0A(0), L0B(0), 16, 16, 16, unit_flag, false, false, true)
#define FIX(to, l0c, unit_flag)                                                          \
  copy_matrix_cc_to_gm(reinterpret_cast<__gm__ float*>(to), L0C(l0c), 0, 16, 16, 16, 16, \
                       unit_flag, NoQuant, 0, false, true)

// Tile i+1 is loaded while tile i is multiplied, from two slots. One event says
// "full" for both, and nothing says "free".
CASE(SlotShared) {
  for (int i = 0; i < 3; ++i) {
    const int s = i & 1;
    if (a.fixed && i >= 2) wait_flag(PIPE_MTE1, PIPE_MTE2, s);
    LOAD_L1(s * 512, a.gm + i * 512);  // @SlotShared
    set_flag(PIPE_MTE2, PIPE_MTE1, a.fixed ? s : EVENT_ID0);
    wait_flag(PIPE_MTE2, PIPE_MTE1, a.fixed ? s : EVENT_ID0);
    LOAD_L0A(i * 512, s * 512);  // @SlotSharedRead
    if (a.fixed && i < 1) set_flag(PIPE_MTE1, PIPE_MTE2, s);
  }
}

// The slot is safe only through MTE1 -> M -> FIX -> S: without the drain at the
// end of a step, it is not.
CASE(DrainRemoved) {
  set_nd_para(1);
  for (int i = 0; i < 2; ++i) {
    LOAD_L1(0, a.gm + i * 512);  // @DrainRemoved
    SYNC(PIPE_MTE2, PIPE_MTE1, EVENT_ID0);
    if (i > 0) wait_flag(PIPE_M, PIPE_MTE1, EVENT_ID0);
    LOAD_L0A(0, 0);  // @DrainRemovedRead
    SYNC(PIPE_MTE1, PIPE_M, EVENT_ID0);
    if (i > 0) wait_flag(PIPE_FIX, PIPE_M, EVENT_ID0);
    MAD(0, 0);
    set_flag(PIPE_M, PIPE_MTE1, EVENT_ID0);
    SYNC(PIPE_M, PIPE_FIX, EVENT_ID0);
    FIX(a.gm + 4096 + i * 1024, 0, 0);
    set_flag(PIPE_FIX, PIPE_M, EVENT_ID0);
    if (a.fixed) SYNC(PIPE_FIX, PIPE_S, EVENT_ID7);
  }
  wait_flag(PIPE_M, PIPE_MTE1, EVENT_ID0);
  wait_flag(PIPE_FIX, PIPE_M, EVENT_ID0);
}

CASE(SmallMads) {
  MAD(0, 0);  // @SmallMadsFirst
  if (a.fixed) pipe_barrier(PIPE_M);
  mad(L0C(0), L0A(0), L0B(0), 16, 16, 16, 0, false, false, false);  // @SmallMads
}

CASE(FillThenLoad) {
  create_ca_matrix(L0A(0), 1 | int64_t{4} << 16, static_cast<half>(0.0f));  // @FillThenLoadFirst
  if (a.fixed) pipe_barrier(PIPE_MTE1);
  LOAD_L0A(512, 0);  // @FillThenLoad
}

CASE(FixBuffer) {
  set_nd_para(1);
  set_fpc(0);
  LOAD_L1(0, a.gm);
  SYNC(PIPE_MTE2, PIPE_FIX, EVENT_ID0);
  copy_cbuf_to_fbuf(At<__fbuf__ uint64_t*>(0), L1(0), 1, 1, 0, 0);  // @FixBufferFill
  if (a.fixed) pipe_barrier(PIPE_FIX);
  copy_matrix_cc_to_gm(reinterpret_cast<__gm__ half*>(a.gm),  // @FixBuffer
                       At<__cc__ int32_t*>(0), 0, 16, 16, 16, 16, 0, VDEQF16, 0, false, true);
}

CASE(FixRegister) {
  set_nd_para(1);
  FIX(a.gm, 0, 0);  // @FixRegisterFirst
  set_nd_para(1 | uint64_t{1} << 16);
  if (a.fixed) pipe_barrier(PIPE_FIX);
  FIX(a.gm + 1024, 0, 0);  // @FixRegister
}

// mad and fixpipe hand L0C over by themselves when both have the unit flag.
CASE(UnitFlag) {
  set_nd_para(1);
  for (int i = 0; i < 2; ++i) {
    MAD(0, 3);                                 // @UnitFlagMad
    FIX(a.gm + i * 1024, 0, a.fixed ? 3 : 0);  // @UnitFlag
    if (i == 0) pipe_barrier(PIPE_M);
  }
}

CASE(L0cReuse) {
  set_nd_para(1);
  MAD(0, 0);
  SYNC(PIPE_M, PIPE_FIX, EVENT_ID0);
  FIX(a.gm, 0, 0);  // @L0cReuseRead
  if (a.fixed) SYNC(PIPE_FIX, PIPE_M, EVENT_ID0);
  MAD(0, 0);  // @L0cReuse
}

CASE(LargeMads) {
  for (int i = 0; i < 3; ++i) {
    mad(L0C(0), L0A(0), L0B(0), 16, 16, 160, 0, false, false, i == 0);
  }
}

#endif  // VNPU_CHECK_RACE_CASES_CUBE_H_
