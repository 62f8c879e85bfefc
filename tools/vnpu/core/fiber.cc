// SPDX-License-Identifier: Apache-2.0
#include "tools/vnpu/core/fiber.h"

#include <sys/mman.h>
#include <unistd.h>

#include <cstdlib>

namespace vnpu {

Fiber::Fiber(size_t stack_bytes)
    : guard_bytes_(static_cast<size_t>(sysconf(_SC_PAGESIZE))), stack_bytes_(stack_bytes) {
  void* mapping = mmap(nullptr, guard_bytes_ + stack_bytes_, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (mapping == MAP_FAILED) std::abort();
  mapping_ = static_cast<uint8_t*>(mapping);
  if (mprotect(mapping_, guard_bytes_, PROT_NONE) != 0) std::abort();
}

Fiber::~Fiber() { munmap(mapping_, guard_bytes_ + stack_bytes_); }

void Fiber::Prepare(void (*body)(void*), void* argument) {
  body_ = body;
  argument_ = argument;
  getcontext(&self_);
  self_.uc_stack.ss_sp = mapping_ + guard_bytes_;
  self_.uc_stack.ss_size = stack_bytes_;
  self_.uc_link = nullptr;
  // makecontext passes ints; a pointer needs two.
  const auto bits = reinterpret_cast<uintptr_t>(this);
  makecontext(&self_, reinterpret_cast<void (*)()>(&Fiber::Trampoline), 2,
              static_cast<unsigned>(static_cast<uint64_t>(bits) >> 32),
              static_cast<unsigned>(bits));
}

void Fiber::Trampoline(unsigned high, unsigned low) {
  auto* fiber =
      reinterpret_cast<Fiber*>(static_cast<uintptr_t>((static_cast<uint64_t>(high) << 32) | low));
  fiber->body_(fiber->argument_);
  fiber->Leave();
}

void Fiber::Leave() {
  setcontext(&resumer_);
  std::abort();
}

bool Fiber::InGuard(const void* address) const {
  const auto* byte = static_cast<const uint8_t*>(address);
  return byte >= mapping_ && byte < mapping_ + guard_bytes_;
}

}  // namespace vnpu
