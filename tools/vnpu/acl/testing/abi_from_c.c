/* SPDX-License-Identifier: Apache-2.0 */
/* The header as a C compiler sees it, for abi_test.cc. */
#include "tools/vnpu/acl/testing/abi_from_c.h"

size_t AbiSizeFromC(int index) {
  static const size_t kSizes[] = {sizeof(aclrtPlaceHolderInfo), sizeof(aclrtLaunchKernelAttr),
                                  sizeof(aclrtLaunchKernelCfg), sizeof(aclrtBinaryLoadOption),
                                  sizeof(aclrtPtrAttributes),   sizeof(aclCANNPackageVersion),
                                  sizeof(aclrtMemcpyKind),      sizeof(aclError)};
  return kSizes[index];
}

int AbiVersionFromC(void) { return vnpu_abi_version(); }
