// SPDX-License-Identifier: Apache-2.0
#include "tools/vnpu/core/host_signals.h"

#include <signal.h>
#include <sys/mman.h>
#include <ucontext.h>

#include <cstdlib>
#include <mutex>

#include "tools/vnpu/core/core.h"

namespace vnpu {
namespace {

constexpr int kSignals[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, kInterruptSignal};
constexpr size_t kStackBytes = 64 * 1024;

struct sigaction previous[NSIG];

uint64_t ProgramCounter(void* context) {
  const auto* ucontext = static_cast<const ucontext_t*>(context);
#if defined(__x86_64__)
  return static_cast<uint64_t>(ucontext->uc_mcontext.gregs[REG_RIP]);
#else
  return ucontext->uc_mcontext.pc;
#endif
}

// What handled the signal before. A handler installed after ours may call us in
// turn: the second time round the default ends the process.
void Chain(int number, siginfo_t* info, void* context) {
  static thread_local volatile sig_atomic_t chaining = 0;
  const struct sigaction& before = previous[number];
  if (chaining != 0) {
    signal(number, SIG_DFL);
    return;
  }
  chaining = 1;
  if ((before.sa_flags & SA_SIGINFO) != 0 && before.sa_sigaction != nullptr) {
    before.sa_sigaction(number, info, context);
  } else if (before.sa_handler != SIG_DFL && before.sa_handler != SIG_IGN) {
    before.sa_handler(number);
  } else if (before.sa_handler == SIG_DFL && number != kInterruptSignal) {
    signal(number, SIG_DFL);  // the instruction runs again and ends the process
  }
  chaining = 0;
}

void Handle(int number, siginfo_t* info, void* context) {
  Core* core = CurrentCore();
  // In the runtime, the end of time is noticed without a signal.
  const bool ours = core != nullptr && (number != kInterruptSignal || !core->in_runtime());
  if (ours) core->LeaveOnSignal(number, info->si_addr, ProgramCounter(context));
  Chain(number, info, context);
}

}  // namespace

void InstallSignalHandlers() {
  static std::mutex mutex;
  std::lock_guard<std::mutex> lock(mutex);
  for (int number : kSignals) {
    struct sigaction now;
    sigaction(number, nullptr, &now);
    if ((now.sa_flags & SA_SIGINFO) != 0 && now.sa_sigaction == &Handle) continue;
    struct sigaction ours = {};
    ours.sa_sigaction = &Handle;
    ours.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_RESTART;
    sigemptyset(&ours.sa_mask);
    previous[number] = now;
    sigaction(number, &ours, nullptr);
  }
}

SignalStack::SignalStack() {
  memory_ = mmap(nullptr, kStackBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory_ == MAP_FAILED) std::abort();
  stack_t stack = {};
  stack.ss_sp = memory_;
  stack.ss_size = kStackBytes;
  sigaltstack(&stack, nullptr);
}

SignalStack::~SignalStack() {
  stack_t stack = {};
  stack.ss_flags = SS_DISABLE;
  sigaltstack(&stack, nullptr);
  munmap(memory_, kStackBytes);
}

}  // namespace vnpu
