// SPDX-License-Identifier: Apache-2.0
// Operators that keep error records on the device beside those of plans.
#ifndef ASCEND_ATTENTION_HOST_CC_ERROR_SOURCES_H_
#define ASCEND_ATTENTION_HOST_CC_ERROR_SOURCES_H_

#include <algorithm>
#include <memory>
#include <mutex>
#include <vector>

#include "tiling/status.h"

namespace ascend_attention {

class ErrorSource {
 public:
  virtual ~ErrorSource() = default;
  // What a kernel of this operator wrote down, once; OK if nothing, or if none was
  // launched on `stream`. Reads device memory.
  virtual Status TakeError(void* stream) = 0;
};

// Thread-safe. Keeps no source alive.
class ErrorSources {
 public:
  void Add(const std::shared_ptr<ErrorSource>& source) {
    const std::lock_guard<std::mutex> lock(mutex_);
    const auto ended = [](const std::weak_ptr<ErrorSource>& known) { return known.expired(); };
    sources_.erase(std::remove_if(sources_.begin(), sources_.end(), ended), sources_.end());
    sources_.push_back(source);
  }

  // The living ones, latest first.
  std::vector<std::shared_ptr<ErrorSource>> Living() const {
    const std::lock_guard<std::mutex> lock(mutex_);
    std::vector<std::shared_ptr<ErrorSource>> living;
    for (auto source = sources_.rbegin(); source != sources_.rend(); ++source) {
      if (auto alive = source->lock()) living.push_back(std::move(alive));
    }
    return living;
  }

 private:
  mutable std::mutex mutex_;
  std::vector<std::weak_ptr<ErrorSource>> sources_;
};

}  // namespace ascend_attention

#endif  // ASCEND_ATTENTION_HOST_CC_ERROR_SOURCES_H_
