// SPDX-License-Identifier: Apache-2.0
#include "python/ascend_attention/torch_ops/npu_runtime.h"

#include <dlfcn.h>

#include <map>
#include <mutex>
#include <utility>
#include <vector>

namespace ascend_attention::torch_ops {
namespace {

using GetStream = int32_t (*)(int32_t device, void** stream);

struct StreamGetters {
  GetStream from_torch_npu = nullptr;
  // PyTorch's own, from 2.13 on: a handle to a stream, then its native one.
  int32_t (*get)(int32_t device, void** stream) = nullptr;
  int32_t (*native)(void* stream, void** native) = nullptr;
  int32_t (*release)(void* stream) = nullptr;
};

template <typename Function>
void Find(void* library, const char* name, Function* function) {
  *function = reinterpret_cast<Function>(dlsym(library, name));
}

// Python loads libtorch_npu.so for itself alone, so that only its handle finds symbols.
StreamGetters FindStreamGetters() {
  StreamGetters getters;
  if (void* torch_npu = dlopen("libtorch_npu.so", RTLD_LAZY | RTLD_NOLOAD)) {
    Find(torch_npu, "aoti_torch_get_current_npu_stream", &getters.from_torch_npu);
  }
  if (void* torch = dlopen("libtorch_cpu.so", RTLD_LAZY | RTLD_NOLOAD)) {
    Find(torch, "aoti_torch_get_current_stream", &getters.get);
    Find(torch, "torch_stream_native_handle", &getters.native);
    Find(torch, "aoti_torch_delete_stream", &getters.release);
  }
  return getters;
}

const StreamGetters& Getters() {
  // NPU tensors exist only after torch_npu was loaded.
  static const StreamGetters getters = FindStreamGetters();
  return getters;
}

struct StreamPool {
  std::mutex mutex;
  std::vector<std::unique_ptr<Stream>> idle;
};

// Never destroyed: at exit the virtual NPU may be gone before us.
StreamPool& Pool() {
  static auto* const pool = new StreamPool;
  return *pool;
}

StatusOr<std::shared_ptr<Runtime>> Open(const Place& place) {
  RuntimeOptions options;
  options.device = place.device;
  if (!place.is_npu) options.acl_library = "vnpu";
  return Runtime::Open(options);
}

}  // namespace

StatusOr<std::shared_ptr<Runtime>> RuntimeFor(const Place& place) {
  static std::mutex mutex;
  static auto* const runtimes = new std::map<std::pair<bool, int>, std::shared_ptr<Runtime>>;
  const std::lock_guard<std::mutex> lock(mutex);
  std::shared_ptr<Runtime>& runtime = (*runtimes)[{place.is_npu, place.device}];
  if (runtime == nullptr) {
    AA_ASSIGN_OR_RETURN(runtime, Open(place));
  }
  return runtime;
}

StatusOr<void*> CurrentNpuStream(int device) {
  const StreamGetters& getters = Getters();
  void* stream = nullptr;
  if (getters.from_torch_npu != nullptr) {
    if (getters.from_torch_npu(device, &stream) == 0) return stream;
    return Internal("aoti_torch_get_current_npu_stream(", device, ") failed");
  }
  if (getters.get == nullptr || getters.native == nullptr || getters.release == nullptr) {
    return FailedPrecondition(
        "no way to ask for the current stream of npu:", device,
        ": needs a torch_npu with aoti_torch_get_current_npu_stream, or PyTorch 2.13");
  }
  void* handle = nullptr;
  if (getters.get(device, &handle) != 0) return Internal("no current stream of npu:", device);
  const int32_t error = getters.native(handle, &stream);
  (void)getters.release(handle);
  if (error != 0) return Internal("the current stream of npu:", device, " has no native handle");
  return stream;
}

Status RefuseInCapture(const Place& place, const char* why) {
  if (!place.is_npu) return OkStatus();
  AA_ASSIGN_OR_RETURN(const std::shared_ptr<Runtime> runtime, RuntimeFor(place));
  AA_ASSIGN_OR_RETURN(void* const stream, CurrentNpuStream(place.device));
  AA_ASSIGN_OR_RETURN(const bool capturing, runtime->IsCapturing(stream));
  if (!capturing) return OkStatus();
  return FailedPrecondition("the current stream of ", PlaceText(place), " captures a graph: ", why);
}

StatusOr<HostStream> HostStream::Take() {
  {
    StreamPool& pool = Pool();
    const std::lock_guard<std::mutex> lock(pool.mutex);
    if (!pool.idle.empty()) {
      HostStream stream(std::move(pool.idle.back()));
      pool.idle.pop_back();
      return stream;
    }
  }
  AA_ASSIGN_OR_RETURN(std::shared_ptr<Runtime> runtime, RuntimeFor(Place{}));
  AA_ASSIGN_OR_RETURN(Stream stream, Stream::Create(std::move(runtime)));
  return HostStream(std::make_unique<Stream>(std::move(stream)));
}

HostStream::~HostStream() {
  if (stream_ == nullptr) return;
  StreamPool& pool = Pool();
  const std::lock_guard<std::mutex> lock(pool.mutex);
  pool.idle.push_back(std::move(stream_));
}

}  // namespace ascend_attention::torch_ops
