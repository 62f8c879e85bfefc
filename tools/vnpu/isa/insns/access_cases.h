// SPDX-License-Identifier: Apache-2.0
// Random arguments, registers and memory for any row of the table: what an
// intrinsic needs to run without a fault, and as little else as possible.
#ifndef VNPU_ISA_INSNS_ACCESS_CASES_H_
#define VNPU_ISA_INSNS_ACCESS_CASES_H_

#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

#include "tools/vnpu/core/core.h"
#include "tools/vnpu/isa/insns/player.h"

namespace vnpu_test {

constexpr uint64_t kArenaBytes = 64 * 1024;

// Bytes that must have certain values for the instruction to make sense.
struct Patch {
  vnpu::Space space;
  uint64_t at;  // offset in the buffer; in the arena for GM
  std::vector<uint8_t> bytes;
};

struct AccessCase {
  RawStep step;
  vnpu::Spr spr;
  uint8_t compare_mask[16];
  std::vector<Patch> patches;
  uint64_t va_list[8];  // set_va_reg_sb reads it
};

inline bool StartsWith(const std::string& text, const char* prefix) {
  return text.rfind(prefix, 0) == 0;
}

class CaseMaker {
 public:
  CaseMaker(uint64_t seed, uint64_t arena) : random_(seed), arena_(arena) {}

  AccessCase Make(const vnpu::InsnRow& row, uint32_t insn, uint32_t type) {
    AccessCase c;
    std::memset(&c.step, 0, sizeof(c.step));
    c.step.insn = insn;
    c.step.type = type;
    c.spr = Registers();
    for (uint8_t& byte : c.compare_mask) byte = static_cast<uint8_t>(random_.Next());
    for (int i = 0; i < row.num_args; ++i) c.step.args[i] = Argument(row.args[i]);
    if (row.num_args > 1 && row.pipe == vnpu::Pipe::kV && random_.Below(4) == 0 &&
        row.args[0].is_address && row.args[1].is_address) {
      c.step.args[1] = c.step.args[0];  // in place
    }
    Specialise(row.name, &c);
    return c;
  }

 private:
  uint64_t Below(uint64_t limit) { return random_.Below(limit); }
  int64_t Whole(uint64_t limit) { return static_cast<int64_t>(Below(limit)); }

  vnpu::Spr Registers() {
    vnpu::Spr spr;
    std::memset(&spr, 0, sizeof(spr));
    spr.defined = ~0u;
    const bool counter = Below(3) == 0;
    const uint64_t masks[][2] = {{~uint64_t{0}, ~uint64_t{0}},
                                 {random_.Next(), random_.Next()},
                                 {uint64_t{1} << Below(64), 0},
                                 {0, random_.Next()}};
    const auto& mask = masks[Below(4)];
    spr.mask[0] = counter ? Below(400) : mask[0];
    spr.mask[1] = counter ? 0 : mask[1];
    for (const int bit : {48, 53, 59}) spr.ctrl |= Below(2) << bit;
    if (counter) spr.ctrl |= uint64_t{1} << 56;
    spr.nd_para = (1 + Below(2)) | Below(3) << 16 | Below(600) << 32;
    spr.quant_pre = QuantWord();
    spr.fpc = Below(4) | Below(4) << 8;
    spr.padding = random_.Next();
    spr.mov_pad_val = random_.Next() & 0xffffffff;
    spr.deqscale = Below(0x7c00);
    if (Below(3) == 0) {  // atomic stores to GM read what is there
      static const uint8_t kTypes[] = {VNPU_T_f32, VNPU_T_f16, VNPU_T_bf16,
                                       VNPU_T_s32, VNPU_T_s16, VNPU_T_s8};
      spr.atomic_type = kTypes[Below(6)];
      spr.atomic_op = static_cast<uint8_t>(Below(3));
    }
    return spr;
  }

  // A finite scale and an offset.
  uint64_t QuantWord() {
    const auto scale = static_cast<float>(random_.Real(0.001, 4.0));
    return FloatBitsOf(scale) | Below(512) << 37 | Below(2) << 46;
  }

  int64_t Argument(const vnpu::ArgSpec& spec) {
    if (spec.is_address) return Address(spec.space);
    if (spec.is_scalar) return static_cast<int64_t>(random_.Next() & 0xffffffff);
    uint64_t limit = 4;
    if (spec.name.find("Rep") != std::string::npos) limit = 20;
    if (spec.limited) limit = std::min(limit, static_cast<uint64_t>(spec.max) + 1);
    // Without repeats or bytes an instruction does nothing: seldom.
    const bool extent = spec.name == "repeat" || spec.name == "nBurst" || spec.name == "lenBurst";
    if (extent && Below(8) != 0) return static_cast<int64_t>(1 + Below(limit));
    return static_cast<int64_t>(Below(limit));
  }

  // Room for what follows: the lower half of a buffer.
  int64_t Address(vnpu::Space space) {
    switch (space) {
      case vnpu::Space::kGm:
        return static_cast<int64_t>(arena_ + Below(kArenaBytes / 4));
      case vnpu::Space::kUb:
        return static_cast<int64_t>(Below(4096) * 32);
      case vnpu::Space::kL1:
        return static_cast<int64_t>(4096 + Below(8192) * 32);
      case vnpu::Space::kL0a:
      case vnpu::Space::kL0b:
        return static_cast<int64_t>(Below(64) * 512);
      case vnpu::Space::kL0c:
        return static_cast<int64_t>(Below(64) * 1024);
      case vnpu::Space::kBt:
        return static_cast<int64_t>(Below(8) * 64);
      default:
        return static_cast<int64_t>(Below(16) * 128);
    }
  }

  void Words(AccessCase* c, vnpu::Space space, uint64_t at, const std::vector<uint64_t>& values,
             size_t bytes) {
    Patch patch{space, at, {}};
    for (const uint64_t value : values) {
      for (size_t i = 0; i < bytes; ++i) {
        patch.bytes.push_back(static_cast<uint8_t>(value >> (8 * i)));
      }
    }
    c->patches.push_back(patch);
  }

  void Specialise(const std::string& name, AccessCase* c) {
    SpecialiseCopy(name, c) || SpecialiseCube(name, c) || SpecialiseVector(name, c) ||
        SpecialiseList(name, c);
  }

  bool SpecialiseCopy(const std::string& name, AccessCase* c) {
    int64_t* a = c->step.args;
    if (name.find("_align_b") != std::string::npos) {
      const int64_t element = name.back() == '8' ? 1 : name.back() == '6' ? 2 : 4;
      a[4] = Whole(60) * element;
      a[7] = Whole(9);
      a[8] = Whole(9);
      if (name.find("to_gm") != std::string::npos || Below(2) == 0) a[5] = a[6] = 0;
    } else if (name.find("nd2nz") != std::string::npos) {
      a[4] = 1 + Whole(7);
      a[5] = 1 + Whole(70);
      a[6] = Whole(500);
      a[7] = Whole(90);
      a[8] = 8 + Whole(16);
      a[10] = 2048 + Whole(4) * 32;
    } else if (name == "copy_gm_to_cbuf") {
      if (Below(4) != 0) a[7] = 0;  // no padding
    } else if (name == "ld_dev") {
      a[0] &= ~int64_t{7};
      a[1] = Whole(9) * 8;
      a[2] = int64_t{1} << Below(4);
    } else if (name == "st_dev") {
      a[1] &= ~int64_t{7};
      a[2] = Whole(9) * 8;
      a[3] = int64_t{1} << Below(4);
    } else {
      return false;
    }
    return true;
  }

  bool SpecialiseCube(const std::string& name, AccessCase* c) {
    int64_t* a = c->step.args;
    if (StartsWith(name, "create_")) {
      const int64_t repeats = Below(8) == 0 ? 0 : 1 + Whole(3);
      a[1] = repeats | (1 + Whole(3)) << 16 | Whole(4) << 32;
    } else if (StartsWith(name, "mad")) {
      for (int i = 3; i < 6; ++i) a[i] = Whole(40);
      if (Below(4) == 0) a[3] = 1;
      a[0] %= 32768;
    } else if (StartsWith(name, "copy_matrix_cc")) {
      Fixpipe(c, name == "copy_matrix_cc_to_gm");
    } else {
      return false;
    }
    return true;
  }

  bool SpecialiseVector(const std::string& name, AccessCase* c) {
    int64_t* a = c->step.args;
    if (StartsWith(name, "vcmp_")) {
      a[2] = 1;
      if ((c->spr.ctrl >> 56 & 1) != 0) c->spr.mask[0] = 1 + Below(64);
    } else if (name == "vreducev2") {
      a[5] = Whole(8);
      a[0] = 131072;  // its length depends on the mask bits: keep it off the sources
      a[1] %= 65536;
      a[2] = 65536 + a[2] % 65536;
    } else if (name == "vsel" && a[10] == 2) {
      const uint64_t bits = 180224;  // where the bits of the selection are
      std::memset(c->compare_mask, 0, sizeof(c->compare_mask));
      std::memcpy(c->compare_mask, &bits, sizeof(bits));
    } else if (StartsWith(name, "scatter_vnchwconv")) {
      a[0] = Whole(2) * 2;
      a[1] = 4 + Whole(2) * 2;
      for (int i = 0; i < 64; ++i) {
        c->spr.va[i / 8][i % 8] = static_cast<uint16_t>(i * 80 + Below(16));
      }
    } else {
      return false;
    }
    return true;
  }

  // Gathers and sorts: results must not lie on their sources.
  bool SpecialiseList(const std::string& name, AccessCase* c) {
    int64_t* a = c->step.args;
    if (name == "vgather" || name == "vgatherb") {
      std::vector<uint64_t> offsets;
      const uint64_t unit = name == "vgatherb" ? 32 : 4;
      for (int i = 0; i < 1024; ++i) offsets.push_back(Below(65536 / unit) * unit);
      a[1] = 131072 + Whole(32) * 32;
      a[2] = Whole(64) * 32;
      a[0] = 65536 + 4096 + Whole(64) * 32;
      Words(c, vnpu::Space::kUb, static_cast<uint64_t>(a[1]), offsets, 4);
    } else if (name == "vbitsort") {
      for (int i = 0; i < 3; ++i) a[i] = 65536 * i + Whole(1024) * 32;
    } else if (name == "vmrgsort4") {
      a[5] = Whole(20) | Whole(20) << 16 | Whole(20) << 32 | Whole(20) << 48;
      a[6] = 1 | (1 + Whole(15)) << 8 | Whole(2) << 12;
      for (int i = 1; i < 5; ++i) a[i] = 32768 + 4096 * i;
      a[0] = 65536 + Whole(64) * 32;
      if (Below(3) == 0) {  // repeats
        const int64_t length = 1 + Whole(8);
        a[5] = length * 0x0001000100010001;
        a[6] = 1 + Whole(4) | 0xf << 8;
        for (int i = 2; i < 5; ++i) a[i] = a[i - 1] + length * 8;
      }
    } else {
      return false;
    }
    return true;
  }

  // Those that give the element type.
  static std::vector<int64_t> QuantModes(uint32_t type) {
    switch (type) {
      case VNPU_T_f16:
        return {1, 4, 5};
      case VNPU_T_bf16:
        return {16};
      case VNPU_T_s16:
        return {12, 13};
      case VNPU_T_s8:
      case VNPU_T_u8:
        return {2, 3, 23, 24};
      default:
        return {0};
    }
  }

  void Fixpipe(AccessCase* c, bool to_gm) {
    const std::vector<int64_t> modes = QuantModes(c->step.type);
    int64_t* a = c->step.args;
    a[1] = static_cast<int64_t>(Below(64)) * 64;
    a[11] = static_cast<int64_t>(Below(2));
    a[4] = 1 + static_cast<int64_t>(Below(20));
    a[3] = a[11] != 0 ? 1 + static_cast<int64_t>(Below(50))
                      : 16 * (1 + static_cast<int64_t>(Below(4)));
    a[5] = a[11] != 0 ? 60 + static_cast<int64_t>(Below(20)) : 64 + static_cast<int64_t>(Below(9));
    a[6] = 20 + static_cast<int64_t>(Below(9));
    a[8] = modes[Below(modes.size())];
    a[9] = static_cast<int64_t>(Below(2));
    a[10] = static_cast<int64_t>(a[8] == 0 && Below(4) == 0);
    c->spr.nd_para = (1 + Below(2)) | (4 + Below(3)) << 16 | (1700 + Below(64)) << 32;
    if (!to_gm) a[0] &= ~int64_t{31};
    std::vector<uint64_t> words;
    for (int i = 0; i < 256; ++i) words.push_back(QuantWord());
    Words(c, vnpu::Space::kFb, (c->spr.fpc >> 8 & 0xff) * 128, words, 8);
  }

  Random random_;
  uint64_t arena_;
};

}  // namespace vnpu_test

#endif  // VNPU_ISA_INSNS_ACCESS_CASES_H_
