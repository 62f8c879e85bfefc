// SPDX-License-Identifier: Apache-2.0
// Follows bytes that nobody has written through moves and arithmetic, and
// reports them where they matter: stored to an output, loaded by scalar code
// (branches and addresses hang on it), or used as the offset of a gather.
// Loading or computing with them is no error: tiles are larger than their data.
//
// On-chip buffers are undefined when a kernel starts, allocations when they are
// made and wherever the host says so (Device::SetDefined); what the host writes
// is defined. Memory allocated before the checker was attached counts as
// defined.
//
// Next: tools/vnpu/check/definedness_rules.h - what each intrinsic does.
#ifndef VNPU_CHECK_DEFINEDNESS_CHECKER_H_
#define VNPU_CHECK_DEFINEDNESS_CHECKER_H_

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "tools/vnpu/check/definedness_step.h"
#include "tools/vnpu/check/finding.h"
#include "tools/vnpu/check/shadow_memory.h"
#include "tools/vnpu/core/device.h"
#include "tools/vnpu/core/observer.h"

namespace vnpu {

struct DefinednessOptions {
  // GM without a name is an output too: for kernels whose tensors all have names.
  bool unnamed_is_output = false;
  // Bytes behind the burst of an align load without padding are undefined,
  // though vendor examples show a copy of its first element there.
  bool dummy_is_undefined = true;
  // An output that a launch has not written, or in part only, is a finding.
  bool outputs_complete = false;
};

class DefinednessChecker : public Observer, private StepHost {
 public:
  DefinednessChecker(const Device* device, FindingSink* sink,
                     const DefinednessOptions& options = {});
  ~DefinednessChecker() override;

  // A bit per byte of GM from `address` on, set where it is undefined; count
  // 1..64. Call between launches.
  uint64_t UndefinedBits(const void* address, uint64_t count);

  void OnAllocate(const void* address, uint64_t bytes, uint64_t id) override;
  void OnFree(const void* address, uint64_t bytes, uint64_t id) override;
  void OnDefine(const void* address, uint64_t bytes, bool defined) override;
  void OnLaunchBegin(const LaunchInfo& info) override;
  void OnLaunchEnd(LaunchResult* result) override;
  void OnCoreBegin(const CoreId& core) override;
  void OnCoreEnd(const CoreId& core) override;
  void OnAccess(const CoreId& core, const Instruction& in, const Access& access,
                std::string* finding) override;
  void OnRetire(const CoreId& core, const Instruction& in) override;

 private:
  // An instruction of some launch, as far as reports need it.
  struct Place {
    uint16_t insn;
    Pipe pipe;
    const void* return_address;
    std::string frames;  // filled when the launch ends, or for a report
    bool has_frames = false;
  };
  // Undefined bytes as the instruction found them.
  struct Origin {
    uint32_t place;
    CoreId core;
    uint64_t sequence;
    uint64_t launch;
    Space space;
    uint64_t at;
  };

  OriginId NewOrigin(const Step& step, Space space, uint64_t at) override;
  bool IsOutput(uint64_t address) const override;
  void ReachOutput(const Step& step, uint64_t address, OriginId origin) override;
  void ReachAddress(const Step& step, OriginId origin) override;
  void ReachScalar(const Step& step, OriginId origin) override;
  bool dummy_is_undefined() const override { return options_.dummy_is_undefined; }

  CoreShadow* ShadowOf(const CoreId& core);
  uint32_t PlaceOf(const Instruction& in);
  void KnowAllocations();
  void ReportIncompleteOutputs();
  bool FindPadded(uint64_t at, Region* home) const;
  bool ReportOverrun(const Step& step, uint64_t at);
  // What `origin` is about, as "key_cache + 512" and as the words of a site.
  std::string Subject(const Origin& origin) const;
  void Report(const Step& step, const std::string& kind, const std::string& reaches,
              const std::string& what, OriginId origin, const std::string& fix);

  const Device* const device_;
  FindingSink* const sink_;
  const DefinednessOptions options_;
  std::mutex mutex_;  // allocations come from other threads
  GmShadow gm_;

  // Of the launch.
  const CallTable* calls_ = nullptr;
  std::string kernel_;
  uint64_t launch_ = 0;
  std::vector<Region> regions_;
  std::vector<std::unique_ptr<CoreShadow>> cores_;  // [block * 3 + role]
  std::vector<std::unique_ptr<CoreShadow>> spare_;
  std::set<std::pair<const void*, const void*>> told_;  // sink and origin

  std::vector<Origin> origins_;  // [id]; 0 is unused
  std::vector<Place> places_;
  std::map<const void*, uint32_t> place_index_;  // of this launch
};

}  // namespace vnpu

#endif  // VNPU_CHECK_DEFINEDNESS_CHECKER_H_
