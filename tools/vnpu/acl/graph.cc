// SPDX-License-Identifier: Apache-2.0
// Capture and replay: the calls of the C interface.
#include <cstdio>
#include <memory>

#include "tools/vnpu/acl/acl_graph_abi.h"
#include "tools/vnpu/acl/api.h"
#include "tools/vnpu/acl/capture.h"
#include "tools/vnpu/acl/runtime.h"

namespace vnpu_acl {
namespace {

std::atomic<uint32_t> graph_count{0};

Result CheckMode(aclmdlRICaptureMode mode) {
  if (mode >= ACL_MODEL_RI_CAPTURE_MODE_GLOBAL && mode <= ACL_MODEL_RI_CAPTURE_MODE_RELAXED) {
    return {};
  }
  return Error(ACL_ERROR_RT_PARAM_INVALID, "mode = ", int{mode},
               ": expected 0 (global), 1 (thread local) or 2 (relaxed)");
}

Result Begin(Runtime& runtime, aclrtStream handle, aclmdlRICaptureMode mode) {
  Result result = CheckMode(mode);
  if (!result.ok()) return result;
  if (handle == nullptr) {
    return Error(ACL_ERROR_RT_PARAM_INVALID,
                 "stream is a null pointer: the default stream cannot be captured");
  }
  std::shared_ptr<Stream> stream;
  result = runtime.FindStream(handle, &stream);
  if (!result.ok()) return result;
  const auto graph = std::make_shared<Graph>(graph_count++, stream->device_id());
  const aclmdlRI graph_handle = runtime.graphs.Add(graph);
  result = runtime.captures.Begin(stream, mode, graph, graph_handle);
  if (!result.ok()) runtime.graphs.Remove(graph_handle);
  return result;
}

Result End(Runtime& runtime, aclrtStream handle, aclmdlRI* graph) {
  if (graph == nullptr) return NullPointer("modelRI");
  std::shared_ptr<Stream> stream;
  Result result = runtime.FindStream(handle, &stream);
  if (!result.ok()) return result;
  aclmdlRI made = nullptr;
  result = runtime.captures.End(stream, &made);
  *graph = result.ok() ? made : nullptr;
  if (!result.ok() && made != nullptr) runtime.graphs.Remove(made);
  return result;
}

Result Info(Runtime& runtime, aclrtStream handle, aclmdlRICaptureStatus* status, aclmdlRI* graph) {
  if (status == nullptr) return NullPointer("status");
  std::shared_ptr<Stream> stream;
  const Result result = runtime.FindStream(handle, &stream);
  if (!result.ok()) return result;
  aclmdlRI found = nullptr;
  *status = runtime.captures.Info(*stream, &found);
  if (graph != nullptr) *graph = found;
  return {};
}

Result ExchangeMode(aclmdlRICaptureMode* mode) {
  if (mode == nullptr) return NullPointer("mode");
  const Result result = CheckMode(*mode);
  if (result.ok()) *mode = ExchangeThreadMode(*mode);
  return result;
}

Result FindGraph(Runtime& runtime, aclmdlRI handle, std::shared_ptr<Graph>* graph) {
  *graph = runtime.graphs.Find(handle);
  return *graph != nullptr ? Result{} : runtime.graphs.NotFound("modelRI", handle);
}

Result CheckReplay(const Graph& graph, const Stream& stream) {
  if (graph.capturing) {
    return Error(ACL_ERROR_RT_MODEL_CAPTURED, "modelRI is being captured: end the capture first");
  }
  if (graph.device_id == stream.device_id()) return {};
  return Error(ACL_ERROR_RT_STREAM_CONTEXT, "modelRI was captured on device ", graph.device_id,
               ", but stream belongs to device ", stream.device_id());
}

Result Replay(Runtime& runtime, aclmdlRI handle, aclrtStream stream_handle,
              std::shared_ptr<Stream>* stream, Ticket* ticket) {
  std::shared_ptr<Graph> graph;
  Result result = FindGraph(runtime, handle, &graph);
  if (result.ok()) result = runtime.FindStream(stream_handle, stream);
  if (result.ok()) result = CheckReplay(*graph, **stream);
  if (!result.ok()) return result;
  if (runtime.captures.Holds(**stream)) {
    return Error(ACL_ERROR_RT_STREAM_CAPTURED,
                 "stream captures: a graph cannot be captured into another one");
  }
  return (*stream)->Submit([graph] { return graph->Run(); }, ticket);
}

Result ReplayAndWait(Runtime& runtime, aclmdlRI handle, int32_t timeout_ms) {
  if (timeout_ms < -1) {
    return Error(ACL_ERROR_RT_PARAM_INVALID, "timeout = ", timeout_ms,
                 " ms: expected -1 (wait for ever) or more");
  }
  std::shared_ptr<Stream> stream;
  Ticket ticket = 0;
  const Result result = Replay(runtime, handle, nullptr, &stream, &ticket);
  if (!result.ok()) return result;
  if (stream->Wait(ticket, timeout_ms) == WaitOutcome::kTimedOut) {
    return Error(ACL_ERROR_RT_STREAM_SYNC_TIMEOUT, "the graph is not done after ", timeout_ms,
                 " ms");
  }
  return stream->TakeFailure(ticket).result;
}

// Replays that are queued keep what they need.
Result Destroy(Runtime& runtime, aclmdlRI handle) {
  std::shared_ptr<Graph> graph;
  const Result result = FindGraph(runtime, handle, &graph);
  if (!result.ok()) return result;
  if (graph->capturing) {
    return Error(ACL_ERROR_RT_MODEL_CAPTURED, "modelRI is being captured: end the capture first");
  }
  runtime.graphs.Remove(handle);
  return {};
}

Result EndGroup(Runtime& runtime, aclrtStream handle, aclrtTaskGrp* group) {
  if (group == nullptr) return NullPointer("handle");
  std::shared_ptr<Stream> stream;
  std::shared_ptr<TaskGroup> made;
  Result result = runtime.FindStream(handle, &stream);
  if (result.ok()) result = runtime.captures.EndGroup(stream, &made);
  if (result.ok()) *group = runtime.task_groups.Add(std::move(made));
  return result;
}

Result BeginUpdate(Runtime& runtime, aclrtStream handle, aclrtTaskGrp group_handle) {
  std::shared_ptr<Stream> stream;
  const Result result = runtime.FindStream(handle, &stream);
  if (!result.ok()) return result;
  std::shared_ptr<TaskGroup> group = runtime.task_groups.Find(group_handle);
  if (group == nullptr) return runtime.task_groups.NotFound("handle", group_handle);
  return runtime.captures.BeginUpdate(stream, std::move(group));
}

// Calls fn(stream) if there is such a stream on the current device.
template <typename Fn>
aclError WithStream(const char* name, aclrtStream handle, const Fn& fn) {
  return Call(name, [&](Runtime& runtime) {
    std::shared_ptr<Stream> stream;
    const Result result = runtime.FindStream(handle, &stream);
    return result.ok() ? fn(runtime, stream) : result;
  });
}

}  // namespace
}  // namespace vnpu_acl

using vnpu_acl::Call;
using vnpu_acl::Result;
using vnpu_acl::Runtime;

extern "C" {

aclError aclmdlRICaptureBegin(aclrtStream stream, aclmdlRICaptureMode mode) {
  return Call("aclmdlRICaptureBegin",
              [=](Runtime& runtime) { return vnpu_acl::Begin(runtime, stream, mode); });
}

aclError aclmdlRICaptureGetInfo(aclrtStream stream, aclmdlRICaptureStatus* status,
                                aclmdlRI* modelRI) {
  return Call("aclmdlRICaptureGetInfo",
              [=](Runtime& runtime) { return vnpu_acl::Info(runtime, stream, status, modelRI); });
}

aclError aclmdlRICaptureEnd(aclrtStream stream, aclmdlRI* modelRI) {
  return Call("aclmdlRICaptureEnd",
              [=](Runtime& runtime) { return vnpu_acl::End(runtime, stream, modelRI); });
}

aclError aclmdlRICaptureThreadExchangeMode(aclmdlRICaptureMode* mode) {
  return Call("aclmdlRICaptureThreadExchangeMode",
              [=](Runtime&) { return vnpu_acl::ExchangeMode(mode); });
}

aclError aclmdlRICaptureTaskGrpBegin(aclrtStream stream) {
  return vnpu_acl::WithStream(
      "aclmdlRICaptureTaskGrpBegin", stream,
      [](Runtime& runtime, const auto& found) { return runtime.captures.BeginGroup(found); });
}

aclError aclmdlRICaptureTaskGrpEnd(aclrtStream stream, aclrtTaskGrp* handle) {
  return Call("aclmdlRICaptureTaskGrpEnd",
              [=](Runtime& runtime) { return vnpu_acl::EndGroup(runtime, stream, handle); });
}

aclError aclmdlRICaptureTaskUpdateBegin(aclrtStream stream, aclrtTaskGrp handle) {
  return Call("aclmdlRICaptureTaskUpdateBegin",
              [=](Runtime& runtime) { return vnpu_acl::BeginUpdate(runtime, stream, handle); });
}

aclError aclmdlRICaptureTaskUpdateEnd(aclrtStream stream) {
  return vnpu_acl::WithStream(
      "aclmdlRICaptureTaskUpdateEnd", stream,
      [](Runtime& runtime, const auto& found) { return runtime.captures.EndUpdate(found); });
}

aclError aclmdlRIExecuteAsync(aclmdlRI modelRI, aclrtStream stream) {
  return Call("aclmdlRIExecuteAsync", [=](Runtime& runtime) {
    std::shared_ptr<vnpu_acl::Stream> found;
    return vnpu_acl::Replay(runtime, modelRI, stream, &found, nullptr);
  });
}

aclError aclmdlRIExecute(aclmdlRI modelRI, int32_t timeout) {
  return Call("aclmdlRIExecute",
              [=](Runtime& runtime) { return vnpu_acl::ReplayAndWait(runtime, modelRI, timeout); });
}

aclError aclmdlRIDestroy(aclmdlRI modelRI) {
  return Call("aclmdlRIDestroy",
              [=](Runtime& runtime) { return vnpu_acl::Destroy(runtime, modelRI); });
}

aclError aclmdlRIGetId(aclmdlRI modelRI, uint32_t* modelRIId) {
  return Call("aclmdlRIGetId", [=](Runtime& runtime) -> Result {
    if (modelRIId == nullptr) return vnpu_acl::NullPointer("modelRIId");
    std::shared_ptr<vnpu_acl::Graph> graph;
    const Result result = vnpu_acl::FindGraph(runtime, modelRI, &graph);
    if (result.ok()) *modelRIId = graph->id;
    return result;
  });
}

// To stdout, as on the device to its log.
aclError aclmdlRIDebugPrint(aclmdlRI modelRI) {
  return Call("aclmdlRIDebugPrint", [=](Runtime& runtime) -> Result {
    std::shared_ptr<vnpu_acl::Graph> graph;
    const Result result = vnpu_acl::FindGraph(runtime, modelRI, &graph);
    if (!result.ok()) return result;
    if (graph->capturing) {
      return vnpu_acl::Error(ACL_ERROR_RT_MODEL_CAPTURED,
                             "modelRI is being captured: end the capture first");
    }
    std::fputs(graph->Describe().c_str(), stdout);
    std::fflush(stdout);
    return {};
  });
}

}  // extern "C"
