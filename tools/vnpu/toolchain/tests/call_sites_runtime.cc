// SPDX-License-Identifier: Apache-2.0
// Remembers from where Issue was called, relative to the caller's library.
#include <dlfcn.h>

#include <cstdint>

namespace {

constexpr int kMaxCalls = 8;
int64_t calls[kMaxCalls];
int num_calls = 0;

}  // namespace

extern "C" void Issue(int) {
  void* from = __builtin_return_address(0);
  Dl_info info;
  if (num_calls < kMaxCalls && dladdr(from, &info) != 0) {
    calls[num_calls++] = static_cast<char*>(from) - static_cast<char*>(info.dli_fbase);
  }
}

extern "C" int NumCalls() { return num_calls; }
extern "C" int64_t Call(int index) { return calls[index]; }
