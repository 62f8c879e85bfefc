// SPDX-License-Identifier: Apache-2.0
// A queue that costs nothing while it is empty: the simulator has tens of
// thousands of them, of which few are ever used.
#ifndef VNPU_TIMING_FIFO_H_
#define VNPU_TIMING_FIFO_H_

#include <cstddef>
#include <vector>

namespace vnpu {

template <typename T>
class Fifo {
 public:
  bool empty() const { return first_ == items_.size(); }
  size_t size() const { return items_.size() - first_; }
  const T& front() const { return items_[first_]; }
  void push_back(const T& item) { items_.push_back(item); }
  void pop_front() {
    ++first_;
    if (first_ < items_.size() && first_ < kSlack) return;
    items_.erase(items_.begin(), items_.begin() + static_cast<std::ptrdiff_t>(first_));
    first_ = 0;
  }

 private:
  static constexpr size_t kSlack = 64;
  std::vector<T> items_;
  size_t first_ = 0;
};

}  // namespace vnpu

#endif  // VNPU_TIMING_FIFO_H_
