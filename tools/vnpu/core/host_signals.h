// SPDX-License-Identifier: Apache-2.0
// SIGSEGV, SIGBUS, SIGFPE, SIGILL and SIGTRAP of kernel code become faults of
// the core that runs on the thread; all others go where they went before.
#ifndef VNPU_CORE_HOST_SIGNALS_H_
#define VNPU_CORE_HOST_SIGNALS_H_

#include <csignal>

namespace vnpu {

// Sent to a thread whose launch has run out of time: takes the core off the
// thread. Ignored by default, so a late one is harmless.
constexpr int kInterruptSignal = SIGURG;

// Installs the handlers if something has replaced them meanwhile.
void InstallSignalHandlers();

// The alternate signal stack of a thread that runs kernels.
class SignalStack {
 public:
  SignalStack();
  ~SignalStack();
  SignalStack(const SignalStack&) = delete;
  SignalStack& operator=(const SignalStack&) = delete;

 private:
  void* memory_;
};

}  // namespace vnpu

#endif  // VNPU_CORE_HOST_SIGNALS_H_
