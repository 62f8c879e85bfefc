// SPDX-License-Identifier: Apache-2.0
// The argument structs of our kernels, and their launch. Field order is the
// parameter order of the kernel entries (ascend_kernels/decode/decode_f16.cce,
// ascend_kernels/decode_int8/decode_int8_limbs_f16.cce): the runtime copies the
// struct as it is, so change both together.
//
// Next: ascend_kernels/decode/decode_cube.h - what starts running.
#ifndef ASCEND_ATTENTION_HOST_CC_LAUNCH_H_
#define ASCEND_ATTENTION_HOST_CC_LAUNCH_H_

#include <cstdint>

#include "host_cc/acl_api.h"
#include "host_cc/kernel_library.h"

namespace ascend_attention {

struct DecodeKernelArgs {
  uint64_t sync_address = 0;  // for set_ffts_base_addr
  const void* query = nullptr;
  const void* key_cache = nullptr;
  const void* value_cache = nullptr;
  const int32_t* block_table = nullptr;
  void* out = nullptr;
  float* lse = nullptr;
  void* workspace = nullptr;
  uint64_t flags = 0;  // kLaunchWriteLse
};
static_assert(sizeof(DecodeKernelArgs) == 9 * 8, "one 8-byte slot per kernel parameter");

// Of the kernels for an int8 cache. Pointers that its scheme has not are null.
struct DecodeInt8KernelArgs {
  uint64_t sync_address = 0;
  const void* query = nullptr;
  const void* key_cache = nullptr;
  const void* value_cache = nullptr;
  const float* key_scale = nullptr;
  const float* key_offset = nullptr;
  const float* value_scale = nullptr;
  const float* value_offset = nullptr;
  const int32_t* block_table = nullptr;
  void* out = nullptr;
  float* lse = nullptr;
  void* workspace = nullptr;
  uint64_t flags = 0;  // kLaunchWriteLse
};
static_assert(sizeof(DecodeInt8KernelArgs) == 13 * 8, "one 8-byte slot per kernel parameter");

// When the blocks of a launch start. A barrier over all blocks needs them at
// once: of two kernels that share the cores block by block, each could wait for
// blocks of its own that find no core. Source: CANN docs, scheduling mode of
// aclrtLaunchKernelAttr (0 and 1).
enum class BlockStart : uint8_t {
  kAsCoresBecomeFree = 0,
  kAllAtOnce = 1,
};

// Enqueues the kernel. num_blocks counts AIC cores (each with its two AIVs) for
// a mixed kernel, AIV cores for a vector kernel. `args` is copied.
Status LaunchBytes(const AclApi& acl, const Kernel& kernel, uint32_t num_blocks, void* args,
                   size_t args_size, void* stream,
                   BlockStart start = BlockStart::kAsCoresBecomeFree);

template <typename Args>
Status Launch(const AclApi& acl, const Kernel& kernel, uint32_t num_blocks, Args args, void* stream,
              BlockStart start = BlockStart::kAsCoresBecomeFree) {
  return LaunchBytes(acl, kernel, num_blocks, &args, sizeof(args), stream, start);
}

// Whether the stream captures a graph. The device must be current.
StatusOr<bool> IsCapturing(const AclApi& acl, void* stream);

// The device's address for cross-core signals; constant per device.
StatusOr<uint64_t> HardwareSyncAddress(const AclApi& acl);

}  // namespace ascend_attention

#endif  // ASCEND_ATTENTION_HOST_CC_LAUNCH_H_
