// SPDX-License-Identifier: Apache-2.0
#include "host_cc/acl_api.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <cstring>
#include <string>

#include "host_cc/testing/fake_acl.h"

namespace ascend_attention {
namespace {

// A library that has every symbol but `missing`, and is no virtual NPU. The
// symbols are never called.
SymbolFinder AllBut(std::string missing) {
  return [missing](const char* name) -> void* {
    static int symbol = 0;
    const bool absent = name == missing || std::strcmp(name, "vnpu_abi_version") == 0 ||
                        std::strcmp(name, "aclsysGetCANNVersion") == 0;
    return absent ? nullptr : &symbol;
  };
}

TEST(ResolveAclApi, FindsEverySymbol) {
  const StatusOr<AclApi> acl = ResolveAclApi(AllBut(""), "/opt/libascendcl.so");
  ASSERT_TRUE(acl.ok()) << acl.status().ToString();
  EXPECT_NE(acl->aclInit, nullptr);
  EXPECT_NE(acl->aclrtLaunchKernelWithHostArgs, nullptr);
  EXPECT_NE(acl->aclrtGetHardwareSyncAddr, nullptr);
  EXPECT_FALSE(acl->is_virtual);
}

TEST(ResolveAclApi, NamesTheMissingSymbolTheLibraryAndItsVersion) {
#define EXPECT_NAMED(name)                                                                     \
  EXPECT_EQ(ResolveAclApi(AllBut(#name), "/opt/libascendcl.so").status().ToString(),           \
            "FAILED_PRECONDITION: /opt/libascendcl.so (CANN of unknown version) has no " #name \
            ": CANN 8.5.0 or later is needed");
  ASCEND_ATTENTION_ACL_FUNCTIONS(EXPECT_NAMED)
#undef EXPECT_NAMED
}

TEST(ResolveAclApi, TakesTheOlderNameOfTheSyncAddress) {
  const StatusOr<AclApi> acl = ResolveAclApi(AllBut("aclrtGetHardwareSyncAddr"), "old");
  ASSERT_TRUE(acl.ok()) << acl.status().ToString();
  EXPECT_EQ(acl->aclrtGetHardwareSyncAddr, nullptr);
  EXPECT_NE(acl->rtGetC2cCtrlAddr, nullptr);
}

TEST(ResolveAclApi, NeedsOneNameOfTheSyncAddress) {
  const SymbolFinder find = [](const char* name) -> void* {
    return std::strcmp(name, "rtGetC2cCtrlAddr") == 0 ? nullptr
                                                      : AllBut("aclrtGetHardwareSyncAddr")(name);
  };
  EXPECT_EQ(ResolveAclApi(find, "x").status().message(),
            "x (CANN of unknown version) has no aclrtGetHardwareSyncAddr and no rtGetC2cCtrlAddr: "
            "CANN 8.5.0 or later is needed");
}

TEST(LoadAclApi, SaysWhatWasTriedAndWhatToDo) {
  const Status status = LoadAclApi("/nowhere/libascendcl.so").status();
  EXPECT_EQ(status.code(), StatusCode::kFailedPrecondition);
  EXPECT_NE(status.message().find("/nowhere/libascendcl.so: cannot open shared object file"),
            std::string::npos)
      << status.message();
  EXPECT_NE(status.message().find("ASCEND_ATTENTION_ACL_LIBRARY"), std::string::npos);
}

TEST(LoadAclApi, NamesWhereTheLibraryWasAskedFor) {
  setenv("ASCEND_ATTENTION_ACL_LIBRARY", "/nosuch", 1);
  EXPECT_EQ(LoadAclApi("").status().message().find(
                "no ACL library (ASCEND_ATTENTION_ACL_LIBRARY = \"/nosuch\"):"),
            0u);
  EXPECT_EQ(LoadAclApi("/nowhere")
                .status()
                .message()
                .find("no ACL library (acl_library = \"/nowhere\"):"),
            0u);
  unsetenv("ASCEND_ATTENTION_ACL_LIBRARY");
}

TEST(AclFailure, NamesCallCodeAndDetail) {
  FakeAcl fake;
  void* address = nullptr;
  fake.FailNext("aclrtMalloc", 207001, "HBM is full");
  const AclApi& acl = *fake.api();
  const Status status = acl.Check(acl.aclrtMalloc(&address, 4096, ACL_MEM_MALLOC_HUGE_FIRST),
                                  "aclrtMalloc(", 4096, ")");
  EXPECT_EQ(status.ToString(),
            "RESOURCE_EXHAUSTED: aclrtMalloc(4096) failed: 207001 (out of memory): HBM is full");
}

TEST(AclFailure, WorksWithoutDetailAndForUnknownCodes) {
  FakeAcl fake;
  EXPECT_EQ(fake.api()->Failure(424242, "aclInit()").ToString(),
            "INTERNAL: aclInit() failed: 424242 (unknown error)");
}

TEST(AclFailure, MapsCodesToStatus) {
  FakeAcl fake;
  const auto code = [&](int error) { return fake.api()->Failure(error, "x").code(); };
  EXPECT_EQ(code(107000), StatusCode::kInvalidArgument);
  EXPECT_EQ(code(107002), StatusCode::kFailedPrecondition);
  EXPECT_EQ(code(207000), StatusCode::kUnimplemented);
  EXPECT_EQ(code(207018), StatusCode::kResourceExhausted);
  EXPECT_EQ(code(507015), StatusCode::kInternal);
}

}  // namespace
}  // namespace ascend_attention
