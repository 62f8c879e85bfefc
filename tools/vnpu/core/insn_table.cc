// SPDX-License-Identifier: Apache-2.0
#include "tools/vnpu/core/insn_table.h"

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <vector>

#include "tools/vnpu/isa/insns/handlers.h"
#include "tools/vnpu/isa/insns/numeric.h"

namespace vnpu {
namespace {

Space SpaceOf(const std::string& name) {
  if (name == "ub") return Space::kUb;
  if (name == "l1") return Space::kL1;
  if (name == "l0a") return Space::kL0a;
  if (name == "l0b") return Space::kL0b;
  if (name == "l0c") return Space::kL0c;
  if (name == "bt") return Space::kBt;
  if (name == "fb") return Space::kFb;
  return Space::kGm;
}

// "name[@space][:[min-]max]"
ArgSpec ParseArg(std::string text) {
  ArgSpec spec;
  const size_t colon = text.find(':');
  if (colon != std::string::npos) {
    const std::string range = text.substr(colon + 1);
    const size_t dash = range.find('-');
    spec.limited = true;
    spec.min = dash == std::string::npos ? 0 : std::atoll(range.substr(0, dash).c_str());
    spec.max = std::atoll(range.substr(dash == std::string::npos ? 0 : dash + 1).c_str());
    text.resize(colon);
  }
  const size_t at = text.find('@');
  if (at != std::string::npos) {
    const std::string kind = text.substr(at + 1);
    spec.is_pipe = kind == "pipe";
    spec.is_scalar = kind == "scalar";
    spec.is_address = !spec.is_pipe && !spec.is_scalar;
    if (spec.is_address) spec.space = SpaceOf(kind);
    text.resize(at);
  }
  spec.name = text;
  return spec;
}

InsnRow MakeRow(const char* name, Pipe pipe, CoreSet cores, CostClass cost, Mark mark,
                Handler handler, const char* args) {
  InsnRow row;
  row.name = name;
  row.pipe = pipe;
  row.cores = cores;
  row.cost = cost;
  row.mark = mark;
  row.handler = handler;
  const char* cursor = args;
  while (*cursor != '\0') {
    const char* end = std::strchr(cursor, ',');
    const size_t length = end == nullptr ? std::strlen(cursor) : end - cursor;
    if (row.num_args == kMaxArgs) std::abort();
    const int index = row.num_args++;
    row.args[index] = ParseArg(std::string(cursor, length));
    if (row.args[index].limited) row.limited[row.num_limited++] = index;
    cursor += length + (end != nullptr ? 1 : 0);
  }
  return row;
}

std::vector<InsnRow>* MakeTable() {
  auto* table = new std::vector<InsnRow>;
  table->reserve(VNPU_INSN_COUNT);
#define VNPU_INSN(name, pipe, cores, cost, mark, handler, arguments)                       \
  table->push_back(MakeRow(#name, Pipe::pipe, CoreSet::cores, CostClass::cost, Mark::mark, \
                           &insns::handler, arguments));
#include "tools/vnpu/isa/insns.inc"
#undef VNPU_INSN
  return table;
}

// Built before any thread starts and never freed.
const std::vector<InsnRow>& Table() {
  static const std::vector<InsnRow>* table = MakeTable();
  return *table;
}

}  // namespace

const InsnRow& RowOf(uint32_t insn) { return Table()[insn]; }

const char* PipeName(Pipe pipe) {
  static const char* const kNames[] = {"S", "V", "M", "MTE1", "MTE2", "MTE3", "FIX", "ALL"};
  const auto index = static_cast<unsigned>(pipe);
  return index < 8 ? kNames[index] : "?";
}
const char* SpaceName(Space space) {
  static const char* const kNames[] = {"GM", "UB", "L1", "L0A", "L0B", "L0C", "BT", "FB"};
  return kNames[static_cast<unsigned>(space)];
}
const char* RoleName(CoreRole role) {
  static const char* const kNames[] = {"AIC", "AIV0", "AIV1"};
  return kNames[static_cast<unsigned>(role)];
}

namespace {

// A scalar operand as a number of its type.
std::string FormatScalar(uint32_t type, uint64_t bits) {
  char text[40];
  double value = 0;
  switch (type) {
    case VNPU_T_f16:
    case VNPU_T_f16_to_f32:
      value = HalfToFloat(static_cast<uint16_t>(bits));
      break;
    case VNPU_T_bf16:
      value = BfloatToFloat(static_cast<uint16_t>(bits));
      break;
    case VNPU_T_f32:
      value = BitsFloat(static_cast<uint32_t>(bits));
      break;
    case VNPU_T_s16:
      return std::to_string(static_cast<int16_t>(bits));
    case VNPU_T_s32:
      return std::to_string(static_cast<int32_t>(bits));
    default:
      return std::to_string(bits);
  }
  std::snprintf(text, sizeof(text), "%.9g", value);
  return text;
}

}  // namespace

std::string FormatArgs(const Instruction& in, std::string (*describe_gm)(uint64_t, const void*),
                       const void* context) {
  const InsnRow& row = RowOf(in.insn);
  std::string text;
  for (int i = 0; i < row.num_args; ++i) {
    const ArgSpec& spec = row.args[i];
    if (i > 0) text += ", ";
    text += spec.name + "=";
    if (spec.is_address && spec.space == Space::kGm) {
      text += describe_gm(static_cast<uint64_t>(in.args[i]), context);
    } else if (spec.is_address) {
      text += std::string(SpaceName(spec.space)) + "+" +
              std::to_string(static_cast<uint64_t>(in.args[i]));
    } else if (spec.is_pipe && in.args[i] >= 0 && in.args[i] < 8) {
      text += PipeName(static_cast<Pipe>(in.args[i]));
    } else if (spec.is_scalar) {
      text += FormatScalar(in.type, static_cast<uint64_t>(in.args[i]));
    } else {
      text += std::to_string(in.args[i]);
    }
  }
  return text;
}

}  // namespace vnpu
