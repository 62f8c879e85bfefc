// SPDX-License-Identifier: Apache-2.0
// Transfers between cores and GM as fluids. Each has a rate that it would reach
// alone; together they share HBM and L2, each resource given out in equal parts
// to those who want more than their part (max-min fair), HBM first. Rates
// change only when a transfer begins or ends.
//
// Sums are evaluated in the order in which transfers began: equal inputs give
// equal bits.
#ifndef VNPU_TIMING_MEMORY_FLOWS_H_
#define VNPU_TIMING_MEMORY_FLOWS_H_

#include <cstdint>
#include <vector>

namespace vnpu {

struct FlowDemand {
  double bytes = 0;         // on the way between core and L2
  double rate = 0;          // bytes per ps that the path could do alone
  double hbm_per_byte = 0;  // HBM capacity that a byte takes; 0: all in L2
  double l2_per_byte = 1;   // L2 capacity that a byte takes
};

// A transfer that came to its end.
struct FlowEnd {
  uint32_t owner;
  int64_t hbm_ps;  // of its time, owed to others at HBM
  int64_t l2_ps;   // and at L2
};

class MemoryFlows {
 public:
  MemoryFlows(double hbm_rate, double l2_rate) : hbm_rate_(hbm_rate), l2_rate_(l2_rate) {}

  void Begin(int64_t now, const FlowDemand& demand, uint32_t owner);
  // When the next transfer ends, if none begins before; INT64_MAX without any.
  int64_t NextEnd();
  // Moves on to `now` <= NextEnd(); appends those that end.
  void AdvanceTo(int64_t now, std::vector<FlowEnd>* ended);

 private:
  struct Flow {
    FlowDemand demand;
    double left;  // bytes
    double rate;
    double lost_hbm_ps = 0, lost_l2_ps = 0;
    bool hbm_limits;  // which resource holds it back
    uint32_t owner;
  };

  void Move(int64_t now);
  void SetRates();

  const double hbm_rate_, l2_rate_;
  std::vector<Flow> flows_;
  std::vector<double> wanted_, granted_;
  int64_t now_ = 0;
  int64_t next_end_ = INT64_MAX;
  bool stale_ = false;
};

// Divides `capacity` max-min fair among `wanted`; *granted has the same length.
void ShareFairly(double capacity, const std::vector<double>& wanted, std::vector<double>* granted);

}  // namespace vnpu

#endif  // VNPU_TIMING_MEMORY_FLOWS_H_
