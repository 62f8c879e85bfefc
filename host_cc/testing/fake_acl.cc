// SPDX-License-Identifier: Apache-2.0
#include "host_cc/testing/fake_acl.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <utility>

#include "host_cc/runtime_impl.h"

namespace ascend_attention {
namespace {

FakeAcl* fake = nullptr;
thread_local int32_t current_device = -1;

// <folder>/vnpu/decode_f16.so and so on; their contents are their names.
std::string MakeKernelFolder() {
  const std::string folder = testing::TempDir() + "/fake_kernels";
  mkdir(folder.c_str(), 0755);
  mkdir((folder + "/vnpu").c_str(), 0755);
  for (const char* family : {"decode", "decode_fifo", "decode_int8_dequant", "decode_int8_limbs",
                             "merge_states", "reshape_and_cache"}) {
    for (const char* dtype : {"_f16", "_bf16", "_f32"}) {
      std::ofstream(folder + "/vnpu/" + family + dtype + ".so") << family << dtype;
    }
  }
  return folder;
}

}  // namespace

struct FakeFunctions {
  using Event = FakeAcl::Event;

  static int Init(const char*) { return fake->Enter("aclInit"); }
  static const char* RecentErrMsg() {
    static thread_local std::string text;
    text = std::exchange(fake->recent_text_, "");
    return text.empty() ? nullptr : text.c_str();
  }
  static int Capability(uint32_t, aclDeviceInfo, int64_t* value) {
    *value = fake->num_cores;
    return fake->Enter("aclGetDeviceCapability");
  }
  static const char* SocName() { return fake->soc_name.c_str(); }
  static int DeviceCount(uint32_t* count) {
    *count = fake->device_count;
    return fake->Enter("aclrtGetDeviceCount");
  }
  static int SetDevice(int32_t device) {
    const int error = fake->Enter("aclrtSetDevice");
    if (error == 0) current_device = device;
    return error;
  }
  static int GetDevice(int32_t* device) {
    if (current_device < 0) return ACL_ERROR_RT_CONTEXT_NULL;
    *device = current_device;
    return 0;
  }

  static int Malloc(void** address, size_t size, aclrtMemMallocPolicy) {
    if (const int error = fake->Enter("aclrtMalloc")) return error;
    *address = std::aligned_alloc(512, (size + 511) / 512 * 512);
    ++fake->device_blocks;
    return 0;
  }
  static int Free(void* address) {
    std::free(address);
    --fake->device_blocks;
    return fake->Enter("aclrtFree");
  }
  static int MallocHost(void** address, size_t size) {
    if (const int error = fake->Enter("aclrtMallocHost")) return error;
    *address = std::malloc(size);
    ++fake->host_blocks;
    return 0;
  }
  static int FreeHost(void* address) {
    std::free(address);
    --fake->host_blocks;
    return fake->Enter("aclrtFreeHost");
  }
  static int Memcpy(void* to, size_t to_size, const void* from, size_t size, aclrtMemcpyKind) {
    if (const int error = fake->Enter("aclrtMemcpy")) return error;
    if (size > to_size) return ACL_ERROR_RT_PARAM_INVALID;
    std::memcpy(to, from, size);
    return 0;
  }
  static int MemcpyAsync(void* to, size_t to_size, const void* from, size_t size, aclrtMemcpyKind,
                         aclrtStream) {
    if (const int error = fake->Enter("aclrtMemcpyAsync")) return error;
    if (size > to_size) return ACL_ERROR_RT_PARAM_INVALID;
    ++fake->copies_enqueued_;
    fake->copies_.push_back([=] { std::memcpy(to, from, size); });
    if (!fake->deferring_) fake->RunCopies();
    return 0;
  }
  static int Memset(void* address, size_t, int32_t value, size_t size) {
    if (const int error = fake->Enter("aclrtMemset")) return error;
    std::memset(address, value, size);
    return 0;
  }

  static int CreateStream(aclrtStream* stream) {
    if (const int error = fake->Enter("aclrtCreateStream")) return error;
    *stream = new int;
    ++fake->streams;
    return 0;
  }
  static int DestroyStream(aclrtStream stream) {
    delete static_cast<int*>(stream);
    --fake->streams;
    return fake->Enter("aclrtDestroyStream");
  }
  static int SynchronizeStream(aclrtStream) { return fake->Enter("aclrtSynchronizeStream"); }
  static int StreamWaitEvent(aclrtStream, aclrtEvent) {
    return fake->Enter("aclrtStreamWaitEvent");
  }

  static int CreateEvent(aclrtEvent* event, uint32_t) {
    if (const int error = fake->Enter("aclrtCreateEventExWithFlag")) return error;
    *event = new Event;
    ++fake->events;
    return 0;
  }
  static int DestroyEvent(aclrtEvent event) {
    delete static_cast<Event*>(event);
    --fake->events;
    return fake->Enter("aclrtDestroyEvent");
  }
  static int RecordEvent(aclrtEvent event, aclrtStream) {
    if (const int error = fake->Enter("aclrtRecordEvent")) return error;
    *static_cast<Event*>(event) = {true, fake->copies_enqueued_};
    return 0;
  }
  static int QueryEvent(aclrtEvent event, aclrtEventRecordedStatus* status) {
    const auto& e = *static_cast<Event*>(event);
    const bool done = e.recorded && fake->copies_done_ >= e.after_copies;
    *status = done ? ACL_EVENT_RECORDED_STATUS_COMPLETE : ACL_EVENT_RECORDED_STATUS_NOT_READY;
    return fake->Enter("aclrtQueryEventStatus");
  }
  static int SynchronizeEvent(aclrtEvent) {
    if (const int error = fake->Enter("aclrtSynchronizeEvent")) return error;
    fake->RunCopies();
    return 0;
  }

  static int CaptureInfo(aclrtStream stream, aclmdlRICaptureStatus* status, aclmdlRI*) {
    *status = fake->capturing.count(stream) != 0 ? ACL_MODEL_RI_CAPTURE_STATUS_ACTIVE
                                                 : ACL_MODEL_RI_CAPTURE_STATUS_NONE;
    return fake->Enter("aclmdlRICaptureGetInfo");
  }

  // A binary is its file's text, a function its name.
  static int LoadBinary(const void* data, size_t size, const aclrtBinaryLoadOptions*,
                        aclrtBinHandle* binary) {
    if (const int error = fake->Enter("aclrtBinaryLoadFromData")) return error;
    *binary = fake->Keep(std::string(static_cast<const char*>(data), size));
    return 0;
  }
  static int GetFunction(const aclrtBinHandle binary, const char* name, aclrtFuncHandle* function) {
    if (const int error = fake->Enter("aclrtBinaryGetFunction")) return error;
    if (*static_cast<std::string*>(binary) + "_0" != name) return ACL_ERROR_RT_KERNEL_LOOKUP;
    *function = fake->Keep(name);
    fake->loaded_kernels.insert(name);
    return 0;
  }
  static int LaunchKernel(aclrtFuncHandle function, uint32_t num_blocks, aclrtStream stream,
                          aclrtLaunchKernelCfg* config, void* args, size_t args_size,
                          aclrtPlaceHolderInfo*, size_t) {
    if (const int error = fake->Enter("aclrtLaunchKernelWithHostArgs")) return error;
    bool all_at_once = false;
    for (size_t i = 0; config != nullptr && i < config->numAttrs; ++i) {
      const aclrtLaunchKernelAttr& attribute = config->attrs[i];
      if (attribute.id != ACL_RT_LAUNCH_KERNEL_ATTR_SCHEM_MODE) return ACL_ERROR_RT_PARAM_INVALID;
      all_at_once = attribute.value.schemMode == 1;
    }
    const auto* bytes = static_cast<const uint8_t*>(args);
    fake->launches.push_back({*static_cast<std::string*>(function), num_blocks, all_at_once, stream,
                              std::vector<uint8_t>(bytes, bytes + args_size)});
    return 0;
  }
  static int SyncAddress(void** address) {
    *address = reinterpret_cast<void*>(uintptr_t{0xff7500});
    return fake->Enter("aclrtGetHardwareSyncAddr");
  }
};

FakeAcl::FakeAcl() : api_(std::make_shared<AclApi>()) {
  fake = this;
  AclApi& api = *api_;
  api.aclInit = &FakeFunctions::Init;
  api.aclGetRecentErrMsg = &FakeFunctions::RecentErrMsg;
  api.aclGetDeviceCapability = &FakeFunctions::Capability;
  api.aclrtGetSocName = &FakeFunctions::SocName;
  api.aclrtGetDeviceCount = &FakeFunctions::DeviceCount;
  api.aclrtSetDevice = &FakeFunctions::SetDevice;
  api.aclrtGetDevice = &FakeFunctions::GetDevice;
  api.aclrtMalloc = &FakeFunctions::Malloc;
  api.aclrtFree = &FakeFunctions::Free;
  api.aclrtMallocHost = &FakeFunctions::MallocHost;
  api.aclrtFreeHost = &FakeFunctions::FreeHost;
  api.aclrtMemcpy = &FakeFunctions::Memcpy;
  api.aclrtMemcpyAsync = &FakeFunctions::MemcpyAsync;
  api.aclrtMemset = &FakeFunctions::Memset;
  api.aclrtCreateStream = &FakeFunctions::CreateStream;
  api.aclrtDestroyStream = &FakeFunctions::DestroyStream;
  api.aclrtSynchronizeStream = &FakeFunctions::SynchronizeStream;
  api.aclrtStreamWaitEvent = &FakeFunctions::StreamWaitEvent;
  api.aclrtCreateEventExWithFlag = &FakeFunctions::CreateEvent;
  api.aclrtDestroyEvent = &FakeFunctions::DestroyEvent;
  api.aclrtRecordEvent = &FakeFunctions::RecordEvent;
  api.aclrtQueryEventStatus = &FakeFunctions::QueryEvent;
  api.aclrtSynchronizeEvent = &FakeFunctions::SynchronizeEvent;
  api.aclmdlRICaptureGetInfo = &FakeFunctions::CaptureInfo;
  api.aclrtBinaryLoadFromData = &FakeFunctions::LoadBinary;
  api.aclrtBinaryGetFunction = &FakeFunctions::GetFunction;
  api.aclrtLaunchKernelWithHostArgs = &FakeFunctions::LaunchKernel;
  api.aclrtGetHardwareSyncAddr = &FakeFunctions::SyncAddress;
  api.library = "fake/libascendcl.so";
  api.version = "fake ACL";
  api.is_virtual = true;
  current_device = -1;
}

FakeAcl::~FakeAcl() { fake = nullptr; }

StatusOr<std::shared_ptr<Runtime>> FakeAcl::OpenRuntime(RuntimeOptions options) {
  if (options.kernel_dir.empty()) options.kernel_dir = MakeKernelFolder();
  return Runtime::Impl::Open(api_, options);
}

void FakeAcl::FailNext(const std::string& function, int error, const std::string& text) {
  failures_[function] = error;
  recent_text_ = text;
}

std::string* FakeAcl::Keep(std::string text) {
  texts_.push_back(std::make_unique<std::string>(std::move(text)));
  return texts_.back().get();
}

int FakeAcl::Enter(const char* function) {
  calls_.push_back(function);
  const auto failure = failures_.find(function);
  if (failure == failures_.end()) return ACL_SUCCESS;
  const int error = failure->second;
  failures_.erase(failure);
  return error;
}

void FakeAcl::RunCopies() {
  for (const auto& copy : std::exchange(copies_, {})) copy();
  copies_done_ = copies_enqueued_;
}

int FakeAcl::Count(const std::string& function) const {
  return static_cast<int>(std::count(calls_.begin(), calls_.end(), function));
}

}  // namespace ascend_attention
