// SPDX-License-Identifier: Apache-2.0
// Opaque handles. They are numbers, never addresses: a handle that was
// destroyed, belongs to something else or was made up is found out instead of
// dereferenced, and no later object gets the same one.
#ifndef VNPU_ACL_HANDLE_TABLE_H_
#define VNPU_ACL_HANDLE_TABLE_H_

#include <cstdint>
#include <memory>
#include <shared_mutex>
#include <unordered_map>
#include <utility>
#include <vector>

#include "tools/vnpu/acl/error.h"

namespace vnpu_acl {

enum class HandleKind : uintptr_t {
  kContext = 1,
  kStream,
  kEvent,
  kBinary,
  kFunction,
  kPhysical,
  kGraph,
  kTaskGroup
};

// With its article.
inline const char* KindName(uintptr_t kind) {
  constexpr const char* kNames[] = {"a context",         "a stream",
                                    "an event",          "a binary handle",
                                    "a function handle", "a handle of physical memory",
                                    "a graph",           "a task group"};
  return kind >= 1 && kind <= 8 ? kNames[kind - 1] : nullptr;
}

template <typename T, HandleKind kKind>
class HandleTable {
 public:
  void* Add(std::shared_ptr<T> object) {
    std::unique_lock lock(mutex_);
    void* handle = reinterpret_cast<void*>((kTag | static_cast<uintptr_t>(kKind)) << kKindShift |
                                           ++serial_ << kSerialShift);
    objects_.emplace(handle, std::move(object));
    return handle;
  }

  // Null if there is no such object (any more).
  std::shared_ptr<T> Find(void* handle) const {
    std::shared_lock lock(mutex_);
    const auto it = objects_.find(handle);
    return it == objects_.end() ? nullptr : it->second;
  }

  std::shared_ptr<T> Remove(void* handle) {
    std::unique_lock lock(mutex_);
    const auto it = objects_.find(handle);
    if (it == objects_.end()) return nullptr;
    std::shared_ptr<T> object = std::move(it->second);
    objects_.erase(it);
    return object;
  }

  std::vector<std::pair<void*, std::shared_ptr<T>>> All() const {
    std::shared_lock lock(mutex_);
    return {objects_.begin(), objects_.end()};
  }

  // Why Find(handle) gave null; `argument` is the parameter's name.
  Result NotFound(const char* argument, void* handle) const {
    if (handle == nullptr) return NullPointer(argument);
    const auto value = reinterpret_cast<uintptr_t>(handle);
    const uintptr_t kind = (value >> kKindShift) & 0xF;
    const bool ours = value >> kKindShift == (kTag | kind) && KindName(kind) != nullptr;
    const char* expected = KindName(static_cast<uintptr_t>(kKind));
    if (!ours) {
      return Error(ACL_ERROR_RT_INVALID_HANDLE, argument, " = ", handle, " is not ", expected,
                   " of the virtual NPU");
    }
    if (kind != static_cast<uintptr_t>(kKind)) {
      return Error(ACL_ERROR_RT_INVALID_HANDLE, argument, " = ", handle, " is ", KindName(kind),
                   ": expected ", expected);
    }
    return Error(ACL_ERROR_RT_INVALID_HANDLE, argument, " = ", handle, ": was ", expected,
                 ", but has been destroyed");
  }

 private:
  // Looks like a user-space address, aligned, of a range nothing is mapped in.
  static constexpr uintptr_t kTag = 0x2A0;
  static constexpr int kKindShift = 36;
  static constexpr int kSerialShift = 4;

  mutable std::shared_mutex mutex_;
  uintptr_t serial_ = 0;
  std::unordered_map<void*, std::shared_ptr<T>> objects_;
};

}  // namespace vnpu_acl

#endif  // VNPU_ACL_HANDLE_TABLE_H_
