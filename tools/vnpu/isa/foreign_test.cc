// SPDX-License-Identifier: Apache-2.0
// Forms and names that kernels written elsewhere use: equal results of equal
// forms, and the fault of each name that is not modelled.
#include "tools/vnpu/isa/foreign_cases.h"
#include "tools/vnpu/isa/insns/player.h"

namespace vnpu_test {
namespace {

struct Row {
  const char* name;
  const char* reason;
  const char* nearest;
};
const Row kRows[] = {
#define VNPU_UNMODELLED(id, name, reason, nearest, ...) {name, reason, nearest},
#include "tools/vnpu/isa/unmodelled.inc"
#undef VNPU_UNMODELLED
};

class ForeignTest : public testing::Test {
 protected:
  ForeignTest() : device_(vnpu::DeviceConfig{}) {
    std::string error;
    module_ = vnpu::KernelModule::LoadFile("tools/vnpu/isa/foreign_cases.so", &error);
    EXPECT_NE(module_, nullptr) << error;
    in_ = static_cast<float*>(device_.Allocate(2 * kForeignRowBytes));
    out_ = static_cast<uint8_t*>(device_.Allocate(kForeignRows * kForeignRowBytes));
    // Pairs of score and index, each list of 8 descending.
    for (int i = 0; i < 128; ++i)
      in_[i] = i % 2 == 0 ? 5.0f - i % 16 / 2 + i / 16 * 0.25f : 1.5f * i;
    std::memset(out_, 0xa5, kForeignRows * kForeignRowBytes);
  }
  // The first line of the fault, or empty.
  std::string Run(int32_t which) {
    struct {
      const void* in;
      void* out;
      int32_t which;
    } args = {in_, out_, which};
    const vnpu::LaunchResult result =
        device_.Launch(*module_->Find("foreign_cases_0"), 1, &args, sizeof(args));
    return result.text.substr(0, result.text.find('\n'));
  }
  template <typename T>
  T Value(int row, int index) const {
    T value;
    std::memcpy(&value, out_ + row * kForeignRowBytes + index * sizeof(T), sizeof(T));
    return value;
  }

  vnpu::Device device_;
  std::shared_ptr<vnpu::KernelModule> module_;
  float* in_;
  uint8_t* out_;
};

TEST_F(ForeignTest, FormsGiveWhatTheFormWithAllFieldsGives) {
  ASSERT_EQ(Run(kForeignForms), "");
  for (int pair = 0; pair < kForeignPairs; ++pair) {
    const uint8_t* plain = out_ + 2 * pair * kForeignRowBytes;
    EXPECT_EQ(std::memcmp(plain, plain + kForeignRowBytes, kForeignRowBytes), 0) << pair;
    const std::vector<uint8_t> zeros(kForeignRowBytes);
    EXPECT_NE(std::memcmp(plain, zeros.data(), kForeignRowBytes), 0) << pair;
  }
  for (int i = 0; i < 64; ++i) {
    EXPECT_EQ(Value<float>(0, i), in_[i] + in_[64 + i]);
    EXPECT_EQ(Value<float>(18, i), in_[i] < in_[64 + i] ? in_[i] : in_[64 + i]);
  }
}

TEST_F(ForeignTest, FillsTakeTheBitsOfTheirValue) {
  ASSERT_EQ(Run(kForeignForms), "");
  EXPECT_EQ(Value<uint32_t>(2 * kForeignPairs, 5), 0x3f800000u);
  EXPECT_EQ(Value<uint16_t>(2 * kForeignPairs + 1, 7), 0x3c00u);
}

TEST_F(ForeignTest, ScalarsAndNamesShadowedByMembers) {
  ASSERT_EQ(Run(kForeignForms), "");
  EXPECT_EQ(Value<uint64_t>(kForeignScalars, 0), 0x4444333322221111u);
  EXPECT_EQ(Value<uint64_t>(kForeignScalars, 1), 5u);
  EXPECT_EQ(Value<uint64_t>(kForeignScalars, 2), 2u);
  EXPECT_EQ(Value<uint64_t>(kForeignScalars, 3), 64u);
  EXPECT_EQ(Value<float>(kForeignScalars, 8), 1.0f);
}

TEST_F(ForeignTest, EveryRowIsAFaultThatNamesIt) {
  int32_t which = kForeignById;
  for (const Row& row : kRows) {
    EXPECT_EQ(Run(which++), std::string("not modelled: ") + row.name + ": " + row.reason +
                                "; nearest: " + row.nearest);
  }
  EXPECT_EQ(Run(which).rfind("bad argument: unmodelled which = " + std::to_string(which - 1), 0),
            0u);
}

TEST_F(ForeignTest, NamesLeadToTheirRow) {
  EXPECT_EQ(Run(kForeignFmatrix),
            "not modelled: set_fmatrix: convolution loads are not modelled; nearest: "
            "load_cbuf_to_ca");
  EXPECT_EQ(Run(kForeignImg2col),
            "not modelled: img2colv2_cbuf_to_ca: convolution loads are not modelled; nearest: "
            "load_cbuf_to_ca");
  EXPECT_EQ(Run(kForeignPackedMad),
            "not modelled: mad with packed fields: the packed form of its fields is not modelled; "
            "nearest: mad");
  EXPECT_EQ(Run(kForeignStrideMode),
            "not modelled: a vector operation with its stride mode set: stride modes are not "
            "modelled; nearest: the form without them");
  EXPECT_EQ(Run(kForeignBoundary),
            "not modelled: set_l1_3d_size: convolution loads are not modelled, so the boundary can "
            "only be 0; nearest: load_cbuf_to_ca");
  EXPECT_EQ(Run(kForeignAtomic),
            "not modelled: set_st_atomic_cfg: this state of a core is not modelled; nearest: "
            "set_atomic_add and set_atomic_f32");
  EXPECT_EQ(Run(kForeignFusedConversion),
            "not modelled: vaddreluconv_vdeqs162b8: fused vector conversions are not modelled; "
            "nearest: vaddrelu");
}

}  // namespace
}  // namespace vnpu_test
