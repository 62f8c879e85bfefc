// SPDX-License-Identifier: Apache-2.0
#include "tools/vnpu/core/exec.h"

#include "tools/vnpu/core/device.h"
#include "tools/vnpu/core/launch.h"

namespace vnpu {
namespace {

// Natural operand alignment in bytes, by Space [run].
constexpr uint32_t kAlignment[kNumSpaces] = {1, 32, 32, 512, 512, 1024, 64, 128};

}  // namespace

uint8_t* Exec::ResolveIn(Space space, int operand, uint64_t base, const Runs& runs, bool write,
                         uint32_t align, const uint64_t* lane_mask, uint32_t lane_bytes) {
  int64_t low = 0;
  auto high = static_cast<int64_t>(runs.run);
  for (const Dim& dim : runs.dims) {
    const int64_t reach = static_cast<int64_t>(dim.count - 1) * dim.stride;
    if (reach < 0) {
      low += reach;
    } else {
      high += reach;
    }
  }
  if (align == 0) align = kAlignment[static_cast<int>(space)];
  if (base % align != 0) FailAlign(operand, space, base, align);
  uint8_t* host;
  if (space == Space::kGm) {
    core_.CheckGm(in_, operand, base + low, base + high, write);
    host = reinterpret_cast<uint8_t*>(base);
  } else {
    Scratchpad& pad = core_.scratchpad(space);
    // `base` may be any number: compare before adding.
    if (base > pad.bytes || static_cast<int64_t>(base) + low < 0 ||
        static_cast<int64_t>(base) + high > static_cast<int64_t>(pad.bytes)) {
      FailBounds(operand, space, static_cast<int64_t>(base) + low,
                 static_cast<int64_t>(base) + high, write);
    }
    host = pad.data + base;
    const auto end = static_cast<uint32_t>(static_cast<int64_t>(base) + high);
    if (write && end > pad.dirty) pad.dirty = end;
  }
  if (core_.observed()) {
    struct Access access;
    access.operand = operand;
    access.space = space;
    access.write = write;
    access.base = base;
    access.run = runs.run;
    for (int i = 0; i < 3; ++i) access.dims[i] = runs.dims[i];
    access.lane_mask = lane_mask;
    access.lane_bytes = lane_bytes;
    access.data = host;
    core_.Observe(in_, access);
  }
  return host;
}

void Exec::Fail(const std::string& what, const std::string& detail) {
  core_.Fail(FaultKind::kException, &in_, what + ": " + row_.name + " " + detail);
}

void Exec::FailBounds(int operand, Space space, int64_t begin, int64_t end, bool write) {
  Fail("out of bounds", std::string(write ? "writes " : "reads ") + SpaceName(space) + " [" +
                            std::to_string(begin) + ", " + std::to_string(end) + "), which has " +
                            std::to_string(core_.scratchpad(space).bytes) + " bytes (operand " +
                            row_.args[operand].name + ")");
}

void Exec::FailAlign(int operand, Space space, uint64_t base, uint32_t align) {
  const std::string at = space == Space::kGm
                             ? core_.launch().gm().Describe(base)
                             : std::string(SpaceName(space)) + "+" + std::to_string(base);
  Fail("misaligned", "operand " + row_.args[operand].name + " at " + at +
                         " must be a multiple of " + std::to_string(align) + " bytes");
}

void Exec::FailUndefined(const char* setter) {
  Fail("undefined register", std::string("needs ") + setter +
                                 " before it: its value at kernel start is whatever the last "
                                 "kernel left");
}

}  // namespace vnpu
