// SPDX-License-Identifier: Apache-2.0
// Reads the .npy files that testdata/generate.py writes: version 1.0, float32,
// C order, nothing else. For tests; little-endian hosts, as all of ours are.
//
// Next: testdata/golden.h - a whole golden, and the comparison with it.
#ifndef ASCEND_ATTENTION_TESTDATA_NPY_H_
#define ASCEND_ATTENTION_TESTDATA_NPY_H_

#include <cstdint>
#include <cstring>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

namespace ascend_attention::testdata {

struct NpyArray {
  std::vector<int64_t> shape;
  std::vector<float> values;  // C order
  std::string error;          // empty if all went well

  bool ok() const { return error.empty(); }
};

namespace npy_internal {

inline NpyArray Failure(const std::string& what) {
  NpyArray failed;
  failed.error = what;
  return failed;
}

// The text after `'key': ` up to the comma or parenthesis that ends it; empty
// if the key is not there.
inline std::string HeaderField(const std::string& header, const std::string& key) {
  const std::string label = "'" + key + "': ";
  const size_t label_at = header.find(label);
  if (label_at == std::string::npos) return "";
  const size_t begin = label_at + label.size();
  const bool tuple = begin < header.size() && header[begin] == '(';
  const size_t end = header.find(tuple ? ')' : ',', begin);
  if (end == std::string::npos) return "";
  return header.substr(begin, end - begin + (tuple ? 1 : 0));
}

// "(2, 3, )" -> {2, 3}; false if it is no tuple of numbers.
inline bool ParseShape(const std::string& text, std::vector<int64_t>* shape) {
  if (text.size() < 2 || text.front() != '(' || text.back() != ')') return false;
  int64_t number = -1;  // none so far
  for (size_t i = 1; i < text.size(); ++i) {
    const char c = text[i];
    if (c >= '0' && c <= '9') {
      number = (number < 0 ? 0 : number) * 10 + (c - '0');
      if (number > INT32_MAX) return false;
    } else if (c == ',' || c == ')') {
      if (number >= 0) shape->push_back(number);
      number = -1;
    } else if (c != ' ') {
      return false;
    }
  }
  return true;
}

inline NpyArray Parse(const std::string& bytes) {
  constexpr size_t kPreamble = 10;  // magic, version, header length
  if (bytes.size() < kPreamble || bytes.compare(0, 6, "\x93NUMPY") != 0) {
    return Failure("no .npy file");
  }
  const int major = static_cast<uint8_t>(bytes[6]);
  const int minor = static_cast<uint8_t>(bytes[7]);
  if (major != 1 || minor != 0) {
    return Failure("version " + std::to_string(major) + "." + std::to_string(minor) +
                   "; only 1.0 is read");
  }
  const size_t header_size =
      static_cast<uint8_t>(bytes[8]) + 256 * size_t{static_cast<uint8_t>(bytes[9])};
  if (bytes.size() < kPreamble + header_size) return Failure("ends within its header");
  const std::string header = bytes.substr(kPreamble, header_size);
  const std::string descr = HeaderField(header, "descr");
  if (descr != "'<f4'") return Failure("descr is " + descr + "; only '<f4' (float32) is read");
  const std::string order = HeaderField(header, "fortran_order");
  if (order != "False") return Failure("fortran_order is " + order + "; only False is read");

  NpyArray array;
  const std::string shape = HeaderField(header, "shape");
  if (!ParseShape(shape, &array.shape)) return Failure("shape is " + shape + "; expected numbers");
  size_t size = 1;
  for (int64_t extent : array.shape) size *= static_cast<size_t>(extent);
  const size_t data_size = bytes.size() - kPreamble - header_size;
  if (data_size != size * sizeof(float)) {
    return Failure("has " + std::to_string(data_size) + " bytes of data; shape " + shape +
                   " needs " + std::to_string(size * sizeof(float)));
  }
  array.values.resize(size);
  if (size > 0) std::memcpy(array.values.data(), &bytes[kPreamble + header_size], data_size);
  return array;
}

}  // namespace npy_internal

inline NpyArray ReadNpy(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) return npy_internal::Failure(path + ": cannot be opened");
  const std::string bytes{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
  NpyArray array = npy_internal::Parse(bytes);
  if (!array.ok()) array.error = path + ": " + array.error;
  return array;
}

}  // namespace ascend_attention::testdata

#endif  // ASCEND_ATTENTION_TESTDATA_NPY_H_
