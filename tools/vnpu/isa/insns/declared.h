// SPDX-License-Identifier: Apache-2.0
// The element types for which the dialect has a wrapper of an intrinsic, as
// declared.cce finds them.
#ifndef VNPU_ISA_INSNS_DECLARED_H_
#define VNPU_ISA_INSNS_DECLARED_H_

#include <gtest/gtest.h>

#include <cstdint>
#include <set>
#include <string>
#include <utility>

#include "tools/vnpu/core/device.h"

namespace vnpu_test {

using InsnType = std::pair<uint32_t, uint32_t>;  // VnpuInsn, VnpuType

// Empty after a failure.
inline std::set<InsnType> DeclaredPairs() {
  constexpr uint32_t kLimit = 4096;
  std::string error;
  const auto module =
      vnpu::KernelModule::LoadFile("tools/vnpu/isa/insns/declared_pairs.so", &error);
  EXPECT_NE(module, nullptr) << error;
  std::set<InsnType> pairs;
  if (module == nullptr) return pairs;
  vnpu::Device device((vnpu::DeviceConfig()));
  auto* out = static_cast<uint32_t*>(device.Allocate((1 + 2 * kLimit) * sizeof(uint32_t)));
  struct {
    uint32_t* out;
    uint32_t limit;
  } args = {out, kLimit};
  EXPECT_EQ(device.Launch(*module->Find("declared_pairs_0"), 1, &args, sizeof(args)).text, "");
  EXPECT_LE(out[0], kLimit);
  for (uint32_t i = 0; i < out[0] && i < kLimit; ++i) {
    pairs.insert({out[1 + 2 * i], out[2 + 2 * i]});
  }
  return pairs;
}

}  // namespace vnpu_test

#endif  // VNPU_ISA_INSNS_DECLARED_H_
