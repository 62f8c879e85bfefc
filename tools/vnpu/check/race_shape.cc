// SPDX-License-Identifier: Apache-2.0
#include "tools/vnpu/check/race_shape.h"

namespace vnpu {
namespace race {
namespace {

constexpr uint32_t kDatablock = 32;

bool Lane(const uint64_t* lanes, uint32_t lane) {
  return lane < 128 && (lanes[lane / 64] >> (lane % 64) & 1) != 0;
}

// Sorts by stride, largest first, and joins what is without gaps. The set of
// bytes does not depend on the order of dims.
void Simplify(Shape* shape) {
  Shape::Step* dims = shape->dims;
  std::sort(dims, dims + shape->num_dims,
            [](const Shape::Step& a, const Shape::Step& b) { return a.stride > b.stride; });
  while (shape->num_dims > 0 && dims[shape->num_dims - 1].stride <= shape->run) {
    const Shape::Step& last = dims[--shape->num_dims];
    shape->run += (last.count - 1) * last.stride;
  }
  for (int i = shape->num_dims - 2; i >= 0; --i) {
    if (dims[i].stride != dims[i + 1].stride * dims[i + 1].count) continue;
    dims[i] = Shape::Step{dims[i].count * dims[i + 1].count, dims[i + 1].stride};
    for (int j = i + 1; j + 1 < shape->num_dims; ++j) dims[j] = dims[j + 1];
    --shape->num_dims;
  }
}

void AddDim(Shape* shape, const Dim& dim) {
  if (dim.count <= 1 || dim.stride == 0) return;
  uint64_t stride = static_cast<uint64_t>(dim.stride);
  if (dim.stride < 0) {
    stride = static_cast<uint64_t>(-dim.stride);
    shape->begin -= (dim.count - 1) * stride;
  }
  shape->dims[shape->num_dims++] = Shape::Step{dim.count, stride};
}

// Turns the mask into plain runs where it can; false if lanes are scattered.
bool PlainLanes(const Access& access, Shape* shape, uint32_t blocks, uint64_t block_stride) {
  const uint32_t all = blocks * (kDatablock / shape->lane_bytes);
  uint32_t first = 0;
  while (first < all && !Lane(shape->lanes, first)) ++first;
  if (first == all) {
    shape->run = 0;
    return true;
  }
  uint32_t last = first;
  while (last < all && Lane(shape->lanes, last)) ++last;
  for (uint32_t lane = last; lane < all; ++lane) {
    if (Lane(shape->lanes, lane)) return false;
  }
  if (blocks == 1 || block_stride == kDatablock) {
    shape->begin += first * shape->lane_bytes;
    shape->run = (last - first) * shape->lane_bytes;
    return true;
  }
  if (first != 0 || last != all) return false;
  shape->run = kDatablock;
  AddDim(shape, access.dims[2]);
  return true;
}

// A repeat stride of 0 and a datablock stride of 0 walk the same bytes again.
void MakeLaneShape(const Access& access, Shape* shape) {
  shape->lane_bytes = access.lane_bytes;
  shape->lanes[0] = access.lane_mask[0];
  shape->lanes[1] = access.lane_mask[1];
  auto blocks = static_cast<uint32_t>(access.dims[2].count);
  const uint64_t block_stride = static_cast<uint64_t>(access.dims[2].stride);
  const uint32_t per_block = kDatablock / access.lane_bytes;
  if (block_stride == 0 && blocks > 1) {
    uint64_t together = 0;
    for (uint32_t lane = 0; lane < blocks * per_block; ++lane) {
      if (Lane(shape->lanes, lane)) together |= uint64_t{1} << (lane % per_block);
    }
    shape->lanes[0] = together;
    shape->lanes[1] = 0;
    blocks = 1;
  }
  AddDim(shape, access.dims[0]);
  AddDim(shape, access.dims[1]);
  if (PlainLanes(access, shape, blocks, block_stride)) {
    shape->lane_bytes = 0;
    shape->lanes[0] = shape->lanes[1] = 0;
    if (shape->run != 0) Simplify(shape);
    return;
  }
  shape->run = kDatablock;
  shape->dims[shape->num_dims++] = Shape::Step{blocks, block_stride};
}

// Calls fn(run) for the runs that meet `window`, until it returns true.
template <typename Fn>
bool AnyLaneRun(const Shape& s, uint64_t begin, uint32_t block, const Range& window, const Fn& fn) {
  const uint32_t per_block = kDatablock / s.lane_bytes;
  for (uint32_t e = 0; e < per_block; ++e) {
    if (!Lane(s.lanes, block * per_block + e)) continue;
    uint32_t last = e;
    while (last < per_block && Lane(s.lanes, block * per_block + last)) ++last;
    const Range run{begin + e * s.lane_bytes, begin + last * s.lane_bytes};
    if (run.begin < window.end && run.end > window.begin && fn(run)) return true;
    e = last;
  }
  return false;
}

template <typename Fn>
bool AnyRun(const Shape& s, int level, uint64_t begin, const Range& window, const Fn& fn) {
  if (level == s.num_dims) {
    const Range run{begin, begin + s.run};
    return run.begin < window.end && run.end > window.begin && fn(run);
  }
  const Shape::Step& step = s.dims[level];
  uint64_t extent = s.run;
  for (int i = level + 1; i < s.num_dims; ++i) extent += (s.dims[i].count - 1) * s.dims[i].stride;
  if (begin >= window.end) return false;
  uint64_t i = 0;
  if (window.begin >= begin + extent && step.stride != 0) {
    i = (window.begin - begin - extent) / step.stride + 1;
  }
  for (; i < step.count; ++i) {
    const uint64_t at = begin + i * step.stride;
    if (at >= window.end) return false;
    const bool found = s.lane_bytes != 0 && level + 1 == s.num_dims
                           ? AnyLaneRun(s, at, static_cast<uint32_t>(i), window, fn)
                           : AnyRun(s, level + 1, at, window, fn);
    if (found) return true;
  }
  return false;
}

bool PlainRows(const Shape& s) { return s.num_dims == 1 && s.lane_bytes == 0; }

}  // namespace

uint64_t Shape::num_runs() const {
  uint64_t runs = 1;
  for (int i = 0; i < num_dims; ++i) runs *= dims[i].count;
  return runs;
}

Shape MakeShape(const Access& access) {
  Shape shape;
  shape.begin = access.base;
  shape.run = access.run;
  if (access.lane_mask != nullptr) {
    MakeLaneShape(access, &shape);
  } else {
    for (const Dim& dim : access.dims) AddDim(&shape, dim);
    Simplify(&shape);
  }
  shape.end = shape.begin + shape.run;
  for (int i = 0; i < shape.num_dims; ++i) {
    shape.end += (shape.dims[i].count - 1) * shape.dims[i].stride;
  }
  return shape;
}

std::string ShapeText(const Shape& shape) {
  std::string text = "[" + std::to_string(shape.begin) + ", " + std::to_string(shape.end) + ")";
  if (shape.dense()) return text;
  if (shape.lane_bytes != 0) return text + ", masked lanes";
  const Shape::Step& inner = shape.dims[shape.num_dims - 1];
  return text + ", " + std::to_string(shape.run) + " of every " + std::to_string(inner.stride) +
         " bytes";
}

bool operator==(const Shape& a, const Shape& b) {
  if (a.begin != b.begin || a.end != b.end || a.run != b.run || a.num_dims != b.num_dims ||
      a.lane_bytes != b.lane_bytes || a.lanes[0] != b.lanes[0] || a.lanes[1] != b.lanes[1]) {
    return false;
  }
  for (int i = 0; i < a.num_dims; ++i) {
    if (a.dims[i].count != b.dims[i].count || a.dims[i].stride != b.dims[i].stride) return false;
  }
  return true;
}

bool Meet(const Shape& a, const Shape& b, const Range& window, Range* common) {
  if (b.num_runs() < a.num_runs()) return Meet(b, a, window, common);
  const Range both{std::max({a.begin, b.begin, window.begin}),
                   std::min({a.end, b.end, window.end})};
  if (both.begin >= both.end) return false;
  return AnyRun(a, 0, a.begin, both, [&](const Range& mine) {
    const Range inside{std::max(mine.begin, both.begin), std::min(mine.end, both.end)};
    return AnyRun(b, 0, b.begin, inside, [&](const Range& other) {
      *common = Range{std::max(inside.begin, other.begin), std::min(inside.end, other.end)};
      return true;
    });
  });
}

bool Covers(const Shape& outer, const Shape& inner) {
  if (inner.begin < outer.begin || inner.end > outer.end) return false;
  if (outer.dense() || outer == inner) return true;
  if (PlainRows(outer) && PlainRows(inner) && outer.dims[0].stride == inner.dims[0].stride) {
    const uint64_t phase = (inner.begin - outer.begin) % outer.dims[0].stride;
    return phase + inner.run <= outer.run;
  }
  bool inside = false;
  AnyRun(outer, 0, outer.begin, Range{inner.begin, inner.end}, [&](const Range& run) {
    inside = run.begin <= inner.begin && run.end >= inner.end;
    return true;
  });
  return inside;
}

}  // namespace race
}  // namespace vnpu
