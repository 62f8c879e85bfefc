// SPDX-License-Identifier: Apache-2.0
// Stores to GM under the atomic setting of the issuing core.
#ifndef VNPU_ISA_INSNS_GM_STORE_H_
#define VNPU_ISA_INSNS_GM_STORE_H_

#include <cstdint>

namespace vnpu {

struct Spr;

// Copies or accumulates `bytes`; atomic between cores on all host threads.
void StoreToGm(const Spr& spr, uint8_t* dst, const uint8_t* src, uint64_t bytes);

// `count` rows of `bytes`, pitches in bytes.
void CopyRows(uint8_t* dst, int64_t dst_pitch, const uint8_t* src, int64_t src_pitch,
              uint64_t count, uint64_t bytes);
void StoreRowsToGm(const Spr& spr, uint8_t* dst, int64_t dst_pitch, const uint8_t* src,
                   int64_t src_pitch, uint64_t count, uint64_t bytes);

}  // namespace vnpu

#endif  // VNPU_ISA_INSNS_GM_STORE_H_
