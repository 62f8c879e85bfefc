// SPDX-License-Identifier: Apache-2.0
// The cache writer: checks, then one launch.
#include "host_cc/include/ascend_attention/cache_write.h"

#include <algorithm>
#include <limits>
#include <mutex>
#include <set>
#include <utility>
#include <vector>

#include "host_cc/current_device.h"
#include "host_cc/error_sources.h"
#include "host_cc/include/ascend_attention/device_buffer.h"
#include "host_cc/launch.h"
#include "host_cc/name_regions.h"
#include "host_cc/pointer_checks.h"
#include "host_cc/runtime_impl.h"
#include "host_cc/verbose.h"
#include "tiling/abi/cache_write.h"
#include "tiling/kv_layout.h"
#include "tiling/support.h"

namespace ascend_attention {

class CacheWriter::Impl : public ErrorSource {
 public:
  Status TakeError(void* stream) override;
  void NoteRun(void* stream);

  int64_t num_slots() const { return shape.num_kv_blocks * shape.kv_block_size; }
  int64_t row_elems() const { return shape.num_kv_heads * shape.head_dim; }

  std::shared_ptr<Runtime> runtime;
  CacheWriteShape shape;
  KvStrides strides;  // resolved
  Kernel kernel;
  uint32_t vector_cores = 0;
  DeviceBuffer errors;  // CacheWriteError[vector_cores]

 private:
  // Streams of launches: the error of one is not that of another writer's stream.
  std::mutex mutex_;
  std::set<void*> streams_;
};

namespace {

constexpr uint32_t kVectorCoresPerCore = 2;
constexpr uintptr_t kInputBytes = 2;  // key and value are addressed by element
constexpr uintptr_t kSlotBytes = sizeof(int64_t);
constexpr int64_t kMaxGapBytes = std::numeric_limits<uint32_t>::max();  // of a copy
constexpr int64_t kMaxInt32 = std::numeric_limits<int32_t>::max();

// Parameters of the kernel in order (ascend_kernels/kv_cache/cache_args.h).
struct CacheKernelArgs {
  const void* key;
  const void* value;
  const int64_t* slot_mapping;
  void* key_cache;
  void* value_cache;
  float* key_scale;
  float* value_scale;
  const float* key_offset;
  const float* value_offset;
  void* errors;
  int64_t num_tokens;
  int64_t key_stride;
  int64_t value_stride;
  int64_t num_kv_heads;
  int64_t head_dim;
  int64_t kv_block_size;
  int64_t num_slots;
  int64_t block_stride;
  int64_t token_stride;
  int64_t head_stride;
  uint64_t kv_quant;
};
static_assert(sizeof(CacheKernelArgs) == 21 * 8, "one 8-byte slot per kernel parameter");

// What decode would read of this cache, with one query head per kv head.
DecodeShape ReaderOf(const CacheWriteShape& shape) {
  DecodeShape reader;
  reader.batch = 1;
  reader.num_heads = shape.num_kv_heads;
  reader.num_kv_heads = shape.num_kv_heads;
  reader.head_dim = shape.head_dim;
  reader.kv_block_size = shape.kv_block_size;
  reader.num_kv_blocks = shape.num_kv_blocks;
  reader.max_kv_blocks = 1;
  reader.dtype = shape.dtype;
  reader.kv_quant = shape.kv_quant;
  reader.kv_strides = shape.kv_strides;
  return reader;
}

// Whatever decode reads can be written, but for heads further apart than a copy
// can skip.
Status CheckShape(const CacheWriteShape& shape) {
  if (shape.num_kv_heads < 1 || shape.num_kv_heads > kMaxInt32) {
    return InvalidArgument("num_kv_heads = ", shape.num_kv_heads, "; expected 1..", kMaxInt32);
  }
  const DecodeShape reader = ReaderOf(shape);
  AA_RETURN_IF_ERROR(Validate(reader));
  const int64_t elem_bytes = KvElemBytes(shape.kv_quant);
  const int64_t most = shape.head_dim + kMaxGapBytes / elem_bytes;
  const int64_t head_stride = ResolveStrides(reader).head;
  if (head_stride <= most) return OkStatus();
  return Unimplemented("kv_strides.head = ", head_stride,
                       " elements is more than a store instruction reaches; nearest supported: ",
                       most / (kDatablockBytes / elem_bytes) * (kDatablockBytes / elem_bytes));
}

Status CheckTokenStride(const char* name, int64_t stride, int64_t row_elems) {
  const int64_t most = row_elems + kMaxGapBytes / static_cast<int64_t>(kInputBytes);
  if (stride == 0 || (stride >= row_elems && stride <= most)) return OkStatus();
  return InvalidArgument(name, " = ", stride,
                         "; expected 0 or num_kv_heads * head_dim = ", row_elems, " to ", most);
}

// A scale or offset: there if the scheme has it, else null.
Status CheckParam(const char* name, const float* address, bool has, KvQuant kv_quant) {
  if (!has && address != nullptr) {
    return InvalidArgument(name, " is given, but kv_quant ", KvQuantName(kv_quant),
                           " has none; expected null");
  }
  if (!has) return OkStatus();
  if (address != nullptr) return CheckAligned(name, address, kDatablockBytes);
  return InvalidArgument(name, " is null; kv_quant ", KvQuantName(kv_quant), " needs float32 ",
                         kv_quant == KvQuant::kInt8Token
                             ? "[num_kv_blocks, num_kv_heads, kv_block_size]"
                             : "[num_kv_heads, head_dim]");
}

Status CheckCaches(const CacheWriteTensors& tensors, const CacheWriteShape& shape) {
  const bool scales = shape.kv_quant != KvQuant::kNone;
  const bool offsets = shape.kv_quant == KvQuant::kInt8ChannelAsym;
  AA_RETURN_IF_ERROR(CheckPointer("key_cache", tensors.key_cache, kDatablockBytes));
  AA_RETURN_IF_ERROR(CheckPointer("value_cache", tensors.value_cache, kDatablockBytes));
  if (tensors.key_cache == tensors.value_cache) {
    return InvalidArgument("value_cache = ", AddressText(tensors.value_cache),
                           " is key_cache; expected memory of its own");
  }
  if (shape.kv_quant == KvQuant::kInt8Token && tensors.key_scale == tensors.value_scale &&
      tensors.key_scale != nullptr) {
    return InvalidArgument("value_scale = ", AddressText(tensors.value_scale),
                           " is key_scale; expected memory of its own");
  }
  AA_RETURN_IF_ERROR(CheckParam("key_scale", tensors.key_scale, scales, shape.kv_quant));
  AA_RETURN_IF_ERROR(CheckParam("key_offset", tensors.key_offset, offsets, shape.kv_quant));
  AA_RETURN_IF_ERROR(CheckParam("value_scale", tensors.value_scale, scales, shape.kv_quant));
  return CheckParam("value_offset", tensors.value_offset, offsets, shape.kv_quant);
}

// Scales or offsets of all heads of an int8 cache.
int64_t ParamBytes(const CacheWriteShape& shape) {
  const int64_t per_head = shape.kv_quant == KvQuant::kInt8Token
                               ? shape.num_kv_blocks * shape.kv_block_size
                               : shape.head_dim;
  return shape.num_kv_heads * per_head * static_cast<int64_t>(sizeof(float));
}

// Bytes from the first element of key or value to behind the last.
int64_t InputBytes(const CacheWriteTensors& tensors, const CacheWriter::Impl& op, int64_t stride) {
  const int64_t row = op.row_elems();
  const int64_t pitch = stride == 0 ? row : stride;
  return ((tensors.num_tokens - 1) * pitch + row) * static_cast<int64_t>(kInputBytes);
}

// What is written overlaps nothing else.
Status CheckApart(const CacheWriteTensors& tensors, const CacheWriter::Impl& op) {
  const DecodeShape cache = ReaderOf(op.shape);
  const int64_t params = ParamBytes(op.shape);
  std::vector<Memory> written = {CacheMemory("key_cache", tensors.key_cache, cache),
                                 CacheMemory("value_cache", tensors.value_cache, cache)};
  std::vector<Memory> read = {
      {"key", tensors.key, InputBytes(tensors, op, tensors.key_token_stride)},
      {"value", tensors.value, InputBytes(tensors, op, tensors.value_token_stride)},
      {"slot_mapping", tensors.slot_mapping,
       tensors.num_tokens * static_cast<int64_t>(sizeof(int64_t))},
      {"key_offset", tensors.key_offset, params},
      {"value_offset", tensors.value_offset, params},
  };
  std::vector<Memory>& scales = op.shape.kv_quant == KvQuant::kInt8Token ? written : read;
  scales.push_back({"key_scale", tensors.key_scale, params});
  scales.push_back({"value_scale", tensors.value_scale, params});
  for (size_t i = 0; i < written.size(); ++i) {
    for (const Memory& other : read) AA_RETURN_IF_ERROR(CheckApart(written[i], other));
    for (size_t j = 0; j < i; ++j) AA_RETURN_IF_ERROR(CheckApart(written[i], written[j]));
  }
  return OkStatus();
}

Status CheckTensors(const CacheWriteTensors& tensors, const CacheWriter::Impl& op) {
  if (tensors.num_tokens < 0 || tensors.num_tokens > kMaxInt32) {
    return InvalidArgument("num_tokens = ", tensors.num_tokens, "; expected 0..", kMaxInt32);
  }
  const int64_t row = op.row_elems();
  AA_RETURN_IF_ERROR(CheckTokenStride("key_token_stride", tensors.key_token_stride, row));
  AA_RETURN_IF_ERROR(CheckTokenStride("value_token_stride", tensors.value_token_stride, row));
  if (tensors.num_tokens == 0) return OkStatus();
  AA_RETURN_IF_ERROR(CheckPointer("key", tensors.key, kInputBytes));
  AA_RETURN_IF_ERROR(CheckPointer("value", tensors.value, kInputBytes));
  AA_RETURN_IF_ERROR(CheckPointer("slot_mapping", tensors.slot_mapping, kSlotBytes));
  // Without kv blocks every slot must be negative, and nothing is written.
  if (op.shape.num_kv_blocks == 0) return OkStatus();
  AA_RETURN_IF_ERROR(CheckCaches(tensors, op.shape));
  return CheckApart(tensors, op);
}

Status CheckSlotsOnDevice(const CacheWriteTensors& tensors, const CacheWriter::Impl& op,
                          void* stream) {
  const AclApi& acl = *op.runtime->impl().acl;
  AA_RETURN_IF_ERROR(op.runtime->Synchronize(stream));
  std::vector<int64_t> slots(static_cast<size_t>(tensors.num_tokens));
  const size_t size = slots.size() * sizeof(int64_t);
  AA_RETURN_IF_ERROR(acl.Check(
      acl.aclrtMemcpy(slots.data(), size, tensors.slot_mapping, size, ACL_MEMCPY_DEVICE_TO_HOST),
      "aclrtMemcpy(slot_mapping, ", size, ")"));
  return CheckSlotMapping(slots.data(), tensors.num_tokens, op.num_slots());
}

CacheKernelArgs ArgsOf(const CacheWriteTensors& tensors, const CacheWriter::Impl& op) {
  CacheKernelArgs args;
  args.key = tensors.key;
  args.value = tensors.value;
  args.slot_mapping = tensors.slot_mapping;
  args.key_cache = tensors.key_cache;
  args.value_cache = tensors.value_cache;
  args.key_scale = tensors.key_scale;
  args.value_scale = tensors.value_scale;
  args.key_offset = tensors.key_offset;
  args.value_offset = tensors.value_offset;
  args.errors = op.errors.data();
  args.num_tokens = tensors.num_tokens;
  const int64_t row = op.row_elems();
  args.key_stride = tensors.key_token_stride == 0 ? row : tensors.key_token_stride;
  args.value_stride = tensors.value_token_stride == 0 ? row : tensors.value_token_stride;
  args.num_kv_heads = op.shape.num_kv_heads;
  args.head_dim = op.shape.head_dim;
  args.kv_block_size = op.shape.kv_block_size;
  args.num_slots = op.num_slots();
  args.block_stride = op.strides.block;
  args.token_stride = op.strides.token;
  args.head_stride = op.strides.head;
  args.kv_quant = static_cast<uint64_t>(op.shape.kv_quant);
  return args;
}

struct Range {
  const void* begin;
  int64_t bytes;
  const char* name;
};

// Tells the virtual NPU's checkers what the memory is.
class Namer {
 public:
  Namer(const Runtime::Impl& runtime, NameRules rules) : runtime_(runtime), rules_(rules) {}

  void One(const Range& range, int rule) const {
    if (range.begin == nullptr || range.bytes <= 0) return;
    (void)runtime_.acl->vnpuAclNameRegion(runtime_.device, range.begin,
                                          static_cast<uint64_t>(range.bytes), range.name,
                                          RuleUnder(rules_, rule));
  }
  // Two that may be slices of one tensor: a name holds one range.
  void Both(const Range& a, const Range& b, const char* together, int rule) const {
    const auto* first = static_cast<const uint8_t*>(std::min(a.begin, b.begin));
    const auto* second = static_cast<const uint8_t*>(std::max(a.begin, b.begin));
    if (second - first < std::min(a.bytes, b.bytes)) {
      One(Range{first, second - first + std::max(a.bytes, b.bytes), together}, rule);
      return;
    }
    One(a, rule);
    One(b, rule);
  }

 private:
  const Runtime::Impl& runtime_;
  const NameRules rules_;
};

void NameRegions(const CacheWriteTensors& tensors, const CacheWriter::Impl& op, NameRules rules) {
  const Namer namer(op.runtime->impl(), rules);
  const CacheWriteShape& shape = op.shape;
  const CacheKernelArgs args = ArgsOf(tensors, op);
  namer.Both(Range{tensors.key, InputBytes(tensors, op, args.key_stride), "key"},
             Range{tensors.value, InputBytes(tensors, op, args.value_stride), "value"}, "qkv",
             VNPU_ACL_READ_ONLY);
  const int64_t bytes = CacheMemory("", nullptr, ReaderOf(shape)).span_bytes();
  namer.Both(Range{tensors.key_cache, bytes, "key_cache"},
             Range{tensors.value_cache, bytes, "value_cache"}, "kv_pool", VNPU_ACL_OUTPUT);
  const bool token = shape.kv_quant == KvQuant::kInt8Token;
  const int64_t param_bytes = ParamBytes(shape);
  const int rule = token ? VNPU_ACL_OUTPUT : VNPU_ACL_READ_ONLY;
  namer.One(Range{tensors.key_scale, param_bytes, "key_scale"}, rule);
  namer.One(Range{tensors.value_scale, param_bytes, "value_scale"}, rule);
  namer.One(Range{tensors.key_offset, param_bytes, "key_offset"}, VNPU_ACL_READ_ONLY);
  namer.One(Range{tensors.value_offset, param_bytes, "value_offset"}, VNPU_ACL_READ_ONLY);
  namer.One(Range{tensors.slot_mapping, tensors.num_tokens * int64_t{kSlotBytes}, "slot_mapping"},
            VNPU_ACL_READ_ONLY);
}

}  // namespace

Status CheckSlotMapping(const int64_t* slot_mapping, int64_t num_tokens, int64_t num_slots) {
  if (slot_mapping == nullptr && num_tokens > 0) return InvalidArgument("slot_mapping is null");
  std::vector<std::pair<int64_t, int64_t>> used;  // slot, token
  used.reserve(static_cast<size_t>(std::max<int64_t>(num_tokens, 0)));
  for (int64_t token = 0; token < num_tokens; ++token) {
    const int64_t slot = slot_mapping[token];
    if (slot >= num_slots) {
      return OutOfRange("slot_mapping[", token, "] = ", slot, " is outside [0, ", num_slots,
                        "), the slots of the caches; negative: the token is skipped");
    }
    if (slot >= 0) used.emplace_back(slot, token);
  }
  std::sort(used.begin(), used.end());
  const auto same = std::adjacent_find(
      used.begin(), used.end(), [](const auto& a, const auto& b) { return a.first == b.first; });
  if (same == used.end()) return OkStatus();
  return InvalidArgument("slot_mapping[", same->second, "] and slot_mapping[", (same + 1)->second,
                         "] are both ", same->first, "; expected a slot once");
}

void CacheWriter::Impl::NoteRun(void* stream) {
  const std::lock_guard<std::mutex> lock(mutex_);
  streams_.insert(stream);
}

Status CacheWriter::Impl::TakeError(void* stream) {
  const std::lock_guard<std::mutex> lock(mutex_);
  if (streams_.count(stream) == 0) return OkStatus();
  std::vector<CacheWriteError> records(vector_cores);
  const size_t size = records.size() * sizeof(CacheWriteError);
  AA_RETURN_IF_ERROR(errors.Download(records.data(), size));
  const auto error = std::find_if(records.begin(), records.end(),
                                  [](const CacheWriteError& record) { return record.found != 0; });
  if (error == records.end()) return OkStatus();
  AA_RETURN_IF_ERROR(errors.Fill(0));
  return OutOfRange("slot_mapping[", error->token, "] = ", error->slot, " is outside [0, ",
                    error->num_slots, ")");
}

CacheWriter::CacheWriter(std::shared_ptr<Impl> impl) : impl_(std::move(impl)) {}
const CacheWriteShape& CacheWriter::shape() const { return impl_->shape; }

StatusOr<CacheWriter> CacheWriter::Create(std::shared_ptr<Runtime> runtime,
                                          const CacheWriteShape& shape) {
  if (runtime == nullptr) return InvalidArgument("runtime is null");
  AA_RETURN_IF_ERROR(CheckShape(shape));
  auto op = std::make_shared<Impl>();
  op->shape = shape;
  op->strides = ResolveStrides(ReaderOf(shape));
  Runtime::Impl& impl = runtime->impl();
  op->vector_cores = static_cast<uint32_t>(impl.device_cores) * kVectorCoresPerCore;
  const CurrentDevice current(*impl.acl, impl.device);
  AA_RETURN_IF_ERROR(current.status());
  AA_ASSIGN_OR_RETURN(op->kernel, impl.kernels->Get(KernelName("reshape_and_cache", shape.dtype)));
  AA_ASSIGN_OR_RETURN(op->errors,
                      DeviceBuffer::Allocate(runtime, op->vector_cores * sizeof(CacheWriteError)));
  AA_RETURN_IF_ERROR(op->errors.Fill(0));
  op->runtime = std::move(runtime);
  impl.error_sources.Add(op);
  return CacheWriter(std::move(op));
}

Status CacheWriter::Run(const CacheWriteTensors& tensors, void* stream, bool check_slots) const {
  AA_RETURN_IF_ERROR(CheckTensors(tensors, *impl_));
  if (tensors.num_tokens == 0) return OkStatus();
  const CacheWriteShape& shape = impl_->shape;
  const Runtime::Impl& runtime = impl_->runtime->impl();
  const CurrentDevice current(*runtime.acl, runtime.device);
  AA_RETURN_IF_ERROR(current.status());
  AA_ASSIGN_OR_RETURN(const bool capturing, IsCapturing(*runtime.acl, stream));
  if (check_slots && capturing) {
    return FailedPrecondition("check_slots waits for the stream, which captures a graph");
  }
  if (check_slots) AA_RETURN_IF_ERROR(CheckSlotsOnDevice(tensors, *impl_, stream));
  if (ChecksEnabled(runtime)) {
    if (!capturing) AA_RETURN_IF_ERROR(impl_->runtime->Synchronize(stream));
    NameRegions(tensors, *impl_, capturing ? NameRules::kOfAGraph : NameRules::kOfThisLaunch);
  }
  // A vector core for each token, at most all.
  const auto blocks =
      static_cast<uint32_t>(std::min<int64_t>(tensors.num_tokens, impl_->vector_cores));
  impl_->NoteRun(stream);
  AA_RETURN_IF_ERROR(Launch(*runtime.acl, impl_->kernel, blocks, ArgsOf(tensors, *impl_), stream));
  Verbose("reshape_and_cache", "num_tokens,num_kv_heads,head_dim,kv_quant,blocks,stream",
          tensors.num_tokens, shape.num_kv_heads, shape.head_dim, KvQuantName(shape.kv_quant),
          blocks, AddressText(stream));
  return OkStatus();
}

}  // namespace ascend_attention
