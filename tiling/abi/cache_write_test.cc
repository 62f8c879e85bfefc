// SPDX-License-Identifier: Apache-2.0
#include "tiling/abi/cache_write.h"

#include <gtest/gtest.h>

#include <cstddef>
#include <type_traits>

namespace ascend_attention {
namespace {

TEST(CacheWriteError, IsOneCacheLineWithoutHoles) {
  static_assert(std::is_standard_layout_v<CacheWriteError>);
  static_assert(std::is_trivially_copyable_v<CacheWriteError>);
  EXPECT_EQ(sizeof(CacheWriteError), 64u);
  EXPECT_EQ(alignof(CacheWriteError), 64u);
  EXPECT_EQ(offsetof(CacheWriteError, found), 0u);
  EXPECT_EQ(offsetof(CacheWriteError, token), 8u);
  EXPECT_EQ(offsetof(CacheWriteError, slot), 16u);
  EXPECT_EQ(offsetof(CacheWriteError, num_slots), 24u);
  EXPECT_EQ(offsetof(CacheWriteError, reserved), 32u);
}

}  // namespace
}  // namespace ascend_attention
