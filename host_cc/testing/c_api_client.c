/* SPDX-License-Identifier: Apache-2.0 */
#include "host_cc/testing/c_api_client.h"

static int PlanAndRun(AscendAttentionRuntime* runtime, const AscendAttentionDecode* decode,
                      const CClientProblem* problem) {
  AscendAttentionPlan* plan = NULL;
  int status;
  if (problem->q_lens == NULL) {
    status = ascend_attention_decode_plan(decode, problem->context_lens, problem->batch,
                                          problem->workspace, problem->workspace_size,
                                          problem->stream, &plan);
  } else {
    status = ascend_attention_decode_plan_q_lens(decode, problem->context_lens, problem->q_lens,
                                                 problem->batch, problem->workspace,
                                                 problem->workspace_size, problem->stream, &plan);
  }
  if (status != ASCEND_ATTENTION_OK) return status;
  status = ascend_attention_decode_run(decode, plan, &problem->tensors, problem->stream);
  if (status == ASCEND_ATTENTION_OK) {
    status = ascend_attention_runtime_synchronize(runtime, problem->stream);
  }
  ascend_attention_plan_destroy(plan);
  return status;
}

int DecodeFromC(const CClientProblem* problem) {
  AscendAttentionRuntime* runtime = NULL;
  AscendAttentionDecode* decode = NULL;
  int status = ascend_attention_runtime_open(NULL, &runtime);
  if (status != ASCEND_ATTENTION_OK) return status;
  status =
      ascend_attention_decode_create(runtime, &problem->shape, problem->softmax_scale, &decode);
  if (status == ASCEND_ATTENTION_OK) status = PlanAndRun(runtime, decode, problem);
  ascend_attention_decode_destroy(decode);
  ascend_attention_runtime_close(runtime);
  return status;
}

int MergeStatesFromC(const AscendAttentionMergeStates* states, void* stream) {
  AscendAttentionRuntime* runtime = NULL;
  int status = ascend_attention_runtime_open(NULL, &runtime);
  if (status != ASCEND_ATTENTION_OK) return status;
  status = ascend_attention_merge_states(runtime, states, stream);
  if (status == ASCEND_ATTENTION_OK) {
    status = ascend_attention_runtime_synchronize(runtime, stream);
  }
  ascend_attention_runtime_close(runtime);
  return status;
}

int CacheWriteFromC(const AscendAttentionCacheWriteShape* shape,
                    const AscendAttentionCacheWriteTensors* tensors, void* stream,
                    int check_slots) {
  AscendAttentionRuntime* runtime = NULL;
  AscendAttentionCacheWriter* writer = NULL;
  int status = ascend_attention_runtime_open(NULL, &runtime);
  if (status != ASCEND_ATTENTION_OK) return status;
  status = ascend_attention_cache_writer_create(runtime, shape, &writer);
  if (status == ASCEND_ATTENTION_OK) {
    status = ascend_attention_cache_writer_run(writer, tensors, stream, check_slots);
  }
  if (status == ASCEND_ATTENTION_OK) {
    status = ascend_attention_runtime_synchronize(runtime, stream);
  }
  ascend_attention_cache_writer_destroy(writer);
  ascend_attention_runtime_close(runtime);
  return status;
}
