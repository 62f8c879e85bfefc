// SPDX-License-Identifier: Apache-2.0
// A golden result and the comparison with it, for C++ tests. The tolerance rule
// is that of ascend_attention_reference/tolerance.py; its bounds are stored.
//
//   const Golden golden = LoadGolden("testdata/golden", case_line);
//   const GoldenReport report = Compare(golden, out, lse);
//   EXPECT_TRUE(report.ok) << report.text;
#ifndef ASCEND_ATTENTION_TESTDATA_GOLDEN_H_
#define ASCEND_ATTENTION_TESTDATA_GOLDEN_H_

#include <string>
#include <vector>

#include "testdata/npy.h"

namespace ascend_attention::testdata {

struct Golden {
  std::string case_line;
  NpyArray out;  // [num_query_rows, num_heads, head_dim]
  NpyArray lse;  // [num_query_rows, num_heads]
  NpyArray
      bounds;  // [num_query_rows, num_heads, 3]: of |out error|, of out's rms error, of |lse error|
  std::string error;

  bool ok() const { return error.empty(); }
};

// The golden below `root` whose case.txt is `case_line`.
Golden LoadGolden(const std::string& root, const std::string& case_line);

struct GoldenReport {
  bool ok = false;
  double max_error = 0;  // at the worst place: where it is largest in units of its bound
  double tolerance = 0;  // the bound there
  std::string text;      // rule, place, error and bound of the worst place
};

// `golden` must be ok(). `lse` may be empty if it was not asked for. A result
// of another size is wrong. NaN, or finite where -inf is due, is an infinite
// error.
GoldenReport Compare(const Golden& golden, const std::vector<float>& out,
                     const std::vector<float>& lse);

}  // namespace ascend_attention::testdata

#endif  // ASCEND_ATTENTION_TESTDATA_GOLDEN_H_
