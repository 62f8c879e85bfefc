// SPDX-License-Identifier: Apache-2.0
// Every row of the table, and every element type for which the dialect has a
// wrapper of it, is executed by a test beside this file, which compares it with
// plain loops. This program runs all those tests, notes what they execute, and
// fails on what is left.
#include <cstdio>
#include <map>
#include <set>
#include <utility>

#include "tools/vnpu/core/insn_table.h"
#include "tools/vnpu/core/observer.h"
#include "tools/vnpu/isa/insns/declared.h"
#include "tools/vnpu/isa/insns/player.h"

namespace vnpu_test {
namespace {

// Rows that no test beside this file executes, and where they are tested.
const std::map<std::string, const char*>& TestedElsewhere() {
  static const std::map<std::string, const char*> rows = {
      {"trap", "ends the kernel: core/fault_test"},
      {"unmodelled", "ends the kernel: isa/foreign_test"},
      {"set_flag", "executed by the core: core/launch_test, core/sync_fault_test"},
      {"wait_flag", "executed by the core: core/launch_test, core/sync_fault_test"},
      {"ffts_cross_core_sync", "needs more than one core: core/launch_test"},
      {"wait_flag_dev", "needs more than one core: core/launch_test"},
      {"scalar_load_ub", "put in by the toolchain: toolchain/tests"},
      {"scalar_store_ub", "put in by the toolchain: toolchain/tests"},
  };
  return rows;
}

class Executed : public vnpu::Observer {
 public:
  void OnRetire(const vnpu::CoreId&, const vnpu::Instruction& in) override {
    pairs_.insert({in.insn, in.type});
  }
  const std::set<InsnType>& pairs() const { return pairs_; }

 private:
  std::set<InsnType> pairs_;
};

const char* TypeName(uint32_t type) {
  static const char* const kNames[] = {"none", "s8",  "u8",  "s16", "u16", "f16",       "bf16",
                                       "s32",  "u32", "f32", "s64", "u64", "f16 to f32", "s4"};
  return type < sizeof(kNames) / sizeof(kNames[0]) ? kNames[type] : "?";
}

class Gate : public testing::Environment {
 public:
  void SetUp() override { PlayerObserver() = &executed_; }

  void TearDown() override {
    PlayerObserver() = nullptr;
    if (GTEST_FLAG_GET(filter) != "*") {
      std::printf("coverage is not checked: only some tests ran\n");
      return;
    }
    CheckRows();
    CheckTypes();
  }

 private:
  void CheckRows() {
    std::set<uint32_t> rows;
    for (const InsnType& pair : executed_.pairs()) rows.insert(pair.first);
    std::map<std::string, const char*> elsewhere = TestedElsewhere();
    for (uint32_t insn = 0; insn < VNPU_INSN_COUNT; ++insn) {
      const char* name = vnpu::RowOf(insn).name;
      const bool listed = elsewhere.erase(name) > 0, ran = rows.count(insn) > 0;
      EXPECT_TRUE(ran || listed) << name << " is executed by no test";
      EXPECT_FALSE(ran && listed) << name << " is executed by a test: take it off the list";
    }
    EXPECT_TRUE(elsewhere.empty()) << elsewhere.begin()->first << " is no row of the table";
  }

  void CheckTypes() {
    const std::set<InsnType> declared = DeclaredPairs();
    // The collection itself must work.
    EXPECT_EQ(declared.count({VNPU_INSN_vadd, VNPU_T_s16}), 1u);
    EXPECT_EQ(declared.count({VNPU_INSN_vadd, VNPU_T_s8}), 0u);
    for (const InsnType& pair : declared) {
      const char* name = vnpu::RowOf(pair.first).name;
      if (TestedElsewhere().count(name) > 0) continue;
      EXPECT_EQ(executed_.pairs().count(pair), 1u)
          << name << " on " << TypeName(pair.second) << " is executed by no test";
    }
  }

  Executed executed_;
};

const testing::Environment* const kGate = testing::AddGlobalTestEnvironment(new Gate);

}  // namespace
}  // namespace vnpu_test
