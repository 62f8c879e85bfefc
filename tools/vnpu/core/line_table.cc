// SPDX-License-Identifier: Apache-2.0
// Runs the line number programs of all units (DWARF 4, section 6.2) and keeps
// the row whose address range holds the offset.
#include "tools/vnpu/core/line_table.h"

#include <cstring>
#include <vector>

namespace vnpu {
namespace {

// Reads that run past the end give zeros; the section was made by a compiler,
// so that is only a guard.
class Reader {
 public:
  Reader(const uint8_t* begin, const uint8_t* end) : at_(begin), end_(end) {}
  bool done() const { return at_ >= end_; }
  const uint8_t* at() const { return at_; }
  template <typename T>
  T Get() {
    T value{};
    if (static_cast<size_t>(end_ - at_) >= sizeof(T)) {
      std::memcpy(&value, at_, sizeof(T));
      at_ += sizeof(T);
    } else {
      at_ = end_;
    }
    return value;
  }
  uint64_t Uleb() {
    uint64_t value = 0;
    for (int shift = 0; !done() && shift < 64; shift += 7) {
      const uint8_t byte = Get<uint8_t>();
      value |= static_cast<uint64_t>(byte & 0x7f) << shift;
      if ((byte & 0x80) == 0) break;
    }
    return value;
  }
  int64_t Sleb() {
    int64_t value = 0;
    for (int shift = 0; !done() && shift < 64; shift += 7) {
      const uint8_t byte = Get<uint8_t>();
      value |= static_cast<int64_t>(byte & 0x7f) << shift;
      if ((byte & 0x80) != 0) continue;
      if ((byte & 0x40) != 0 && shift < 57) value |= -(int64_t{1} << (shift + 7));
      break;
    }
    return value;
  }
  std::string Text() {
    std::string text;
    while (!done()) {
      const char c = static_cast<char>(Get<uint8_t>());
      if (c == '\0') break;
      text += c;
    }
    return text;
  }
  void Skip(uint64_t bytes) {
    at_ += bytes < static_cast<uint64_t>(end_ - at_) ? bytes : static_cast<uint64_t>(end_ - at_);
  }

 private:
  const uint8_t* at_;
  const uint8_t* end_;
};

struct Unit {
  uint8_t min_instruction, line_range, opcode_base;
  int8_t line_base;
  std::vector<uint8_t> operands;  // of each standard opcode
  std::vector<std::string> files;
};

// The header up to the program; false for versions this does not read.
bool ReadHeader(Reader* r, Unit* unit, const uint8_t** program) {
  const uint16_t version = r->Get<uint16_t>();
  if (version < 2 || version > 4) return false;
  const uint32_t length = r->Get<uint32_t>();
  *program = r->at() + length;
  unit->min_instruction = r->Get<uint8_t>();
  if (version == 4) r->Get<uint8_t>();  // operations per instruction
  r->Get<uint8_t>();                    // default is_stmt
  unit->line_base = r->Get<int8_t>();
  unit->line_range = r->Get<uint8_t>();
  unit->opcode_base = r->Get<uint8_t>();
  for (int i = 1; i < unit->opcode_base; ++i) unit->operands.push_back(r->Get<uint8_t>());
  std::vector<std::string> directories = {""};
  for (std::string d = r->Text(); !d.empty(); d = r->Text()) directories.push_back(d + "/");
  for (std::string name = r->Text(); !name.empty(); name = r->Text()) {
    const uint64_t directory = r->Uleb();
    r->Uleb();  // time
    r->Uleb();  // size
    const bool absolute = name[0] == '/';
    unit->files.push_back(
        (absolute || directory >= directories.size() ? "" : directories[directory]) + name);
  }
  return unit->line_range != 0;
}

struct Row {
  uint64_t address = 0, file = 1;
  int64_t line = 1;
};

// Runs one program; true when a row covers `offset`.
bool RunProgram(Reader r, const Unit& unit, uint64_t offset, Row* found) {
  Row row, last;
  bool have_last = false, hit = false;
  const auto emit = [&](bool end_of_sequence) {
    if (have_last && last.address <= offset && offset < row.address) {
      *found = last;
      hit = true;
    }
    last = row;
    have_last = !end_of_sequence;
    if (end_of_sequence) row = Row();
  };
  while (!r.done() && !hit) {
    const uint8_t opcode = r.Get<uint8_t>();
    if (opcode >= unit.opcode_base) {
      const int adjusted = opcode - unit.opcode_base;
      row.address += static_cast<uint64_t>(adjusted / unit.line_range) * unit.min_instruction;
      row.line += unit.line_base + adjusted % unit.line_range;
      emit(false);
      continue;
    }
    switch (opcode) {
      case 0: {  // extended
        const uint64_t length = r.Uleb();
        const uint8_t* next = r.at() + length;
        const uint8_t extended = r.Get<uint8_t>();
        if (extended == 1) emit(true);
        if (extended == 2) row.address = r.Get<uint64_t>();
        if (next > r.at()) r.Skip(static_cast<uint64_t>(next - r.at()));
        break;
      }
      case 1:
        emit(false);
        break;
      case 2:
        row.address += r.Uleb() * unit.min_instruction;
        break;
      case 3:
        row.line += r.Sleb();
        break;
      case 4:
        row.file = r.Uleb();
        break;
      case 8:
        row.address += static_cast<uint64_t>((255 - unit.opcode_base) / unit.line_range) *
                       unit.min_instruction;
        break;
      case 9:
        row.address += r.Get<uint16_t>();
        break;
      default:
        for (int i = 0; i < unit.operands[opcode - 1]; ++i) r.Uleb();
    }
  }
  return hit;
}

}  // namespace

std::string FindLine(const std::string& debug_line, uint64_t offset) {
  const auto* begin = reinterpret_cast<const uint8_t*>(debug_line.data());
  const uint8_t* end = begin + debug_line.size();
  while (end - begin > 4) {
    Reader r(begin, end);
    const uint32_t length = r.Get<uint32_t>();
    if (length >= 0xfffffff0u || length > static_cast<uint64_t>(end - r.at())) break;
    const uint8_t* unit_end = r.at() + length;
    Reader body(r.at(), unit_end);
    Unit unit;
    const uint8_t* program = nullptr;
    Row row;
    if (ReadHeader(&body, &unit, &program) && program < unit_end &&
        RunProgram(Reader(program, unit_end), unit, offset, &row) && row.file >= 1 &&
        row.file <= unit.files.size()) {
      std::string file = unit.files[row.file - 1];
      if (file.compare(0, 2, "./") == 0) file.erase(0, 2);
      return file + ":" + std::to_string(row.line);
    }
    begin = unit_end;
  }
  return "";
}

}  // namespace vnpu
