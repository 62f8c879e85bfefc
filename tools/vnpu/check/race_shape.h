// SPDX-License-Identifier: Apache-2.0
// The bytes of one access as a strided set, byte exact with masked lanes, and
// the questions a race detector asks: do two sets meet, does one hold the other.
#ifndef VNPU_CHECK_RACE_SHAPE_H_
#define VNPU_CHECK_RACE_SHAPE_H_

#include <algorithm>
#include <cstdint>
#include <string>

#include "tools/vnpu/core/observer.h"

namespace vnpu {
namespace race {

struct Range {
  uint64_t begin;
  uint64_t end;
};

// begin + sum over dims of i * stride + [0, run), 0 <= i < count. With lanes,
// the last dim walks the datablocks of a repeat and lane e of it, of lane_bytes
// bytes, belongs to the set iff bit e of the mask is set.
struct Shape {
  struct Step {
    uint64_t count;
    uint64_t stride;
  };
  uint64_t begin = 0;
  uint64_t end = 0;  // of a range around the set: the smallest, without lanes
  uint64_t run = 0;  // 0: the set is empty
  int num_dims = 0;
  Step dims[3];
  uint32_t lane_bytes = 0;  // 0: no lanes
  uint64_t lanes[2] = {0, 0};

  bool dense() const { return num_dims == 0; }
  bool empty() const { return run == 0; }
  uint64_t num_runs() const;
};

// In its simplest form: neighbouring runs joined, whole masks gone.
Shape MakeShape(const Access& access);
// "[256, 512)", "[0, 4096), 64 of every 256 bytes".
std::string ShapeText(const Shape& shape);

bool operator==(const Shape& a, const Shape& b);

// True if the sets share a byte of `window`; *common is one such stretch.
bool Meet(const Shape& a, const Shape& b, const Range& window, Range* common);
// True only if `outer` holds every byte of `inner`; false may be a don't-know.
bool Covers(const Shape& outer, const Shape& inner);

}  // namespace race
}  // namespace vnpu

#endif  // VNPU_CHECK_RACE_SHAPE_H_
