// SPDX-License-Identifier: Apache-2.0
#include "tools/vnpu/timing/parameters.h"

#include <algorithm>
#include <cstdio>
#include <cstring>

#include "tools/vnpu/core/insn_table.h"
#include "tools/vnpu/isa/runtime_abi.h"

namespace vnpu {
namespace {

enum Column { kB1, kB2, kB3, kB4, kA3 };

struct Part {
  const char* soc;
  Column column;
  double num_cores;  // 0: the column's
};

// Ascend910_93xx: one die of an A3 package; its bins differ in usable cores.
constexpr Part kParts[] = {
    {"Ascend910B1", kB1, 0},     {"Ascend910B2", kB2, 0},     {"Ascend910B2C", kB2, 0},
    {"Ascend910B3", kB3, 0},     {"Ascend910B4", kB4, 0},     {"Ascend910_9391", kA3, 0},
    {"Ascend910_9392", kA3, 0},  {"Ascend910_9381", kA3, 0},  {"Ascend910_9382", kA3, 0},
    {"Ascend910_9372", kA3, 20}, {"Ascend910_9362", kA3, 20},
};

struct Row {
  const char* name;
  const char* unit;
  double Parameters::* field;
  ParameterMark mark;
  const char* source;
};

constexpr Row kRows[] = {
#define VNPU_CHIP(name, unit, b1, b2, b3, b4, a3, mark, source) \
  {#name, unit, &Parameters::name, ParameterMark::mark, source},
#define VNPU_PARAM(name, value, unit, mark, source) \
  {#name, unit, &Parameters::name, ParameterMark::mark, source},
#include "tools/vnpu/timing/parameters.inc"
#undef VNPU_CHIP
#undef VNPU_PARAM
};

struct FixedRow {
  const char* name;
  const char* unit;
  double value;
  ParameterMark mark;
  const char* source;
};

constexpr FixedRow kFixedRows[] = {
#define VNPU_FIXED(name, value, unit, mark, source) \
  {#name, unit, value, ParameterMark::mark, source},
#include "tools/vnpu/timing/parameters.inc"
#undef VNPU_FIXED
};

enum class TypeClass { any, b16, b32, mixed };

struct VectorRow {
  const char* pattern;
  TypeClass type;
  VectorCost cost;
  ParameterMark mark;
  const char* source;
};

constexpr VectorRow kVectorRows[] = {
#define VNPU_VECTOR(pattern, type, slope, floor, head, late, mark, source) \
  {pattern, TypeClass::type, {slope, floor, head, late}, ParameterMark::mark, source},
#include "tools/vnpu/timing/parameters.inc"
#undef VNPU_VECTOR
};

// `pattern` may hold '*' for any run of characters.
bool Matches(const char* pattern, const char* name) {
  if (*pattern == '\0') return *name == '\0';
  if (*pattern != '*') return *pattern == *name && Matches(pattern + 1, name + 1);
  for (;; ++name) {
    if (Matches(pattern + 1, name)) return true;
    if (*name == '\0') return false;
  }
}

TypeClass ClassOf(uint32_t type) {
  switch (type) {
    case VNPU_T_f16:
    case VNPU_T_bf16:
    case VNPU_T_s16:
    case VNPU_T_u16:
      return TypeClass::b16;
    case VNPU_T_f32:
    case VNPU_T_s32:
    case VNPU_T_u32:
      return TypeClass::b32;
    case VNPU_T_f16_to_f32:
      return TypeClass::mixed;
    default:
      return TypeClass::any;
  }
}

VectorCost FindVectorCost(uint32_t insn, TypeClass type) {
  for (const VectorRow& row : kVectorRows) {
    if (row.type != TypeClass::any && row.type != type) continue;
    if (Matches(row.pattern, RowOf(insn).name)) return row.cost;
  }
  return {};  // the last row matches everything
}

constexpr int kTypeClasses = 4;

const std::vector<VectorCost>& VectorTable() {
  static const std::vector<VectorCost>* table = [] {
    auto* costs = new std::vector<VectorCost>;
    for (uint32_t insn = 0; insn < VNPU_INSN_COUNT; ++insn) {
      for (int type = 0; type < kTypeClasses; ++type) {
        costs->push_back(FindVectorCost(insn, static_cast<TypeClass>(type)));
      }
    }
    return costs;
  }();
  return *table;
}

const char* TypeClassName(TypeClass type) {
  static const char* const kNames[] = {"", " b16", " b32", " mixed"};
  return kNames[static_cast<int>(type)];
}

std::string Number(double value) {
  char text[32];
  std::snprintf(text, sizeof(text), "%.9g", value);
  return text;
}

std::string Padded(std::string text, size_t width) {
  text.resize(std::max(width, text.size()), ' ');
  return text;
}

std::string TextRow(const char* name, double value, const char* unit, ParameterMark mark,
                    const char* source) {
  return Padded(name, 26) + Padded(Number(value), 8) + Padded(unit, 7) +
         Padded(std::string("[") + ParameterMarkName(mark) + "]", 6) + source + "\n";
}

std::string JsonRow(const std::string& name, const std::string& values, ParameterMark mark,
                    const char* source) {
  return "{\"name\":\"" + name + "\"," + values + ",\"mark\":\"" + ParameterMarkName(mark) +
         "\",\"source\":\"" + source + "\"}";
}

}  // namespace

const char* ParameterMarkName(ParameterMark mark) {
  static const char* const kNames[] = {"hw", "doc", "inf"};
  return kNames[static_cast<int>(mark)];
}

VectorCost Parameters::VectorCostOf(uint32_t insn, uint32_t type) const {
  return VectorTable()[insn * kTypeClasses + static_cast<uint32_t>(ClassOf(type))];
}

bool Parameters::Set(const std::string& name, double value) {
  for (const Row& row : kRows) {
    if (name != row.name) continue;
    this->*row.field = value;
    return true;
  }
  return false;
}

std::string Parameters::ToText() const {
  std::string text = "timing model, " + soc + " (cyc: cycles of the core clock)\n";
  for (const Row& row : kRows) {
    text += TextRow(row.name, this->*row.field, row.unit, row.mark, row.source);
  }
  for (const FixedRow& row : kFixedRows) {
    text += TextRow(row.name, row.value, row.unit, row.mark, row.source);
  }
  text += "vector operations: cycles per repeat, at least; results after head + late x repeats\n";
  for (const VectorRow& row : kVectorRows) {
    text += Padded(std::string(row.pattern) + TypeClassName(row.type), 26) +
            Padded(Number(row.cost.slope), 5) + Padded(Number(row.cost.floor), 5) +
            Padded(Number(row.cost.head), 5) + Padded(Number(row.cost.late), 5) +
            Padded(std::string("[") + ParameterMarkName(row.mark) + "]", 6) + row.source + "\n";
  }
  return text;
}

std::string Parameters::ToJson() const {
  std::string json = "{\"soc\":\"" + soc + "\",\"parameters\":[";
  for (const Row& row : kRows) {
    if (&row != kRows) json += ",";
    json += JsonRow(row.name,
                    "\"value\":" + Number(this->*row.field) + ",\"unit\":\"" + row.unit + "\"",
                    row.mark, row.source);
  }
  for (const FixedRow& row : kFixedRows) {
    json +=
        "," + JsonRow(row.name, "\"value\":" + Number(row.value) + ",\"unit\":\"" + row.unit + "\"",
                      row.mark, row.source);
  }
  json += "],\"vector\":[";
  for (const VectorRow& row : kVectorRows) {
    if (&row != kVectorRows) json += ",";
    json += JsonRow(std::string(row.pattern) + TypeClassName(row.type),
                    "\"slope\":" + Number(row.cost.slope) + ",\"floor\":" + Number(row.cost.floor) +
                        ",\"head\":" + Number(row.cost.head) +
                        ",\"late\":" + Number(row.cost.late) + ",\"unit\":\"cyc\"",
                    row.mark, row.source);
  }
  return json + "]}";
}

std::vector<std::string> KnownParts() {
  std::vector<std::string> names;
  for (const Part& part : kParts) names.emplace_back(part.soc);
  return names;
}

bool ParametersOf(const std::string& soc, Parameters* parameters, std::string* error) {
  std::string known;
  for (const Part& part : kParts) {
    if (soc != part.soc) {
      known += (known.empty() ? "" : ", ") + std::string(part.soc);
      continue;
    }
    *parameters = Parameters();
    parameters->soc = soc;
#define VNPU_CHIP(name, unit, b1, b2, b3, b4, a3, mark, source) \
  {                                                             \
    constexpr double kColumns[] = {b1, b2, b3, b4, a3};         \
    parameters->name = kColumns[part.column];                   \
  }
#include "tools/vnpu/timing/parameters.inc"
#undef VNPU_CHIP
    if (part.num_cores != 0) parameters->num_cores = part.num_cores;
    return true;
  }
  *error = "no timing parameters for soc_name = '" + soc + "'; there are some for " + known;
  return false;
}

}  // namespace vnpu
