// SPDX-License-Identifier: Apache-2.0
// Error texts and codes waiting to be asked for.
#include "tools/vnpu/acl/error.h"

#include <atomic>
#include <deque>
#include <mutex>
#include <thread>

#include "tools/vnpu/acl/runtime.h"

namespace vnpu_acl {
namespace {

struct Message {
  std::thread::id thread;
  std::string text;
};

// Callers that never ask must not make the process grow.
constexpr size_t kMaxMessages = 64;

struct Messages {
  std::mutex mutex;
  std::deque<Message> queue;  // newest last
};

// Never destroyed: calls may still come from destructors at process exit.
Messages& AllMessages() {
  static Messages* messages = new Messages;
  return *messages;
}

thread_local aclError last_error = ACL_SUCCESS;
thread_local std::string returned_text;
std::atomic<bool> forked_message_pending{false};

}  // namespace

aclError Report(const char* call, Result result) {
  last_error = result.code;
  Message message{std::this_thread::get_id(),
                  result.is_report ? std::move(result.text) : call + (": " + result.text)};
  Messages& messages = AllMessages();
  std::lock_guard<std::mutex> lock(messages.mutex);
  messages.queue.push_back(std::move(message));
  if (messages.queue.size() > kMaxMessages) messages.queue.pop_front();
  return result.code;
}

// The newest text of this thread. A thread that has none gets the newest of
// all: frameworks launch on one thread and report on another.
const char* TakeRecentMessage() {
  Messages& messages = AllMessages();
  std::lock_guard<std::mutex> lock(messages.mutex);
  auto& queue = messages.queue;
  if (queue.empty()) return nullptr;
  auto taken = queue.end() - 1;
  const auto self = std::this_thread::get_id();
  for (auto it = queue.begin(); it != queue.end(); ++it) {
    if (it->thread == self) taken = it;
  }
  const auto owner = taken->thread;
  returned_text = std::move(taken->text);
  // Older texts of that thread would only be mistaken for later errors.
  std::deque<Message> kept;
  for (Message& message : queue) {
    if (message.thread != owner) kept.push_back(std::move(message));
  }
  queue.swap(kept);
  return returned_text.c_str();
}

aclError TakeLastError() { return std::exchange(last_error, ACL_SUCCESS); }

aclError PeekLastError() { return last_error; }

aclError ReportForked() {
  last_error = ACL_ERROR_RT_FEATURE_NOT_SUPPORT;
  forked_message_pending = true;
  return last_error;
}

const char* TakeForkedMessage() {
  if (!forked_message_pending.exchange(false)) return nullptr;
  return "the virtual NPU was in use before this process was forked, and its worker threads do "
         "not exist in the child: start the process by 'spawn' or exec, or fork before the first "
         "ACL call";
}

}  // namespace vnpu_acl

extern "C" {

const char* aclGetRecentErrMsg() {
  if (vnpu_acl::IsForkedChild()) return vnpu_acl::TakeForkedMessage();
  return vnpu_acl::TakeRecentMessage();
}

aclError aclrtGetLastError(aclrtLastErrLevel level) {
  if (level != ACL_RT_THREAD_LEVEL) {
    return vnpu_acl::Report("aclrtGetLastError",
                            vnpu_acl::Error(ACL_ERROR_RT_PARAM_INVALID, "level = ", int{level},
                                            ": expected 0 (ACL_RT_THREAD_LEVEL)"));
  }
  return vnpu_acl::TakeLastError();
}

aclError aclrtPeekAtLastError(aclrtLastErrLevel level) {
  if (level != ACL_RT_THREAD_LEVEL) {
    return vnpu_acl::Report("aclrtPeekAtLastError",
                            vnpu_acl::Error(ACL_ERROR_RT_PARAM_INVALID, "level = ", int{level},
                                            ": expected 0 (ACL_RT_THREAD_LEVEL)"));
  }
  return vnpu_acl::PeekLastError();
}

}  // extern "C"
