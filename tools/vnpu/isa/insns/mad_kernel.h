// SPDX-License-Identifier: Apache-2.0
// The inner loops of mad, compiled once for any host and once for wider vector
// units; all give the same bits (no fused multiply-add).
#ifndef VNPU_ISA_INSNS_MAD_KERNEL_H_
#define VNPU_ISA_INSNS_MAD_KERNEL_H_

#include <cstdint>

namespace vnpu {

struct MadShape {
  uint32_t m, k, n;
  uint32_t k1;       // fractals along k
  uint32_t n1;       // fractals along n
  uint32_t a_pitch;  // fractals from one 16-row group of A to the next
  uint32_t c_rows;   // m rounded up to 16
  bool vector_a;     // A is k consecutive elements
};

// c += a * b on operands as they lie in L0A, L0B, L0C.
void MadHalf(const MadShape& s, const uint8_t* a, const uint8_t* b, uint8_t* c);
void MadBfloat(const MadShape& s, const uint8_t* a, const uint8_t* b, uint8_t* c);
void MadFloat(const MadShape& s, const uint8_t* a, const uint8_t* b, uint8_t* c);
// Operands rounded to HF32 (8 bits of exponent, 11 stored of the fraction) first:
// ties to even, or toward zero.
void MadHf32(const MadShape& s, bool ties_to_zero, const uint8_t* a, const uint8_t* b, uint8_t* c);
void MadInt4(const MadShape& s, const uint8_t* a, const uint8_t* b, uint8_t* c);
void MadInt8(const MadShape& s, const uint8_t* a, const uint8_t* b, uint8_t* c);

}  // namespace vnpu

#endif  // VNPU_ISA_INSNS_MAD_KERNEL_H_
