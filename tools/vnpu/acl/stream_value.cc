// SPDX-License-Identifier: Apache-2.0
// Streams that write a value to device memory, or wait until one is there.
#include <chrono>
#include <cstdint>
#include <memory>
#include <mutex>
#include <thread>

#include "tools/vnpu/acl/acl_control_abi.h"
#include "tools/vnpu/acl/api.h"
#include "tools/vnpu/acl/runtime.h"

namespace vnpu_acl {
namespace {

// How often a waiting stream looks.
constexpr std::chrono::microseconds kPoll{50};

struct Word {
  uint64_t* address;
  DeviceState* device;
};

// Called under the device's memory lock, so that it is not unmapped meanwhile.
Result StillThere(const Word& word) {
  if (word.device->npu.Contains(word.address, sizeof(*word.address))) return {};
  Result result = Error(ACL_ERROR_RT_SYS_DMA, "devAddr = ", word.address, " on device ",
                        word.device->id, " was freed before the stream came to it");
  result.is_report = true;
  return result;
}

bool Holds(uint64_t memory, uint64_t value, uint32_t flag) {
  switch (flag) {
    case ACL_STREAM_WAIT_VALUE_GEQ:
      return static_cast<int64_t>(memory - value) >= 0;
    case ACL_STREAM_WAIT_VALUE_EQ:
      return memory == value;
    case ACL_STREAM_WAIT_VALUE_AND:
      return (memory & value) != 0;
    default:
      return ~(memory | value) != 0;
  }
}

Result Write(const Word& word, uint64_t value) {
  const std::shared_lock lock(word.device->memory_mutex);
  const Result result = StillThere(word);
  if (!result.ok()) return result;
  __atomic_store_n(word.address, value, __ATOMIC_RELEASE);
  word.device->npu.SetDefined(word.address, sizeof(value), true);
  return {};
}

Result Wait(const Word& word, uint64_t value, uint32_t flag) {
  while (!Stream::Current()->aborted()) {
    {
      const std::shared_lock lock(word.device->memory_mutex);
      const Result result = StillThere(word);
      if (!result.ok()) return result;
      if (Holds(__atomic_load_n(word.address, __ATOMIC_ACQUIRE), value, flag)) return {};
    }
    std::this_thread::sleep_for(kPoll);
  }
  return {};
}

Result FindWord(Runtime& runtime, void* address, Word* word) {
  if (address == nullptr) return NullPointer("devAddr");
  word->address = static_cast<uint64_t*>(address);
  word->device = runtime.OwnerOf(address, sizeof(uint64_t));
  if (word->device != nullptr && reinterpret_cast<uintptr_t>(address) % sizeof(uint64_t) == 0) {
    return {};
  }
  return Error(ACL_ERROR_RT_PARAM_INVALID, "devAddr = ", address,
               ": expected 8 bytes of device memory, aligned to 8");
}

Result ValueWrite(Runtime& runtime, void* address, uint64_t value, uint32_t flag,
                  aclrtStream handle) {
  if (flag != 0) {
    return Error(ACL_ERROR_RT_PARAM_INVALID, "flag = ", flag, " is reserved: expected 0");
  }
  Word word{};
  std::shared_ptr<Stream> stream;
  Result result = FindWord(runtime, address, &word);
  if (result.ok()) result = runtime.FindStream(handle, &stream);
  if (!result.ok()) return result;
  const auto run = [word, value] { return Write(word, value); };
  return runtime.captures.Enqueue(stream, {"value write", "", run});
}

Result ValueWait(Runtime& runtime, void* address, uint64_t value, uint32_t flag,
                 aclrtStream handle) {
  if (flag > ACL_STREAM_WAIT_VALUE_NOR) {
    return Error(ACL_ERROR_RT_PARAM_INVALID, "flag = ", flag,
                 ": expected 0 (at least), 1 (equal), 2 (and) or 3 (nor)");
  }
  Word word{};
  std::shared_ptr<Stream> stream;
  Result result = FindWord(runtime, address, &word);
  if (result.ok()) result = runtime.FindStream(handle, &stream);
  if (!result.ok()) return result;
  const auto run = [word, value, flag] { return Wait(word, value, flag); };
  return runtime.captures.Enqueue(stream, {"value wait", "", run});
}

}  // namespace
}  // namespace vnpu_acl

extern "C" {

aclError aclrtValueWrite(void* devAddr, uint64_t value, uint32_t flag, aclrtStream stream) {
  return vnpu_acl::Call("aclrtValueWrite", [=](vnpu_acl::Runtime& runtime) {
    return vnpu_acl::ValueWrite(runtime, devAddr, value, flag, stream);
  });
}

aclError aclrtValueWait(void* devAddr, uint64_t value, uint32_t flag, aclrtStream stream) {
  return vnpu_acl::Call("aclrtValueWait", [=](vnpu_acl::Runtime& runtime) {
    return vnpu_acl::ValueWait(runtime, devAddr, value, flag, stream);
  });
}

}  // extern "C"
