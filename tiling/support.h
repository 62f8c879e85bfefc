// SPDX-License-Identifier: Apache-2.0
// What is supported, looked up: the rows of support.inc, the kernel of a plan,
// and the table as JSON and as Markdown.
//
// Next: tiling/shape.h - the checks that are made of it.
#ifndef ASCEND_ATTENTION_TILING_SUPPORT_H_
#define ASCEND_ATTENTION_TILING_SUPPORT_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "tiling/abi/decode_plan.h"
#include "tiling/status.h"

namespace ascend_attention {

struct HeadDimSupport {
  int64_t head_dim;
  int64_t max_q_per_kv;  // 0: the operation does not know query heads
};

struct BlockSizeSupport {
  int64_t least;
  int64_t most;
  int64_t multiple;

  bool Has(int64_t size) const { return size >= least && size <= most && size % multiple == 0; }
};

struct SupportRow {
  std::string op;
  std::string kernel;
  KvRoute kv_route;
  std::vector<std::string> dtypes;
  std::vector<std::string> outs;  // "query dtype", "float32"; empty: not a decode kernel
  std::vector<KvQuant> kv_quants;
  std::vector<HeadDimSupport> heads;  // by head_dim, ascending
  BlockSizeSupport kv_block_size;
  int64_t max_q_len;
  std::vector<std::string> layouts;

  // Null if there is no kernel for it.
  const HeadDimSupport* ForHeadDim(int64_t head_dim) const;

  // Unimplemented, naming the nearest head_dim, if there is no kernel for it.
  // `condition` is why this row and no other is asked: "" or " with kv_route = fifo".
  Status CheckHeadDim(int64_t head_dim, std::string_view condition = "") const;
};

const std::vector<SupportRow>& SupportTable();

// The supported values around one that is not, from an ascending list: "64, 96".
std::string NearestSupported(int64_t value, const std::vector<int64_t>& supported);

// The first row of an operation. Null if there is none.
const SupportRow* FindSupport(std::string_view op);

// The decode kernel that reads such a cache on such a route; kAuto: any route,
// the first row. Null if there is none.
const SupportRow* FindDecodeSupport(KvQuant kv_quant, KvRoute kv_route);

// Name of the kernel binary, for example "decode_int8_limbs_bf16". `kv_route` is
// what the plan header says, never kAuto.
StatusOr<std::string> DecodeKernelName(KvQuant kv_quant, KvRoute kv_route, DType dtype);

// Names of all kernel binaries of an operation.
std::vector<std::string> KernelNames(std::string_view op);

// The names that Python and the command line use: "float16", "int8_channel",
// "limbs". "unknown" for a code that has no name.
const char* DTypeName(DType dtype);
const char* KvQuantName(KvQuant kv_quant);
const char* KvRouteName(KvRoute kv_route);

// One object per row, in the order of the table.
std::string SupportTableJson();

// The table of README.md, line by line.
std::string SupportTableMarkdown();

}  // namespace ascend_attention

#endif  // ASCEND_ATTENTION_TILING_SUPPORT_H_
