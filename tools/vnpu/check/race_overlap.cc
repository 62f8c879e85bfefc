// SPDX-License-Identifier: Apache-2.0
#include "tools/vnpu/check/race_overlap.h"

#include <algorithm>

#include "tools/vnpu/core/call_table.h"
#include "tools/vnpu/core/insn_table.h"

namespace vnpu {
namespace race {
namespace {

using Part = OwnAccesses::Part;

enum class Form : uint8_t { kElementWise, kRegrouping, kCopy, kNotJudged };

Form FormOf(uint16_t insn) {
  if (insn == VNPU_INSN_vbrcb) return Form::kRegrouping;
  switch (RowOf(insn).cost) {
    case CostClass::kVector:
    case CostClass::kVectorDiv:
    case CostClass::kVectorExp:
    case CostClass::kVectorConvert:
      return Form::kElementWise;
    case CostClass::kVectorReduce:
      return Form::kRegrouping;
    case CostClass::kVectorCopy:
      return Form::kCopy;
    default:
      return Form::kNotJudged;
  }
}

// Repeats first .. first + count - 1 of an operand: `shape` is that of the first.
struct Series {
  Access access;
  Shape shape;
  uint64_t first = 0;
  uint64_t count = 0;  // 0: not known how repeats divide the operand
  uint64_t stride = 0;

  Shape At(uint64_t i) const {
    Shape at = shape;
    at.begin += i * stride;
    at.end += i * stride;
    return at;
  }
};

Access AccessOf(const Part& part) {
  Access access = part.access;
  if (access.lane_mask != nullptr) access.lane_mask = part.mask;
  return access;
}

// The short last repeat of counter mode is an access of its own, told first.
bool HasLast(const std::vector<Part>& parts, size_t i) {
  return i > 0 && parts[i].access.lane_mask != nullptr &&
         parts[i - 1].access.lane_mask != nullptr &&
         parts[i].access.operand == parts[i - 1].access.operand;
}

uint64_t RepeatsOf(const std::vector<Part>& parts, uint16_t insn, Form form) {
  uint64_t repeats = 0;
  for (size_t i = 0; i < parts.size(); ++i) {
    const Access& access = parts[i].access;
    if (form == Form::kCopy) return access.dims[2].count;
    if (access.lane_mask != nullptr || (insn == VNPU_INSN_vbrcb && access.write)) {
      repeats = std::max(repeats, access.dims[1].count + (HasLast(parts, i) ? 1 : 0));
    }
  }
  return repeats;
}

Series SeriesOf(const std::vector<Part>& parts, size_t i, uint64_t repeats) {
  Series series;
  Access access = AccessOf(parts[i]);
  Dim* by = nullptr;
  if (access.lane_mask != nullptr) {
    by = &access.dims[1];
    if (i + 1 < parts.size() && HasLast(parts, i + 1)) series.first = repeats - 1;
  } else if (repeats > 1) {
    for (int d : {1, 2}) {
      if (by == nullptr && access.dims[d].count == repeats) by = &access.dims[d];
    }
  }
  series.count = 1;
  if (by != nullptr) {
    if (by->stride < 0) series.count = 0;
    series.count *= by->count;
    series.stride = static_cast<uint64_t>(by->stride);
    *by = Dim{};
  } else if (repeats > 1) {
    const bool divides =
        access.dims[1].count == 1 && access.dims[2].count == 1 && access.run % repeats == 0;
    series.count = divides ? repeats : 0;
    series.stride = access.run /= repeats;
  }
  series.access = access;
  series.shape = MakeShape(access);
  if (series.shape.empty()) series.count = 0;
  return series;
}

bool SameBlocks(const Access& a, const Access& b) {
  return (a.dims[2].count <= 1 && b.dims[2].count <= 1) || a.dims[2].stride == b.dims[2].stride;
}

bool Accumulates(const Series& write, const Series& read, uint16_t insn) {
  return RowOf(insn).args[2].is_address && write.stride == 0 && read.stride == 0 &&
         write.access.base == read.access.base && SameBlocks(write.access, read.access);
}

// Every byte of the repeat is written where it was read.
bool InPlace(const Series& write, uint64_t i, const Series& read, uint64_t j, Form form) {
  const Access &w = write.access, &r = read.access;
  const bool begin = w.base + i * write.stride == r.base + j * read.stride;
  if (form == Form::kCopy) return begin && w.run == r.run;
  if (form != Form::kElementWise || w.lane_mask == nullptr || r.lane_mask == nullptr) return false;
  if (w.lane_bytes == r.lane_bytes) return begin && SameBlocks(w, r);
  return begin || write.At(i).end == read.At(j).end;
}

struct Found {
  bool any = false;
  bool later = false;
  Range common{0, 0};
};

Found Compare(const Series& write, const Series& read, Form form, uint16_t insn) {
  const bool accumulates = form == Form::kElementWise && Accumulates(write, read, insn);
  Found found;
  for (uint64_t i = 0; i < write.count; ++i) {
    const Shape at = write.At(i);
    const uint64_t repeat = write.first + i;
    // Repeats of the reader from this one on that can reach `at`.
    uint64_t j = repeat > read.first ? repeat - read.first : 0, end = read.count;
    if (read.stride == 0) {
      end = std::min(end, j + 2);
    } else {
      const uint64_t begin = read.shape.begin, behind = read.shape.end;
      if (at.begin >= behind) j = std::max(j, (at.begin - behind) / read.stride + 1);
      end = at.end <= begin ? 0 : std::min(end, (at.end - begin - 1) / read.stride + 1);
    }
    for (; j < end; ++j) {
      found.later = read.first + j > repeat;
      if (found.later ? accumulates : InPlace(write, i, read, j, form)) continue;
      found.any = Meet(at, read.At(j), Range{at.begin, at.end}, &found.common);
      if (found.any) return found;
    }
  }
  return found;
}

}  // namespace

void OwnAccesses::Add(const CoreId& id, const Instruction& in, const Access& access) {
  if (!Is(id, in)) {
    parts_.clear();
    core_ = id;
    sequence_ = in.sequence;
  }
  Part part{access, {0, 0}};
  if (access.lane_mask != nullptr) std::copy_n(access.lane_mask, 2, part.mask);
  parts_.push_back(part);
}

OwnAccesses::Overlap OwnAccesses::Find(const CoreId& id, const Instruction& in) {
  Overlap overlap;
  const Form form = FormOf(in.insn);
  if (!Is(id, in) || form == Form::kNotJudged) return overlap;
  const uint64_t repeats = RepeatsOf(parts_, in.insn, form);
  if (repeats == 0) return overlap;
  for (size_t w = 0; w < parts_.size(); ++w) {
    if (!parts_[w].access.write) continue;
    const Shape written = MakeShape(AccessOf(parts_[w]));
    for (size_t r = 0; r < parts_.size(); ++r) {
      // A destination that is read under its own name is an accumulator.
      if (parts_[r].access.write || parts_[r].access.operand == parts_[w].access.operand) continue;
      const Shape read = MakeShape(AccessOf(parts_[r]));
      if (written.begin >= read.end || read.begin >= written.end) continue;
      const Found found =
          Compare(SeriesOf(parts_, w, repeats), SeriesOf(parts_, r, repeats), form, in.insn);
      if (found.any) return Overlap{true, found.later, found.common, w, r};
    }
  }
  return overlap;
}

Finding ComposeOverlap(const CoreId& id, const Instruction& in, const OwnAccesses& own,
                       const OwnAccesses::Overlap& overlap, const LaunchInfo& info) {
  const Form form = FormOf(in.insn);
  const auto text = [&](size_t part) {
    return "UB " + ShapeText(MakeShape(AccessOf(own.parts()[part])));
  };
  const std::string step = form == Form::kCopy ? "burst" : "repeat";
  Finding finding;
  finding.checker = "race";
  finding.kind = "self-overlap";
  finding.headline = std::string("overlap: ") + RowOf(in.insn).name + " writes UB [" +
                     std::to_string(overlap.common.begin) + ", " +
                     std::to_string(overlap.common.end) + ") and reads it in " +
                     (overlap.later ? "a later " : "the same ") + step;
  finding.kernel = info.kernel;
  Site site;
  site.core = id;
  site.pipe = in.pipe;
  site.insn = in.insn;
  site.sequence = in.sequence;
  site.return_address = in.return_address;
  site.what = "writes " + text(overlap.write) + ", reads " + text(overlap.read);
  site.frames = info.calls->Describe(in.return_address);
  finding.sites = {site};
  finding.missing =
      overlap.later
          ? "no order is defined between a " + step + "'s write and the reads of later ones"
          : "no order is defined between the reads and writes of one " + step;
  finding.fix = "a destination apart from the source";
  if (form != Form::kRegrouping) finding.fix += ", or exactly the same";
  return finding;
}

}  // namespace race
}  // namespace vnpu
