// SPDX-License-Identifier: Apache-2.0
#include "testdata/npy.h"

#include <gtest/gtest.h>

namespace ascend_attention::testdata {
namespace {

std::string Header(const std::string& descr, const std::string& order, const std::string& shape) {
  return "{'descr': '" + descr + "', 'fortran_order': " + order + ", 'shape': " + shape + ", }\n";
}

std::string File(const std::string& header, const std::string& data) {
  std::string bytes = "\x93NUMPY";
  bytes += {'\x01', '\x00', static_cast<char>(header.size()), '\x00'};
  return bytes + header + data;
}

std::string WriteTemp(const std::string& name, const std::string& bytes) {
  const std::string path = testing::TempDir() + name;
  std::ofstream(path, std::ios::binary) << bytes;
  return path;
}

// 1.0f and -2.5f, little endian.
const std::string kTwoFloats("\x00\x00\x80\x3f\x00\x00\x20\xc0", 8);

TEST(Npy, ReadsShapeAndValues) {
  const NpyArray array =
      ReadNpy(WriteTemp("good.npy", File(Header("<f4", "False", "(2, 1, )"), kTwoFloats)));
  ASSERT_TRUE(array.ok()) << array.error;
  EXPECT_EQ(array.shape, (std::vector<int64_t>{2, 1}));
  EXPECT_EQ(array.values, (std::vector<float>{1.0f, -2.5f}));
}

TEST(Npy, ReadsShapesAsNumpyWritesThem) {
  EXPECT_EQ(npy_internal::Parse(File(Header("<f4", "False", "(2,)"), kTwoFloats)).shape,
            (std::vector<int64_t>{2}));
  EXPECT_EQ(npy_internal::Parse(File(Header("<f4", "False", "(0, 4)"), "")).shape,
            (std::vector<int64_t>{0, 4}));
  EXPECT_EQ(npy_internal::Parse(File(Header("<f4", "False", "()"), kTwoFloats.substr(4))).values,
            (std::vector<float>{-2.5f}));
}

TEST(Npy, SaysWhatItRefuses) {
  struct {
    const char* name;
    std::string bytes;
    const char* message;
  } const cases[] = {
      {"text.npy", "hello, this is text", "no .npy file"},
      {"short.npy", "\x93NUM", "no .npy file"},
      {"double.npy", File(Header("<f8", "False", "(1,)"), kTwoFloats), "descr is '<f8'"},
      {"fortran.npy", File(Header("<f4", "True", "(2,)"), kTwoFloats), "fortran_order is True"},
      {"cut.npy", File(Header("<f4", "False", "(3,)"), kTwoFloats), "has 8 bytes of data"},
      {"long.npy", File(Header("<f4", "False", "(1,)"), kTwoFloats), "needs 4"},
      {"shape.npy", File(Header("<f4", "False", "(x,)"), kTwoFloats), "shape is (x,)"},
      {"header.npy", File(Header("<f4", "False", "(2,)"), "").substr(0, 30), "within its header"},
  };
  for (const auto& bad : cases) {
    const NpyArray array = ReadNpy(WriteTemp(bad.name, bad.bytes));
    EXPECT_FALSE(array.ok()) << bad.name;
    EXPECT_NE(array.error.find(bad.message), std::string::npos) << array.error;
    EXPECT_NE(array.error.find(bad.name), std::string::npos) << array.error;
    EXPECT_TRUE(array.values.empty());
  }
}

TEST(Npy, SaysThatAFileIsMissing) {
  EXPECT_NE(ReadNpy("no/such/file.npy").error.find("no/such/file.npy: cannot be opened"),
            std::string::npos);
}

TEST(Npy, RefusesOtherVersions) {
  std::string bytes = File(Header("<f4", "False", "(2,)"), kTwoFloats);
  bytes[6] = 2;
  EXPECT_EQ(npy_internal::Parse(bytes).error, "version 2.0; only 1.0 is read");
}

}  // namespace
}  // namespace ascend_attention::testdata
