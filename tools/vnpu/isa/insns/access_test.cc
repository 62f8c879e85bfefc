// SPDX-License-Identifier: Apache-2.0
// What an intrinsic reports to observers is what it does. For random arguments
// of every row of the table:
//   - bytes outside the reported writes do not change;
//   - of instructions that only move bytes, each byte that is reported as read
//     ends up somewhere;
//   - with every byte outside the reported reads replaced by other bytes, the
//     reported writes end up the same: nothing else was read, and every byte
//     that is reported as written is written.
// The race and memory checkers rely on it.
#include <algorithm>
#include <set>

#include "tools/vnpu/core/core.h"
#include "tools/vnpu/core/exec.h"
#include "tools/vnpu/core/observer.h"
#include "tools/vnpu/isa/insns/access_cases.h"
#include "tools/vnpu/isa/insns/declared.h"

namespace vnpu_test {
namespace {

using vnpu::Access;
using vnpu::CoreId;
using vnpu::Instruction;
using vnpu::Space;

constexpr int kSpaces = vnpu::kNumSpaces;

// Every byte that an instruction can touch, by Space.
struct Memory {
  std::vector<uint8_t> bytes[kSpaces];
};

// Registers that an instruction can leave a result in.
struct Results {
  int64_t result;
  uint64_t rsvd_cnt, acc_val, max_min_cnt, vms4_sr;
  uint8_t compare_mask[16];
};

struct Bits {
  std::vector<uint8_t> reads[kSpaces], writes[kSpaces];  // a byte per byte: 1 = reported
};

// Puts memory and registers in place when the instruction is issued and takes
// them when it retires.
class Probe : public vnpu::Observer {
 public:
  Probe(uint8_t* arena) : arena_(arena) {}

  void Arm(const AccessCase* c, const Memory* before) {
    case_ = c;
    before_ = before;
    fired_ = false;
    rewrites_ = false;
    for (int s = 0; s < kSpaces; ++s) {
      bits_.reads[s].assign(before->bytes[s].size(), 0);
      bits_.writes[s].assign(before->bytes[s].size(), 0);
    }
  }
  bool fired() const { return fired_; }
  // True if a byte was written twice.
  bool rewrites() const { return rewrites_; }
  const Bits& bits() const { return bits_; }
  const Memory& after() const { return after_; }
  const Results& results() const { return results_; }

  void OnIssue(const CoreId&, const Instruction& in) override {
    if (in.insn != case_->step.insn) return;
    vnpu::Core* core = vnpu::CurrentCore();
    core->spr = case_->spr;
    std::memcpy(core->compare_mask, case_->compare_mask, sizeof(core->compare_mask));
    core->compare_mask_defined = true;
    core->rsvd_cnt = core->acc_val = core->max_min_cnt = core->vms4_sr = 77;
    for (int s = 0; s < kSpaces; ++s) {
      if (uint8_t* to = Data(core, s)) {
        std::memcpy(to, before_->bytes[s].data(), before_->bytes[s].size());
      }
    }
  }

  void OnAccess(const CoreId&, const Instruction& in, const Access& access,
                std::string* finding) override {
    if (in.insn != case_->step.insn) return;
    const bool read_modify_write =
        access.write && access.space == Space::kGm && in.spr->atomic_type != VNPU_T_none;
    const int s = static_cast<int>(access.space);
    const uint64_t origin = access.space == Space::kGm ? reinterpret_cast<uint64_t>(arena_) : 0;
    for (uint64_t i = 0; i < access.dims[0].count; ++i) {
      for (uint64_t j = 0; j < access.dims[1].count; ++j) {
        for (uint64_t k = 0; k < access.dims[2].count; ++k) {
          const int64_t offset = static_cast<int64_t>(i) * access.dims[0].stride +
                                 static_cast<int64_t>(j) * access.dims[1].stride +
                                 static_cast<int64_t>(k) * access.dims[2].stride;
          const uint64_t begin = access.base - origin + static_cast<uint64_t>(offset);
          for (uint64_t at = 0; at < access.run; ++at) {
            if (access.lane_mask != nullptr) {
              const uint64_t lane = k * (access.run / access.lane_bytes) + at / access.lane_bytes;
              if ((access.lane_mask[lane / 64] >> (lane % 64) & 1) == 0) continue;
            }
            if (begin + at >= bits_.reads[s].size()) {
              *finding = "the test's arena is too small";
              return;
            }
            if (access.write) {
              rewrites_ |= bits_.writes[s][begin + at] != 0;
              bits_.writes[s][begin + at] = 1;
            }
            if (!access.write || read_modify_write) bits_.reads[s][begin + at] = 1;
          }
        }
      }
    }
  }

  void OnRetire(const CoreId&, const Instruction& in) override {
    if (in.insn != case_->step.insn) return;
    vnpu::Core* core = vnpu::CurrentCore();
    for (int s = 0; s < kSpaces; ++s) {
      const uint8_t* from = Data(core, s);
      after_.bytes[s].assign(from, from + (from == nullptr ? 0 : before_->bytes[s].size()));
    }
    results_ = {core->result, core->rsvd_cnt, core->acc_val, core->max_min_cnt, core->vms4_sr, {}};
    std::memcpy(results_.compare_mask, core->compare_mask, sizeof(results_.compare_mask));
    fired_ = true;
  }

 private:
  uint8_t* Data(vnpu::Core* core, int s) const {
    return s == static_cast<int>(Space::kGm) ? arena_
                                             : core->scratchpad(static_cast<Space>(s)).data;
  }

  uint8_t* const arena_;
  const AccessCase* case_ = nullptr;
  const Memory* before_ = nullptr;
  Bits bits_;
  Memory after_;
  Results results_;
  bool fired_ = false;
  bool rewrites_ = false;
};

// One core kind's machine.
class Bench {
 public:
  explicit Bench(bool cube) : random_(cube ? 5 : 6) {
    const std::string name = cube ? "play_raw_aic" : "play_raw_aiv";
    std::string error;
    module_ = vnpu::KernelModule::LoadFile("tools/vnpu/isa/insns/" + name + ".so", &error);
    EXPECT_NE(module_, nullptr) << error;
    vnpu::DeviceConfig config;
    config.host_threads = 1;
    device_ = std::make_unique<vnpu::Device>(config);
    step_ = static_cast<RawStep*>(device_->Allocate(sizeof(RawStep)));
    arena_ = static_cast<uint8_t*>(device_->Allocate(kArenaBytes));
    probe_ = std::make_unique<Probe>(arena_);
    device_->AddObserver(probe_.get());
    const uint64_t sizes[kSpaces] = {kArenaBytes,
                                     cube ? 0 : vnpu::kUbBytes,
                                     cube ? vnpu::kL1Bytes : 0,
                                     cube ? vnpu::kL0aBytes : 0,
                                     cube ? vnpu::kL0bBytes : 0,
                                     cube ? vnpu::kL0cBytes : 0,
                                     cube ? vnpu::kBtBytes : 0,
                                     cube ? vnpu::kFbBytes : 0};
    for (int s = 0; s < kSpaces; ++s) first_.bytes[s].resize(sizes[s]);
    second_ = first_;
  }

  uint64_t arena() const { return reinterpret_cast<uint64_t>(arena_); }
  Probe& probe() { return *probe_; }

  // The text of a fault, or empty.
  std::string Run(const AccessCase& c, const Memory& memory) {
    probe_->Arm(&c, &memory);
    *step_ = c.step;
    if (c.step.insn == VNPU_INSN_set_va_reg_sb) {
      step_->args[1] = reinterpret_cast<int64_t>(c.va_list);
    }
    const void* args[1] = {step_};
    return device_->Launch(*module_->Find("play_raw_0"), 1, args, sizeof(args)).text;
  }

  Memory& RandomMemory(const AccessCase& c) {
    for (auto& bytes : first_.bytes) Fill(&bytes);
    for (const Patch& patch : c.patches) {
      auto& bytes = first_.bytes[static_cast<int>(patch.space)];
      if (bytes.size() < patch.at + patch.bytes.size()) continue;
      std::copy(patch.bytes.begin(), patch.bytes.end(), bytes.begin() + patch.at);
    }
    return first_;
  }

  // The first memory with another value in one byte.
  Memory& ChangedMemory(int space, size_t at) {
    second_ = first_;
    second_.bytes[space][at] ^= static_cast<uint8_t>(1 + random_.Below(255));
    return second_;
  }
  uint64_t Below(uint64_t limit) { return random_.Below(limit); }

  // Other bytes wherever nothing was reported as read.
  Memory& OtherMemory(const Bits& bits) {
    for (int s = 0; s < kSpaces; ++s) {
      Fill(&second_.bytes[s]);
      for (size_t i = 0; i < second_.bytes[s].size(); ++i) {
        if (bits.reads[s][i] != 0) second_.bytes[s][i] = first_.bytes[s][i];
      }
    }
    return second_;
  }

 private:
  void Fill(std::vector<uint8_t>* bytes) {
    for (size_t at = 0; at + 8 <= bytes->size(); at += 8) {
      const uint64_t word = random_.Next();
      std::memcpy(bytes->data() + at, &word, sizeof(word));
    }
  }

  Random random_;
  std::shared_ptr<vnpu::KernelModule> module_;
  std::unique_ptr<vnpu::Device> device_;
  std::unique_ptr<Probe> probe_;
  RawStep* step_ = nullptr;
  uint8_t* arena_ = nullptr;
  Memory first_, second_;
};

std::string Place(int space, size_t at) {
  return std::string(vnpu::SpaceName(static_cast<Space>(space))) + "+" + std::to_string(at);
}

// Empty if run 1 (from `before`, to `after`) changed reported bytes only.
std::string CheckUnreported(const Memory& before, const Memory& after, const Bits& bits) {
  for (int s = 0; s < kSpaces; ++s) {
    for (size_t i = 0; i < after.bytes[s].size(); ++i) {
      if (after.bytes[s][i] != before.bytes[s][i] && bits.writes[s][i] == 0) {
        return "changes " + Place(s, i) + ", which it does not report as written";
      }
    }
  }
  return "";
}

std::string CheckSame(const Memory& a, const Memory& b, const Bits& bits) {
  for (int s = 0; s < kSpaces; ++s) {
    for (size_t i = 0; i < a.bytes[s].size(); ++i) {
      if (bits.writes[s][i] != 0 && a.bytes[s][i] != b.bytes[s][i]) {
        return Place(s, i) +
               " is reported as written, but depends on bytes that are not reported " +
               "as read (or is not written at all)";
      }
    }
  }
  return "";
}

bool SkipRow(const vnpu::InsnRow& row) {
  // Synchronisation touches no memory; of a plain access only the report is
  // the machine's, the access itself the kernel's.
  const std::string name = row.name;
  return StartsWith(name, "scalar_") ||
         (row.cost == vnpu::CostClass::kSync && name != "ld_dev" && name != "st_dev");
}

std::string Describe(const AccessCase& c) {
  const vnpu::InsnRow& row = vnpu::RowOf(c.step.insn);
  std::string text = std::string(row.name) + " type " + std::to_string(c.step.type) + " (";
  for (int i = 0; i < row.num_args; ++i) {
    text += (i > 0 ? ", " : "") + row.args[i].name + "=" + std::to_string(c.step.args[i]);
  }
  char registers[120];
  std::snprintf(registers, sizeof(registers), ") ctrl %llx mask %llx %llx nd_para %llx",
                static_cast<unsigned long long>(c.spr.ctrl),
                static_cast<unsigned long long>(c.spr.mask[1]),
                static_cast<unsigned long long>(c.spr.mask[0]),
                static_cast<unsigned long long>(c.spr.nd_para));
  return text + registers;
}

// How much of a row's behaviour the random cases reached.
struct Coverage {
  int ran = 0;
  int touched = 0;  // cases that read or write anything
  std::string last_fault;
};

// Rows whose result holds every byte that they read, unless it is overwritten.
bool OnlyMoves(const std::string& name, const AccessCase& c) {
  static const std::set<std::string> rows = {"vcopy",       "vbrcb",    "vtranspose",
                                             "set_cmpmask", "vbitsort", "vgatherb"};
  if (StartsWith(name, "copy_matrix_cc")) {  // L0C is read in rows of 16 columns
    return c.step.args[8] == 0 && c.step.args[9] == 0 && c.step.args[3] % 16 == 0;
  }
  return rows.count(name) > 0 || StartsWith(name, "copy_") || StartsWith(name, "load_cbuf") ||
         StartsWith(name, "scatter_");
}

// Empty if each of some bytes that are reported as read makes a difference.
// After a first run, whose memory afterwards and accesses are given.
std::string CheckReadsMatter(Bench* bench, const AccessCase& c, const Memory& after,
                             const Results& results, const Bits& bits) {
  std::vector<std::pair<int, size_t>> reads;
  for (int s = 0; s < kSpaces; ++s) {
    for (size_t i = 0; i < bits.reads[s].size(); ++i) {
      if (bits.reads[s][i] == 0) continue;
      if (bits.writes[s][i] != 0) return "";  // overlap: some bytes may be lost
      reads.push_back({s, i});
    }
  }
  for (int n = 0; n < 6 && !reads.empty(); ++n) {
    const auto [space, at] = reads[bench->Below(reads.size())];
    const std::string fault = bench->Run(c, bench->ChangedMemory(space, at));
    if (!fault.empty()) continue;  // an address that makes no sense
    bool changed = std::memcmp(&results, &bench->probe().results(), sizeof(results)) != 0;
    for (int s = 0; s < kSpaces && !changed; ++s) {
      for (size_t i = 0; i < bits.writes[s].size() && !changed; ++i) {
        changed = bits.writes[s][i] != 0 && after.bytes[s][i] != bench->probe().after().bytes[s][i];
      }
    }
    if (!changed) return Place(space, at) + " is reported as read, but makes no difference";
  }
  return "";
}

// False after a failure: one per row is enough.
bool CheckCase(Bench* bench, const AccessCase& c, Coverage* coverage) {
  Memory& before = bench->RandomMemory(c);
  const std::string fault = bench->Run(c, before);
  if (!fault.empty()) {
    coverage->last_fault = fault;
    return true;  // arguments that make no sense
  }
  EXPECT_TRUE(bench->probe().fired()) << Describe(c);
  const Memory after = bench->probe().after();
  const Results results = bench->probe().results();
  const Bits bits = bench->probe().bits();
  const bool rewrites = bench->probe().rewrites();
  std::string problem = CheckUnreported(before, after, bits);
  if (problem.empty()) {
    const Memory& other = bench->OtherMemory(bits);
    const std::string second = bench->Run(c, other);
    const Bits& again = bench->probe().bits();
    const Results& other_results = bench->probe().results();
    if (!second.empty()) {
      problem = "faults with other bytes where nothing is reported as read: " + second;
    } else if (!std::equal(bits.reads, bits.reads + kSpaces, again.reads) ||
               !std::equal(bits.writes, bits.writes + kSpaces, again.writes)) {
      problem = "reports other accesses with other bytes where nothing is reported as read";
    } else if (std::memcmp(&results, &other_results, sizeof(results)) != 0) {
      problem = "leaves another register with other bytes where nothing is reported as read";
    } else {
      problem = CheckUnreported(other, bench->probe().after(), bits);
      if (problem.empty()) problem = CheckSame(after, bench->probe().after(), bits);
    }
  }
  if (problem.empty() && !rewrites && OnlyMoves(vnpu::RowOf(c.step.insn).name, c)) {
    problem = CheckReadsMatter(bench, c, after, results, bits);
  }
  ++coverage->ran;
  bool touched = false;
  for (int s = 0; s < kSpaces; ++s) {
    touched |= std::count(bits.writes[s].begin(), bits.writes[s].end(), 1) > 0 ||
               std::count(bits.reads[s].begin(), bits.reads[s].end(), 1) > 0;
  }
  if (touched) ++coverage->touched;
  EXPECT_EQ(problem, "") << Describe(c);
  return problem.empty();
}

void CheckRows(bool cube) {
  Bench bench(cube);
  CaseMaker maker(cube ? 11 : 12, bench.arena());
  constexpr int kCases = 24;
  std::vector<std::vector<uint32_t>> types(VNPU_INSN_COUNT);
  for (const InsnType& pair : DeclaredPairs()) types[pair.first].push_back(pair.second);
  for (uint32_t insn = 0; insn < VNPU_INSN_COUNT; ++insn) {
    const vnpu::InsnRow& row = vnpu::RowOf(insn);
    const auto set = cube ? vnpu::CoreSet::kAic : vnpu::CoreSet::kAiv;
    if ((static_cast<int>(row.cores) & static_cast<int>(set)) == 0 || SkipRow(row)) continue;
    if (row.pipe == vnpu::Pipe::kS && row.num_args == 0) continue;
    if (types[insn].empty()) types[insn].push_back(VNPU_T_none);
    for (const uint32_t type : types[insn]) {
      Coverage coverage;
      for (int i = 0; i < 20 * kCases && coverage.ran < kCases; ++i) {
        if (!CheckCase(&bench, maker.Make(row, insn, type), &coverage)) break;
      }
      if (row.pipe == vnpu::Pipe::kS) continue;
      if (testing::Test::HasFailure()) continue;
      EXPECT_EQ(coverage.ran, kCases)
          << row.name << " type " << type << ": most random cases fault, the last one with\n"
          << coverage.last_fault;
      EXPECT_GE(coverage.touched, coverage.ran / 3)
          << row.name << " type " << type << ": the random cases hardly touch anything";
    }
  }
}

TEST(Accesses, OfVectorCoresAreWhatIsReported) { CheckRows(false); }
TEST(Accesses, OfCubeCoresAreWhatIsReported) { CheckRows(true); }

}  // namespace
}  // namespace vnpu_test
