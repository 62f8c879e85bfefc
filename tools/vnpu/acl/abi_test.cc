// SPDX-License-Identifier: Apache-2.0
// The binary interface: layouts and values as in the vendor's headers (see
// acl_abi.h), and what the library exports.
#include <dlfcn.h>
#include <elf.h>
#include <gtest/gtest.h>

#include <cstddef>
#include <cstring>
#include <fstream>
#include <iterator>
#include <set>
#include <string>
#include <vector>

#include "tools/vnpu/acl/acl_abi.h"
#include "tools/vnpu/acl/acl_control_abi.h"
#include "tools/vnpu/acl/acl_graph_abi.h"
#include "tools/vnpu/acl/acl_op_abi.h"
#include "tools/vnpu/acl/testing/abi_from_c.h"

namespace {

TEST(LayoutTest, StructuresAreTheVendorsOnes) {
  EXPECT_EQ(sizeof(aclrtPlaceHolderInfo), 8u);
  EXPECT_EQ(offsetof(aclrtPlaceHolderInfo, addrOffset), 0u);
  EXPECT_EQ(offsetof(aclrtPlaceHolderInfo, dataOffset), 4u);
  EXPECT_EQ(sizeof(aclrtLaunchKernelAttrValue), 16u);
  EXPECT_EQ(sizeof(aclrtLaunchKernelAttr), 20u);
  EXPECT_EQ(offsetof(aclrtLaunchKernelAttr, value), 4u);
  EXPECT_EQ(sizeof(aclrtLaunchKernelCfg), 16u);
  EXPECT_EQ(offsetof(aclrtLaunchKernelCfg, numAttrs), 8u);
  EXPECT_EQ(sizeof(aclrtBinaryLoadOption), 20u);
  EXPECT_EQ(offsetof(aclrtBinaryLoadOption, value), 4u);
  EXPECT_EQ(sizeof(aclrtBinaryLoadOptions), 16u);
  EXPECT_EQ(offsetof(aclrtBinaryLoadOptions, numOpt), 8u);
  EXPECT_EQ(sizeof(aclrtMemLocation), 8u);
  EXPECT_EQ(offsetof(aclrtMemLocation, type), 4u);
  EXPECT_EQ(sizeof(aclrtPtrAttributes), 28u);
  EXPECT_EQ(offsetof(aclrtPtrAttributes, pageSize), 8u);
  EXPECT_EQ(offsetof(aclrtPtrAttributes, rsv), 12u);
  EXPECT_EQ(sizeof(aclCANNPackageVersion), 512u);
  EXPECT_EQ(offsetof(aclCANNPackageVersion, majorVersion), 128u);
  EXPECT_EQ(offsetof(aclCANNPackageVersion, minorVersion), 192u);
  EXPECT_EQ(offsetof(aclCANNPackageVersion, releaseVersion), 256u);
  EXPECT_EQ(offsetof(aclCANNPackageVersion, patchVersion), 320u);
  EXPECT_EQ(sizeof(aclrtMemcpyKind), 4u);
  EXPECT_EQ(sizeof(aclrtPhysicalMemProp), 32u);
  EXPECT_EQ(offsetof(aclrtPhysicalMemProp, location), 12u);
  EXPECT_EQ(offsetof(aclrtPhysicalMemProp, reserve), 24u);
  EXPECT_EQ(sizeof(aclrtStreamAttrValue), 16u);
  EXPECT_EQ(sizeof(aclmdlRICaptureMode), 4u);
  EXPECT_EQ(sizeof(rtDevBinary_t), 24u);
}

TEST(LayoutTest, CAndCxxAgree) {
  const size_t kSizes[] = {sizeof(aclrtPlaceHolderInfo), sizeof(aclrtLaunchKernelAttr),
                           sizeof(aclrtLaunchKernelCfg), sizeof(aclrtBinaryLoadOption),
                           sizeof(aclrtPtrAttributes),   sizeof(aclCANNPackageVersion),
                           sizeof(aclrtMemcpyKind),      sizeof(aclError)};
  for (int i = 0; i < 8; ++i) EXPECT_EQ(AbiSizeFromC(i), kSizes[i]) << i;
  EXPECT_EQ(AbiVersionFromC(), vnpu_abi_version());
}

// The whole of it, as in exports.lds.
const std::set<std::string> kExports = {
    "MsprofGetHashId",
    "MsprofRegisterCallback",
    "MsprofReportAdditionalInfo",
    "MsprofReportApi",
    "MsprofReportCompactInfo",
    "MsprofSysCycleTime",
    "aclAppLog",
    "aclCreateDataBuffer",
    "aclCreateTensorDesc",
    "aclDestroyDataBuffer",
    "aclDestroyTensorDesc",
    "aclFinalize",
    "aclGetCompileopt",
    "aclGetCompileoptSize",
    "aclGetDataBufferAddr",
    "aclGetDataBufferSizeV2",
    "aclGetDeviceCapability",
    "aclGetRecentErrMsg",
    "aclGetTensorDescDimV2",
    "aclGetTensorDescFormat",
    "aclGetTensorDescName",
    "aclGetTensorDescNumDims",
    "aclGetTensorDescType",
    "aclInit",
    "aclSetCompileopt",
    "aclSetTensorDescName",
    "aclSetTensorFormat",
    "aclSetTensorPlaceMent",
    "aclSetTensorShape",
    "aclmdlFinalizeDump",
    "aclmdlInitDump",
    "aclmdlRICaptureBegin",
    "aclmdlRICaptureEnd",
    "aclmdlRICaptureGetInfo",
    "aclmdlRICaptureTaskGrpBegin",
    "aclmdlRICaptureTaskGrpEnd",
    "aclmdlRICaptureTaskUpdateBegin",
    "aclmdlRICaptureTaskUpdateEnd",
    "aclmdlRICaptureThreadExchangeMode",
    "aclmdlRIDebugPrint",
    "aclmdlRIDestroy",
    "aclmdlRIExecute",
    "aclmdlRIExecuteAsync",
    "aclmdlRIGetId",
    "aclmdlSetDump",
    "aclopCompileAndExecute",
    "aclopCompileAndExecuteV2",
    "aclopCreateAttr",
    "aclopDestroyAttr",
    "aclopSetAttrBool",
    "aclopSetAttrDataType",
    "aclopSetAttrFloat",
    "aclopSetAttrInt",
    "aclopSetAttrListBool",
    "aclopSetAttrListFloat",
    "aclopSetAttrListInt",
    "aclopSetAttrListListInt",
    "aclopSetAttrString",
    "aclrtBinaryGetFunction",
    "aclrtBinaryLoadFromData",
    "aclrtBinaryLoadFromFile",
    "aclrtBinaryUnLoad",
    "aclrtCreateEvent",
    "aclrtCreateEventExWithFlag",
    "aclrtCreateEventWithFlag",
    "aclrtCreateStream",
    "aclrtCreateStreamWithConfig",
    "aclrtCtxGetSysParamOpt",
    "aclrtCtxSetSysParamOpt",
    "aclrtDestroyEvent",
    "aclrtDestroyStream",
    "aclrtDestroyStreamForce",
    "aclrtDeviceCanAccessPeer",
    "aclrtDeviceDisablePeerAccess",
    "aclrtDeviceEnablePeerAccess",
    "aclrtDeviceGetBareTgid",
    "aclrtEventElapsedTime",
    "aclrtFree",
    "aclrtFreeHost",
    "aclrtFreePhysical",
    "aclrtGetCurrentContext",
    "aclrtGetDevice",
    "aclrtGetDeviceCount",
    "aclrtGetDeviceInfo",
    "aclrtGetDeviceResLimit",
    "aclrtGetDeviceSatMode",
    "aclrtGetFunctionAddr",
    "aclrtGetHardwareSyncAddr",
    "aclrtGetLastError",
    "aclrtGetLogicDevIdByUserDevId",
    "aclrtGetMemInfo",
    "aclrtGetPrimaryCtxState",
    "aclrtGetResInCurrentThread",
    "aclrtGetSocName",
    "aclrtGetStreamAttribute",
    "aclrtGetStreamResLimit",
    "aclrtGetSysParamOpt",
    "aclrtHostRegister",
    "aclrtHostRegisterV2",
    "aclrtHostUnregister",
    "aclrtLaunchCallback",
    "aclrtLaunchHostFunc",
    "aclrtLaunchKernelWithHostArgs",
    "aclrtMalloc",
    "aclrtMallocAlign32",
    "aclrtMallocHost",
    "aclrtMallocPhysical",
    "aclrtMapMem",
    "aclrtMemExportToShareableHandle",
    "aclrtMemImportFromShareableHandle",
    "aclrtMemSetPidToShareableHandle",
    "aclrtMemcpy",
    "aclrtMemcpyAsync",
    "aclrtMemset",
    "aclrtMemsetAsync",
    "aclrtPeekAtLastError",
    "aclrtPointerGetAttributes",
    "aclrtProcessReport",
    "aclrtQueryEventStatus",
    "aclrtQueryEventWaitStatus",
    "aclrtRecordEvent",
    "aclrtReleaseMemAddress",
    "aclrtReserveMemAddress",
    "aclrtResetDevice",
    "aclrtResetEvent",
    "aclrtSetCurrentContext",
    "aclrtSetDevice",
    "aclrtSetDeviceSatMode",
    "aclrtSetOpExecuteTimeOut",
    "aclrtSetOpExecuteTimeOutV2",
    "aclrtSetOpExecuteTimeOutWithMs",
    "aclrtSetStreamAttribute",
    "aclrtSetStreamFailureMode",
    "aclrtSetSysParamOpt",
    "aclrtStreamGetId",
    "aclrtStreamQuery",
    "aclrtStreamWaitEvent",
    "aclrtSubscribeReport",
    "aclrtSynchronizeDevice",
    "aclrtSynchronizeDeviceWithTimeout",
    "aclrtSynchronizeEvent",
    "aclrtSynchronizeStream",
    "aclrtSynchronizeStreamWithTimeout",
    "aclrtUnSubscribeReport",
    "aclrtUnmapMem",
    "aclrtValueWait",
    "aclrtValueWrite",
    "aclsysGetCANNVersion",
    "aclsysGetVersionStr",
    "rtDevBinaryRegister",
    "rtDevBinaryUnRegister",
    "rtFunctionRegister",
    "rtGetC2cCtrlAddr",
    "rtKernelLaunch",
    "vnpuAclChecksEnabled",
    "vnpuAclConfiguration",
    "vnpuAclDevice",
    "vnpuAclFailLaunch",
    "vnpuAclMarkUndefined",
    "vnpuAclNameRegion",
    "vnpu_abi_version",
};

// The sections of the library file that the dynamic linker reads.
class Library {
 public:
  explicit Library(const std::string& path) {
    std::ifstream file(path, std::ios::binary);
    bytes_.assign(std::istreambuf_iterator<char>(file), {});
    const auto header = At<Elf64_Ehdr>(0);
    for (int i = 0; i < header.e_shnum; ++i) {
      const auto section = At<Elf64_Shdr>(header.e_shoff + i * sizeof(Elf64_Shdr));
      if (section.sh_type == SHT_DYNSYM) symbols_ = section;
      if (section.sh_type == SHT_DYNAMIC) dynamic_ = section;
    }
    strings_ = At<Elf64_Shdr>(header.e_shoff + symbols_.sh_link * sizeof(Elf64_Shdr)).sh_offset;
  }

  std::set<std::string> DefinedNames() const {
    std::set<std::string> names;
    for (uint64_t offset = 0; offset < symbols_.sh_size; offset += sizeof(Elf64_Sym)) {
      const auto symbol = At<Elf64_Sym>(symbols_.sh_offset + offset);
      const bool visible = ELF64_ST_BIND(symbol.st_info) != STB_LOCAL;
      if (visible && symbol.st_shndx != SHN_UNDEF) names.insert(Name(symbol.st_name));
    }
    return names;
  }

  std::set<std::string> DynamicNames(int64_t tag) const {
    std::set<std::string> names;
    for (uint64_t offset = 0; offset < dynamic_.sh_size; offset += sizeof(Elf64_Dyn)) {
      const auto entry = At<Elf64_Dyn>(dynamic_.sh_offset + offset);
      if (entry.d_tag == tag) names.insert(Name(entry.d_un.d_val));
    }
    return names;
  }

 private:
  template <typename T>
  T At(uint64_t offset) const {
    T value{};
    if (offset + sizeof(T) <= bytes_.size()) std::memcpy(&value, &bytes_[offset], sizeof(T));
    return value;
  }
  std::string Name(uint64_t offset) const { return &bytes_.at(strings_ + offset); }

  std::vector<char> bytes_;
  Elf64_Shdr symbols_{};
  Elf64_Shdr dynamic_{};
  uint64_t strings_ = 0;
};

Library Loaded() {
  Dl_info info{};
  dladdr(reinterpret_cast<void*>(&vnpu_abi_version), &info);
  return Library(info.dli_fname);
}

TEST(ExportTest, ExactlyTheseNamesAreExported) { EXPECT_EQ(Loaded().DefinedNames(), kExports); }

TEST(ExportTest, EveryNameResolvesByTheLibrarysOwnName) {
  void* library = dlopen("libascendcl.so", RTLD_NOW | RTLD_NOLOAD);
  ASSERT_NE(library, nullptr) << dlerror();
  for (const std::string& name : kExports) EXPECT_NE(dlsym(library, name.c_str()), nullptr) << name;
  dlclose(library);
}

TEST(ExportTest, TheLibraryFindsItsNeighbours) {
  const Library library = Loaded();
  EXPECT_EQ(library.DynamicNames(DT_SONAME), std::set<std::string>{"libascendcl.so"});
  EXPECT_EQ(library.DynamicNames(DT_NEEDED).count("libvnpu.so"), 1u);
  ASSERT_EQ(library.DynamicNames(DT_RUNPATH).size(), 1u);
  const std::string folders = ":" + *library.DynamicNames(DT_RUNPATH).begin() + ":";
  EXPECT_NE(folders.find(":$ORIGIN:"), std::string::npos) << folders;
}

}  // namespace
