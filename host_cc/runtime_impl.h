// SPDX-License-Identifier: Apache-2.0
// What a Runtime keeps for one device, and what a PreparedPlan holds on to.
//
// Next: host_cc/decode_attention.cc - plan and run.
#ifndef ASCEND_ATTENTION_HOST_CC_RUNTIME_IMPL_H_
#define ASCEND_ATTENTION_HOST_CC_RUNTIME_IMPL_H_

#include <cstdint>
#include <memory>

#include "host_cc/acl_api.h"
#include "host_cc/error_sources.h"
#include "host_cc/include/ascend_attention/decode.h"
#include "host_cc/kernel_library.h"
#include "host_cc/plan_registry.h"
#include "host_cc/upload_pool.h"

namespace ascend_attention {

class Runtime::Impl {
 public:
  // Opens the device through a given table; Runtime::Open loads the table first.
  static StatusOr<std::shared_ptr<Runtime>> Open(std::shared_ptr<const AclApi> acl,
                                                 const RuntimeOptions& options);

  Impl(std::shared_ptr<const AclApi> acl, int device) : acl(acl), device(device), uploads(acl) {}
  ~Impl();

  // Blocks of the decode kernel wait for each other, so all of them must have a
  // core at the same time.
  Status CheckCores(const Platform& wanted) const;

  const std::shared_ptr<const AclApi> acl;
  const int device;
  Platform platform;
  int device_cores = 0;  // what the device reports, whatever the platform plans for
  uint64_t sync_address = 0;
  std::shared_ptr<KernelLibrary> kernels;
  UploadPool uploads;
  PlanRegistry plans;
  ErrorSources error_sources;

 private:
  Status Initialize(const RuntimeOptions& options);
};

class DecodeAttention::Impl {
 public:
  ~Impl();

  std::shared_ptr<Runtime> runtime;
  Platform platform;  // of the runtime, with this operator's core count
  DecodeShape shape;  // with the route that was chosen
  float softmax_scale = 0;
  size_t workspace_bytes = 0;
  Kernel decode;
};

class PreparedPlan::Impl {
 public:
  Impl(std::shared_ptr<const DecodeAttention::Impl> op, void* workspace, void* stream)
      : op(std::move(op)), workspace(workspace), stream(stream) {}
  ~Impl();

  Runtime::Impl& runtime() const { return op->runtime->impl(); }

  const std::shared_ptr<const DecodeAttention::Impl> op;  // that planned
  void* const workspace;
  void* const stream;  // where the upload is enqueued
  DecodePlan plan;
  uint32_t num_blocks = 0;  // of a launch
  UploadSlot upload;
};

// What the kernels of this plan wrote into its error records: OutOfRange naming
// row and index for a bad page id, OK if no record is set. Reads device memory.
Status ReadErrorRecords(const PreparedPlan::Impl& plan);

}  // namespace ascend_attention

#endif  // ASCEND_ATTENTION_HOST_CC_RUNTIME_IMPL_H_
