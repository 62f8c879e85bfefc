// SPDX-License-Identifier: Apache-2.0
// From issued intrinsics to figures, and from accesses to the instruction that
// they belong to.
#include "tools/vnpu/timing/recorder.h"

#include <gtest/gtest.h>

#include <initializer_list>

#include "tools/vnpu/core/call_table.h"
#include "tools/vnpu/core/device.h"
#include "tools/vnpu/isa/runtime_abi.h"
#include "tools/vnpu/timing/decode_op.h"

namespace vnpu {
namespace {

constexpr CoreId kAiv0{0, CoreRole::kAiv0};

// An instruction that owns its arguments.
struct Issued {
  Issued(uint32_t insn, Pipe pipe, std::initializer_list<int64_t> values,
         uint32_t type = VNPU_T_none) {
    std::copy(values.begin(), values.end(), args);
    in.insn = static_cast<uint16_t>(insn);
    in.type = static_cast<uint8_t>(type);
    in.pipe = pipe;
    in.args = args;
    in.spr = &spr;
    in.return_address = this;
  }
  int64_t args[kMaxArgs] = {};
  Spr spr = {};
  Instruction in = {};
};

TEST(DecodeOp, VectorRepeatsInNormalAndCounterMode) {
  Issued add(VNPU_INSN_vadd, Pipe::kV, {0, 4096, 8192, 7, 1, 1, 1, 8, 8, 8}, VNPU_T_f32);
  EXPECT_EQ(DecodeOp(add.in).kind, OpKind::kVector);
  EXPECT_EQ(DecodeOp(add.in).figure[0], 7u);
  EXPECT_EQ(DecodeOp(add.in).figure[1], 0u);
  add.spr.ctrl = uint64_t{1} << kCtrlCounterMode;
  add.spr.mask[0] = 129;  // 64 lanes of float
  EXPECT_EQ(DecodeOp(add.in).figure[0], 3u);
  EXPECT_EQ(DecodeOp(add.in).figure[1], 1u);
  // Half to float counts by the wider type.
  Issued convert(VNPU_INSN_vconv_f162f32, Pipe::kV, {0, 4096, 1, 1, 1, 8, 4});
  convert.spr = add.spr;
  EXPECT_EQ(DecodeOp(convert.in).figure[0], 3u);
}

TEST(DecodeOp, Figures) {
  const Issued mad(VNPU_INSN_mad, Pipe::kM, {0, 0, 0, 4, 128, 256, 0, 0, 0, 1}, VNPU_T_f16);
  EXPECT_EQ(DecodeOp(mad.in).kind, OpKind::kMad);
  EXPECT_EQ(DecodeOp(mad.in).figure[1], 128u);
  const Issued load(VNPU_INSN_load_cbuf_to_cb_transpose, Pipe::kMte1, {0, 0, 0, 8, 1, 0, 0, 0},
                    VNPU_T_f16);
  EXPECT_EQ(DecodeOp(load.in).kind, OpKind::kL1ToL0b);
  EXPECT_EQ(DecodeOp(load.in).figure[0], 8u);
  EXPECT_EQ(DecodeOp(load.in).figure[1], 1u);
  const Issued load_b8(VNPU_INSN_load_cbuf_to_cb_transpose, Pipe::kMte1, {0, 0, 0, 8, 1, 0, 0, 0},
                       VNPU_T_s8);
  EXPECT_EQ(DecodeOp(load_b8.in).figure[0], 16u);
  const Issued nd2nz(VNPU_INSN_copy_gm_to_cbuf_multi_nd2nz_b16, Pipe::kMte2,
                     {0, 0, 0, 1, 32, 128, 0, 1024, 32, 1, 0});
  EXPECT_EQ(DecodeOp(nd2nz.in).kind, OpKind::kGmToL1Nd2Nz);
  EXPECT_EQ(DecodeOp(nd2nz.in).figure[0], 256u);
  EXPECT_EQ(DecodeOp(nd2nz.in).figure[1], 32u);
  EXPECT_EQ(DecodeOp(nd2nz.in).figure[2], 2048u);
  Issued store(VNPU_INSN_copy_matrix_cc_to_gm, Pipe::kFix, {0, 0, 0, 64, 4, 64, 16, 0, 0, 0, 0, 1},
               VNPU_T_f32);
  store.spr.nd_para = 8;
  EXPECT_EQ(DecodeOp(store.in).kind, OpKind::kFixpipeToGm);
  EXPECT_EQ(DecodeOp(store.in).figure[0], 8u * 64 * 4 * 4);
  const Issued signal(VNPU_INSN_ffts_cross_core_sync, Pipe::kFix,
                      {static_cast<int64_t>(Pipe::kFix), 1 | 2 << 4 | 7 << 8});
  EXPECT_EQ(DecodeOp(signal.in).figure[0], 2u);
  EXPECT_EQ(DecodeOp(signal.in).figure[1], 7u);
}

TEST(DecodeOp, BankConflictsOfStridedOperands) {
  // 16 groups of 32-byte rows: hiascend's UB rules.
  const auto conflict = [](std::initializer_list<BankOperand> operands) {
    return BankConflict(operands.begin(), static_cast<int>(operands.size()));
  };
  EXPECT_EQ(conflict({{0, 1}}), 1u);
  EXPECT_EQ(conflict({{0, 16}}), 8u);
  EXPECT_EQ(conflict({{0, 8}}), 4u);
  EXPECT_EQ(conflict({{0, 0}}), 1u);            // one row, read once
  EXPECT_EQ(conflict({{0, 1}, {256, 1}}), 1u);  // the other half of the groups
  EXPECT_EQ(conflict({{0, 1}, {512, 1}}), 2u);
  EXPECT_EQ(conflict({{0, 1}, {0, 1}}), 1u);  // the same rows
}

class Recorded : public ::testing::Test {
 protected:
  void SetUp() override {
    LaunchInfo info = {};
    info.kernel = "k_0";
    info.num_blocks = 2;
    info.aivs_per_block = 2;
    info.calls = &calls_;
    recorder_.OnLaunchBegin(info);
  }
  void Access(const Issued& issued, uint64_t base) {
    vnpu::Access access = {};
    access.space = Space::kGm;
    access.base = base;
    access.run = 64;
    for (Dim& dim : access.dims) dim = Dim{};
    recorder_.OnAccess(kAiv0, issued.in, access, nullptr);
  }
  CallTable calls_;
  TimingRecorder recorder_;
};

TEST_F(Recorded, CoresOfAVectorKernel) {
  ASSERT_EQ(recorder_.recording().cores.size(), 4u);
  EXPECT_EQ(recorder_.recording().cores[3].id.block, 1u);
  EXPECT_EQ(recorder_.recording().cores[3].id.role, CoreRole::kAiv1);
  EXPECT_FALSE(recorder_.recording().is_mix());
}

// A load waits in its queue while a store that was issued later executes.
TEST_F(Recorded, AccessesFindTheirInstruction) {
  Issued load(VNPU_INSN_copy_gm_to_ubuf, Pipe::kMte2, {0, 0, 0, 1, 2, 0, 0});
  Issued store(VNPU_INSN_copy_ubuf_to_gm, Pipe::kMte3, {0, 0, 0, 1, 2, 0, 0});
  load.in.sequence = 3;  // 0 to 2 and 4 were dropped by a filter
  store.in.sequence = 5;
  recorder_.OnIssue(kAiv0, load.in);
  recorder_.OnIssue(kAiv0, store.in);
  Access(store, 0x2000);
  Access(load, 0x1000);
  const CoreRecording& core = recorder_.recording().cores[0];
  ASSERT_EQ(core.ops.size(), 2u);
  ASSERT_EQ(core.ops[0].gm_count, 1);
  ASSERT_EQ(core.ops[1].gm_count, 1);
  EXPECT_EQ(core.gm[core.ops[0].gm_first].base, 0x1000u);
  EXPECT_EQ(core.gm[core.ops[1].gm_first].base, 0x2000u);
}

TEST_F(Recorded, AFaultLeavesNothing) {
  const Issued load(VNPU_INSN_copy_gm_to_ubuf, Pipe::kMte2, {0, 0, 0, 1, 2, 0, 0});
  recorder_.OnIssue(kAiv0, load.in);
  LaunchResult result;
  result.fault = FaultKind::kException;
  recorder_.OnLaunchEnd(&result);
  EXPECT_TRUE(recorder_.recording().cores.empty());
}

}  // namespace
}  // namespace vnpu
