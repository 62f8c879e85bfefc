// SPDX-License-Identifier: Apache-2.0
// The constants of the timing model for one part. parameters.inc is the one
// place where they stand; this is how code reads, prints and varies them.
#ifndef VNPU_TIMING_PARAMETERS_H_
#define VNPU_TIMING_PARAMETERS_H_

#include <cstdint>
#include <string>
#include <vector>

namespace vnpu {

#define VNPU_FIXED(name, value, unit, mark, source) constexpr uint64_t name = value;
#include "tools/vnpu/timing/parameters.inc"
#undef VNPU_FIXED

enum class ParameterMark : uint8_t { kHw, kDoc, kInf };
const char* ParameterMarkName(ParameterMark mark);  // "hw"

// What one vector operation costs; see parameters.inc.
struct VectorCost {
  double slope = 0;
  double floor = 0;
  double head = 0;
  double late = 0;
};

struct Parameters {
  // Names of the part: "Ascend910B1".
  std::string soc;
#define VNPU_CHIP(name, unit, b1, b2, b3, b4, a3, mark, source) double name = 0;
#define VNPU_PARAM(name, value, unit, mark, source) double name = value;
#include "tools/vnpu/timing/parameters.inc"
#undef VNPU_CHIP
#undef VNPU_PARAM

  // Cost of a vector intrinsic on elements of `type` (VnpuType).
  VectorCost VectorCostOf(uint32_t insn, uint32_t type) const;

  double cycle_ps() const { return 1e6 / clock_mhz; }
  double cycles_to_ps(double cycles) const { return cycles * cycle_ps(); }
  // Bytes per picosecond.
  double hbm_rate() const { return hbm_gb_per_s * 1e-3; }
  double l2_rate() const { return l2_gb_per_s * 1e-3; }
  uint64_t l2_bytes() const { return static_cast<uint64_t>(l2_mib) << 20; }
  // fp16, all cores: 16 x 16 x 16 multiply-adds a cycle each.
  double peak_flops() const { return num_cores * 8192 * clock_mhz * 1e6; }

  // Sets a scalar parameter by name, for studies of sensitivity; false if there
  // is none of that name.
  bool Set(const std::string& name, double value);

  // One line, or one object, per parameter: value, unit, mark, source.
  std::string ToText() const;
  std::string ToJson() const;
};

// The parameters of `soc`, as in DeviceConfig::soc_name. False, with *error
// naming the parts there are, if the table has no such part.
bool ParametersOf(const std::string& soc, Parameters* parameters, std::string* error);
std::vector<std::string> KnownParts();

}  // namespace vnpu

#endif  // VNPU_TIMING_PARAMETERS_H_
