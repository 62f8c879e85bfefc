// SPDX-License-Identifier: Apache-2.0
// Race detector: two accesses to the same bytes, one of them a write, that no
// chain of flags, barriers and signals orders. It judges by that order alone
// (happens-before), not by the times of the run at hand: a race is found
// although this execution happened to come out right, and a kernel whose order
// is complete is never accused.
//
// The rules, each with its source, stand where they are applied:
//   race_order.h   what orders two accesses
//   race_rules.h   when two accesses in a pipe or between pipes are a hazard
//   race_cache.h   the scalar data cache, soft signals through GM
//   race_overlap.h what a vector instruction may read of its own result
//   below          what does not fit there
//
//   strict_gm_visibility: another core may rely on a GM store only if the
//     scalar unit ran dsb(DSB_DDR) or dsb(DSB_ALL) between the store and the
//     issue of the signal, when it knew the store to be complete or had queued
//     a pipe_barrier of the storing pipe behind it. One runtime was seen to need
//     that (hw-native-sys/simpler#1091); ATB and the vendor's examples go
//     without, which is the default.
//   fixpipe registers: a fixpipe that uses another value of nd_para, quant_pre
//     or fpc than an earlier one needs a pipe_barrier(PIPE_FIX) between the two
//     [hw]; other special registers take effect in issue order [hw].
//   The end of a launch completes everything, unless drained_end asks for an order.
//   Buffers of a core are its own.
//   Not modelled: the order in which the scalar unit reads results of vector
//     instructions from registers (get_rsvd_cnt and the like).
//
// Next: tools/vnpu/check/race_order.h; the work is done in race_engine.cc
#ifndef VNPU_CHECK_RACE_DETECTOR_H_
#define VNPU_CHECK_RACE_DETECTOR_H_

#include <cstdint>
#include <map>
#include <memory>

#include "tools/vnpu/check/finding.h"
#include "tools/vnpu/check/race_sync_use.h"
#include "tools/vnpu/core/observer.h"

namespace vnpu {
namespace race {
class Engine;
}

struct RaceOptions {
  bool strict_gm_visibility = false;
  // A flag is one bit: report a set that nothing orders behind the flag's last
  // wait. Off by default: published kernels that use one event over and over rely
  // on the waiting pipe being far ahead.
  bool strict_flags = false;
  // Report an access of a pipe to GM that the scalar unit does not know to be complete
  // when it leaves the kernel. Off by default: the end of a launch completes everything.
  bool drained_end = false;
  // Report every pair of instructions, not the first of two places: for tests.
  bool every_pair = false;
  // Keep order_digest(): costs about as much again.
  bool digest_order = false;
};

class RaceDetector : public Observer {
 public:
  // Findings go to `sink` when the launch ends; the caller keeps ownership.
  RaceDetector(const RaceOptions& options, FindingSink* sink);
  ~RaceDetector() override;

  // By return address of the call, over all launches since ClearSyncUse.
  const std::map<const void*, SyncUse>& sync_use() const;
  void ClearSyncUse();
  // With digest_order: a hash of what was known to be complete before each
  // instruction that touches memory, over all launches. If it is the same
  // without a flag or barrier, that one orders no access: it is redundant.
  uint64_t order_digest() const;

  void OnLaunchBegin(const LaunchInfo& info) override;
  void OnLaunchEnd(LaunchResult* result) override;
  void OnCoreEnd(const CoreId& core) override;
  void OnIssue(const CoreId& core, const Instruction& in) override;
  void OnAccess(const CoreId& core, const Instruction& in, const Access& access,
                std::string* finding) override;
  void OnRetire(const CoreId& core, const Instruction& in) override;
  void OnSignal(const CoreId& core, const Instruction& in, const SyncEvent& event) override;
  void OnWait(const CoreId& core, const Instruction& in, const SyncEvent& event) override;

 private:
  std::unique_ptr<race::Engine> engine_;
};

}  // namespace vnpu

#endif  // VNPU_CHECK_RACE_DETECTOR_H_
