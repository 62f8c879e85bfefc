// SPDX-License-Identifier: Apache-2.0
// Identity of a core, the control register, scalar accesses past the cache.
#include "tools/vnpu/isa/insns/player.h"

namespace vnpu_test {
namespace {

constexpr int64_t kCounterMode = int64_t{1} << 56;  // CTRL: the mask counts elements

TEST(System, OneVectorCoreOfOneBlock) {
  Player player(CoreKind::kVector, 64);
  player.Step(VNPU_INSN_get_block_idx, 0);
  player.Step(VNPU_INSN_get_block_num, 0);
  player.Step(VNPU_INSN_get_subblockid, 0);
  player.Step(VNPU_INSN_get_subblockdim, 0);
  player.Step(VNPU_INSN_get_sys_cnt, 0);
  player.Step(VNPU_INSN_get_sys_cnt, 0);
  ASSERT_EQ(player.Run(), "");
  ASSERT_EQ(player.values().size(), 6u);
  EXPECT_EQ(std::vector<uint64_t>(player.values().begin(), player.values().begin() + 4),
            (std::vector<uint64_t>{0, 1, 0, 1}));
  EXPECT_GT(player.values()[5], player.values()[4]);
}

TEST(System, MaskModesAreABitOfCtrl) {
  Player player(CoreKind::kVector, 64);
  player.Step(VNPU_INSN_set_ctrl, 0, 0x1234);
  player.Step(VNPU_INSN_set_mask_count, 0);
  player.Step(VNPU_INSN_get_ctrl, 0);
  player.Step(VNPU_INSN_set_mask_norm, 0);
  player.Step(VNPU_INSN_get_ctrl, 0);
  ASSERT_EQ(player.Run(), "");
  EXPECT_EQ(player.values(), (std::vector<uint64_t>{0x1234 | kCounterMode, 0x1234}));
}

// The entries of mix kernels set CTRL alike on both kinds of core.
TEST(System, CubeCoresSetTheMaskModeToo) {
  Player player(CoreKind::kCube, 64);
  player.Step(VNPU_INSN_set_ctrl, 0, 0);
  player.Step(VNPU_INSN_set_mask_count, 0);
  player.Step(VNPU_INSN_get_ctrl, 0);
  player.Step(VNPU_INSN_set_mask_norm, 0);
  player.Step(VNPU_INSN_get_ctrl, 0);
  ASSERT_EQ(player.Run(), "");
  EXPECT_EQ(player.values(), (std::vector<uint64_t>{kCounterMode, 0}));
}

// Accesses past the data cache need no barrier or cache clean, and bear one.
TEST(System, DeviceAccessesReadAndWriteGm) {
  Player player(CoreKind::kVector, 64);
  auto* gm = static_cast<uint8_t*>(player.device().Allocate(64));
  for (int i = 0; i < 64; ++i) gm[i] = static_cast<uint8_t>(i);
  const auto base = reinterpret_cast<int64_t>(gm);
  player.Step(VNPU_INSN_ld_dev, VNPU_T_u16, base + 2, 0);
  player.Step(VNPU_INSN_ld_dev, VNPU_T_u32, base + 4, 4);
  player.Step(VNPU_INSN_ld_dev, VNPU_T_u64, base, 16);
  player.Step(VNPU_INSN_st_dev, VNPU_T_u16, 0xbeef, base + 32, 2);
  player.Step(VNPU_INSN_st_dev, VNPU_T_u32, 0xdeadbeef, base + 40, 0);
  player.Step(VNPU_INSN_st_dev, VNPU_T_u64, 0x0102030405060708, base + 40, 8);
  player.Step(VNPU_INSN_dsb, 0, 0);
  player.Step(VNPU_INSN_dcci, 0, base, 0, 2);
  ASSERT_EQ(player.Run(), "");
  EXPECT_EQ(player.values(), (std::vector<uint64_t>{0x0302, 0x0b0a0908, 0x1716151413121110}));
  uint8_t want[64];
  for (int i = 0; i < 64; ++i) want[i] = static_cast<uint8_t>(i);
  want[34] = 0xef;
  want[35] = 0xbe;
  const uint8_t word[] = {0xef, 0xbe, 0xad, 0xde};
  std::memcpy(want + 40, word, sizeof(word));
  for (int i = 0; i < 8; ++i) want[48 + i] = static_cast<uint8_t>(8 - i);
  for (int i = 0; i < 64; ++i) EXPECT_EQ(gm[i], want[i]) << i;
}

// Registers that no modelled intrinsic reads, and the address of flags that the
// machine keeps itself.
TEST(System, RegistersWithoutAnEffectAreAccepted) {
  Player player(CoreKind::kVector, 64);
  player.Put<uint64_t>(0, 0x1122334455667788);
  player.Step(VNPU_INSN_set_padding, 0, 3);
  player.Step(VNPU_INSN_set_ffts_base_addr, 0, 0);
  ASSERT_EQ(player.Run(), "");
  EXPECT_EQ(player.Get<uint64_t>(0), 0x1122334455667788u);
}

TEST(System, AddressOfCrossCoreSignals) {
  Player player(CoreKind::kVector, 64);
  const auto run = [&](uint64_t address) {
    player.Step(VNPU_INSN_set_ffts_base_addr, 0, address);
    const std::string text = player.Run();
    return text.substr(0, text.find('\n'));
  };
  EXPECT_EQ(run(0x77000), "");  // not known
  player.device().SetSyncAddress(reinterpret_cast<const void*>(0x1200));
  EXPECT_EQ(run(0x1200), "");
  EXPECT_EQ(run(0), "");
  EXPECT_EQ(run(0x1208),
            "bad argument: set_ffts_base_addr(0x1208) is not the address for cross-core signals "
            "that the launch was given");
  player.device().SetSyncAddress(nullptr);
  EXPECT_EQ(run(0x1208), "");
}

}  // namespace
}  // namespace vnpu_test
