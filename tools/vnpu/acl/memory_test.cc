// SPDX-License-Identifier: Apache-2.0
// Allocation, copies and fills of the C interface.
#include <cstring>
#include <numeric>
#include <thread>

#include "tools/vnpu/acl/acl_control_abi.h"
#include "tools/vnpu/acl/testing/acl_testing.h"
#include "tools/vnpu/acl/vnpu_extensions.h"
#include "tools/vnpu/core/device.h"

namespace vnpu_acl_test {
namespace {

constexpr uint64_t kHbmBytes = 64 << 20;

// Read at the first call of the library.
const bool environment_set = [] {
  setenv("ASCEND_ATTENTION_VNPU_HBM_BYTES", std::to_string(kHbmBytes).c_str(), 1);
  setenv("ASCEND_ATTENTION_VNPU_DEVICES", "2", 1);
  return true;
}();

class MemoryTest : public AclTest {};

size_t FreeBytes() {
  size_t free = 0, total = 0;
  EXPECT_ACL(aclrtGetMemInfo(ACL_HBM_MEM, &free, &total));
  EXPECT_EQ(total, kHbmBytes);
  return free;
}

TEST_F(MemoryTest, BlocksAreAlignedTo512BytesAndCounted) {
  const size_t before = FreeBytes();
  void* a = nullptr;
  void* b = nullptr;
  ASSERT_ACL(aclrtMalloc(&a, 1000, ACL_MEM_MALLOC_HUGE_FIRST));
  ASSERT_ACL(aclrtMallocAlign32(&b, 1000, ACL_MEM_MALLOC_NORMAL_ONLY));
  EXPECT_EQ(reinterpret_cast<uintptr_t>(a) % 512, 0u);
  EXPECT_EQ(reinterpret_cast<uintptr_t>(b) % 512, 0u);
  EXPECT_LE(FreeBytes(), before - 2000);
  EXPECT_ACL(aclrtFree(a));
  EXPECT_ACL(aclrtFree(b));
  EXPECT_EQ(FreeBytes(), before);
}

TEST_F(MemoryTest, MallocAppends32BytesAndMallocAlign32OnlyRounds) {
  void* padded = nullptr;
  void* rounded = nullptr;
  ASSERT_ACL(aclrtMalloc(&padded, 100, ACL_MEM_MALLOC_HUGE_FIRST));
  ASSERT_ACL(aclrtMallocAlign32(&rounded, 100, ACL_MEM_MALLOC_HUGE_FIRST));
  EXPECT_ACL(aclrtMemset(padded, 160, 1, 160));
  ExpectError(aclrtMemset(padded, 161, 1, 161), ACL_ERROR_RT_PARAM_INVALID, {"devPtr", "161"});
  EXPECT_ACL(aclrtMemset(rounded, 128, 1, 128));
  ExpectError(aclrtMemset(rounded, 129, 1, 129), ACL_ERROR_RT_PARAM_INVALID, {"devPtr", "129"});
  EXPECT_ACL(aclrtFree(padded));
  EXPECT_ACL(aclrtFree(rounded));
}

TEST_F(MemoryTest, TooLargeIsOutOfMemoryAndTheDeviceStaysUsable) {
  const size_t before = FreeBytes();
  void* block = nullptr;
  ExpectError(aclrtMalloc(&block, kHbmBytes + 1, ACL_MEM_MALLOC_HUGE_FIRST),
              ACL_ERROR_RT_MEMORY_ALLOCATION, {"aclrtMalloc", "size = 67108865", "67108864"});
  ExpectError(aclrtMalloc(&block, SIZE_MAX - 3, ACL_MEM_MALLOC_HUGE_FIRST),
              ACL_ERROR_RT_MEMORY_ALLOCATION, {"out of device memory"});
  EXPECT_EQ(block, nullptr);
  std::vector<void*> blocks;
  while (aclrtMalloc(&block, kHbmBytes / 8, ACL_MEM_MALLOC_HUGE_FIRST) == ACL_SUCCESS) {
    blocks.push_back(block);
  }
  EXPECT_EQ(aclrtPeekAtLastError(ACL_RT_THREAD_LEVEL), 207001);
  EXPECT_EQ(blocks.size(), 7u);  // the eighth has no room for the padding
  RecentMessage();
  for (void* live : blocks) EXPECT_ACL(aclrtFree(live));
  EXPECT_EQ(FreeBytes(), before);
}

TEST_F(MemoryTest, CopiesOfAnySizeArriveWhole) {
  for (const size_t bytes : {size_t{1}, size_t{31}, size_t{32}, size_t{33}, size_t{511},
                             size_t{4097}, (size_t{1} << 20) + 7}) {
    const std::vector<uint8_t> content = Pattern(bytes, static_cast<uint32_t>(bytes));
    const DeviceBuffer first(content);
    const DeviceBuffer second(bytes);
    ASSERT_ACL(
        aclrtMemcpy(second.address(), bytes, first.address(), bytes, ACL_MEMCPY_DEVICE_TO_DEVICE));
    EXPECT_EQ(second.Read(), content) << bytes;
  }
}

TEST_F(MemoryTest, EveryKindOfSynchronousCopyWorks) {
  const std::vector<uint8_t> content = Pattern(100, 1);
  std::vector<uint8_t> host(100);
  const DeviceBuffer device(100);
  const DeviceBuffer other(100);
  EXPECT_ACL(aclrtMemcpy(host.data(), 100, content.data(), 100, ACL_MEMCPY_HOST_TO_HOST));
  EXPECT_EQ(host, content);
  for (const aclrtMemcpyKind kind :
       {ACL_MEMCPY_HOST_TO_DEVICE, ACL_MEMCPY_HOST_TO_BUF_TO_DEVICE, ACL_MEMCPY_DEFAULT}) {
    EXPECT_ACL(aclrtMemset(device.address(), 100, 0, 100));
    EXPECT_ACL(aclrtMemcpy(device.address(), 100, content.data(), 100, kind));
    EXPECT_EQ(device.Read(), content) << kind;
  }
  for (const aclrtMemcpyKind kind :
       {ACL_MEMCPY_DEVICE_TO_DEVICE, ACL_MEMCPY_INNER_DEVICE_TO_DEVICE, ACL_MEMCPY_DEFAULT}) {
    EXPECT_ACL(aclrtMemset(other.address(), 100, 0, 100));
    EXPECT_ACL(aclrtMemcpy(other.address(), 100, device.address(), 100, kind));
    EXPECT_EQ(other.Read(), content) << kind;
  }
  std::fill(host.begin(), host.end(), uint8_t{0});
  EXPECT_ACL(aclrtMemcpy(host.data(), 100, device.address(), 100, ACL_MEMCPY_DEFAULT));
  EXPECT_EQ(host, content);
  EXPECT_ACL(aclrtMemcpy(nullptr, 0, nullptr, 0, ACL_MEMCPY_HOST_TO_DEVICE));
}

TEST_F(MemoryTest, CopiesBetweenTwoDevicesWork) {
  const std::vector<uint8_t> content = Pattern(1000, 2);
  const DeviceBuffer here(content);
  ASSERT_ACL(aclrtSetDevice(1));
  ASSERT_ACL(aclrtDeviceEnablePeerAccess(0, 0));
  {
    const DeviceBuffer there(1000);
    EXPECT_ACL(aclrtMemcpy(there.address(), 1000, here.address(), 1000,
                           ACL_MEMCPY_INTER_DEVICE_TO_DEVICE));
    EXPECT_EQ(there.Read(), content);
    ExpectError(
        aclrtMemcpy(there.address(), 1000, here.address(), 1000, ACL_MEMCPY_INNER_DEVICE_TO_DEVICE),
        ACL_ERROR_RT_PARAM_INVALID, {"dst is on device 1", "src on device 0"});
    EXPECT_EQ(FreeBytes(), kHbmBytes - 1024);
  }
  ASSERT_ACL(aclrtResetDevice(1));
  ASSERT_ACL(aclrtSetDevice(0));
}

TEST_F(MemoryTest, BadCopiesAreRefusedAndTouchNothing) {
  const std::vector<uint8_t> content = Pattern(64, 3);
  const DeviceBuffer device(content);
  std::vector<uint8_t> host(128, 7);
  ExpectError(aclrtMemcpy(device.address(), 32, host.data(), 64, ACL_MEMCPY_HOST_TO_DEVICE), 107000,
              {"aclrtMemcpy", "count = 64", "destMax = 32"});
  ExpectError(aclrtMemcpy(nullptr, 64, host.data(), 64, ACL_MEMCPY_HOST_TO_DEVICE), 100000,
              {"dst is a null pointer"});
  ExpectError(aclrtMemcpy(device.address(), 64, nullptr, 64, ACL_MEMCPY_HOST_TO_DEVICE), 100000,
              {"src is a null pointer"});
  ExpectError(aclrtMemcpy(device.address(), 64, host.data(), 64, static_cast<aclrtMemcpyKind>(9)),
              100000, {"kind = 9"});
  ExpectError(aclrtMemcpy(device.address(), 128, host.data(), 65, ACL_MEMCPY_HOST_TO_DEVICE),
              107000, {"dst = ", "65 bytes"});
  ExpectError(aclrtMemcpy(device.bytes() + 63, 128, host.data(), 2, ACL_MEMCPY_DEFAULT), 107000,
              {"dst = ", "run over the end"});
  ExpectError(aclrtMemcpy(host.data(), 64, device.address(), 64, ACL_MEMCPY_HOST_TO_HOST), 107000,
              {"src = ", "memory of device 0", "kind = 0"});
  ExpectError(aclrtMemcpy(host.data(), 64, host.data() + 64, 64, ACL_MEMCPY_DEVICE_TO_HOST), 107000,
              {"src = ", "live device allocation"});
  EXPECT_EQ(device.Read(), content);
  EXPECT_EQ(host, std::vector<uint8_t>(128, 7));
}

TEST_F(MemoryTest, FreedMemoryIsFoundOut) {
  std::vector<uint8_t> host(64);
  void* block = nullptr;
  ASSERT_ACL(aclrtMalloc(&block, 64, ACL_MEM_MALLOC_HUGE_FIRST));
  ExpectError(aclrtFree(static_cast<uint8_t*>(block) + 32), 107000, {"devPtr", "not the start"});
  ASSERT_ACL(aclrtFree(block));
  ExpectError(aclrtFree(block), 107000, {"aclrtFree", "devPtr", "freed before"});
  ExpectError(aclrtMemcpy(host.data(), 64, block, 64, ACL_MEMCPY_DEVICE_TO_HOST), 107000, {"src"});
  ExpectError(aclrtMemset(block, 64, 0, 64), 107000, {"devPtr"});
  ExpectError(aclrtFree(nullptr), 100000, {"devPtr is a null pointer"});
  ExpectError(aclrtFree(host.data()), 107000, {"not from aclrtMalloc"});
}

TEST_F(MemoryTest, MemoryFreedUnderAnAsynchronousCopyIsAnErrorOfTheStream) {
  aclrtStream stream = nullptr;
  ASSERT_ACL(aclrtCreateStream(&stream));
  const DeviceBuffer live(64);
  void* freed = nullptr;
  ASSERT_ACL(aclrtMalloc(&freed, 64, ACL_MEM_MALLOC_HUGE_FIRST));
  {
    Gate gate(stream);
    ASSERT_ACL(
        aclrtMemcpyAsync(freed, 64, live.address(), 64, ACL_MEMCPY_DEVICE_TO_DEVICE, stream));
    ASSERT_ACL(aclrtFree(freed));
  }
  ExpectError(aclrtSynchronizeStream(stream), ACL_ERROR_RT_SYS_DMA, {"dst = ", "freed before"});
  EXPECT_ACL(aclrtSynchronizeStream(stream));
  EXPECT_ACL(aclrtDestroyStream(stream));
}

TEST_F(MemoryTest, AsynchronousCopiesFollowPinnedMemory) {
  aclrtStream stream = nullptr;
  ASSERT_ACL(aclrtCreateStream(&stream));
  void* pinned_address = nullptr;
  ASSERT_ACL(aclrtMallocHost(&pinned_address, 256));
  auto* pinned = static_cast<uint8_t*>(pinned_address);
  const DeviceBuffer device(256);
  ASSERT_ACL(aclrtMemset(device.address(), 256, 0xEE, 256));
  const std::vector<uint8_t> content = Pattern(256, 4);
  {
    Gate gate(stream);
    std::memcpy(pinned, content.data(), 256);
    ASSERT_ACL(
        aclrtMemcpyAsync(device.address(), 256, pinned, 128, ACL_MEMCPY_HOST_TO_DEVICE, stream));
    ASSERT_ACL(aclrtMemcpyAsync(device.bytes() + 128, 128, pinned + 128, 128,
                                ACL_MEMCPY_HOST_TO_BUF_TO_DEVICE, stream));
    EXPECT_EQ(device.Read(), std::vector<uint8_t>(256, 0xEE));  // nothing has moved yet
    std::memset(pinned + 128, 0, 128);  // the second copy has taken its bytes already
  }
  ASSERT_ACL(aclrtSynchronizeStream(stream));
  EXPECT_EQ(device.Read(), content);
  EXPECT_ACL(aclrtFreeHost(pinned));
  EXPECT_ACL(aclrtDestroyStream(stream));
}

TEST_F(MemoryTest, AsynchronousCopiesOfPageableMemoryReturnWhenDone) {
  aclrtStream stream = nullptr;
  ASSERT_ACL(aclrtCreateStream(&stream));
  const DeviceBuffer device(1 << 20);
  for (uint32_t round = 0; round < 20; ++round) {
    std::vector<uint8_t> content = Pattern(1 << 20, round);
    const std::vector<uint8_t> expected = content;
    ASSERT_ACL(aclrtMemcpyAsync(device.address(), content.size(), content.data(), content.size(),
                                ACL_MEMCPY_HOST_TO_DEVICE, stream));
    std::fill(content.begin(), content.end(), uint8_t{0});
    ASSERT_ACL(aclrtMemcpyAsync(content.data(), content.size(), device.address(), content.size(),
                                ACL_MEMCPY_DEVICE_TO_HOST, stream));
    ASSERT_EQ(content, expected);
  }
  std::vector<uint8_t> host(8);
  ExpectError(aclrtMemcpyAsync(host.data(), 4, host.data() + 4, 4, ACL_MEMCPY_HOST_TO_HOST, stream),
              207000, {"host to host"});
  ExpectError(
      aclrtMemcpyAsync(device.address(), 4, host.data(), 8, ACL_MEMCPY_HOST_TO_DEVICE, stream),
      107000, {"count = 8", "destMax = 4"});
  EXPECT_ACL(aclrtDestroyStream(stream));
}

TEST_F(MemoryTest, FillsSetBytes) {
  const DeviceBuffer device(100);
  ASSERT_ACL(aclrtMemset(device.address(), 100, 0x1234, 100));
  EXPECT_EQ(device.Read(), std::vector<uint8_t>(100, 0x34));
  ASSERT_ACL(aclrtMemsetAsync(device.bytes() + 1, 99, 5, 98, nullptr));
  ASSERT_ACL(aclrtSynchronizeStream(nullptr));
  std::vector<uint8_t> expected(100, 5);
  expected.front() = expected.back() = 0x34;
  EXPECT_EQ(device.Read(), expected);
  ExpectError(aclrtMemset(device.address(), 10, 0, 11), 107000, {"count = 11", "maxCount = 10"});
  ExpectError(aclrtMemsetAsync(nullptr, 10, 0, 10, nullptr), 100000, {"devPtr is a null pointer"});
}

TEST_F(MemoryTest, PointersKnowWhereTheyLie) {
  void* pinned = nullptr;
  ASSERT_ACL(aclrtMallocHost(&pinned, 10));
  const DeviceBuffer device(64);
  int local = 0;
  aclrtPtrAttributes attributes;
  ASSERT_ACL(aclrtPointerGetAttributes(device.bytes() + 63, &attributes));
  EXPECT_EQ(attributes.location.type, ACL_MEM_LOCATION_TYPE_DEVICE);
  EXPECT_EQ(attributes.location.id, 0u);
  ASSERT_ACL(aclrtPointerGetAttributes(static_cast<uint8_t*>(pinned) + 9, &attributes));
  EXPECT_EQ(attributes.location.type, ACL_MEM_LOCATION_TYPE_HOST);
  ASSERT_ACL(aclrtPointerGetAttributes(&local, &attributes));
  EXPECT_EQ(attributes.location.type, ACL_MEM_LOCATION_TYPE_UNREGISTERED);
  EXPECT_ACL(aclrtFreeHost(pinned));
  ExpectError(aclrtFreeHost(pinned), 107000, {"hostPtr", "not the start"});
  ExpectError(aclrtMallocHost(&pinned, 0), 100000, {"size = 0"});
}

TEST_F(MemoryTest, OnlyHbmHasMemory) {
  size_t free = 1, total = 1;
  ASSERT_ACL(aclrtGetMemInfo(ACL_DDR_MEM, &free, &total));
  EXPECT_EQ(free, 0u);
  EXPECT_EQ(total, 0u);
  ASSERT_ACL(aclrtGetMemInfo(ACL_HBM_MEM_HUGE, &free, &total));
  EXPECT_EQ(total, kHbmBytes);
  ExpectError(aclrtGetMemInfo(static_cast<aclrtMemAttr>(18), &free, &total), 100000, {"attr = 18"});
  ExpectError(aclrtGetMemInfo(ACL_HBM_MEM, nullptr, &total), 100000, {"free is a null pointer"});
}

TEST_F(MemoryTest, AThreadWithoutDeviceGetsNoMemory) {
  std::thread([] {
    void* block = nullptr;
    ExpectError(aclrtMalloc(&block, 64, ACL_MEM_MALLOC_HUGE_FIRST), 107002,
                {"no device", "aclrtSetDevice"});
  }).join();
}

TEST_F(MemoryTest, TensorsCanBeNamedForReports) {
  vnpu::Device* npu = vnpuAclDevice(0);
  ASSERT_NE(npu, nullptr);
  EXPECT_EQ(vnpuAclDevice(2), nullptr);
  EXPECT_EQ(vnpuAclDevice(-1), nullptr);
  EXPECT_EQ(vnpuAclChecksEnabled(0), 0);
  void* block = nullptr;
  ASSERT_ACL(aclrtMalloc(&block, 1024, ACL_MEM_MALLOC_HUGE_FIRST));
  auto* bytes = static_cast<uint8_t*>(block);
  EXPECT_EQ(vnpuAclNameRegion(0, bytes, 512, "key_cache", VNPU_ACL_READ_ONLY), 0);
  EXPECT_EQ(vnpuAclNameRegion(0, bytes + 512, 100000, "value_cache", VNPU_ACL_READ_ONLY), 1);
  EXPECT_EQ(vnpuAclNameRegion(0, bytes, 512, "key_cache", 4), 1);
  EXPECT_EQ(vnpuAclNameRegion(7, bytes, 512, "key_cache", 0), 1);
  EXPECT_EQ(vnpuAclMarkUndefined(0, &npu, 8), 1);
  EXPECT_EQ(vnpuAclMarkUndefined(0, bytes, 512), 0);
  const auto address = reinterpret_cast<uint64_t>(block);
  EXPECT_EQ(npu->Describe(address + 511).rfind("key_cache + 511 (allocation #", 0), 0u);
  EXPECT_EQ(npu->Describe(address + 512).rfind("allocation #", 0), 0u);
  vnpu::Region region;
  ASSERT_TRUE(npu->FindRegion(address + 1, &region));
  EXPECT_EQ(region.rule, vnpu::RegionRule::kReadOnly);
  EXPECT_ACL(aclrtFree(block));
  EXPECT_FALSE(npu->FindRegion(address + 1, &region));
}

}  // namespace
}  // namespace vnpu_acl_test
