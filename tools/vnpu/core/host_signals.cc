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

void Handle(int number, siginfo_t* info, void* context) {
  Core* core = CurrentCore();
  if (number == kInterruptSignal && (core == nullptr || core->in_runtime())) {
    // The runtime looks for the end of time itself; others may use this signal.
    if ((previous[number].sa_flags & SA_SIGINFO) != 0) {
      previous[number].sa_sigaction(number, info, context);
    } else if (previous[number].sa_handler != SIG_DFL && previous[number].sa_handler != SIG_IGN) {
      previous[number].sa_handler(number);
    }
    return;
  }
  if (core != nullptr) core->LeaveOnSignal(number, info->si_addr, ProgramCounter(context));
  const struct sigaction& before = previous[number];
  if ((before.sa_flags & SA_SIGINFO) != 0 && before.sa_sigaction != nullptr) {
    before.sa_sigaction(number, info, context);
  } else if (before.sa_handler == SIG_IGN) {
    return;
  } else if (before.sa_handler != SIG_DFL && before.sa_handler != nullptr) {
    before.sa_handler(number);
  } else {
    signal(number, SIG_DFL);  // the instruction runs again and ends the process
  }
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
