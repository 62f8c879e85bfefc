/* SPDX-License-Identifier: Apache-2.0 */
#include "decode_step.h"

#include "sizes.h"

static AscendAttentionDecodeShape Shape(void) {
  AscendAttentionDecodeShape shape = {0};
  shape.batch = kMaxBatch;
  shape.num_heads = kHeads;
  shape.num_kv_heads = kKvHeads;
  shape.head_dim = kHeadDim;
  shape.kv_block_size = kKvBlockSize;
  shape.num_kv_blocks = kNumKvBlocks;
  shape.max_kv_blocks = kMaxKvBlocks;
  return shape;
}

/* An engine opens the runtime and makes the operator once, not in every step. */
int RunDecodeStep(const DecodeStep* step) {
  const AscendAttentionDecodeShape shape = Shape();
  AscendAttentionRuntime* runtime = NULL;
  AscendAttentionDecode* decode = NULL;
  AscendAttentionPlan* plan = NULL;
  int status = ascend_attention_runtime_open(NULL, &runtime);
  if (status == ASCEND_ATTENTION_OK) {
    status = ascend_attention_decode_create(runtime, &shape, SOFTMAX_SCALE, &decode);
  }
  if (status == ASCEND_ATTENTION_OK) {
    status = ascend_attention_decode_plan(decode, step->context_lens, step->batch, step->workspace,
                                          step->workspace_size, step->stream, &plan);
  }
  if (status == ASCEND_ATTENTION_OK) {
    status = ascend_attention_decode_run(decode, plan, &step->tensors, step->stream);
  }
  if (status == ASCEND_ATTENTION_OK) {
    status = ascend_attention_runtime_synchronize(runtime, step->stream);
  }
  ascend_attention_plan_destroy(plan); /* in any order, NULL included */
  ascend_attention_decode_destroy(decode);
  ascend_attention_runtime_close(runtime);
  return status;
}
