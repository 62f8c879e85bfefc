/* SPDX-License-Identifier: Apache-2.0 */
/* A user of the C API that is compiled as C; driven by c_api_test.cc. */
#ifndef ASCEND_ATTENTION_HOST_CC_TESTING_C_API_CLIENT_H_
#define ASCEND_ATTENTION_HOST_CC_TESTING_C_API_CLIENT_H_

#include "host_cc/include/ascend_attention/c_api.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct CClientProblem {
  AscendAttentionDecodeShape shape;
  float softmax_scale;
  const int32_t* context_lens;
  const int32_t* q_lens; /* NULL: the call without them */
  size_t batch;
  void* workspace;
  size_t workspace_size;
  AscendAttentionDecodeTensors tensors;
  void* stream;
} CClientProblem;

/* Opens, plans, runs, waits and closes. On a failure returns its status; the
 * text is in ascend_attention_last_error(). */
int DecodeFromC(const CClientProblem* problem);

/* Opens, merges, waits and closes, with the same results. */
int MergeStatesFromC(const AscendAttentionMergeStates* states, void* stream);

/* Opens, writes, waits and closes, with the same results. */
int CacheWriteFromC(const AscendAttentionCacheWriteShape* shape,
                    const AscendAttentionCacheWriteTensors* tensors, void* stream, int check_slots);

#ifdef __cplusplus
}
#endif

#endif /* ASCEND_ATTENTION_HOST_CC_TESTING_C_API_CLIENT_H_ */
