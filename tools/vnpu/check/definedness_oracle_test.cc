// SPDX-License-Identifier: Apache-2.0
// What the checker says is undefined against what really depends on undefined
// bytes: each program runs with some input bytes marked undefined, then again
// with other values there. A byte of the result that changes must be marked (no
// miss), an element that is marked must change (no false alarm).
#include <gtest/gtest.h>

#include <cstring>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "tools/vnpu/check/definedness_checker.h"
#include "tools/vnpu/isa/insns/player.h"

namespace vnpu {
namespace {

using vnpu_test::CoreKind;
using vnpu_test::Player;
using vnpu_test::Random;

constexpr int kRefills = 10;

struct OracleCase {
  std::string name;
  CoreKind core;
  uint64_t bytes;                        // image of UB or L1
  uint64_t in_bytes;                     // the part that is filled and marked
  int element;                           // of inputs: 1, 2, 4 bytes; 4 is a float, 2 a half
  int out_element;                       // of results
  uint64_t out_begin, out_end;           // where an alarm must be true
  std::function<void(Player*)> program;  // steps
  uint64_t mark_bytes = 0;               // of in_bytes, those that may be marked; 0: all
  // Defined values behind in_bytes.
  std::function<void(std::vector<uint8_t>*)> prepare = nullptr;
  std::vector<uint64_t> mark_also = {};  // elements behind mark_bytes
};

class Oracle {
 public:
  Oracle(const OracleCase& c, uint64_t seed)
      : case_(c), random_(seed), player_(c.core, c.bytes), checker_(&player_.device(), &list_) {
    player_.device().AddObserver(&checker_);
    input_.resize(c.bytes);
    undefined_.resize(c.bytes);
    for (uint64_t at = 0; at < c.in_bytes; at += Element()) PutValue(&input_, at);
    if (c.prepare) c.prepare(&input_);
    MarkSome();
  }
  ~Oracle() { player_.device().RemoveObserver(&checker_); }

  void Check() {
    const std::vector<uint8_t> base = Run(input_, true);
    std::vector<bool> marked(case_.bytes);
    for (uint64_t at = 0; at < case_.bytes; ++at) {
      marked[at] = checker_.UndefinedBits(player_.image() + at, 1) != 0;
    }
    std::vector<bool> changed(case_.bytes);
    for (int refill = 0; refill < kRefills; ++refill) {
      std::vector<uint8_t> input = input_;
      for (uint64_t at = 0; at < case_.in_bytes; at += Element()) {
        if (undefined_[at]) PutValue(&input, at);
      }
      const std::vector<uint8_t> result = Run(input, false);
      for (uint64_t at = 0; at < case_.bytes; ++at) {
        if (result[at] != base[at]) changed[at] = true;
      }
    }
    uint64_t missed = 0, false_alarms = 0, alarms = 0;
    for (uint64_t at = 0; at < case_.bytes; ++at) {
      if (!changed[at] || marked[at]) continue;
      if (++missed == 1) ADD_FAILURE() << case_.name << ": byte " << at << " depends, not marked";
    }
    const auto out = static_cast<uint64_t>(case_.out_element);
    for (uint64_t at = case_.out_begin; at < case_.out_end; at += out) {
      bool any_marked = false, any_changed = false;
      for (uint64_t i = at; i < at + out; ++i) {
        any_marked |= marked[i];
        any_changed |= changed[i];
      }
      alarms += any_marked ? 1 : 0;
      if (!any_marked || any_changed) continue;
      if (++false_alarms == 1) ADD_FAILURE() << case_.name << ": element at " << at << " is marked";
    }
    EXPECT_EQ(missed, 0u) << case_.name;
    EXPECT_EQ(false_alarms, 0u) << case_.name << " of " << alarms;
    uint64_t results = 0;
    for (uint64_t at = case_.in_bytes; at < case_.bytes; ++at) results += marked[at] ? 1 : 0;
    EXPECT_GT(results, 0u) << case_.name << " tests nothing";
  }

 private:
  uint64_t Element() const { return static_cast<uint64_t>(case_.element); }
  // Values of about 1, none of them special.
  void PutValue(std::vector<uint8_t>* image, uint64_t at) {
    const double value = random_.Real(0.5, 4.0);
    if (case_.element == 4) {
      const auto bits = static_cast<float>(value);
      std::memcpy(image->data() + at, &bits, 4);
    } else if (case_.element == 2) {
      const uint16_t bits = vnpu_test::HalfBits(value);
      std::memcpy(image->data() + at, &bits, 2);
    } else {
      (*image)[at] = static_cast<uint8_t>(1 + random_.Below(100));
    }
  }
  // Single elements, and now and then a run of them.
  void MarkSome() {
    const uint64_t end = case_.mark_bytes != 0 ? case_.mark_bytes : case_.in_bytes;
    for (uint64_t at = 0; at < end;) {
      const uint64_t left = (end - at) / Element();
      const uint64_t run = std::min(left, random_.Below(40) == 0 ? 1 + random_.Below(100) : 1);
      const bool mark = run > 1 || random_.Below(60) == 0;
      for (uint64_t i = 0; i < run * Element(); ++i) undefined_[at + i] = mark;
      at += run * Element();
    }
    for (const uint64_t at : case_.mark_also) {
      for (uint64_t i = 0; i < Element(); ++i) undefined_[at + i] = true;
    }
  }

  std::vector<uint8_t> Run(const std::vector<uint8_t>& input, bool checked) {
    std::memcpy(player_.image(), input.data(), input.size());
    player_.device().SetDefined(player_.image(), case_.bytes, true);
    for (uint64_t at = 0; at < case_.bytes && checked; ++at) {
      if (undefined_[at]) player_.device().SetDefined(player_.image() + at, 1, false);
    }
    case_.program(&player_);
    EXPECT_EQ(player_.Run(), "") << case_.name;
    return std::vector<uint8_t>(player_.image(), player_.image() + case_.bytes);
  }

  const OracleCase& case_;
  Random random_;
  FindingList list_;
  Player player_;
  DefinednessChecker checker_;
  std::vector<uint8_t> input_;
  std::vector<bool> undefined_;
};

// Operands of vector programs: inputs at 0 and kB, results at kOut.
constexpr int64_t kB = 8192, kOut = 16384;
constexpr int64_t kOffsets = 28672, kPointer = 30720;  // defined values
constexpr uint64_t kUb = 32768;

OracleCase Vector(const std::string& name, int element, int out_element, uint64_t out_bytes,
                  std::function<void(Player*)> program) {
  return OracleCase{name,
                    CoreKind::kVector,
                    kUb,
                    static_cast<uint64_t>(kOut),
                    element,
                    out_element,
                    kOut,
                    kOut + out_bytes,
                    std::move(program)};
}

// Eight row addresses, `pitch` apart, for an address register.
void SetRows(Player* p, int64_t reg, int64_t first, int64_t pitch) {
  const auto row = [&](int64_t i) { return first + i * pitch; };
  p->Step(VNPU_INSN_set_va_reg_sb, 0, reg, row(0), row(1), row(2), row(3), row(4), row(5), row(6),
          row(7));
}

std::vector<OracleCase> VectorCases() {
  std::vector<OracleCase> cases;
  const auto full = [](Player* p) { p->FullMask(); };
  for (const auto& [insn, name] : std::vector<std::pair<uint32_t, std::string>>{
           {VNPU_INSN_vadd, "vadd"}, {VNPU_INSN_vmul, "vmul"}, {VNPU_INSN_vdiv, "vdiv"}}) {
    cases.push_back(Vector(name + "_f32", 4, 4, 8 * 256, [insn = insn, full](Player* p) {
      full(p);
      p->Step(insn, VNPU_T_f32, kOut, 0, kB, 8, 1, 1, 1, 8, 8, 8);
    }));
    cases.push_back(Vector(name + "_f16_masked", 2, 2, 8 * 256, [insn = insn](Player* p) {
      p->Mask(0x00ff00ff0f0f3333, 0xffff0000aaaa5555);
      p->Step(insn, VNPU_T_f16, kOut, 0, kB, 4, 2, 1, 1, 16, 8, 8);
    }));
    cases.push_back(Vector(name + "_counted", 4, 4, 8 * 256, [insn = insn](Player* p) {
      p->CountMask(5 * 64 + 17);
      p->Step(insn, VNPU_T_f32, kOut, 0, kB, 0, 1, 1, 1, 8, 8, 8);
    }));
  }
  // In place, and onto a source shifted by a repeat.
  cases.push_back(Vector("vadd_in_place", 4, 4, 256, [full](Player* p) {
    full(p);
    p->Step(VNPU_INSN_vadd, VNPU_T_f32, 0, 0, kB, 8, 1, 1, 1, 8, 8, 8);
    p->Step(VNPU_INSN_vadds, VNPU_T_f32, kOut, 0, vnpu_test::FloatBitsOf(1.5f), 1, 1, 1, 8, 8);
  }));
  cases.push_back(Vector("running_sum", 4, 4, 256, [full](Player* p) {
    full(p);
    // Each repeat adds to the result of the one before it.
    p->Step(VNPU_INSN_vadd, VNPU_T_f32, 256, 0, kB, 7, 1, 1, 1, 8, 8, 8);
    p->Step(VNPU_INSN_vcopy, VNPU_T_u32, kOut, 7 * 256, 1, 1, 1, 8, 8);
  }));
  cases.push_back(Vector("vmla", 4, 4, 8 * 256, [full](Player* p) {
    full(p);
    p->Step(VNPU_INSN_vadds, VNPU_T_f32, kOut, 2048, vnpu_test::FloatBitsOf(1), 8, 1, 1, 8, 8);
    p->Step(VNPU_INSN_vmla, VNPU_T_f32, kOut, 0, kB, 8, 1, 1, 1, 8, 8, 8);
  }));
  cases.push_back(Vector("vaxpy_f16_to_f32", 2, 4, 0, [full](Player* p) {
    full(p);
    p->Step(VNPU_INSN_vector_dup, VNPU_T_u32, kOut, 0, 4, 1, 1, 8, 0);
    p->Step(VNPU_INSN_vaxpy, VNPU_T_f16_to_f32, kOut, 0, vnpu_test::HalfBits(2), 4, 1, 1, 8, 4);
  }));
  cases.back().out_end = kOut + 4 * 256;
  cases.push_back(Vector("convert_f16_f32", 2, 4, 4 * 256, [full](Player* p) {
    full(p);
    p->Step(VNPU_INSN_vconv_f162f32, 0, kOut, 0, 4, 1, 1, 8, 4);
  }));
  cases.push_back(Vector("add_relu_convert_masked", 4, 2, 4 * 128, [](Player* p) {
    p->Mask(0, 0x123456789abcdef0);
    p->Step(VNPU_INSN_vaddreluconv_f322f16, VNPU_T_f16, kOut, 0, kB, 4, 1, 1, 1, 4, 8, 8, 0);
  }));
  cases.push_back(Vector("convert_f16_s4", 2, 1, 4 * 64, [full](Player* p) {
    full(p);
    p->Step(VNPU_INSN_vconv_f162s4, VNPU_T_s4, kOut, 0, 4, 1, 1, 2, 8);
  }));
  cases.push_back(Vector("convert_f16_s4_half_of_bytes", 2, 1, 0, [](Player* p) {
    p->Mask(0x5555555555555555, 0xaaaaaaaaaaaaaaaa);
    p->Step(VNPU_INSN_vconv_f162s4, VNPU_T_s4, kOut, 0, 4, 1, 1, 2, 8);
  }));
  cases.push_back(Vector("convert_s4_f16", 1, 2, 4 * 256, [full](Player* p) {
    full(p);
    p->Step(VNPU_INSN_vconv_s42f16, VNPU_T_f16, kOut, 0, 4, 1, 1, 8, 2);
  }));
  // The bits of the inputs as int16: about 16000.
  for (const bool counted : {false, true}) {
    cases.push_back(Vector(counted ? "scale_to_half_blocks_counted" : "scale_to_half_blocks", 2, 1,
                           4 * 256, [counted](Player* p) {
                             counted ? p->CountMask(3 * 128 + 37) : p->FullMask();
                             p->Step(VNPU_INSN_set_deqscale, VNPU_T_u64,
                                     vnpu_test::FloatBitsOf(1.0f / 128));
                             p->Step(VNPU_INSN_vconv_deqs162b8h, VNPU_T_u8, kOut, 0, 4, 1, 1, 8, 8);
                           }));
  }
  cases.push_back(Vector("convert_f32_f16_masked", 4, 2, 4 * 128, [](Player* p) {
    p->Mask(0, 0x123456789abcdef0);
    p->Step(VNPU_INSN_vconv_f322f16, 0, kOut, 0, 4, 1, 1, 4, 8);
  }));
  cases.push_back(Vector("copy_counted", 4, 4, 4 * 256, [](Player* p) {
    p->CountMask(37);
    p->Step(VNPU_INSN_vcopy, VNPU_T_u32, kOut, 0, 4, 1, 1, 8, 8);
  }));
  cases.push_back(Vector("ub_to_ub", 4, 4, 4096, [](Player* p) {
    p->Step(VNPU_INSN_copy_ubuf_to_ubuf, 0, kOut, 64, 0, 5, 3, 4, 1);
  }));
  for (const auto& [insn, name] : std::vector<std::pair<uint32_t, std::string>>{
           {VNPU_INSN_vcmax, "vcmax"}, {VNPU_INSN_vcmin, "vcmin"}}) {
    // Whether a lane can become the extreme depends on the others: alarms are
    // checked on sums, which share the rule.
    cases.push_back(Vector(name, 4, 8, 0, [insn = insn, full](Player* p) {
      full(p);
      p->Step(insn, VNPU_T_f32, kOut, 0, 16, 1, 1, 8, 0);
    }));
  }
  cases.push_back(Vector("vcadd_masked", 4, 4, 16 * 4, [](Player* p) {
    p->Mask(0, 0x00000000ffff0f0f);
    p->Step(VNPU_INSN_vcadd, VNPU_T_f32, kOut, 0, 16, 1, 1, 8, 0);
  }));
  cases.push_back(Vector("vcadd_counted", 4, 4, 16 * 4, [](Player* p) {
    p->CountMask(15 * 64 + 3);
    p->Step(VNPU_INSN_vcadd, VNPU_T_f32, kOut, 0, 0, 1, 1, 8, 0);
  }));
  cases.push_back(Vector("vcgadd", 4, 4, 16 * 32, [](Player* p) {
    p->Mask(0, 0xffff00ff0ff0ffff);
    p->Step(VNPU_INSN_vcgadd, VNPU_T_f32, kOut, 0, 16, 1, 1, 8);
  }));
  cases.push_back(Vector("vcpadd", 4, 4, 16 * 128, [](Player* p) {
    p->Mask(0, 0xffff00ff0ff3ffff);
    p->Step(VNPU_INSN_vcpadd, VNPU_T_f32, kOut, 0, 16, 1, 1, 8);
  }));
  cases.push_back(Vector("vbrcb", 4, 4, 16 * 256, [](Player* p) {
    p->Step(VNPU_INSN_vbrcb, VNPU_T_u32, kOut, 0, 1, 8, 16);
  }));
  cases.push_back(Vector("vtranspose", 2, 2, 512,
                         [](Player* p) { p->Step(VNPU_INSN_vtranspose, VNPU_T_u16, kOut, 0); }));
  const auto offsets = [](std::vector<uint8_t>* image) {
    for (uint32_t i = 0; i < 256; ++i) {
      const uint32_t offset = i * 37 % 256 * 32;
      std::memcpy(image->data() + kOffsets + i * 4, &offset, 4);
    }
  };
  cases.push_back(Vector("vgather_masked", 4, 4, 4 * 256, [](Player* p) {
    p->Mask(0, 0xffff0000ff00ff0f);
    p->Step(VNPU_INSN_vgather, VNPU_T_u32, kOut, kOffsets, 0, 8, 4);
  }));
  cases.back().prepare = offsets;
  cases.push_back(Vector("vgatherb", 4, 4, 4 * 256, [](Player* p) {
    p->Step(VNPU_INSN_vgatherb, VNPU_T_u32, kOut, kOffsets, 0, 8, 1, 4);
  }));
  cases.back().prepare = offsets;
  // One row register pair each for sources and results.
  for (const auto& [insn, name] : std::vector<std::pair<uint32_t, std::string>>{
           {VNPU_INSN_scatter_vnchwconv_b16, "b16"}, {VNPU_INSN_scatter_vnchwconv_b32, "b32"}}) {
    cases.push_back(Vector(
        "vnchwconv_" + name, insn == VNPU_INSN_scatter_vnchwconv_b16 ? 2 : 4,
        insn == VNPU_INSN_scatter_vnchwconv_b16 ? 2 : 4, 2048, [insn = insn](Player* p) {
          for (int64_t reg = 0; reg < 4; ++reg) {
            SetRows(p, reg, reg < 2 ? reg * 8 * 96 : kOut + (reg - 2) * 8 * 64, reg < 2 ? 96 : 64);
          }
          p->Step(insn, 0, 2, 0, 2, 1, 1);
        }));
  }
  // Which of two values a select takes hangs on undefined comparisons.
  for (int mode = 0; mode <= 2; ++mode) {
    cases.push_back(Vector("select_mode" + std::to_string(mode), 4, 4, 0, [mode](Player* p) {
      p->Mask(0, 0xfffffffffffffff0);
      if (mode == 0) {
        p->Step(VNPU_INSN_vcmp_lt, VNPU_T_f32, 0, 256, 1, 1, 1, 1, 8, 8, 8);
      } else {
        p->Step(VNPU_INSN_vcmpv_lt, VNPU_T_f32, kOffsets, 0, 2048, 4, 1, 1, 1, 8, 8, 8);
        p->Step(VNPU_INSN_set_cmpmask, 0, kPointer);
      }
      p->Step(VNPU_INSN_vsel, VNPU_T_f32, kOut, 4096, mode == 1 ? kOffsets : 5120, 4, 1, 1, 1, 8, 8,
              8, mode);
      // The packed bits themselves are followed for selects only.
      p->FullMask();
      p->Step(VNPU_INSN_vector_dup, VNPU_T_u32, kOffsets, 0, 1, 1, 1, 8, 0);
    }));
    cases.back().prepare = [](std::vector<uint8_t>* image) {
      const uint32_t address = kOffsets;
      std::memcpy(image->data() + kPointer, &address, 4);
    };
  }
  cases.push_back(Vector("sort_and_merge", 4, 4, 0, [](Player* p) {
    p->Step(VNPU_INSN_vbitsort, VNPU_T_f32, kOut, 0, 4096, 4);
    p->Step(VNPU_INSN_vmrgsort4, VNPU_T_f32, kOut + 4096, kOut, kOut + 256, kOut + 512, kOut + 768,
            32 | int64_t{32} << 16 | int64_t{32} << 32 | int64_t{32} << 48, 1 | 15 << 8);
  }));
  cases.back().mark_bytes = 4096;
  cases.push_back(Vector("vreducev2_every_fourth", 4, 4, 16 * 64, [](Player* p) {
    p->FullMask();
    p->Step(VNPU_INSN_vreducev2, VNPU_T_u32, kOut, 0, 0, 16, 1, 4, 8, 0);
  }));
  return cases;
}

// L1 image: A at 0, B at kL1B; results behind kL1Out through the fixpipe.
constexpr int64_t kL1B = 32768, kL1Out = 131072;
constexpr int64_t kL1Words = 65536;  // quantisation words
constexpr uint64_t kL1 = 262144;

OracleCase Cube(const std::string& name, int element, uint64_t out_bytes,
                std::function<void(Player*)> program, int out_element = 4) {
  return OracleCase{name,
                    CoreKind::kCube,
                    kL1,
                    static_cast<uint64_t>(kL1Out),
                    element,
                    out_element,
                    kL1Out,
                    kL1Out + out_bytes,
                    std::move(program)};
}

// C[m][n] to L1 as NZ, halves.
void Product(Player* p, int m, int k, int n, bool again) {
  const int k1 = (k + 15) / 16, n1 = (n + 15) / 16, m1 = (m + 15) / 16;
  if (m == 1) {
    p->Step(VNPU_INSN_load_cbuf_to_ca, VNPU_T_f16, 0, 0, 0, (k + 255) / 256, 1, 0, 0, 0, 0);
  } else {
    p->Step(VNPU_INSN_load_cbuf_to_ca, VNPU_T_f16, 0, 0, 0, m1 * k1, 1, 0, 0, 0, 0);
  }
  p->Step(VNPU_INSN_load_cbuf_to_cb, VNPU_T_f16, 0, kL1B, 0, k1 * n1, 1, 0, 0, 0, 0);
  p->Step(VNPU_INSN_mad, VNPU_T_f16, 0, 0, 0, m, k, n, 0, 0, 0, 1);
  if (again) {  // other values of A on top
    p->Step(VNPU_INSN_load_cbuf_to_ca, VNPU_T_f16, 0, 16384, 0, m1 * k1, 1, 0, 0, 0, 0);
    p->Step(VNPU_INSN_mad, VNPU_T_f16, 0, 0, 0, m, k, n, 0, 0, 0, 0);
  }
  p->Step(VNPU_INSN_copy_matrix_cc_to_cbuf, VNPU_T_f16, kL1Out, 0, 0, n1 * 16, m, m, m1 * 16, 0, 1,
          0, 0, 0);
}

std::vector<OracleCase> CubeCases() {
  std::vector<OracleCase> cases;
  // Columns of L0C beyond n are never written and reach nothing that counts:
  // n is a whole number of blocks where alarms are checked.
  cases.push_back(Cube("mad", 2, 32 * 32 * 2, [](Player* p) { Product(p, 32, 64, 32, false); }, 2));
  cases.push_back(
      Cube("mad_k_tail", 2, 2 * 32 * 20, [](Player* p) { Product(p, 20, 37, 16, false); }, 2));
  cases.push_back(Cube("mad_gemv", 2, 2 * 16, [](Player* p) { Product(p, 1, 200, 16, false); }, 2));
  cases.push_back(
      Cube("mad_accumulates", 2, 2 * 16 * 16, [](Player* p) { Product(p, 16, 48, 16, true); }, 2));
  // The image is in GM, too.
  const auto gm = [](Player* p) { return reinterpret_cast<int64_t>(p->image()); };
  cases.push_back(Cube(
      "pad_mode_3", 2, 2 * 16 * 32,
      [gm](Player* p) {
        p->Step(VNPU_INSN_set_padding, 0, 0x1234);
        p->Step(VNPU_INSN_copy_gm_to_cbuf, 0, kL1Out, gm(p), 0, 2, 2, 1, 0, 3);
      },
      2));
  cases.push_back(Cube(
      "pad_mode_7", 2, 6 * 8,
      [gm](Player* p) { p->Step(VNPU_INSN_copy_gm_to_cbuf, 0, kL1Out, gm(p), 0, 1, 6, 0, 0, 7); },
      2));
  cases.push_back(Cube(
      "load_gm", 2, 4 * 1024,
      [gm](Player* p) {
        p->Step(VNPU_INSN_load_gm_to_cbuf, VNPU_T_f16, kL1Out, gm(p), 1, 4, 3, 1, 0, 0);
      },
      2));
  // int8 results, scaled by a word per column that comes from L1.
  cases.push_back(Cube("fixpipe_vector_quant", 1, 0, [](Player* p) {
    p->Step(VNPU_INSN_load_cbuf_to_ca, VNPU_T_s8, 0, 0, 0, 1, 1, 0, 0, 0, 0);
    p->Step(VNPU_INSN_load_cbuf_to_cb, VNPU_T_s8, 0, kL1B, 0, 2, 1, 0, 0, 0, 0);
    p->Step(VNPU_INSN_mad, VNPU_T_s8, 0, 0, 0, 16, 32, 32, 0, 0, 0, 1);
    p->Step(VNPU_INSN_copy_cbuf_to_fbuf, 0, 0, kL1Words, 1, 2, 0, 0);
    p->Step(VNPU_INSN_set_fpc, 0, 0);
    p->Step(VNPU_INSN_copy_matrix_cc_to_cbuf, VNPU_T_s8, kL1Out, 0, 0, 32, 16, 16, 16, 0, 2, 0, 0,
            0);
  }));
  cases.back().prepare = [](std::vector<uint8_t>* image) {
    for (uint64_t i = 0; i < 32; ++i) {
      const uint64_t word = vnpu_test::FloatBitsOf(1.0f / 1024) | uint64_t{1} << 46;
      std::memcpy(image->data() + kL1Words + i * 8, &word, 8);
    }
  };
  cases.back().mark_bytes = kL1Words;
  // One byte of the scales of two columns: any value there is a number.
  cases.back().mark_also = {kL1Words + 3 * 8 + 2, kL1Words + 20 * 8 + 2};
  // Squares through the transposing load, times defined values.
  for (const auto& [type, name, element, k] :
       std::vector<std::tuple<uint32_t, std::string, int, int>>{
           {VNPU_T_s8, "s8", 1, 32}, {VNPU_T_f16, "f16", 2, 16}, {VNPU_T_f32, "f32", 4, 8}}) {
    cases.push_back(
        Cube("load_transpose_" + name, element, 16 * 64 * 4, [type = type, k = k](Player* p) {
          p->Step(VNPU_INSN_load_cbuf_to_cb_transpose, type, 0, 0, 0, 4, 1,
                  type == VNPU_T_f16 ? 0 : 1, 0, 0);
          p->Step(VNPU_INSN_load_cbuf_to_ca, type, 0, kL1B, 0, 1, 1, 0, 0, 0, 0);
          p->Step(VNPU_INSN_mad, type, 0, 0, 0, 16, k, 64, 0, 0, 0, 1);
          p->Step(VNPU_INSN_copy_matrix_cc_to_cbuf, type == VNPU_T_s8 ? VNPU_T_s32 : VNPU_T_f32,
                  kL1Out, 0, 0, 64, 16, 32, 16, 0, 0, 0, 0, 0);
        }));
    cases.back().mark_bytes = kL1B;
  }
  return cases;
}

class DefinednessOracle : public testing::TestWithParam<OracleCase> {};

TEST_P(DefinednessOracle, MarksWhatDependsOnUndefinedBytes) {
  for (uint64_t seed = 1; seed <= 3 && !HasFailure(); ++seed) Oracle(GetParam(), seed).Check();
}

std::string CaseName(const testing::TestParamInfo<OracleCase>& info) { return info.param.name; }
INSTANTIATE_TEST_SUITE_P(Vector, DefinednessOracle, testing::ValuesIn(VectorCases()), CaseName);
INSTANTIATE_TEST_SUITE_P(Cube, DefinednessOracle, testing::ValuesIn(CubeCases()), CaseName);

}  // namespace
}  // namespace vnpu
