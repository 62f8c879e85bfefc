// SPDX-License-Identifier: Apache-2.0
// Arguments of testing/acl_test.cce, for the kernel and the tests.
#ifndef VNPU_ACL_TESTING_ACL_TEST_ARGS_H_
#define VNPU_ACL_TESTING_ACL_TEST_ARGS_H_

#include <stdint.h>

namespace vnpu_acl_test {

enum Mode : uint32_t {
  kCopy = 0,
  kTrap = 1,
  kForgetFlag = 2,   // waits for an event that nobody sets
  kForgetPair = 3,   // stores what may not be loaded yet: a race
  kSyncAddress = 4,  // hands src on as the address for cross-core signals
};

}  // namespace vnpu_acl_test

#endif  // VNPU_ACL_TESTING_ACL_TEST_ARGS_H_
