// SPDX-License-Identifier: Apache-2.0
#include "tools/vnpu/acl/vnpu_extensions.h"

#include "tools/vnpu/acl/api.h"
#include "tools/vnpu/acl/runtime.h"

static_assert(static_cast<int>(vnpu::RegionRule::kReadWrite) == VNPU_ACL_READ_WRITE);
static_assert(static_cast<int>(vnpu::RegionRule::kReadOnly) == VNPU_ACL_READ_ONLY);
static_assert(static_cast<int>(vnpu::RegionRule::kOutput) == VNPU_ACL_OUTPUT);
static_assert(static_cast<int>(vnpu::RegionRule::kNoAccess) == VNPU_ACL_NO_ACCESS);

extern "C" {

vnpu::Device* vnpuAclDevice(int32_t device) {
  if (vnpu_acl::IsForkedChild() || device < 0) return nullptr;
  vnpu_acl::Runtime* runtime = nullptr;
  if (!vnpu_acl::GetRuntime(&runtime).ok()) return nullptr;
  vnpu_acl::DeviceState* state = nullptr;
  if (!runtime->FindDevice(static_cast<uint32_t>(device), &state).ok()) return nullptr;
  return &state->npu;
}

int vnpuAclChecksEnabled(int32_t device) {
  const vnpu::Device* npu = vnpuAclDevice(device);
  return npu != nullptr && npu->observed() ? 1 : 0;
}

int vnpuAclNameRegion(int32_t device, const void* begin, uint64_t bytes, const char* name,
                      int rule) {
  vnpu::Device* npu = vnpuAclDevice(device);
  if (npu == nullptr || name == nullptr || rule < VNPU_ACL_READ_WRITE ||
      rule > VNPU_ACL_NO_ACCESS) {
    return 1;
  }
  return npu->NameRegion(begin, bytes, name, static_cast<vnpu::RegionRule>(rule)) ? 0 : 1;
}

int vnpuAclMarkUndefined(int32_t device, const void* begin, uint64_t bytes) {
  vnpu::Device* npu = vnpuAclDevice(device);
  if (npu == nullptr || !npu->Contains(begin, bytes)) return 1;
  npu->SetDefined(begin, bytes, false);
  return 0;
}

const char* vnpuAclConfiguration() {
  if (vnpu_acl::IsForkedChild()) return nullptr;
  const vnpu_acl::Runtime* runtime = vnpu_acl::StartedRuntime();
  return runtime != nullptr ? runtime->configuration().c_str() : nullptr;
}

int vnpuAclFailLaunch(int32_t device, uint64_t nth, int32_t code) {
  constexpr int32_t kFirst = 507000, kLast = 507999;
  if (vnpu_acl::IsForkedChild() || code < kFirst || code > kLast) return 1;
  vnpu_acl::Runtime* runtime = nullptr;
  vnpu_acl::DeviceState* state = nullptr;
  if (!vnpu_acl::GetRuntime(&runtime).ok() || !runtime->FindDevice(device, &state).ok()) return 1;
  std::lock_guard lock(state->launch_mutex);
  state->launches_to_failure = nth;
  state->failure_code = code;
  return 0;
}

}  // extern "C"
