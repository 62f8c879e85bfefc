// SPDX-License-Identifier: Apache-2.0
// The query rows of one vector core, kv head by kv head: scales and offsets belong
// to kv heads, rows of a head share them. Pipe V.
#ifndef ASCEND_ATTENTION_ASCEND_KERNELS_DECODE_INT8_ROWS_STAGE_H_
#define ASCEND_ATTENTION_ASCEND_KERNELS_DECODE_INT8_ROWS_STAGE_H_

#include "ascend_kernels/cce/vector_quantise.h"
#include "ascend_kernels/decode/exchange_stage.h"

namespace ascend_attention {
namespace int8 {

// Neighbouring rows of one kv head, counted from the core's first row.
struct HeadRows {
  uint32_t kv_head;  // of the item
  uint32_t row;
  uint32_t rows;
};

// The run of one kv head that starts at the core's row `row`.
AICORE_INLINE HeadRows HeadRowsFrom(const RowRange& range, uint32_t rows_per_head, uint32_t row) {
  const uint32_t item_row = range.first_row + row;
  const uint32_t kv_head = item_row / rows_per_head;
  const uint32_t left = (kv_head + 1) * rows_per_head - item_row;
  return HeadRows{kv_head, row, Min(left, range.rows - row)};
}

// A matrix of the core's rows, and one of one row a kv head with as many lanes.
struct RowsByHead {
  RowRange range;
  uint32_t rows_per_head;
  uint32_t lanes;       // of a row
  uint32_t pitch;       // of the matrix, lanes
  uint32_t head_pitch;  // of the other, lanes
};

// Lanes of the 64-lane column at `lane`: only that of the last one may be narrower.
AICORE_INLINE void UseColumn(uint32_t lanes, uint32_t lane) {
  if (lanes - lane < kF32Lanes) UseLanesBelow(lanes - lane);
}

// matrix[r, :] *= per_head[kv head of r, :]
AICORE_INLINE void MulByHead(UbPtr<float> matrix, UbPtr<float> per_head, const RowsByHead& shape) {
  for (uint32_t lane = 0; lane < shape.lanes; lane += kF32Lanes) {
    UseColumn(shape.lanes, lane);
    for (uint32_t row = 0; row < shape.range.rows;) {
      const HeadRows run = HeadRowsFrom(shape.range, shape.rows_per_head, row);
      const UbPtr<float> column = matrix + row * shape.pitch + lane;
      MulPerLane(column, column, per_head + run.kv_head * shape.head_pitch + lane, run.rows,
                 shape.pitch);
      row += run.rows;
    }
  }
  UseAllLanes();
}

// matrix[r, :] += per_head[kv head of r, :]
AICORE_INLINE void AddByHead(UbPtr<float> matrix, UbPtr<float> per_head, const RowsByHead& shape) {
  for (uint32_t lane = 0; lane < shape.lanes; lane += kF32Lanes) {
    UseColumn(shape.lanes, lane);
    for (uint32_t row = 0; row < shape.range.rows;) {
      const HeadRows run = HeadRowsFrom(shape.range, shape.rows_per_head, row);
      const UbPtr<float> column = matrix + row * shape.pitch + lane;
      AddPerLane(column, column, per_head + run.kv_head * shape.head_pitch + lane, run.rows,
                 shape.pitch);
      row += run.rows;
    }
  }
  UseAllLanes();
}

// values[r] = sum over lanes of matrix[r, :] * per_head[kv head of r, :]; sums:
// [rows, 64] scratch. A barrier stands before the matrix is read.
AICORE_INLINE void DotByHead(UbPtr<float> values, UbPtr<float> matrix, UbPtr<float> per_head,
                             UbPtr<float> sums, const RowsByHead& shape) {
  FillDense(sums, 0.0f, shape.range.rows);
  for (uint32_t lane = 0; lane < shape.lanes; lane += kF32Lanes) {
    VectorBarrier();
    UseColumn(shape.lanes, lane);
    for (uint32_t row = 0; row < shape.range.rows;) {
      const HeadRows run = HeadRowsFrom(shape.range, shape.rows_per_head, row);
      AddProductPerLane(sums + row * kF32Lanes, matrix + row * shape.pitch + lane,
                        per_head + run.kv_head * shape.head_pitch + lane, run.rows, shape.pitch);
      row += run.rows;
    }
  }
  UseAllLanes();
  VectorBarrier();
  SumOfLanes(values, sums, shape.range.rows, kF32Lanes);
}

// Lanes of the last 64-lane column beyond the row's own become `value`; barriers
// around it if there are any.
AICORE_INLINE void FillTail(UbPtr<float> matrix, float value, const TileShape& shape) {
  const uint32_t valid_lanes = shape.tokens % kF32Lanes;
  if (valid_lanes == 0) return;
  VectorBarrier();
  UseLanesFrom(valid_lanes);
  FillColumn(matrix + (shape.columns - 1) * kF32Lanes, value, shape.rows, shape.pitch());
  UseAllLanes();
}

// matrix[r, :] *= value of row r, spread one datablock a row.
AICORE_INLINE void MulRows(UbPtr<float> matrix, UbPtr<float> spread, const TileShape& shape) {
  for (uint32_t column = 0; column < shape.columns; ++column) {
    const UbPtr<float> lanes = matrix + column * kF32Lanes;
    MulPerRow(lanes, lanes, spread, shape.rows, shape.pitch());
  }
}
AICORE_INLINE void DivRows(UbPtr<float> matrix, UbPtr<float> spread, const TileShape& shape) {
  for (uint32_t column = 0; column < shape.columns; ++column) {
    const UbPtr<float> lanes = matrix + column * kF32Lanes;
    DivPerRow(lanes, lanes, spread, shape.rows, shape.pitch());
  }
}

// Below every magnitude that counts; keeps divisors of zero rows above 0.
constexpr float kLeastMagnitude = 1.0e-30f;

// unit[r] = max over the lanes of |row r| / c: what brings the row into [-c, c].
// Scratch: `magnitudes`, as large as the matrix, and lane_reduce.
AICORE_INLINE void RowUnits(UbPtr<float> unit, UbPtr<float> matrix, UbPtr<float> magnitudes,
                            UbPtr<float> lane_reduce, const TileShape& shape, float c) {
  AbsDense(magnitudes, matrix, shape.repeats());
  VectorBarrier();
  RowMax(unit, magnitudes, lane_reduce, shape);
  VectorBarrier();
  AtLeastDense(unit, unit, kLeastMagnitude, 1);
  VectorBarrier();
  ScaleDense(unit, unit, 1.0f / c, 1);
}

}  // namespace int8
}  // namespace ascend_attention

#endif  // ASCEND_ATTENTION_ASCEND_KERNELS_DECODE_INT8_ROWS_STAGE_H_
