// SPDX-License-Identifier: Apache-2.0
// Paged-attention decode for C++ engines: plan once per batch of lengths, run
// once per layer.
//
//   auto runtime = Runtime::Open({});                      // device, kernels
//   auto op      = DecodeAttention::Create(*runtime, shape, softmax_scale);
//   void* workspace = engine_alloc(op->workspace_bytes());  // device memory
//   auto plan    = op->Plan(context_lens, workspace, op->workspace_bytes(), stream);
//   for (layer : layers) op->Run(*plan, tensors(layer), stream);
//
// No ACL or torch type appears here: a stream is the engine's aclrtStream as
// void* (null: the device's default stream), device memory is void*. Nothing
// below throws; every failure is a Status. README.md has the lifetime rules.
//
// Next: tiling/decode_planner.h - how lengths become work items.
#ifndef ASCEND_ATTENTION_DECODE_H_
#define ASCEND_ATTENTION_DECODE_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "tiling/decode_planner.h"
#include "tiling/platform.h"
#include "tiling/shape.h"
#include "tiling/status.h"

namespace ascend_attention {

struct RuntimeOptions {
  int device = 0;
  // Path or name of the ACL library, or "vnpu" for the virtual NPU that ships
  // with this library. Empty: ASCEND_ATTENTION_ACL_LIBRARY, else the
  // libascendcl.so that this process has already loaded, else a real CANN one,
  // else the virtual NPU.
  std::string acl_library;
  // Folder with vnpu/*.so or a2/*.o kernel binaries. Empty:
  // ASCEND_ATTENTION_KERNEL_DIR, else next to this library.
  std::string kernel_dir;
  // Cores to plan for and to launch on, at most those of the device. 0: all.
  int num_cores = 0;
};

// One device: the ACL entry points, the loaded kernels, the platform facts.
// Thread-safe; share one per device.
class Runtime {
 public:
  static StatusOr<std::shared_ptr<Runtime>> Open(const RuntimeOptions& options);
  ~Runtime();

  const Platform& platform() const;
  bool is_virtual() const;          // true on the virtual NPU
  std::string description() const;  // "Ascend910B1 (virtual NPU), 24 cores"
  int device() const;
  const std::string& acl_library() const;  // file of the ACL library in use
  const std::string& acl_version() const;  // "CANN 8.5.0", "virtual NPU, ABI 1"

  // Waits for everything on `stream`. If a kernel of ours stopped there, the
  // error says why: OutOfRange "block_table[3][17] = 99999 is outside [0, 512)", or
  // with KvRoute::kFifo "context_lens[3] = 9000 is outside [0, 8193)".
  Status Synchronize(void* stream);

  // What is enqueued on `stream` from now on waits for what is on `other` now. Returns at
  // once.
  Status MakeWait(void* stream, void* other);

  // Whether what is enqueued on `stream` now goes into a graph (aclmdlRICaptureBegin)
  // instead of being run.
  StatusOr<bool> IsCapturing(void* stream) const;

  class Impl;
  Impl& impl() const { return *impl_; }

 private:
  explicit Runtime(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

// Device pointers of one decode step; shapes in tiling/shape.h. Dense, but for
// caches with kv_strides.
struct DecodeTensors {
  const void* query = nullptr;
  const void* key_cache = nullptr;
  const void* value_cache = nullptr;
  // Of an int8 cache, in the shapes of its KvQuant; null where it has none.
  const float* key_scale = nullptr;
  const float* key_offset = nullptr;
  const float* value_scale = nullptr;
  const float* value_offset = nullptr;
  const int32_t* block_table = nullptr;
  void* out = nullptr;   // like query, or with shape.out_float32 float32
  float* lse = nullptr;  // [num_query_rows, num_heads] natural log; null: not wanted
};

// A batch of lengths turned into work, uploaded to one workspace. Copies share
// it. It is needed for Run, and names a device error only while it lives; work
// that is enqueued already needs the workspace, but no longer the plan.
class PreparedPlan {
 public:
  const DecodePlan& plan() const;

  class Impl;
  explicit PreparedPlan(std::shared_ptr<Impl> impl);
  const std::shared_ptr<Impl>& impl() const { return impl_; }

 private:
  std::shared_ptr<Impl> impl_;
};

// Cheap to copy; const calls from several threads are safe as long as each
// workspace is used by one stream at a time.
class DecodeAttention {
 public:
  // `shape.batch` is the largest batch that will be planned. num_cores 0 takes
  // the runtime's; more than the device has are refused, because the blocks of a
  // launch wait for each other. Unimplemented names the nearest shape that has a
  // kernel.
  static StatusOr<DecodeAttention> Create(std::shared_ptr<Runtime> runtime,
                                          const DecodeShape& shape, float softmax_scale,
                                          int num_cores = 0);

  // As given, but never with KvRoute::kAuto: the route is chosen once, by shape
  // and chip, and with it the kernel.
  const DecodeShape& shape() const;

  // Bytes of device memory that Plan and Run need: an upper bound for every
  // batch <= shape.batch and every length <= shape.max_context(). The memory
  // needs no initial value; its address is a multiple of 512.
  size_t workspace_bytes() const;

  // Plans on the host and enqueues the upload of the plan on `stream`; earlier
  // work on that stream may still use the workspace. From then on earlier plans
  // of this workspace cannot be Run.
  // context_lens: one length per sequence, 0..shape.max_context(), its query
  // tokens included; their number is the batch of the following Run calls.
  // q_lens: as many numbers of query tokens, 1..shape.max_q_len; null: one each.
  // The rows of query, out and lse are these tokens, sequence by sequence.
  //
  // Graphs: a Run on a stream that captures becomes part of the graph, and each replay
  // runs with the plan that the workspace holds then. So call Plan before every replay,
  // on the stream of the replay, with the batch and the number of query rows of the
  // captured Run; others are refused as long as this object or a copy lives. Plan itself
  // cannot be captured: it would freeze the lengths.
  StatusOr<PreparedPlan> Plan(const int32_t* context_lens, size_t batch, void* workspace,
                              size_t workspace_size, void* stream,
                              const int32_t* q_lens = nullptr) const;
  // The same; q_lens empty: one query token each.
  StatusOr<PreparedPlan> Plan(const std::vector<int32_t>& context_lens, void* workspace,
                              size_t workspace_size, void* stream,
                              const std::vector<int32_t>& q_lens = {}) const;

  // Enqueues the decode kernel, one launch whatever the plan; it never waits. `plan` is one of this
  // object's or its copies'. Another stream than Plan's is made to wait for the upload. Data
  // pointers, scales and offsets are multiples of 32 bytes, block_table and lse of 4. out, lse and
  // the workspace overlap nothing else. While `stream` captures, the launch takes all cores, for
  // any later plan.
  Status Run(const PreparedPlan& plan, const DecodeTensors& tensors, void* stream) const;

  class Impl;

 private:
  explicit DecodeAttention(std::shared_ptr<const Impl> impl);
  std::shared_ptr<const Impl> impl_;
};

}  // namespace ascend_attention

#endif  // ASCEND_ATTENTION_DECODE_H_
