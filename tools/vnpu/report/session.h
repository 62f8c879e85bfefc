// SPDX-License-Identifier: Apache-2.0
// Checkers and the clock, attached to a device as one: what the ACL layer, the
// Python package and the tests use.
//
//   Session session(&device, options);
//   device.Launch(...);
//   for (const LaunchRecord& launch : session.launches()) ...
#ifndef VNPU_REPORT_SESSION_H_
#define VNPU_REPORT_SESSION_H_

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "tools/vnpu/check/finding.h"
#include "tools/vnpu/check/memory_checker.h"
#include "tools/vnpu/core/device.h"
#include "tools/vnpu/timing/timeline.h"

namespace vnpu {

struct SessionOptions {
  bool race = true;
  bool memory = true;
  // Of the memory checker, for kernels that are launched alone with all tensors
  // named: an output not written in full is a finding; GM without a name is output.
  bool outputs_complete = false;
  bool unnamed_is_output = false;
  bool timing = false;
  // Demand a dsb(DSB_DDR) between a store and the signal that hands it to
  // another core: needed by some runtimes, not by others [hw].
  bool strict_gm_visibility = false;
  // Report a flag that is set again where nothing orders its last wait before.
  bool strict_flags = false;
  // Report accesses to GM on their way when a core leaves the kernel.
  bool drained_end = false;
  bool digest_order = false;  // for order_digest()
  // Fail the launch (507015) when a checker has a finding, as a fault does.
  bool fail_launch = true;
  size_t max_findings = 64;     // per launch
  size_t keep_launches = 4096;  // older records are dropped
};

struct LaunchRecord {
  std::string kernel;
  uint32_t num_blocks = 0;
  bool faulted = false;
  std::string fault;                   // its text
  std::vector<Finding> findings;       // of this launch
  std::vector<std::string> notes;      // LaunchResult: no findings, but worth a look
  std::vector<MemoryUsage> memory;     // last byte used per region and allocation
  std::shared_ptr<Timeline> timeline;  // null without timing or after a fault
  std::string timing_error;            // why there is no timeline although timing is on
};

class Session {
 public:
  Session(Device* device, const SessionOptions& options);
  ~Session();  // detaches; the device must still exist
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  // Marks GM bytes as never written: a result that depends on them is a
  // finding. Fresh allocations are undefined from the start.
  void MarkUndefined(const void* begin, uint64_t bytes);
  void MarkDefined(const void* begin, uint64_t bytes);

  // See RaceDetector; 0 without the race checker or digest_order.
  uint64_t order_digest() const;

  // Since the session began or Clear. Call between launches.
  const std::vector<LaunchRecord>& launches() const;
  void Clear();

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace vnpu

#endif  // VNPU_REPORT_SESSION_H_
