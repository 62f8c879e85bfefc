// SPDX-License-Identifier: Apache-2.0
// The decode operator: lengths -> plan -> upload; pointers -> launch.
#include <algorithm>
#include <chrono>
#include <cstring>
#include <string>
#include <utility>

#include "host_cc/current_device.h"
#include "host_cc/include/ascend_attention/decode.h"
#include "host_cc/launch.h"
#include "host_cc/name_regions.h"
#include "host_cc/pointer_checks.h"
#include "host_cc/runtime_impl.h"
#include "host_cc/tensor_checks.h"
#include "host_cc/verbose.h"
#include "tiling/decode_planner.h"
#include "tiling/support.h"

namespace ascend_attention {
namespace {

// The planner's choice of a route follows from shape and platform alone; an
// empty sequence is the cheapest plan that tells it.
StatusOr<KvRoute> ResolveRoute(const DecodeShape& shape, const Platform& platform,
                               float softmax_scale) {
  if (shape.kv_route != KvRoute::kAuto) return shape.kv_route;
  const int32_t no_tokens = 0;
  AA_ASSIGN_OR_RETURN(const DecodePlan plan,
                      PlanDecode(shape, platform, &no_tokens, 1, softmax_scale));
  return plan.header().kv_route;
}

// Plan bytes and zeroed error records in one copy: the records follow the plan.
Status Upload(PreparedPlan::Impl& prepared, size_t workspace_size) {
  Runtime::Impl& runtime = prepared.runtime();
  const AclApi& acl = *runtime.acl;
  const DecodePlanHeader& header = prepared.plan.header();
  const size_t plan_size = prepared.plan.bytes().size();
  const Region& records = header.error_records;
  const size_t size = records.begin.bytes + records.size.bytes;
  if (records.begin.bytes < plan_size || size > workspace_size) {
    return Internal("plan of ", plan_size, " bytes has its error records at ", records.begin.bytes);
  }
  AA_ASSIGN_OR_RETURN(prepared.upload, runtime.uploads.Acquire(size));
  UploadSlot& slot = prepared.upload;
  std::memcpy(slot.data, prepared.plan.bytes().data(), plan_size);
  std::memset(slot.data + plan_size, 0, size - plan_size);
  AA_RETURN_IF_ERROR(
      acl.Check(acl.aclrtMemcpyAsync(prepared.workspace, workspace_size, slot.data, size,
                                     ACL_MEMCPY_HOST_TO_DEVICE, prepared.stream),
                "aclrtMemcpyAsync(plan, ", size, ")"));
  slot.in_flight = true;
  const Status recorded =
      acl.Check(acl.aclrtRecordEvent(slot.event, prepared.stream), "aclrtRecordEvent(plan)");
  if (recorded.ok()) return recorded;
  // Without the event only an idle stream tells that the slot is free.
  slot.in_flight = acl.aclrtSynchronizeStream(prepared.stream) != ACL_SUCCESS;
  return recorded;
}

// What both argument lists have.
template <typename Args>
Args CommonArgs(const PreparedPlan::Impl& prepared, const DecodeTensors& tensors) {
  Args args;
  args.sync_address = prepared.runtime().sync_address;
  args.query = tensors.query;
  args.key_cache = tensors.key_cache;
  args.value_cache = tensors.value_cache;
  args.block_table = tensors.block_table;
  args.out = tensors.out;
  args.lse = tensors.lse;
  args.workspace = prepared.workspace;
  args.flags = tensors.lse == nullptr ? 0 : kLaunchWriteLse;
  return args;
}

// How many blocks are launched, and when they start.
struct Grid {
  uint32_t num_blocks;
  BlockStart start;
};

Grid GridOf(const PreparedPlan::Impl& prepared, bool is_captured) {
  // A replay may run any plan of the operator.
  if (is_captured) {
    return {static_cast<uint32_t>(prepared.op->platform.num_cores), BlockStart::kAllAtOnce};
  }
  // The blocks wait for each other only to merge the parts of split sequences.
  return {prepared.num_blocks,
          prepared.plan.has_splits() ? BlockStart::kAllAtOnce : BlockStart::kAsCoresBecomeFree};
}

Status LaunchDecode(const PreparedPlan::Impl& prepared, const DecodeTensors& tensors, void* stream,
                    const Grid& grid) {
  const AclApi& acl = *prepared.runtime().acl;
  const DecodeAttention::Impl& op = *prepared.op;
  if (op.shape.kv_quant == KvQuant::kNone) {
    const auto args = CommonArgs<DecodeKernelArgs>(prepared, tensors);
    return Launch(acl, op.decode, grid.num_blocks, args, stream, grid.start);
  }
  auto args = CommonArgs<DecodeInt8KernelArgs>(prepared, tensors);
  args.key_scale = tensors.key_scale;
  args.key_offset = tensors.key_offset;
  args.value_scale = tensors.value_scale;
  args.value_offset = tensors.value_offset;
  return Launch(acl, op.decode, grid.num_blocks, args, stream, grid.start);
}

// A captured launch: it runs with the plan of its replay, so there is nothing to wait for.
Status CaptureDecode(const PreparedPlan::Impl& prepared, const DecodeTensors& tensors,
                     void* stream) {
  AA_RETURN_IF_ERROR(LaunchDecode(prepared, tensors, stream, GridOf(prepared, true)));
  if (ChecksEnabled(prepared.runtime())) NameRegions(prepared, tensors, NameRules::kOfAGraph);
  prepared.runtime().plans.NoteCapture(prepared.workspace, prepared);
  return OkStatus();
}

// Microseconds of host time since construction, for verbose lines.
class Stopwatch {
 public:
  double us() const {
    const auto elapsed = std::chrono::steady_clock::now() - start_;
    return std::chrono::duration<double, std::micro>(elapsed).count();
  }

 private:
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
};

// Whether neither this plan nor a captured launch would run with the wrong lengths.
Status CheckGraphs(const PreparedPlan::Impl& prepared) {
  const Runtime::Impl& runtime = prepared.runtime();
  AA_ASSIGN_OR_RETURN(const bool capturing, IsCapturing(*runtime.acl, prepared.stream));
  if (capturing) {
    return FailedPrecondition(
        "the stream captures a graph, and a captured plan would freeze the lengths: plan before "
        "the capture, capture only the run, and plan again before each replay");
  }
  return runtime.plans.CheckCaptures(prepared.workspace, prepared.op.get(), prepared.plan.header());
}

// A replay will run with this plan, and nobody tells us when.
Status PrepareReplay(const std::shared_ptr<PreparedPlan::Impl>& prepared) {
  Runtime::Impl& runtime = prepared->runtime();
  runtime.plans.NoteRun(prepared->stream, prepared);
  if (!ChecksEnabled(runtime)) return OkStatus();
  AA_RETURN_IF_ERROR(prepared->op->runtime->Synchronize(prepared->stream));
  NameRegions(*prepared, DecodeTensors(), NameRules::kOfAGraph);
  return OkStatus();
}

void VerbosePlan(const PreparedPlan::Impl& prepared, double host_us) {
  const DecodePlanHeader& header = prepared.plan.header();
  Verbose(
      "plan",
      "batch,num_query_rows,num_heads,num_kv_heads,head_dim,kv_block_size,dtype,out_dtype,kv_quant,"
      "kernel,num_cores,used_cores,num_items,num_splits,num_partials,workspace_bytes,balance,"
      "host_us",
      header.batch, header.num_query_rows, header.num_heads, header.num_kv_heads, header.head_dim,
      header.kv_block_size, DTypeName(header.dtype), DTypeName(header.out_dtype),
      KvQuantName(header.kv_quant), prepared.op->decode.name, header.num_cores, prepared.num_blocks,
      header.num_items, header.num_splits, header.num_partials, prepared.op->workspace_bytes,
      prepared.plan.prediction().balance(), host_us);
}

void VerboseRun(const PreparedPlan::Impl& prepared, const DecodeTensors& tensors, void* stream,
                double host_us) {
  Verbose("run", "batch,blocks,lse,stream,host_us", prepared.plan.header().batch,
          prepared.num_blocks, tensors.lse != nullptr, AddressText(stream), host_us);
}

}  // namespace

DecodeAttention::Impl::~Impl() {
  if (runtime != nullptr) runtime->impl().plans.ForgetCaptures(this);
}

PreparedPlan::Impl::~Impl() {
  runtime().plans.Forget(workspace, this);
  if (upload.data != nullptr) runtime().uploads.Release(upload);
}

PreparedPlan::PreparedPlan(std::shared_ptr<Impl> impl) : impl_(std::move(impl)) {}
const DecodePlan& PreparedPlan::plan() const { return impl_->plan; }

DecodeAttention::DecodeAttention(std::shared_ptr<const Impl> impl) : impl_(std::move(impl)) {}
const DecodeShape& DecodeAttention::shape() const { return impl_->shape; }
size_t DecodeAttention::workspace_bytes() const { return impl_->workspace_bytes; }

StatusOr<DecodeAttention> DecodeAttention::Create(std::shared_ptr<Runtime> runtime,
                                                  const DecodeShape& shape, float softmax_scale,
                                                  int num_cores) {
  if (runtime == nullptr) return InvalidArgument("runtime is null");
  if (num_cores < 0) return InvalidArgument("num_cores = ", num_cores, "; expected 0 or more");
  Runtime::Impl& impl = runtime->impl();
  auto op = std::make_shared<Impl>();
  op->platform = runtime->platform();
  if (num_cores > 0) op->platform.num_cores = num_cores;
  op->shape = shape;
  op->softmax_scale = softmax_scale;
  AA_ASSIGN_OR_RETURN(op->shape.kv_route, ResolveRoute(shape, op->platform, softmax_scale));
  AA_ASSIGN_OR_RETURN(const ByteCount workspace, DecodeWorkspaceBytes(op->shape, op->platform));
  op->workspace_bytes = workspace.bytes;
  AA_RETURN_IF_ERROR(impl.CheckCores(op->platform));
  AA_ASSIGN_OR_RETURN(const std::string kernel,
                      DecodeKernelName(shape.kv_quant, op->shape.kv_route, shape.dtype));

  const CurrentDevice current(*impl.acl, impl.device);
  AA_RETURN_IF_ERROR(current.status());
  AA_ASSIGN_OR_RETURN(op->decode, impl.kernels->Get(kernel));
  op->runtime = std::move(runtime);
  return DecodeAttention(std::move(op));
}

StatusOr<PreparedPlan> DecodeAttention::Plan(const int32_t* context_lens, size_t batch,
                                             void* workspace, size_t workspace_size, void* stream,
                                             const int32_t* q_lens) const {
  const Stopwatch stopwatch;
  if (context_lens == nullptr && batch != 0) return InvalidArgument("context_lens is null");
  AA_RETURN_IF_ERROR(CheckWorkspace(workspace, workspace_size, impl_->workspace_bytes));
  auto prepared = std::make_shared<PreparedPlan::Impl>(impl_, workspace, stream);
  AA_RETURN_IF_ERROR(PlanDecode(impl_->shape, impl_->platform, context_lens, batch,
                                impl_->softmax_scale, &prepared->plan, q_lens));
  prepared->num_blocks = static_cast<uint32_t>(std::max(1, prepared->plan.used_cores()));

  Runtime::Impl& runtime = prepared->runtime();
  const CurrentDevice current(*runtime.acl, runtime.device);
  AA_RETURN_IF_ERROR(current.status());
  AA_RETURN_IF_ERROR(CheckGraphs(*prepared));
  // Even a failed upload may have changed the workspace: no plan is current then.
  runtime.plans.SetCurrent(workspace, nullptr);
  AA_RETURN_IF_ERROR(Upload(*prepared, workspace_size));
  runtime.plans.SetCurrent(workspace, prepared.get());
  if (runtime.plans.IsCaptured(workspace)) AA_RETURN_IF_ERROR(PrepareReplay(prepared));
  if (VerboseEnabled()) VerbosePlan(*prepared, stopwatch.us());
  return PreparedPlan(std::move(prepared));
}

StatusOr<PreparedPlan> DecodeAttention::Plan(const std::vector<int32_t>& context_lens,
                                             void* workspace, size_t workspace_size, void* stream,
                                             const std::vector<int32_t>& q_lens) const {
  if (!q_lens.empty() && q_lens.size() != context_lens.size()) {
    return InvalidArgument("q_lens has ", q_lens.size(), " entries; expected one per sequence, ",
                           context_lens.size());
  }
  return Plan(context_lens.data(), context_lens.size(), workspace, workspace_size, stream,
              q_lens.empty() ? nullptr : q_lens.data());
}

Status DecodeAttention::Run(const PreparedPlan& plan, const DecodeTensors& tensors,
                            void* stream) const {
  const Stopwatch stopwatch;
  const std::shared_ptr<PreparedPlan::Impl>& prepared = plan.impl();
  if (prepared == nullptr || prepared->op != impl_) {
    return FailedPrecondition("plan was made by another DecodeAttention");
  }
  AA_RETURN_IF_ERROR(CheckTensors(tensors, impl_->shape));
  const Memory workspace = {"workspace", prepared->workspace,
                            static_cast<int64_t>(impl_->workspace_bytes)};
  AA_RETURN_IF_ERROR(CheckApart(tensors, workspace, impl_->shape, prepared->plan.header()));
  Runtime::Impl& runtime = prepared->runtime();
  if (!runtime.plans.IsCurrent(prepared->workspace, prepared.get())) {
    return FailedPrecondition("plan is stale: a later Plan() used the workspace at ",
                              AddressText(prepared->workspace));
  }
  const AclApi& acl = *runtime.acl;
  const CurrentDevice current(acl, runtime.device);
  AA_RETURN_IF_ERROR(current.status());
  AA_ASSIGN_OR_RETURN(const bool capturing, IsCapturing(acl, stream));
  if (capturing) return CaptureDecode(*prepared, tensors, stream);
  if (stream != prepared->stream) {
    AA_RETURN_IF_ERROR(acl.Check(acl.aclrtStreamWaitEvent(stream, prepared->upload.event),
                                 "aclrtStreamWaitEvent(plan)"));
  }
  if (ChecksEnabled(runtime)) {
    AA_RETURN_IF_ERROR(impl_->runtime->Synchronize(stream));
    NameRegions(*prepared, tensors);
  }
  runtime.plans.NoteRun(stream, prepared);
  AA_RETURN_IF_ERROR(LaunchDecode(*prepared, tensors, stream, GridOf(*prepared, false)));
  if (VerboseEnabled()) VerboseRun(*prepared, tensors, stream, stopwatch.us());
  return OkStatus();
}

}  // namespace ascend_attention
