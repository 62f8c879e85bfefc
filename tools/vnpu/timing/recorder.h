// SPDX-License-Identifier: Apache-2.0
// Records launches for the timing model while the machine runs them.
#ifndef VNPU_TIMING_RECORDER_H_
#define VNPU_TIMING_RECORDER_H_

#include <cstdint>
#include <string>
#include <unordered_map>
#include <vector>

#include "tools/vnpu/core/observer.h"
#include "tools/vnpu/timing/recording.h"

namespace vnpu {

class TimingRecorder : public Observer {
 public:
  // The last launch; without cores after a fault.
  const Recording& recording() const { return recording_; }
  // Gives back the memory of the recording.
  void Forget() { recording_ = Recording(); }

  void OnLaunchBegin(const LaunchInfo& info) override;
  void OnLaunchEnd(LaunchResult* result) override;
  void OnIssue(const CoreId& core, const Instruction& in) override;
  void OnAccess(const CoreId& core, const Instruction& in, const Access& access,
                std::string* finding) override;

 private:
  CoreRecording& CoreOf(const CoreId& core);
  uint32_t SiteOf(const void* return_address);

  Recording recording_;
  uint32_t cores_per_block_ = 1;
  const CallTable* calls_ = nullptr;
  std::unordered_map<const void*, uint32_t> sites_;
  std::vector<const void*> site_addresses_;
  const void* last_address_ = nullptr;
  uint32_t last_site_ = 0;
};

}  // namespace vnpu

#endif  // VNPU_TIMING_RECORDER_H_
