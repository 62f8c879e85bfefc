// SPDX-License-Identifier: Apache-2.0
// The parts that a virtual device can be: cores, HBM and L2 as in CANN's
// platform configuration of each.
#ifndef VNPU_CORE_SOC_H_
#define VNPU_CORE_SOC_H_

#include <cstdint>
#include <string>

#include "tools/vnpu/core/device.h"

namespace vnpu {

struct Soc {
  const char* name;
  uint32_t num_cores;
  uint64_t hbm_bytes;
  uint64_t l2_bytes;
};

constexpr Soc kSocs[] = {
    {"Ascend910B1", 24, uint64_t{64} << 30, uint64_t{192} << 20},
    {"Ascend910B2", 24, uint64_t{64} << 30, uint64_t{192} << 20},
    {"Ascend910B2C", 24, uint64_t{64} << 30, uint64_t{192} << 20},
    {"Ascend910B3", 20, uint64_t{64} << 30, uint64_t{192} << 20},
    {"Ascend910B4", 20, uint64_t{32} << 30, uint64_t{96} << 20},
    // One die of an A3 package, a device of its own; bins differ in usable cores.
    {"Ascend910_9391", 24, uint64_t{64} << 30, uint64_t{192} << 20},
    {"Ascend910_9392", 24, uint64_t{64} << 30, uint64_t{192} << 20},
    {"Ascend910_9381", 24, uint64_t{64} << 30, uint64_t{192} << 20},
    {"Ascend910_9382", 24, uint64_t{64} << 30, uint64_t{192} << 20},
    {"Ascend910_9372", 20, uint64_t{64} << 30, uint64_t{192} << 20},
    {"Ascend910_9362", 20, uint64_t{64} << 30, uint64_t{192} << 20},
};

// "Ascend910B1, Ascend910B2, ..."
inline std::string SocNames() {
  std::string names;
  for (const Soc& soc : kSocs) names += (names.empty() ? "" : ", ") + std::string(soc.name);
  return names;
}

// Sets what depends on the part; false if there is none of that name.
inline bool ConfigureSoc(const std::string& name, DeviceConfig* config) {
  for (const Soc& soc : kSocs) {
    if (name != soc.name) continue;
    config->soc_name = soc.name;
    config->num_cores = soc.num_cores;
    config->hbm_bytes = soc.hbm_bytes;
    config->l2_bytes = soc.l2_bytes;
    return true;
  }
  return false;
}

}  // namespace vnpu

#endif  // VNPU_CORE_SOC_H_
