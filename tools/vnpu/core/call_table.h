// SPDX-License-Identifier: Apache-2.0
// Source lines of a kernel library: the ELF section .vnpu.calls that the build
// rule writes, one text line per call site,
//   <hex offset of the return address>\t<func>@<file>:<line>;<func>@<file>:<line>;...
// innermost inlined frame first.
#ifndef VNPU_CORE_CALL_TABLE_H_
#define VNPU_CORE_CALL_TABLE_H_

#include <cstdint>
#include <string>

namespace vnpu {

class CallTable {
 public:
  // Reads the section out of an ELF image; an image without one is fine.
  // False, with a reason, if it is no 64-bit ELF of this machine.
  bool Load(const uint8_t* image, size_t size, std::string* error);
  void set_base(uint64_t base, const std::string& module) {
    base_ = base;
    module_ = module;
  }
  // "  at file.h:12 (Copy)\n  in other.h:40 (Stage)\n", or module + offset.
  std::string Describe(const void* return_address) const;
  // The same, innermost line only, for any instruction of the library; empty
  // if it lies elsewhere.
  std::string DescribePc(uint64_t pc) const;

 private:
  std::string text_;
  std::string debug_line_;
  uint64_t image_bytes_ = 0;
  std::string module_;
  uint64_t base_ = 0;
};

}  // namespace vnpu

#endif  // VNPU_CORE_CALL_TABLE_H_
