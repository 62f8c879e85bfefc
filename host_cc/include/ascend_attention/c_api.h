/* SPDX-License-Identifier: Apache-2.0 */
/* Paged-attention decode from C: the functions of decode.h with opaque handles.
 * Lifetime and stream rules are those of README.md.
 *
 * Every int result is an AscendAttentionStatus. On a failure the text is in
 * ascend_attention_last_error() of the same thread, and output parameters are
 * unchanged. A handle made from another keeps that one alive: handles may be
 * destroyed in any order, NULL included.
 *
 * Device memory and streams are ACL's, as in every engine for NPUs: aclrtMalloc,
 * aclrtMemcpy. README.md, "Device memory from C", has them without CANN.
 *
 * Next: decode.h - what each call means.
 */
#ifndef ASCEND_ATTENTION_C_API_H_
#define ASCEND_ATTENTION_C_API_H_

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define ASCEND_ATTENTION_EXPORT __attribute__((visibility("default")))

typedef enum AscendAttentionStatus {
  ASCEND_ATTENTION_OK = 0,
  ASCEND_ATTENTION_INVALID_ARGUMENT = 3,
  ASCEND_ATTENTION_RESOURCE_EXHAUSTED = 8,
  ASCEND_ATTENTION_FAILED_PRECONDITION = 9,
  ASCEND_ATTENTION_OUT_OF_RANGE = 11,
  ASCEND_ATTENTION_UNIMPLEMENTED = 12,
  ASCEND_ATTENTION_INTERNAL = 13
} AscendAttentionStatus;

typedef enum AscendAttentionDType {
  ASCEND_ATTENTION_FLOAT16 = 0,
  ASCEND_ATTENTION_BFLOAT16 = 1
} AscendAttentionDType;

/* What the cache holds; element = (int8 + offset) * scale, in float32. */
typedef enum AscendAttentionKvQuant {
  ASCEND_ATTENTION_KV_QUANT_NONE = 0,              /* dtype */
  ASCEND_ATTENTION_KV_QUANT_INT8_CHANNEL = 1,      /* scale [num_kv_heads, head_dim] */
  ASCEND_ATTENTION_KV_QUANT_INT8_CHANNEL_ASYM = 2, /* and offset, like scale */
  ASCEND_ATTENTION_KV_QUANT_INT8_TOKEN = 3 /* scale [num_kv_blocks, num_kv_heads, kv_block_size] */
} AscendAttentionKvQuant;

/* How the cache is read and multiplied. */
typedef enum AscendAttentionKvRoute {
  ASCEND_ATTENTION_KV_ROUTE_AUTO = 0,    /* the cheapest */
  ASCEND_ATTENTION_KV_ROUTE_DIRECT = 1,  /* KV_QUANT_NONE: as it is */
  ASCEND_ATTENTION_KV_ROUTE_DEQUANT = 2, /* int8: converted to dtype */
  ASCEND_ATTENTION_KV_ROUTE_LIMBS = 3,   /* int8: as it is */
  ASCEND_ATTENTION_KV_ROUTE_FIFO = 4     /* KV_QUANT_NONE: page by page, no sequence is split */
} AscendAttentionKvRoute;

typedef struct AscendAttentionRuntime AscendAttentionRuntime;
typedef struct AscendAttentionDecode AscendAttentionDecode;
typedef struct AscendAttentionPlan AscendAttentionPlan;

/* Zero-initialise, then set what is not the default. */
typedef struct AscendAttentionRuntimeOptions {
  int device;
  const char* acl_library; /* NULL: search; "vnpu": the virtual NPU */
  const char* kernel_dir;  /* NULL: beside the library */
  int num_cores;           /* at most those of the device; 0: all */
} AscendAttentionRuntimeOptions;

/* query       [query tokens of all sequences, num_heads, head_dim]
 * key/value   [num_kv_blocks, kv_block_size, num_kv_heads, head_dim], or kv_..._stride
 * block_table [batch, max_kv_blocks] int32
 * Zero-initialise, then set what is not the default. */
typedef struct AscendAttentionDecodeShape {
  int64_t batch; /* the largest that will be planned */
  int64_t num_heads;
  int64_t num_kv_heads;
  int64_t head_dim;
  int64_t kv_block_size;
  int64_t num_kv_blocks;
  int64_t max_kv_blocks;
  AscendAttentionDType dtype; /* of query and out, and of the cache unless int8 */
  int64_t max_q_len;          /* most query tokens of a sequence; 0: 1 */
  AscendAttentionKvQuant kv_quant;
  AscendAttentionKvRoute kv_route;
  int64_t kv_block_stride; /* of both caches, in elements; all three 0: dense */
  int64_t kv_token_stride;
  int64_t kv_head_stride;
  int64_t fixed_split_tokens; /* batch-invariant: cut at its multiples only; 0: where balanced */
  int32_t out_float32;        /* not 0: out is float32, not dtype; KV_ROUTE_FIFO alone has it */
} AscendAttentionDecodeShape;

/* Device pointers: scales, offsets and those to void are multiples of 32 bytes. */
typedef struct AscendAttentionDecodeTensors {
  const void* query;
  const void* key_cache;
  const void* value_cache;
  const int32_t* block_table;
  void* out;
  float* lse;             /* [query tokens, num_heads], natural log; NULL: not wanted */
  const float* key_scale; /* of an int8 cache, by its kv_quant; NULL where it has none */
  const float* key_offset;
  const float* value_scale;
  const float* value_offset;
} AscendAttentionDecodeTensors;

/* Text of this thread's latest failure; valid until its next one. Never NULL. */
ASCEND_ATTENTION_EXPORT const char* ascend_attention_last_error(void);

/* options may be NULL. */
ASCEND_ATTENTION_EXPORT int ascend_attention_runtime_open(
    const AscendAttentionRuntimeOptions* options, AscendAttentionRuntime** runtime);
ASCEND_ATTENTION_EXPORT void ascend_attention_runtime_close(AscendAttentionRuntime* runtime);
/* "Ascend910B1 (virtual NPU), 24 cores"; valid as long as the handle. */
ASCEND_ATTENTION_EXPORT const char* ascend_attention_runtime_description(
    const AscendAttentionRuntime* runtime);
/* Waits for the stream; a bad page id found on the device is named by row and index. */
ASCEND_ATTENTION_EXPORT int ascend_attention_runtime_synchronize(AscendAttentionRuntime* runtime,
                                                                 void* stream);

ASCEND_ATTENTION_EXPORT int ascend_attention_decode_create(AscendAttentionRuntime* runtime,
                                                           const AscendAttentionDecodeShape* shape,
                                                           float softmax_scale,
                                                           AscendAttentionDecode** decode);
ASCEND_ATTENTION_EXPORT void ascend_attention_decode_destroy(AscendAttentionDecode* decode);
ASCEND_ATTENTION_EXPORT size_t
ascend_attention_decode_workspace_bytes(const AscendAttentionDecode* decode);
/* The route in use: with kv_route AUTO the one that was chosen. AUTO for NULL only. */
ASCEND_ATTENTION_EXPORT AscendAttentionKvRoute
ascend_attention_decode_kv_route(const AscendAttentionDecode* decode);

/* context_lens: `batch` lengths in host memory, read before the call returns. One
 * query token per sequence. */
ASCEND_ATTENTION_EXPORT int ascend_attention_decode_plan(const AscendAttentionDecode* decode,
                                                         const int32_t* context_lens, size_t batch,
                                                         void* workspace, size_t workspace_size,
                                                         void* stream, AscendAttentionPlan** plan);
/* The same with q_lens[i] query tokens of sequence i, 1..max_q_len; context_lens
 * count them, too. q_lens NULL: one each. */
ASCEND_ATTENTION_EXPORT int ascend_attention_decode_plan_q_lens(
    const AscendAttentionDecode* decode, const int32_t* context_lens, const int32_t* q_lens,
    size_t batch, void* workspace, size_t workspace_size, void* stream, AscendAttentionPlan** plan);
ASCEND_ATTENTION_EXPORT void ascend_attention_plan_destroy(AscendAttentionPlan* plan);

ASCEND_ATTENTION_EXPORT int ascend_attention_decode_run(const AscendAttentionDecode* decode,
                                                        const AscendAttentionPlan* plan,
                                                        const AscendAttentionDecodeTensors* tensors,
                                                        void* stream);

/* ---- merge_states.h --------------------------------------------------------- */

typedef enum AscendAttentionStateDType {
  ASCEND_ATTENTION_STATE_FLOAT16 = 0,
  ASCEND_ATTENTION_STATE_BFLOAT16 = 1,
  ASCEND_ATTENTION_STATE_FLOAT32 = 2
} AscendAttentionStateDType;

/* Partial results of attention over the same rows. Device pointers, dense.
 * Zero-initialise, then set what is not the default. */
typedef struct AscendAttentionMergeStates {
  const void* parts_out;  /* [num_parts, rows, head_dim] */
  const float* parts_lse; /* [num_parts, rows], natural log; -inf: the part is empty */
  void* out;              /* [rows, head_dim] */
  float* lse;             /* [rows]; NULL: not wanted */
  int64_t num_parts;
  int64_t rows; /* query tokens * heads */
  int64_t head_dim;
  AscendAttentionStateDType dtype; /* of parts_out and out */
} AscendAttentionMergeStates;

ASCEND_ATTENTION_EXPORT int ascend_attention_merge_states(AscendAttentionRuntime* runtime,
                                                          const AscendAttentionMergeStates* states,
                                                          void* stream);

/* ---- cache_write.h ---------------------------------------------------------- */

typedef struct AscendAttentionCacheWriter AscendAttentionCacheWriter;

/* The cache, as in AscendAttentionDecodeShape. Zero-initialise, then set what is not
 * the default. */
typedef struct AscendAttentionCacheWriteShape {
  int64_t num_kv_heads;
  int64_t head_dim;
  int64_t kv_block_size;
  int64_t num_kv_blocks;
  AscendAttentionDType dtype; /* of key and value, and of the cache unless int8 */
  AscendAttentionKvQuant kv_quant;
  int64_t kv_block_stride; /* of both caches, in elements; all three 0: dense */
  int64_t kv_token_stride;
  int64_t kv_head_stride;
} AscendAttentionCacheWriteShape;

/* Device pointers: caches, scales and offsets are multiples of 32 bytes. */
typedef struct AscendAttentionCacheWriteTensors {
  int64_t num_tokens;
  const void* key; /* [num_tokens, num_kv_heads, head_dim] */
  const void* value;
  int64_t key_token_stride; /* elements, for slices of a qkv tensor; 0: dense */
  int64_t value_token_stride;
  const int64_t* slot_mapping; /* [num_tokens]; negative: the token is skipped */
  void* key_cache;
  void* value_cache;
  float* key_scale; /* of an int8 cache, by its kv_quant; written with INT8_TOKEN, else read */
  const float* key_offset;
  float* value_scale;
  const float* value_offset;
} AscendAttentionCacheWriteTensors;

ASCEND_ATTENTION_EXPORT int ascend_attention_cache_writer_create(
    AscendAttentionRuntime* runtime, const AscendAttentionCacheWriteShape* shape,
    AscendAttentionCacheWriter** writer);
/* When its work is done. */
ASCEND_ATTENTION_EXPORT void ascend_attention_cache_writer_destroy(
    AscendAttentionCacheWriter* writer);
/* check_slots not 0: for debugging, waits for the stream and refuses slots outside the
 * cache or used twice before anything is launched. */
ASCEND_ATTENTION_EXPORT int ascend_attention_cache_writer_run(
    const AscendAttentionCacheWriter* writer, const AscendAttentionCacheWriteTensors* tensors,
    void* stream, int check_slots);

#ifdef __cplusplus
}
#endif

#endif /* ASCEND_ATTENTION_C_API_H_ */
