// SPDX-License-Identifier: Apache-2.0
// The library as it is installed: a folder with the shared library, the virtual
// NPU and the kernels finds its parts by itself, wherever the folder is.
#include <dlfcn.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <string>

#include "host_cc/include/ascend_attention/c_api.h"

namespace ascend_attention {
namespace {

namespace fs = std::filesystem;

fs::path Install() {
  const fs::path package = fs::path(testing::TempDir()) / "somewhere/package";
  fs::remove_all(package);
  const auto copy = [&](const std::string& from, const std::string& folder) {
    fs::create_directories(package / folder);
    fs::copy_file(from, package / folder / fs::path(from).filename());
  };
  copy("host_cc/libascend_attention.so", "");
  copy("tools/vnpu/acl/libascendcl.so", "vnpu/lib");
  copy("tools/vnpu/core/libvnpu.so", "vnpu/lib");
  copy("ascend_kernels/decode/decode_f16.so", "kernels/vnpu");
  return package;
}

bool IsMapped(const fs::path& file) {
  std::ifstream maps("/proc/self/maps");
  std::string line;
  while (std::getline(maps, line)) {
    if (line.find(fs::canonical(file).string()) != std::string::npos) return true;
  }
  return false;
}

TEST(Installed, FindsItsVirtualNpuAndItsKernels) {
  const fs::path package = Install();
  void* library = dlopen((package / "libascend_attention.so").c_str(), RTLD_NOW | RTLD_LOCAL);
  ASSERT_NE(library, nullptr) << dlerror();
#define FIND(name)                                                          \
  const auto name = reinterpret_cast<decltype(&::ascend_attention_##name)>( \
      dlsym(library, "ascend_attention_" #name));                           \
  ASSERT_NE(name, nullptr)
  FIND(last_error);
  FIND(runtime_open);
  FIND(runtime_close);
  FIND(runtime_description);
  FIND(decode_create);
  FIND(decode_destroy);
#undef FIND

  AscendAttentionRuntime* runtime = nullptr;
  ASSERT_EQ(runtime_open(nullptr, &runtime), ASCEND_ATTENTION_OK) << last_error();
  EXPECT_NE(std::string(runtime_description(runtime)).find("(virtual NPU)"), std::string::npos);
  EXPECT_TRUE(IsMapped(package / "vnpu/lib/libascendcl.so"));
  EXPECT_TRUE(IsMapped(package / "vnpu/lib/libvnpu.so"));

  AscendAttentionDecodeShape shape = {};
  shape.batch = 1;
  shape.num_heads = shape.num_kv_heads = 8;
  shape.head_dim = 64;
  shape.kv_block_size = 16;
  shape.num_kv_blocks = shape.max_kv_blocks = 4;
  AscendAttentionDecode* decode = nullptr;
  ASSERT_EQ(decode_create(runtime, &shape, 1.0f, &decode), ASCEND_ATTENTION_OK) << last_error();
  decode_destroy(decode);

  // Without its kernel a package says so; it does not look elsewhere silently.
  shape.dtype = ASCEND_ATTENTION_BFLOAT16;
  setenv("ASCEND_ATTENTION_KERNEL_DIR", (package / "kernels").c_str(), 1);
  EXPECT_EQ(decode_create(runtime, &shape, 1.0f, &decode), ASCEND_ATTENTION_FAILED_PRECONDITION);
  EXPECT_EQ(std::string(last_error()),
            "kernel binary " + (package / "kernels/vnpu/decode_bf16.so").string() +
                " not found; without ASCEND_ATTENTION_KERNEL_DIR those beside the library are "
                "taken, and in "
                "the source tree ./bazelw build //ascend_kernels/... makes it");
  runtime_close(runtime);
}

}  // namespace
}  // namespace ascend_attention
