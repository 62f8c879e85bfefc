// SPDX-License-Identifier: Apache-2.0
// Runs the cases of fault_cases.cce and compares whole reports. In golden
// texts, {Name} is the line of `@Name` in fault_cases.cce and the line of the
// entry that called it; {c:Name} the same on an AIC.
#ifndef VNPU_CORE_FAULT_HARNESS_H_
#define VNPU_CORE_FAULT_HARNESS_H_

#include <gtest/gtest.h>

#include <fstream>
#include <map>
#include <regex>
#include <string>

#include "tools/vnpu/core/device.h"
#include "tools/vnpu/core/fault_cases.h"
#include "tools/vnpu/isa/runtime_abi.h"

namespace vnpu {

constexpr char kFaultSource[] = "tools/vnpu/core/fault_cases.cce";

// Marker lines of the kernel source.
inline std::map<std::string, int> Markers() {
  std::map<std::string, int> lines;
  std::ifstream file(kFaultSource);
  std::string text;
  for (int line = 1; std::getline(file, text); ++line) {
    std::smatch match;
    if (std::regex_search(text, match, std::regex("// @(\\w+)"))) lines[match[1]] = line;
    if (text.find("  VectorCases(gm") == 0) lines["aiv"] = line;
    if (text.find("  CubeCases(gm") == 0) lines["aic"] = line;
  }
  return lines;
}

// "{UbBounds}" -> the two frames of a case on an AIV, "{c:L1Bounds}" on an AIC.
inline std::string Expand(std::string text) {
  const std::map<std::string, int> lines = Markers();
  std::smatch match;
  while (std::regex_search(text, match, std::regex("\\{(c:)?(\\w+)\\}\n"))) {
    const bool cube = match[1].matched;
    const auto line = lines.find(match[2]);
    EXPECT_NE(line, lines.end()) << match[2];
    if (line == lines.end()) return text;
    const std::string frames =
        std::string("  at ") + kFaultSource + ":" + std::to_string(line->second) +
        (cube ? " (CubeCases)" : " (VectorCases)") + "\n  in " + kFaultSource + ":" +
        std::to_string(lines.at(cube ? "aic" : "aiv")) + " (fault_cases)\n";
    text = match.prefix().str() + frames + match.suffix().str();
  }
  return text;
}

class FaultTest : public testing::Test {
 protected:
  FaultTest() {
    std::string error;
    module_ = KernelModule::LoadFile("tools/vnpu/core/fault_cases.so", &error);
    EXPECT_NE(module_, nullptr) << error;
    DeviceConfig config;
    config.num_cores = 4;
    config.host_threads = 2;
    device_ = std::make_unique<Device>(config);
    gm_ = device_->Allocate(4096);
  }
  LaunchResult Run(FaultCase which, uint32_t blocks = 2) {
    const struct {
      void* gm;
      uint32_t which;
    } args = {gm_, static_cast<uint32_t>(which)};
    return device_->Launch(*module_->Find("fault_cases_0"), blocks, &args, sizeof(args));
  }
  void Expect(FaultCase which, FaultKind kind, const std::string& golden, uint32_t blocks = 2) {
    const LaunchResult result = Run(which, blocks);
    EXPECT_EQ(result.fault, kind);
    EXPECT_EQ(result.text, Expand(golden));
    // The machine lives on, and nothing of the fault is left in it.
    const LaunchResult after = Run(FaultCase::kNone);
    EXPECT_EQ(after.fault, FaultKind::kNone) << after.text;
  }

  std::shared_ptr<KernelModule> module_;
  std::unique_ptr<Device> device_;
  void* gm_;
};

}  // namespace vnpu

#endif  // VNPU_CORE_FAULT_HARNESS_H_
