// SPDX-License-Identifier: Apache-2.0
// One core's scalar program: a stack of its own that can be suspended in the
// middle and abandoned without unwinding.
#ifndef VNPU_CORE_FIBER_H_
#define VNPU_CORE_FIBER_H_

#include <ucontext.h>

#include <cstddef>
#include <cstdint>

namespace vnpu {

class Fiber {
 public:
  explicit Fiber(size_t stack_bytes);
  ~Fiber();
  Fiber(const Fiber&) = delete;
  Fiber& operator=(const Fiber&) = delete;

  // The next Resume runs body(argument) from its start. `body` must not
  // return; it ends in a last Suspend.
  void Prepare(void (*body)(void*), void* argument);
  void Resume() { swapcontext(&resumer_, &self_); }
  void Suspend() { swapcontext(&self_, &resumer_); }
  // Back to the resumer for good; also from a signal handler on another stack.
  [[noreturn]] void Leave();
  // True if `address` lies in the guard page below the stack.
  bool InGuard(const void* address) const;

 private:
  static void Trampoline(unsigned high, unsigned low);

  uint8_t* mapping_;
  size_t guard_bytes_;
  size_t stack_bytes_;
  void (*body_)(void*) = nullptr;
  void* argument_ = nullptr;
  ucontext_t self_;
  ucontext_t resumer_;
};

}  // namespace vnpu

#endif  // VNPU_CORE_FIBER_H_
