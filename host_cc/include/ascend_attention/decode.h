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
// void*, device memory is void*. Nothing below throws.
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
  // Path or name of the ACL library. Empty: the libascendcl.so that this
  // process has already loaded, else a real CANN one, else the virtual NPU
  // that ships with this library.
  std::string acl_library;
  // Folder with the kernel binaries. Empty: next to this library.
  std::string kernel_dir;
};

// One device: the ACL entry points, the loaded kernels, the platform facts.
// Thread-safe; share one per device.
class Runtime {
 public:
  static StatusOr<std::shared_ptr<Runtime>> Open(const RuntimeOptions& options);
  ~Runtime();

  const Platform& platform() const;
  bool is_virtual() const;           // true on the virtual NPU
  std::string description() const;   // "Ascend910B1 (virtual NPU), 24 cores"

  class Impl;
  Impl& impl() const { return *impl_; }

 private:
  explicit Runtime(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

// Device pointers of one decode step; shapes in tiling/shape.h. All dense.
struct DecodeTensors {
  const void* query = nullptr;
  const void* key_cache = nullptr;
  const void* value_cache = nullptr;
  const int32_t* block_table = nullptr;
  void* out = nullptr;   // like query
  float* lse = nullptr;  // [batch, num_heads] natural log; null: not wanted
};

// A batch of lengths turned into work, uploaded to one workspace. Keep it alive
// until the work that was enqueued with it has finished.
class PreparedPlan {
 public:
  const DecodePlan& plan() const;

  class Impl;
  explicit PreparedPlan(std::shared_ptr<Impl> impl);
  Impl& impl() const { return *impl_; }

 private:
  std::shared_ptr<Impl> impl_;
};

class DecodeAttention {
 public:
  // `shape.batch` is the largest batch that will be planned.
  static StatusOr<DecodeAttention> Create(std::shared_ptr<Runtime> runtime,
                                          const DecodeShape& shape, float softmax_scale);

  // Bytes of device memory that Plan and Run need: an upper bound for every
  // batch <= shape.batch and every length <= shape.max_context(). The memory
  // needs no initial value.
  size_t workspace_bytes() const;

  // Plans on the host and enqueues the upload of the plan on `stream`.
  // context_lens: one length per sequence, 0..shape.max_context(); its size is
  // the batch of the following Run calls.
  StatusOr<PreparedPlan> Plan(const std::vector<int32_t>& context_lens, void* workspace,
                              size_t workspace_size, void* stream) const;

  // Enqueues the decode (and, if any sequence is split, the combine) kernel.
  Status Run(const PreparedPlan& plan, const DecodeTensors& tensors, void* stream) const;

 private:
  DecodeAttention() = default;
  std::shared_ptr<Runtime> runtime_;
  DecodeShape shape_;
  float softmax_scale_ = 0;
  size_t workspace_bytes_ = 0;
};

}  // namespace ascend_attention

#endif  // ASCEND_ATTENTION_DECODE_H_
