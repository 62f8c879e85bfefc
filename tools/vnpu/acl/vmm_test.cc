// SPDX-License-Identifier: Apache-2.0
// Reserved ranges with memory mapped into them, registered host memory, access
// between devices.
#include <unistd.h>

#include <cstdlib>

#include "tools/vnpu/acl/acl_control_abi.h"
#include "tools/vnpu/acl/testing/acl_testing.h"

namespace vnpu_acl_test {
namespace {

constexpr size_t kGranule = size_t{2} << 20;
constexpr aclrtPhysicalMemProp kDevice0 = {
    ACL_MEM_HANDLE_TYPE_NONE,
    ACL_MEM_ALLOCATION_TYPE_PINNED,
    ACL_HBM_MEM_HUGE,
    {0, ACL_MEM_LOCATION_TYPE_DEVICE},
    0,
};

size_t FreeBytes() {
  size_t free = 0, total = 0;
  EXPECT_ACL(aclrtGetMemInfo(ACL_HBM_MEM, &free, &total));
  return free;
}

class VmmTest : public AclTest {
 protected:
  void SetUp() override {
    AclTest::SetUp();
    ASSERT_ACL(aclrtReserveMemAddress(&range_, 8 * kGranule, 0, nullptr, 1));
  }
  void TearDown() override {
    EXPECT_ACL(aclrtReleaseMemAddress(range_));
    AclTest::TearDown();
  }
  uint8_t* At(size_t granule) const { return static_cast<uint8_t*>(range_) + granule * kGranule; }
  static aclrtDrvMemHandle NewBlock(size_t granules) {
    aclrtDrvMemHandle handle = nullptr;
    EXPECT_ACL(aclrtMallocPhysical(&handle, granules * kGranule, &kDevice0, 0));
    return handle;
  }
  void* range_ = nullptr;
};

TEST_F(VmmTest, PiecesThatTouchAreOneMemoryToCopiesAndKernels) {
  aclrtDrvMemHandle first = NewBlock(1), second = NewBlock(1);
  ASSERT_ACL(aclrtMapMem(At(1), kGranule, 0, second, 0));
  ASSERT_ACL(aclrtMapMem(At(0), kGranule, 0, first, 0));
  // Free handles: the mappings keep the memory.
  ASSERT_ACL(aclrtFreePhysical(first));
  ASSERT_ACL(aclrtFreePhysical(second));
  const std::vector<uint8_t> expected = Pattern(4096, 3);
  uint8_t* across = At(1) - 2048;
  ASSERT_ACL(aclrtMemcpy(across, 4096, expected.data(), 4096, ACL_MEMCPY_HOST_TO_DEVICE));
  aclrtBinHandle binary = nullptr;
  aclrtFuncHandle function = nullptr;
  LoadKernel(&binary, &function);
  DeviceBuffer out(4096);
  ASSERT_ACL(LaunchTestKernel(function, 1, nullptr, {out.address(), across, 128}));
  ASSERT_ACL(aclrtSynchronizeDevice());
  EXPECT_EQ(out.Read(), expected);
  // Behind the mapped part there is nothing.
  ASSERT_ACL(LaunchTestKernel(function, 1, nullptr, {out.address(), At(2) - 32, 2}));
  ExpectError(aclrtSynchronizeDevice(), 507015, {"out of bounds"});
  ExpectError(aclrtMemcpy(out.address(), 64, At(2) - 32, 64, ACL_MEMCPY_DEVICE_TO_DEVICE), 107000,
              {"one live device allocation"});
  aclrtPtrAttributes attributes{};
  ASSERT_ACL(aclrtPointerGetAttributes(At(0), &attributes));
  EXPECT_EQ(attributes.location.type, ACL_MEM_LOCATION_TYPE_DEVICE);
  ExpectError(aclrtFree(At(0)), 107000, {"not the start of a live device allocation"});
  ASSERT_ACL(aclrtUnmapMem(At(0)));
  ExpectError(aclrtMemset(across, 4096, 0, 4096), 107000, {"one live allocation"});
  ASSERT_ACL(aclrtMemset(At(1), 2048, 0, 2048));
  ASSERT_ACL(aclrtUnmapMem(At(1)));
  ASSERT_ACL(aclrtBinaryUnLoad(binary));
}

TEST_F(VmmTest, MemoryKeepsItsBytesBetweenMappings) {
  aclrtDrvMemHandle block = NewBlock(2);
  ASSERT_ACL(aclrtMapMem(At(0), 2 * kGranule, 0, block, 0));
  ASSERT_ACL(aclrtMemset(At(1), kGranule, 5, kGranule));
  ASSERT_ACL(aclrtUnmapMem(At(0)));
  ASSERT_ACL(aclrtMapMem(At(4), kGranule, kGranule, block, 0));
  uint8_t byte = 0;
  ASSERT_ACL(aclrtMemcpy(&byte, 1, At(4) + 99, 1, ACL_MEMCPY_DEVICE_TO_HOST));
  EXPECT_EQ(byte, 5);
  ASSERT_ACL(aclrtUnmapMem(At(4)));
  ASSERT_ACL(aclrtFreePhysical(block));
  block = NewBlock(2);  // the same place, but nothing of its last owner
  ASSERT_ACL(aclrtMapMem(At(0), 2 * kGranule, 0, block, 0));
  ASSERT_ACL(aclrtMemcpy(&byte, 1, At(1) + 99, 1, ACL_MEMCPY_DEVICE_TO_HOST));
  EXPECT_EQ(byte, 0);
  ASSERT_ACL(aclrtUnmapMem(At(0)));
  ASSERT_ACL(aclrtFreePhysical(block));
}

TEST_F(VmmTest, PhysicalMemoryCounts) {
  const size_t before = FreeBytes();
  std::vector<aclrtDrvMemHandle> blocks;
  for (int i = 0; i < 4; ++i) blocks.push_back(NewBlock(2));
  EXPECT_EQ(before - FreeBytes(), 8 * kGranule);
  for (const int i : {1, 3, 2, 0}) ASSERT_ACL(aclrtFreePhysical(blocks[i]));
  EXPECT_EQ(before, FreeBytes());
  const size_t too_much = (before / kGranule + 1) * kGranule;
  aclrtDrvMemHandle handle = nullptr;
  ExpectError(aclrtMallocPhysical(&handle, too_much, &kDevice0, 0), 207001,
              {"out of device memory", "bytes free"});
}

TEST_F(VmmTest, MisuseIsNamed) {
  aclrtDrvMemHandle block = NewBlock(1);
  ASSERT_ACL(aclrtMapMem(At(2), kGranule, 0, block, 0));
  ExpectError(aclrtMapMem(At(2), kGranule, 0, block, 0), 107000, {"unmapped part"});
  ExpectError(aclrtMapMem(At(8), kGranule, 0, block, 0), 107000, {"range reserved on device 0"});
  ExpectError(aclrtMapMem(At(3) + 64, kGranule, 0, block, 0), 107000, {"aligned to 2097152"});
  ExpectError(aclrtMapMem(At(3), 2 * kGranule, 0, block, 0), 107000, {"the handle's 2097152"});
  ExpectError(aclrtMapMem(At(3), kGranule, 0, range_, 0), 107017, {"physical memory"});
  ExpectError(aclrtUnmapMem(At(1)), 107000, {"aclrtMapMem"});
  ExpectError(aclrtReleaseMemAddress(range_), 107000, {"still mapped"});
  ExpectError(aclrtReleaseMemAddress(At(1)), 107000, {"aclrtReserveMemAddress"});
  ASSERT_ACL(aclrtUnmapMem(At(2)));
  ASSERT_ACL(aclrtFreePhysical(block));
  ExpectError(aclrtFreePhysical(block), 107017, {"has been destroyed"});
  void* range = nullptr;
  ExpectError(aclrtReserveMemAddress(&range, 0, 0, nullptr, 0), 107000, {"size = 0"});
  ExpectError(aclrtReserveMemAddress(&range, kGranule, 3, nullptr, 0), 107000, {"alignment = 3"});
  ExpectError(aclrtReserveMemAddress(&range, kGranule, 0, At(0), 0), 207000, {"expectPtr"});
  ExpectError(aclrtMallocPhysical(&block, 100, &kDevice0, 0), 107000, {"size = 100"});
  uint64_t shared = 0;
  ExpectError(aclrtMemExportToShareableHandle(block, ACL_MEM_HANDLE_TYPE_NONE, 0, &shared), 207000,
              {"one process"});
}

TEST_F(VmmTest, RegisteredHostMemoryIsPinned) {
  std::vector<uint8_t> host(4096);
  aclrtPtrAttributes attributes{};
  void* device_address = nullptr;
  ASSERT_ACL(
      aclrtHostRegister(host.data(), host.size(), ACL_HOST_REGISTER_MAPPED, &device_address));
  ASSERT_ACL(aclrtPointerGetAttributes(host.data() + 100, &attributes));
  EXPECT_EQ(attributes.location.type, ACL_MEM_LOCATION_TYPE_HOST);
  ExpectError(aclrtHostRegisterV2(host.data() + 10, 10, ACL_HOST_REG_PINNED), 507910,
              {"registered"});
  ExpectError(aclrtFreeHost(host.data()), 107000, {"aclrtMallocHost"});
  ASSERT_ACL(aclrtHostUnregister(host.data()));
  ExpectError(aclrtHostUnregister(host.data()), 507911, {"aclrtHostRegister"});
  ASSERT_ACL(aclrtPointerGetAttributes(host.data() + 100, &attributes));
  EXPECT_EQ(attributes.location.type, ACL_MEM_LOCATION_TYPE_UNREGISTERED);
}

// The environment of this program says two devices.
TEST_F(VmmTest, CopiesBetweenDevicesWantPeerAccess) {
  int32_t can = 0;
  ASSERT_ACL(aclrtDeviceCanAccessPeer(&can, 0, 1));
  EXPECT_EQ(can, 1);
  ASSERT_ACL(aclrtDeviceCanAccessPeer(&can, 1, 1));
  EXPECT_EQ(can, 0);
  ExpectError(aclrtDeviceCanAccessPeer(&can, 0, 2), 107001, {"deviceId = 2"});
  DeviceBuffer here(Pattern(4096, 1));
  ASSERT_ACL(aclrtSetDevice(1));
  {
    DeviceBuffer there(4096);
    const auto copy = [&] {
      return aclrtMemcpy(there.address(), 4096, here.address(), 4096, ACL_MEMCPY_DEVICE_TO_DEVICE);
    };
    ExpectError(copy(), 107000, {"device 1", "device 0", "aclrtDeviceEnablePeerAccess"});
    ExpectError(aclrtDeviceEnablePeerAccess(1, 0), 107000, {"own device"});
    ASSERT_ACL(aclrtDeviceEnablePeerAccess(0, 0));
    ASSERT_ACL(copy());
    EXPECT_EQ(there.Read(), Pattern(4096, 1));
    ASSERT_ACL(aclrtDeviceDisablePeerAccess(0));
    ExpectError(copy(), 107000, {"aclrtDeviceEnablePeerAccess"});
    ExpectError(aclrtDeviceDisablePeerAccess(0), 107000, {"was not enabled"});
  }
  ASSERT_ACL(aclrtResetDevice(1));
  ASSERT_ACL(aclrtSetDevice(0));
  int32_t pid = 0;
  ASSERT_ACL(aclrtDeviceGetBareTgid(&pid));
  EXPECT_EQ(pid, getpid());
}

}  // namespace
}  // namespace vnpu_acl_test
