// SPDX-License-Identifier: Apache-2.0
// Source line of any instruction of a kernel library, from .debug_line (DWARF
// 2 to 4): for scalar faults, which happen between intrinsics. Read only after
// a fault.
#ifndef VNPU_CORE_LINE_TABLE_H_
#define VNPU_CORE_LINE_TABLE_H_

#include <cstdint>
#include <string>

namespace vnpu {

// "file:line" of the instruction at `offset` from the load address; empty if
// the section does not tell.
std::string FindLine(const std::string& debug_line, uint64_t offset);

}  // namespace vnpu

#endif  // VNPU_CORE_LINE_TABLE_H_
