// SPDX-License-Identifier: Apache-2.0
#include "tools/vnpu/report/session.h"

#include "tools/vnpu/check/definedness_checker.h"
#include "tools/vnpu/check/memory_checker.h"
#include "tools/vnpu/check/race_detector.h"
#include "tools/vnpu/core/observer.h"
#include "tools/vnpu/timing/clock.h"

namespace vnpu {

// Sits in front of the checkers to open a record, and behind them to close it.
class Session::Impl {
 public:
  Impl(Device* device, const SessionOptions& options)
      : options(options), device(device), findings(options.max_findings), first(this), last(this) {
    Attach(&first);
    if (options.race) {
      RaceOptions race_options;
      race_options.strict_gm_visibility = options.strict_gm_visibility;
      race_options.strict_flags = options.strict_flags;
      race_options.drained_end = options.drained_end;
      race_options.digest_order = options.digest_order;
      race = std::make_unique<RaceDetector>(race_options, &findings);
      Attach(race.get());
    }
    if (options.memory) {
      memory = std::make_unique<MemoryChecker>(&findings);
      DefinednessOptions definedness_options;
      definedness_options.outputs_complete = options.outputs_complete;
      definedness_options.unnamed_is_output = options.unnamed_is_output;
      definedness = std::make_unique<DefinednessChecker>(device, &findings, definedness_options);
      Attach(memory.get());
      Attach(definedness.get());
    }
    if (options.timing) {
      std::string unknown_part;  // the clock says it again at each launch
      clock.Configure(device->config(), &unknown_part);
      Attach(&clock);
    }
    Attach(&last);
  }
  ~Impl() {
    for (Observer* observer : attached) device->RemoveObserver(observer);
  }

  struct First : Observer {
    explicit First(Impl* impl) : impl(impl) {}
    void OnLaunchBegin(const LaunchInfo& info) override {
      impl->findings.Clear();
      if (!impl->launches.empty() && impl->launches.size() >= impl->options.keep_launches) {
        impl->launches.erase(impl->launches.begin());
      }
      LaunchRecord record;
      record.kernel = info.kernel;
      record.num_blocks = info.num_blocks;
      impl->launches.push_back(std::move(record));
    }
    Impl* const impl;
  };
  struct Last : Observer {
    explicit Last(Impl* impl) : impl(impl) {}
    void OnLaunchEnd(LaunchResult* result) override { impl->Close(result); }
    Impl* const impl;
  };

  void Attach(Observer* observer) {
    device->AddObserver(observer);
    attached.push_back(observer);
  }

  void Close(LaunchResult* result) {
    LaunchRecord& record = launches.back();
    record.findings = findings.findings();
    if (memory != nullptr) record.memory = memory->Usage();
    record.faulted = result->fault != FaultKind::kNone;
    record.fault = result->text;
    record.notes = result->notes;
    record.timeline = clock.TakeTimeline();
    record.timing_error = clock.error();
    if (record.findings.empty() || record.faulted || !options.fail_launch) return;
    result->fault = FaultKind::kException;
    for (const Finding& finding : record.findings) result->text += FindingText(finding) + "\n";
    if (findings.dropped() > 0) {
      result->text += "and " + std::to_string(findings.dropped()) + " findings more\n";
    }
  }

  const SessionOptions options;
  Device* const device;
  FindingList findings;
  std::unique_ptr<RaceDetector> race;
  std::unique_ptr<MemoryChecker> memory;
  std::unique_ptr<DefinednessChecker> definedness;
  std::vector<LaunchRecord> launches;
  Clock clock;
  First first;
  Last last;
  std::vector<Observer*> attached;
};

Session::Session(Device* device, const SessionOptions& options)
    : impl_(std::make_unique<Impl>(device, options)) {}
Session::~Session() = default;

void Session::MarkUndefined(const void* begin, uint64_t bytes) {
  impl_->device->SetDefined(begin, bytes, false);
}
void Session::MarkDefined(const void* begin, uint64_t bytes) {
  impl_->device->SetDefined(begin, bytes, true);
}

uint64_t Session::order_digest() const {
  return impl_->race != nullptr ? impl_->race->order_digest() : 0;
}

const std::vector<LaunchRecord>& Session::launches() const { return impl_->launches; }
void Session::Clear() { impl_->launches.clear(); }

}  // namespace vnpu
