/* SPDX-License-Identifier: Apache-2.0 */
/* What abi_from_c.c finds: calls and layouts do not depend on the language. */
#ifndef VNPU_ACL_TESTING_ABI_FROM_C_H_
#define VNPU_ACL_TESTING_ABI_FROM_C_H_

#include "tools/vnpu/acl/acl_abi.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Of the index-th type in the list of abi_from_c.c. */
size_t AbiSizeFromC(int index);
int AbiVersionFromC(void);

#ifdef __cplusplus
}
#endif

#endif /* VNPU_ACL_TESTING_ABI_FROM_C_H_ */
