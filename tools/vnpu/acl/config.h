// SPDX-License-Identifier: Apache-2.0
// What the virtual NPU looks like, from the environment.
#ifndef VNPU_ACL_CONFIG_H_
#define VNPU_ACL_CONFIG_H_

#include <cstdint>
#include <string>

#include "tools/vnpu/acl/error.h"
#include "tools/vnpu/core/device.h"
#include "tools/vnpu/report/session.h"

namespace vnpu_acl {

constexpr uint32_t kMaxDevices = 16;

struct Config {
  uint32_t num_devices = 1;
  vnpu::DeviceConfig device;    // of each of them
  vnpu::SessionOptions checks;  // all false: no checkers
};

// "devices=1 soc=Ascend910B1 ...", see vnpuAclConfiguration.
std::string ConfigText(const Config& config);

// Reads the variables of README.md. A value that cannot be used is an error
// that names it; nothing falls back silently.
Result ReadConfig(Config* config);

}  // namespace vnpu_acl

#endif  // VNPU_ACL_CONFIG_H_
