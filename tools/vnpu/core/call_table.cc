// SPDX-License-Identifier: Apache-2.0
#include "tools/vnpu/core/call_table.h"

#include <elf.h>

#include <algorithm>
#include <cinttypes>
#include <cstdio>
#include <cstring>

#include "tools/vnpu/core/line_table.h"

namespace vnpu {
namespace {

#if defined(__x86_64__)
constexpr uint16_t kHostMachine = EM_X86_64;
constexpr char kHostName[] = "x86-64";
#elif defined(__aarch64__)
constexpr uint16_t kHostMachine = EM_AARCH64;
constexpr char kHostName[] = "arm64";
#else
#error "the virtual NPU runs on x86-64 and arm64 hosts"
#endif

// The intrinsics' own wrappers say nothing that the instruction does not.
bool IsWrapper(const std::string& file) { return file.find("vnpu/isa/cce_") != std::string::npos; }

std::string FormatFrames(const std::string& frames) {
  std::string text;
  size_t begin = 0;
  while (begin < frames.size()) {
    size_t end = frames.find(';', begin);
    if (end == std::string::npos) end = frames.size();
    const std::string frame = frames.substr(begin, end - begin);
    begin = end + 1;
    const size_t at = frame.rfind('@');
    const std::string place = at == std::string::npos ? frame : frame.substr(at + 1);
    if (IsWrapper(place) && begin < frames.size()) continue;
    text += text.empty() ? "  at " : "  in ";
    text += place;
    if (at != std::string::npos) text += " (" + frame.substr(0, at) + ")";
    text += "\n";
  }
  return text;
}

}  // namespace

bool CallTable::Load(const uint8_t* image, size_t size, std::string* error) {
  Elf64_Ehdr header;
  if (size < sizeof(header) || std::memcmp(image, ELFMAG, SELFMAG) != 0) {
    *error = "kernel binary is no ELF file (" + std::to_string(size) + " bytes)";
    return false;
  }
  std::memcpy(&header, image, sizeof(header));
  if (header.e_ident[EI_CLASS] != ELFCLASS64 || header.e_machine != kHostMachine) {
    *error = "kernel binary has ELF machine " + std::to_string(header.e_machine) +
             ", the virtual NPU runs " + kHostName +
             " libraries: build the kernel with the default (vnpu) platform, without --config=a2";
    return false;
  }
  const uint64_t table_end =
      header.e_shoff + static_cast<uint64_t>(header.e_shnum) * sizeof(Elf64_Shdr);
  const uint64_t segments_end =
      header.e_phoff + static_cast<uint64_t>(header.e_phnum) * sizeof(Elf64_Phdr);
  // The loader would map what is not there and the process die of reading it.
  const uint64_t needed = std::max({table_end, segments_end, header.e_shoff, header.e_phoff});
  if (needed > size) {
    *error = "kernel binary is cut short: it has " + std::to_string(size) + " bytes of at least " +
             std::to_string(needed) + "; build or install it again";
    return false;
  }
  if (header.e_shstrndx >= header.e_shnum) return true;
  const auto section = [&](unsigned index) {
    Elf64_Shdr s;
    std::memcpy(&s, image + header.e_shoff + index * sizeof(s), sizeof(s));
    return s;
  };
  const Elf64_Shdr names = section(header.e_shstrndx);
  for (unsigned i = 0; i < header.e_shnum; ++i) {
    const Elf64_Shdr s = section(i);
    constexpr char kCalls[] = ".vnpu.calls", kLines[] = ".debug_line";
    static_assert(sizeof(kCalls) == sizeof(kLines), "one bound for both names");
    const uint64_t name = names.sh_offset + s.sh_name;
    if (name + sizeof(kCalls) > size || s.sh_type == SHT_NOBITS || s.sh_offset > size ||
        s.sh_size > size - s.sh_offset) {
      continue;
    }
    const std::string bytes(reinterpret_cast<const char*>(image + s.sh_offset), s.sh_size);
    // A leading newline lets a search for "\n<offset>\t" find the first line.
    if (std::memcmp(image + name, kCalls, sizeof(kCalls)) == 0) text_ = "\n" + bytes;
    if (std::memcmp(image + name, kLines, sizeof(kLines)) == 0 &&
        (s.sh_flags & SHF_COMPRESSED) == 0) {
      debug_line_ = bytes;
    }
  }
  image_bytes_ = size;
  return true;
}

std::string CallTable::Describe(const void* return_address) const {
  const uint64_t offset = reinterpret_cast<uint64_t>(return_address) - base_;
  char key[32];
  std::snprintf(key, sizeof(key), "\n%" PRIx64 "\t", offset);
  const size_t line = text_.find(key);
  if (line == std::string::npos) {
    std::snprintf(key, sizeof(key), "0x%" PRIx64, offset);
    return "  at " + module_ + "+" + key + "\n";
  }
  const size_t begin = line + std::strlen(key);
  const size_t end = text_.find('\n', begin);
  return FormatFrames(text_.substr(begin, end == std::string::npos ? end : end - begin));
}

std::string CallTable::DescribePc(uint64_t pc) const {
  // Code lies within the file's own size from the load address.
  if (pc < base_ || pc - base_ >= image_bytes_) return "";
  const std::string line = FindLine(debug_line_, pc - base_);
  if (!line.empty()) return "  at " + line + "\n";
  char offset[32];
  std::snprintf(offset, sizeof(offset), "+0x%" PRIx64, pc - base_);
  return "  at " + module_ + offset + "\n";
}

}  // namespace vnpu
