/* SPDX-License-Identifier: Apache-2.0 */
/* One decode step by the C API, for a program in any language. */
#ifndef ENGINE_LOOP_DECODE_STEP_H_
#define ENGINE_LOOP_DECODE_STEP_H_

#include "ascend_attention/c_api.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Pointers are those of the device, but for context_lens. */
typedef struct DecodeStep {
  const int32_t* context_lens;
  size_t batch;
  AscendAttentionDecodeTensors tensors;
  void* workspace;
  size_t workspace_size;
  void* stream;
} DecodeStep;

/* Returns an AscendAttentionStatus; waits for the result. */
int RunDecodeStep(const DecodeStep* step);

#ifdef __cplusplus
}
#endif

#endif /* ENGINE_LOOP_DECODE_STEP_H_ */
