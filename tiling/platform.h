// SPDX-License-Identifier: Apache-2.0
// What the planner must know about a chip: its cores, and what things cost.
//
// One table (platform.cc) serves every SKU; its rows carry source and mark. The
// core count is always a parameter: parts with 20, 24 and 25 usable cores
// exist, and a plan for 24 must not be run on 20.
//
// Next: tiling/decode_planner.h - the user of both.
#ifndef ASCEND_ATTENTION_TILING_PLATFORM_H_
#define ASCEND_ATTENTION_TILING_PLATFORM_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "tiling/status.h"

namespace ascend_attention {

// Prices of the planner's cost model. The planner turns times into bytes of KV
// at one core's share of the memory bandwidth, so that one number per core can
// be compared. Integers: host and device must reach the same cuts.
struct PlanCosts {
  uint64_t hbm_bytes_per_us = 0;    // whole chip, KV stream with runs >= 512 B
  uint64_t core_bytes_per_us = 0;   // one core's limit, whatever the others do
  uint64_t l2_bytes_per_us = 0;     // whole chip, reads and writes together
  uint64_t cube_mhz = 0;            // fractals per microsecond of one core
  uint64_t cache_row_ps = 0;        // one core's GM->L1 engine: a row of up to 512 B from HBM
  uint64_t apart_row_ps = 0;        // the same, if rows do not lie end to end
  uint64_t l2_row_ps = 0;           // the same from L2
  uint64_t load_ps = 0;             // one instruction of that engine, beside its rows
  uint64_t score_ps = 0;            // one vector core: a score of an int8 cache, all steps
  uint64_t convert_ps = 0;          // one vector core: an element of an int8 cache to 16 bits
  uint64_t core_fixed_ns = 0;       // once per core with work: cold caches, pipeline fill
  uint64_t core_start_ns = 0;       // from the start of a core to that of the next
  uint64_t item_fixed_ns = 0;       // one work item: the handshake chain no load can hide
  uint64_t empty_item_ns = 0;       // an item that sees no token: store zeros
  uint64_t merge_fixed_ns = 0;      // barrier and merge at the end, if anything is split
  uint64_t fifo_step16_ns = 0;      // KvRoute::kFifo, one core: 128 tokens and 16 query heads
  uint64_t fifo_step64_ns = 0;      // 128 tokens and 64 query heads
  uint64_t fifo_item_ns = 0;        // pipeline fill and drain of a sequence and query tile
  uint64_t fifo_pair_ns = 0;        // saved where that has two pages
  uint64_t direct_fill_ns = 0;      // kDirect, once: pipeline fill and drain, beside item_fixed_ns
  uint64_t direct_row_ns = 0;       // and for each query row of an item
  uint64_t direct_head_row_ns = 0;  // and for each query row of one kv head
};

struct Platform {
  std::string soc_name;  // as aclrtGetSocName reports it: "Ascend910B1"
  int num_cores = 0;     // cores the kernels may use: one AIC and its two AIVs each
  PlanCosts costs;
};

// One core's share of the bandwidth, bytes per microsecond.
uint64_t CoreShare(const Platform& platform);

// Time as bytes of KV that such a share moves meanwhile.
uint64_t CostOf(uint64_t nanoseconds, uint64_t bytes_per_us);

// The table's row for `soc_name`. num_cores 0 takes the part's usual count;
// any other value (what the runtime reports) is kept. Unimplemented for a part
// without a row, naming the ones there are.
StatusOr<Platform> PlatformFor(std::string_view soc_name, int num_cores = 0);

// The names PlatformFor knows.
std::vector<std::string> KnownSocNames();

}  // namespace ascend_attention

#endif  // ASCEND_ATTENTION_TILING_PLATFORM_H_
