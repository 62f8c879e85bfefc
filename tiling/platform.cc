// SPDX-License-Identifier: Apache-2.0
// The SKU table and its prices.
//
// Marks: [hw] measured on silicon and published, [doc] vendor documentation,
// [inf] our inference.
#include "tiling/platform.h"

#include <algorithm>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace ascend_attention {
namespace {

// Practical KV stream of the whole chip, runs of 512 B and more. A 256 MiB
// device copy on a 910B1 reaches 1.27 TB/s, weight streams 1.3 [hw]; the vendor's
// roofline of 1.75-1.8 TB/s is never seen. The 910B4 has half the memory parts
// (rooflines of 0.80 and, for the other lot, 1.25 TB/s [doc]; the 64 GiB B4-1 is
// counted to the latter), taken at the same 72 % [inf].
constexpr uint64_t kHbmBytesPerUs = 1'300'000;
constexpr uint64_t kHbmBytesPerUsB4 = 580'000;
constexpr uint64_t kHbmBytesPerUsB4Wide = 900'000;

// One core's GM->L1 engine in layout-changing loads: 101-119 GB/s with a warm
// L2 (per-block times of Qwen3 weight streams) [hw].
constexpr uint64_t kCoreBytesPerUs = 110'000;

// L2 of the 910B1: 3 to 5 times the read rate of HBM [doc]; 4.8 TB/s is where the
// vendor's generic figure for a core leads with 24 of them [inf]. The 910B4 has
// half the L2 [doc]; taken as half as fast [inf].
constexpr uint64_t kL2BytesPerUs = 4'800'000;
constexpr uint64_t kL2BytesPerUsB4 = 2'400'000;

// Clock of the cube, which takes one 16 x 16 fractal of products a cycle [doc].
constexpr uint64_t kCubeMhz = 1850;

// One core's GM->L1 engine with rows up to a line of L2, the clock as above. From
// HBM 6.5 cycles a row, 8.4 with gaps between rows: fits to paged-attention kernels,
// beside published 7.7 and 9 for 128 rows [inf]. From L2 3.2: 256-byte rows at 101
// GB/s [hw]. So rows of 128 bytes do not reach what HBM can give.
constexpr uint64_t kCacheRowPs = 3510;
constexpr uint64_t kApartRowPs = 4540;
constexpr uint64_t kL2RowPs = 1730;

// An instruction: 60 cycles of setup [hw], and as long again for what the decode
// kernels put between two; modelled on the virtual NPU: 7.45 cycles a row where 128
// rows make a load [inf].
constexpr uint64_t kLoadPs = 65'000;

// Vector work of the int8 routes, modelled on the virtual NPU: 0.92 cycles a score
// (64 query rows a kv head: 59 cycles a token), 0.03 an element to convert [inf].
constexpr uint64_t kScorePs = 497;
constexpr uint64_t kConvertPs = 16;

// First work on a cold core, instruction cache, arguments: 0.3-5.6 us spread
// [hw]; a middle value.
constexpr uint64_t kCoreFixedNs = 2000;

// Head cost of a launch in CATLASS' tiling cost model: 1 + 7 x (cores used /
// cores) us [hw fit]: 0.29 us per core of 24, 8 us for a full-card kernel.
constexpr uint64_t kCoreStartNs = 290;

// All vector cores wait for each other, then load, weigh and store the partials:
// on the virtual NPU one sequence on 24 cores takes 1.9 us longer than 24 sequences of a
// 24th of its length. Twice that, since whole segments also lose less than the cost model
// says where cores end one after the other: the last ones have the memory to themselves
// (24 x 2048 tokens, 8 kv heads: cut so that all end together, 1.5 us longer) [inf].
constexpr uint64_t kMergeFixedNs = 4000;

// What one more item costs a core beside its bytes: tiles of the next item are
// loaded while those of this one are multiplied, so of the 1.85 us that a lone
// tile takes in a real paged-attention kernel [hw] little is left. Modelled on the
// virtual NPU, 24 cores: 0.07 us for items of 512 tokens x 1 kv head, 0.23 us for
// 16 tokens x 8, 0.8 us for 64 tokens x 1, where nothing else is left to hide it
// [inf].
constexpr uint64_t kItemFixedNs = 300;

// Storing zeros, beside its flags; modelled as above [inf].
constexpr uint64_t kEmptyItemNs = 400;

// Between the FIFO route and the planned one, both modelled on the virtual NPU with batches of
// 1 to 48, 1 to 128 query heads on each of 1 to 8 kv heads and 16 to 1000 tokens; chosen so that
// the faster of them is taken, on 3917 drawn problems, and held against others [inf]. A step is a
// page through both products and the softmax, whose way to the vector cores and back is longer than
// its loads. On the planned route that way is under the loads but at the begin and at the end,
// where a vector core has half of a tile's rows to go through: up to 64, against 8 or 32 on the
// FIFO route. Kv heads of a tile follow each other through the pipes, the rows of one kv head come
// at once: they count more. Two pages are on their way at a time: the second is the cheapest.
constexpr uint64_t kFifoStep16Ns = 1550;
constexpr uint64_t kFifoStep64Ns = 2400;
constexpr uint64_t kFifoItemNs = 2450;
constexpr uint64_t kFifoPairNs = 900;
constexpr uint64_t kDirectFillNs = 2000;
constexpr uint64_t kDirectRowNs = 22;
constexpr uint64_t kDirectHeadRowNs = 34;

constexpr PlanCosts CostsWith(uint64_t hbm_bytes_per_us) {
  PlanCosts costs;
  costs.hbm_bytes_per_us = hbm_bytes_per_us;
  costs.core_bytes_per_us = kCoreBytesPerUs;
  costs.l2_bytes_per_us = hbm_bytes_per_us == kHbmBytesPerUs ? kL2BytesPerUs : kL2BytesPerUsB4;
  costs.cube_mhz = kCubeMhz;
  costs.cache_row_ps = kCacheRowPs;
  costs.apart_row_ps = kApartRowPs;
  costs.l2_row_ps = kL2RowPs;
  costs.load_ps = kLoadPs;
  costs.score_ps = kScorePs;
  costs.convert_ps = kConvertPs;
  costs.core_fixed_ns = kCoreFixedNs;
  costs.core_start_ns = kCoreStartNs;
  costs.item_fixed_ns = kItemFixedNs;
  costs.empty_item_ns = kEmptyItemNs;
  costs.merge_fixed_ns = kMergeFixedNs;
  costs.fifo_step16_ns = kFifoStep16Ns;
  costs.fifo_step64_ns = kFifoStep64Ns;
  costs.fifo_item_ns = kFifoItemNs;
  costs.fifo_pair_ns = kFifoPairNs;
  costs.direct_fill_ns = kDirectFillNs;
  costs.direct_row_ns = kDirectRowNs;
  costs.direct_head_row_ns = kDirectHeadRowNs;
  return costs;
}

struct SkuRow {
  std::string_view soc_name;
  int num_cores;
  uint64_t hbm_bytes_per_us;
};

// Core counts: CANN platform files [doc]. Ascend910_93xx are the two dies of
// an A3 package, each a device of its own; its bins differ in usable cores.
constexpr SkuRow kSkus[] = {
    {"Ascend910B1", 24, kHbmBytesPerUs},    {"Ascend910B2", 24, kHbmBytesPerUs},
    {"Ascend910B2C", 24, kHbmBytesPerUs},   {"Ascend910B3", 20, kHbmBytesPerUs},
    {"Ascend910B4", 20, kHbmBytesPerUsB4},  {"Ascend910B4-1", 20, kHbmBytesPerUsB4Wide},
    {"Ascend910_9391", 24, kHbmBytesPerUs}, {"Ascend910_9392", 24, kHbmBytesPerUs},
    {"Ascend910_9381", 24, kHbmBytesPerUs}, {"Ascend910_9382", 24, kHbmBytesPerUs},
    {"Ascend910_9372", 20, kHbmBytesPerUs}, {"Ascend910_9362", 20, kHbmBytesPerUs},
};

}  // namespace

std::vector<std::string> KnownSocNames() {
  std::vector<std::string> names;
  for (const SkuRow& row : kSkus) names.emplace_back(row.soc_name);
  return names;
}

uint64_t CoreShare(const Platform& platform) {
  const PlanCosts& costs = platform.costs;
  return std::min(costs.hbm_bytes_per_us / static_cast<uint64_t>(platform.num_cores),
                  costs.core_bytes_per_us);
}

uint64_t CostOf(uint64_t nanoseconds, uint64_t bytes_per_us) {
  return nanoseconds * bytes_per_us / 1000;
}

StatusOr<Platform> PlatformFor(std::string_view soc_name, int num_cores) {
  if (num_cores < 0) {
    return InvalidArgument("num_cores = ", num_cores, "; expected 1 or more, or 0 for the usual");
  }
  for (const SkuRow& row : kSkus) {
    if (row.soc_name != soc_name) continue;
    const int cores = num_cores == 0 ? row.num_cores : num_cores;
    return Platform{std::string(soc_name), cores, CostsWith(row.hbm_bytes_per_us)};
  }
  std::string names;
  for (const SkuRow& row : kSkus) {
    if (!names.empty()) names.append(", ");
    names.append(row.soc_name);
  }
  return Unimplemented("soc_name = \"", soc_name,
                       "\" has no row in the platform table; known: ", names);
}

}  // namespace ascend_attention
