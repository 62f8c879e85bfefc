// SPDX-License-Identifier: Apache-2.0
// A kernel library and its entries.
#ifndef VNPU_CORE_KERNEL_MODULE_H_
#define VNPU_CORE_KERNEL_MODULE_H_

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>

#include "tools/vnpu/core/call_table.h"
#include "tools/vnpu/core/device.h"

namespace vnpu {

using Entry = void (*)(const void* args);

class Kernel {
 public:
  std::string name;
  Entry aic = nullptr;
  Entry aiv = nullptr;
  bool mixed = false;  // one AIC and two AIVs per block
  uint64_t argument_bytes = 0;
  bool uses_atomics = false;
  // Variables that each core has for itself, and what they hold at start. The
  // library has them once: such kernels run on one host thread.
  char* block_local = nullptr;
  std::string block_local_image;
  const CallTable* calls = nullptr;
};

}  // namespace vnpu

#endif  // VNPU_CORE_KERNEL_MODULE_H_
