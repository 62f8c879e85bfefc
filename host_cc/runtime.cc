// SPDX-License-Identifier: Apache-2.0
// Opening a device, and turning its failures into words.
#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "host_cc/current_device.h"
#include "host_cc/include/ascend_attention/decode.h"
#include "host_cc/launch.h"
#include "host_cc/runtime_impl.h"
#include "host_cc/verbose.h"

namespace ascend_attention {
namespace {

Status InitializeAcl(const AclApi& acl) {
  const int error = acl.aclInit(nullptr);
  // The engine, or torch_npu, was first.
  if (error == ACL_ERROR_REPEAT_INITIALIZE) return OkStatus();
  return acl.Check(error, "aclInit()");
}

// A machine with the CANN libraries but without an NPU gets to here.
Status WithHint(const AclApi& acl, const Status& status) {
  if (status.ok() || acl.is_virtual) return status;
  return Status(status.code(),
                status.message() + "; library " + acl.library + " (" + acl.version +
                    "). To run without an NPU set ASCEND_ATTENTION_ACL_LIBRARY=vnpu");
}

Status CheckDeviceIndex(const AclApi& acl, int device) {
  uint32_t count = 0;
  AA_RETURN_IF_ERROR(
      WithHint(acl, acl.Check(acl.aclrtGetDeviceCount(&count), "aclrtGetDeviceCount()")));
  if (count == 0) return WithHint(acl, FailedPrecondition("no device: aclrtGetDeviceCount is 0"));
  if (device >= 0 && static_cast<uint32_t>(device) < count) return OkStatus();
  return InvalidArgument("device = ", device, " is outside [0, ", count, ")");
}

StatusOr<std::string> ReadSocName(const AclApi& acl) {
  const char* soc_name = acl.aclrtGetSocName();
  if (soc_name == nullptr) return FailedPrecondition("aclrtGetSocName gives no name");
  return std::string(soc_name);
}

StatusOr<int> ReadCores(const AclApi& acl, int device) {
  int64_t cores = 0;
  AA_RETURN_IF_ERROR(acl.Check(acl.aclGetDeviceCapability(static_cast<uint32_t>(device),
                                                          ACL_DEVICE_INFO_AI_CORE_NUM, &cores),
                               "aclGetDeviceCapability(", device, ", AI_CORE_NUM)"));
  if (cores <= 0) return FailedPrecondition("device ", device, " reports ", cores, " cores");
  return static_cast<int>(cores);
}

// Errors of the device, as opposed to errors of the call.
bool MayHaveErrorRecord(int error) {
  return error == ACL_ERROR_RT_AICORE_TIMEOUT || error == ACL_ERROR_RT_AICORE_EXCEPTION ||
         error == ACL_ERROR_RT_AICORE_TRAP_EXCEPTION;
}

Status TextOf(const ErrorRecord& record) {
  switch (static_cast<ErrorCode>(record.code)) {
    case ErrorCode::kNone:
      return OkStatus();
    case ErrorCode::kKvBlockOutOfRange:
      return OutOfRange("block_table[", record.row, "][", record.index, "] = ", record.value,
                        " is outside [0, ", record.limit, ")");
    case ErrorCode::kTilesDoNotFit:
      return FailedPrecondition("the plan in the workspace has tiles of ", record.row,
                                " tokens in loads of ", record.index, ", ", record.value,
                                " query rows of ", record.limit,
                                ", more than the kernel's buffers hold: it was made by another "
                                "version or overwritten");
    case ErrorCode::kLengthOutOfRange:
      return OutOfRange("context_lens[", record.row, "] = ", record.value, " is outside [0, ",
                        record.limit, ")");
  }
  return Internal("error record of core ", record.core, " has unknown code ", record.code);
}

}  // namespace

Status ReadErrorRecords(const PreparedPlan::Impl& plan) {
  const AclApi& acl = *plan.runtime().acl;
  const DecodePlanHeader& header = plan.plan.header();
  std::vector<ErrorRecord> records(header.num_cores);
  const size_t size = records.size() * sizeof(ErrorRecord);
  const auto* from = static_cast<const uint8_t*>(plan.workspace) + header.error_records.begin.bytes;
  AA_RETURN_IF_ERROR(
      acl.Check(acl.aclrtMemcpy(records.data(), size, from, size, ACL_MEMCPY_DEVICE_TO_HOST),
                "aclrtMemcpy(error records)"));
  const auto found = std::find_if(records.begin(), records.end(),
                                  [](const ErrorRecord& record) { return record.code != 0; });
  if (found == records.end()) return OkStatus();
  // A record is reported once: the next error of this plan must not find it.
  std::vector<uint8_t> none(size);
  AA_RETURN_IF_ERROR(acl.Check(acl.aclrtMemcpy(const_cast<uint8_t*>(from), size, none.data(), size,
                                               ACL_MEMCPY_HOST_TO_DEVICE),
                               "aclrtMemcpy(error records)"));
  return TextOf(*found);
}

StatusOr<std::shared_ptr<Runtime>> Runtime::Open(const RuntimeOptions& options) {
  AA_ASSIGN_OR_RETURN(std::shared_ptr<const AclApi> acl, LoadAclApi(options.acl_library));
  return Impl::Open(std::move(acl), options);
}

StatusOr<std::shared_ptr<Runtime>> Runtime::Impl::Open(std::shared_ptr<const AclApi> acl,
                                                       const RuntimeOptions& options) {
  auto impl = std::make_unique<Impl>(std::move(acl), options.device);
  AA_RETURN_IF_ERROR(impl->Initialize(options));
  std::shared_ptr<Runtime> runtime(new Runtime(std::move(impl)));
  Verbose("open", "library,version,description", runtime->acl_library(), runtime->acl_version(),
          runtime->description());
  return runtime;
}

Status Runtime::Impl::Initialize(const RuntimeOptions& options) {
  AA_RETURN_IF_ERROR(WithHint(*acl, InitializeAcl(*acl)));
  AA_RETURN_IF_ERROR(CheckDeviceIndex(*acl, device));
  const CurrentDevice current(*acl, device);
  AA_RETURN_IF_ERROR(current.status());
  if (options.num_cores < 0) {
    return InvalidArgument("num_cores = ", options.num_cores, "; expected 0 or more");
  }
  AA_ASSIGN_OR_RETURN(const std::string soc_name, ReadSocName(*acl));
  AA_ASSIGN_OR_RETURN(device_cores, ReadCores(*acl, device));
  AA_ASSIGN_OR_RETURN(
      platform, PlatformFor(soc_name, options.num_cores == 0 ? device_cores : options.num_cores));
  AA_RETURN_IF_ERROR(CheckCores(platform));
  AA_ASSIGN_OR_RETURN(sync_address, HardwareSyncAddress(*acl));
  kernels = KernelLibrary::Shared(acl, device, options.kernel_dir);
  return OkStatus();
}

Status Runtime::Impl::CheckCores(const Platform& wanted) const {
  if (wanted.num_cores <= device_cores) return OkStatus();
  return InvalidArgument(
      "num_cores = ", wanted.num_cores, " exceeds the ", device_cores, " cores of device ", device,
      " (", wanted.soc_name, "): blocks that wait for each other need a core each",
      acl->is_virtual ? "; ASCEND_ATTENTION_VNPU_CORES sets those of the virtual NPU" : "");
}

Runtime::Impl::~Impl() {
  const CurrentDevice current(*acl, device);
  uploads.Clear();
}

Runtime::Runtime(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Runtime::~Runtime() = default;

const Platform& Runtime::platform() const { return impl_->platform; }
bool Runtime::is_virtual() const { return impl_->acl->is_virtual; }
int Runtime::device() const { return impl_->device; }
const std::string& Runtime::acl_library() const { return impl_->acl->library; }
const std::string& Runtime::acl_version() const { return impl_->acl->version; }

std::string Runtime::description() const {
  return platform().soc_name + (is_virtual() ? " (virtual NPU), " : ", ") +
         std::to_string(platform().num_cores) + " cores";
}

Status Runtime::MakeWait(void* stream, void* other) {
  const AclApi& acl = *impl_->acl;
  const CurrentDevice current(acl, impl_->device);
  AA_RETURN_IF_ERROR(current.status());
  aclrtEvent event = nullptr;
  AA_RETURN_IF_ERROR(acl.Check(acl.aclrtCreateEventExWithFlag(&event, ACL_EVENT_SYNC),
                               "aclrtCreateEventExWithFlag()"));
  Status done = acl.Check(acl.aclrtRecordEvent(event, other), "aclrtRecordEvent()");
  if (done.ok()) {
    done = acl.Check(acl.aclrtStreamWaitEvent(stream, event), "aclrtStreamWaitEvent()");
  }
  (void)acl.aclrtDestroyEvent(event);  // its tasks keep what they need of it
  return done;
}

StatusOr<bool> Runtime::IsCapturing(void* stream) const {
  const AclApi& acl = *impl_->acl;
  if (acl.aclmdlRICaptureGetInfo == nullptr) return false;
  const CurrentDevice current(acl, impl_->device);
  AA_RETURN_IF_ERROR(current.status());
  return ascend_attention::IsCapturing(acl, stream);
}

Status Runtime::Synchronize(void* stream) {
  const AclApi& acl = *impl_->acl;
  const CurrentDevice current(acl, impl_->device);
  AA_RETURN_IF_ERROR(current.status());
  const int error = acl.aclrtSynchronizeStream(stream);
  if (error == ACL_SUCCESS) return OkStatus();
  // Build the text first: reading the records makes further ACL calls.
  const Status failure = acl.Failure(error, "aclrtSynchronizeStream()");
  if (!MayHaveErrorRecord(error)) return failure;
  const auto explains = [](const Status& cause) {
    // A device that cannot be read any more adds nothing to `failure`.
    return cause.code() == StatusCode::kOutOfRange ||
           cause.code() == StatusCode::kFailedPrecondition;
  };
  const auto explained = [&](const Status& cause) {
    return Status(cause.code(), cause.message() + "; found on the device: " + failure.message());
  };
  for (const auto& plan : impl_->plans.RecentRuns(stream)) {
    const Status cause = ReadErrorRecords(*plan);
    if (explains(cause)) return explained(cause);
  }
  for (const auto& source : impl_->error_sources.Living()) {
    const Status cause = source->TakeError(stream);
    if (explains(cause)) return explained(cause);
  }
  return failure;
}

}  // namespace ascend_attention
