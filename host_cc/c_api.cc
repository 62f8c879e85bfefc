// SPDX-License-Identifier: Apache-2.0
#include "host_cc/include/ascend_attention/c_api.h"

#include <memory>
#include <new>
#include <string>
#include <utility>

#include "host_cc/include/ascend_attention/cache_write.h"
#include "host_cc/include/ascend_attention/decode.h"
#include "host_cc/include/ascend_attention/merge_states.h"

using ascend_attention::DecodeAttention;
using ascend_attention::DecodeShape;
using ascend_attention::DecodeTensors;
using ascend_attention::DType;
using ascend_attention::InvalidArgument;
using ascend_attention::KvQuant;
using ascend_attention::KvRoute;
using ascend_attention::MergeStatesArgs;
using ascend_attention::PreparedPlan;
using ascend_attention::ResourceExhausted;
using ascend_attention::Runtime;
using ascend_attention::RuntimeOptions;
using ascend_attention::StateDType;
using ascend_attention::Status;
using ascend_attention::StatusCode;

struct AscendAttentionRuntime {
  std::shared_ptr<Runtime> runtime;
  std::string description = {};  // kept: the C function returns a pointer to it
};
struct AscendAttentionDecode {
  DecodeAttention decode;
};
struct AscendAttentionPlan {
  PreparedPlan plan;
};
struct AscendAttentionCacheWriter {
  ascend_attention::CacheWriter writer;
};

namespace {

static_assert(ASCEND_ATTENTION_INVALID_ARGUMENT == static_cast<int>(StatusCode::kInvalidArgument));
static_assert(ASCEND_ATTENTION_RESOURCE_EXHAUSTED ==
              static_cast<int>(StatusCode::kResourceExhausted));
static_assert(ASCEND_ATTENTION_FAILED_PRECONDITION ==
              static_cast<int>(StatusCode::kFailedPrecondition));
static_assert(ASCEND_ATTENTION_OUT_OF_RANGE == static_cast<int>(StatusCode::kOutOfRange));
static_assert(ASCEND_ATTENTION_UNIMPLEMENTED == static_cast<int>(StatusCode::kUnimplemented));
static_assert(ASCEND_ATTENTION_INTERNAL == static_cast<int>(StatusCode::kInternal));
static_assert(ASCEND_ATTENTION_FLOAT16 == static_cast<int>(DType::kFloat16));
static_assert(ASCEND_ATTENTION_BFLOAT16 == static_cast<int>(DType::kBFloat16));

static_assert(ASCEND_ATTENTION_KV_QUANT_NONE == static_cast<int>(KvQuant::kNone));
static_assert(ASCEND_ATTENTION_KV_QUANT_INT8_CHANNEL == static_cast<int>(KvQuant::kInt8Channel));
static_assert(ASCEND_ATTENTION_KV_QUANT_INT8_CHANNEL_ASYM ==
              static_cast<int>(KvQuant::kInt8ChannelAsym));
static_assert(ASCEND_ATTENTION_KV_QUANT_INT8_TOKEN == static_cast<int>(KvQuant::kInt8Token));
static_assert(ASCEND_ATTENTION_KV_ROUTE_AUTO == static_cast<int>(KvRoute::kAuto));
static_assert(ASCEND_ATTENTION_KV_ROUTE_DIRECT == static_cast<int>(KvRoute::kDirect));
static_assert(ASCEND_ATTENTION_KV_ROUTE_DEQUANT == static_cast<int>(KvRoute::kDequant));
static_assert(ASCEND_ATTENTION_KV_ROUTE_LIMBS == static_cast<int>(KvRoute::kLimbs));
static_assert(ASCEND_ATTENTION_KV_ROUTE_FIFO == static_cast<int>(KvRoute::kFifo));

static_assert(ASCEND_ATTENTION_STATE_FLOAT16 == static_cast<int>(StateDType::kFloat16));
static_assert(ASCEND_ATTENTION_STATE_BFLOAT16 == static_cast<int>(StateDType::kBFloat16));
static_assert(ASCEND_ATTENTION_STATE_FLOAT32 == static_cast<int>(StateDType::kFloat32));

thread_local std::string last_error;

int Report(const Status& status) {
  if (!status.ok()) last_error = status.message();
  return static_cast<int>(status.code());
}

std::string TextOrEmpty(const char* text) { return text == nullptr ? "" : text; }

Status NullArgument(const char* name) { return InvalidArgument(name, " is NULL"); }

// Zeros are the defaults.
DecodeShape ToShape(const AscendAttentionDecodeShape& from) {
  DecodeShape shape;
  shape.batch = from.batch;
  shape.num_heads = from.num_heads;
  shape.num_kv_heads = from.num_kv_heads;
  shape.head_dim = from.head_dim;
  shape.kv_block_size = from.kv_block_size;
  shape.num_kv_blocks = from.num_kv_blocks;
  shape.max_kv_blocks = from.max_kv_blocks;
  shape.dtype = static_cast<DType>(from.dtype);
  if (from.max_q_len != 0) shape.max_q_len = from.max_q_len;
  shape.kv_quant = static_cast<KvQuant>(from.kv_quant);
  shape.kv_route = static_cast<KvRoute>(from.kv_route);
  shape.kv_strides = {from.kv_block_stride, from.kv_token_stride, from.kv_head_stride};
  shape.fixed_split_tokens = from.fixed_split_tokens;
  shape.out_float32 = from.out_float32 != 0;
  return shape;
}

// Moves a result into a handle of its own.
template <typename Handle, typename Value>
int Return(ascend_attention::StatusOr<Value> value, Handle** handle) {
  if (!value.ok()) return Report(value.status());
  auto* made = new (std::nothrow) Handle{*std::move(value)};
  if (made == nullptr) return Report(ResourceExhausted("out of host memory"));
  *handle = made;
  return ASCEND_ATTENTION_OK;
}

}  // namespace

const char* ascend_attention_last_error(void) { return last_error.c_str(); }

int ascend_attention_runtime_open(const AscendAttentionRuntimeOptions* options,
                                  AscendAttentionRuntime** runtime) {
  if (runtime == nullptr) return Report(NullArgument("runtime"));
  RuntimeOptions open;
  if (options != nullptr) {
    open.device = options->device;
    open.acl_library = TextOrEmpty(options->acl_library);
    open.kernel_dir = TextOrEmpty(options->kernel_dir);
    open.num_cores = options->num_cores;
  }
  const int status = Return(Runtime::Open(open), runtime);
  if (status == ASCEND_ATTENTION_OK) (*runtime)->description = (*runtime)->runtime->description();
  return status;
}

void ascend_attention_runtime_close(AscendAttentionRuntime* runtime) { delete runtime; }

const char* ascend_attention_runtime_description(const AscendAttentionRuntime* runtime) {
  return runtime == nullptr ? "" : runtime->description.c_str();
}

int ascend_attention_runtime_synchronize(AscendAttentionRuntime* runtime, void* stream) {
  if (runtime == nullptr) return Report(NullArgument("runtime"));
  return Report(runtime->runtime->Synchronize(stream));
}

int ascend_attention_decode_create(AscendAttentionRuntime* runtime,
                                   const AscendAttentionDecodeShape* shape, float softmax_scale,
                                   AscendAttentionDecode** decode) {
  if (runtime == nullptr) return Report(NullArgument("runtime"));
  if (shape == nullptr) return Report(NullArgument("shape"));
  if (decode == nullptr) return Report(NullArgument("decode"));
  return Return(DecodeAttention::Create(runtime->runtime, ToShape(*shape), softmax_scale), decode);
}

void ascend_attention_decode_destroy(AscendAttentionDecode* decode) { delete decode; }

size_t ascend_attention_decode_workspace_bytes(const AscendAttentionDecode* decode) {
  return decode == nullptr ? 0 : decode->decode.workspace_bytes();
}

AscendAttentionKvRoute ascend_attention_decode_kv_route(const AscendAttentionDecode* decode) {
  if (decode == nullptr) return ASCEND_ATTENTION_KV_ROUTE_AUTO;
  return static_cast<AscendAttentionKvRoute>(decode->decode.shape().kv_route);
}

int ascend_attention_decode_plan(const AscendAttentionDecode* decode, const int32_t* context_lens,
                                 size_t batch, void* workspace, size_t workspace_size, void* stream,
                                 AscendAttentionPlan** plan) {
  return ascend_attention_decode_plan_q_lens(decode, context_lens, nullptr, batch, workspace,
                                             workspace_size, stream, plan);
}

int ascend_attention_decode_plan_q_lens(const AscendAttentionDecode* decode,
                                        const int32_t* context_lens, const int32_t* q_lens,
                                        size_t batch, void* workspace, size_t workspace_size,
                                        void* stream, AscendAttentionPlan** plan) {
  if (decode == nullptr) return Report(NullArgument("decode"));
  if (plan == nullptr) return Report(NullArgument("plan"));
  return Return(decode->decode.Plan(context_lens, batch, workspace, workspace_size, stream, q_lens),
                plan);
}

void ascend_attention_plan_destroy(AscendAttentionPlan* plan) { delete plan; }

int ascend_attention_decode_run(const AscendAttentionDecode* decode,
                                const AscendAttentionPlan* plan,
                                const AscendAttentionDecodeTensors* tensors, void* stream) {
  if (decode == nullptr) return Report(NullArgument("decode"));
  if (plan == nullptr) return Report(NullArgument("plan"));
  if (tensors == nullptr) return Report(NullArgument("tensors"));
  DecodeTensors device;
  device.query = tensors->query;
  device.key_cache = tensors->key_cache;
  device.value_cache = tensors->value_cache;
  device.block_table = tensors->block_table;
  device.out = tensors->out;
  device.lse = tensors->lse;
  device.key_scale = tensors->key_scale;
  device.key_offset = tensors->key_offset;
  device.value_scale = tensors->value_scale;
  device.value_offset = tensors->value_offset;
  return Report(decode->decode.Run(plan->plan, device, stream));
}

// ---- merge_states.h -----------------------------------------------------------

int ascend_attention_merge_states(AscendAttentionRuntime* runtime,
                                  const AscendAttentionMergeStates* states, void* stream) {
  if (runtime == nullptr) return Report(NullArgument("runtime"));
  if (states == nullptr) return Report(NullArgument("states"));
  MergeStatesArgs args;
  args.parts_out = states->parts_out;
  args.parts_lse = states->parts_lse;
  args.out = states->out;
  args.lse = states->lse;
  args.num_parts = states->num_parts;
  args.rows = states->rows;
  args.head_dim = states->head_dim;
  args.dtype = static_cast<StateDType>(states->dtype);
  return Report(ascend_attention::MergeStates(*runtime->runtime, args, stream));
}

// ---- cache_write.h ------------------------------------------------------------

int ascend_attention_cache_writer_create(AscendAttentionRuntime* runtime,
                                         const AscendAttentionCacheWriteShape* shape,
                                         AscendAttentionCacheWriter** writer) {
  if (runtime == nullptr) return Report(NullArgument("runtime"));
  if (shape == nullptr) return Report(NullArgument("shape"));
  if (writer == nullptr) return Report(NullArgument("writer"));
  ascend_attention::CacheWriteShape cache;
  cache.num_kv_heads = shape->num_kv_heads;
  cache.head_dim = shape->head_dim;
  cache.kv_block_size = shape->kv_block_size;
  cache.num_kv_blocks = shape->num_kv_blocks;
  cache.dtype = static_cast<DType>(shape->dtype);
  cache.kv_quant = static_cast<KvQuant>(shape->kv_quant);
  cache.kv_strides = {shape->kv_block_stride, shape->kv_token_stride, shape->kv_head_stride};
  return Return(ascend_attention::CacheWriter::Create(runtime->runtime, cache), writer);
}

void ascend_attention_cache_writer_destroy(AscendAttentionCacheWriter* writer) { delete writer; }

int ascend_attention_cache_writer_run(const AscendAttentionCacheWriter* writer,
                                      const AscendAttentionCacheWriteTensors* tensors, void* stream,
                                      int check_slots) {
  if (writer == nullptr) return Report(NullArgument("writer"));
  if (tensors == nullptr) return Report(NullArgument("tensors"));
  ascend_attention::CacheWriteTensors device;
  device.num_tokens = tensors->num_tokens;
  device.key = tensors->key;
  device.value = tensors->value;
  device.key_token_stride = tensors->key_token_stride;
  device.value_token_stride = tensors->value_token_stride;
  device.slot_mapping = tensors->slot_mapping;
  device.key_cache = tensors->key_cache;
  device.value_cache = tensors->value_cache;
  device.key_scale = tensors->key_scale;
  device.key_offset = tensors->key_offset;
  device.value_scale = tensors->value_scale;
  device.value_offset = tensors->value_offset;
  return Report(writer->writer.Run(device, stream, check_slots != 0));
}
