// SPDX-License-Identifier: Apache-2.0
// An ACL runtime of a few lines for tests: host memory, copies at once or on
// demand, launches recorded instead of run, any call made to fail.
#ifndef ASCEND_ATTENTION_HOST_CC_TESTING_FAKE_ACL_H_
#define ASCEND_ATTENTION_HOST_CC_TESTING_FAKE_ACL_H_

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "host_cc/acl_api.h"
#include "host_cc/include/ascend_attention/decode.h"

namespace ascend_attention {

// ACL functions have no context argument, so one FakeAcl lives at a time.
class FakeAcl {
 public:
  struct Launch {
    std::string kernel;  // registered name: "decode_f16_0"
    uint32_t num_blocks;
    bool all_at_once;  // scheduling mode 1
    void* stream;
    std::vector<uint8_t> args;

    template <typename Args>
    const Args& As() const {
      return *reinterpret_cast<const Args*>(args.data());
    }
  };

  FakeAcl();
  ~FakeAcl();

  // A table whose functions are ours.
  const std::shared_ptr<AclApi>& api() const { return api_; }

  // Opens a runtime on it; kernel files are made up in the test's folder.
  StatusOr<std::shared_ptr<Runtime>> OpenRuntime(RuntimeOptions options = {});

  // The next call of `function` returns `error`; aclGetRecentErrMsg then gives
  // `text` once.
  void FailNext(const std::string& function, int error, const std::string& text = "");

  // Copies wait for RunCopies(), events for the copies before them.
  void DeferCopies() { deferring_ = true; }
  void RunCopies();

  int Count(const std::string& function) const;
  void ClearCalls() { calls_.clear(); }

  std::vector<Launch> launches;
  std::string soc_name = "Ascend910B1";
  uint32_t device_count = 1;
  int64_t num_cores = 24;
  int host_blocks = 0;  // aclrtMallocHost minus aclrtFreeHost
  int events = 0;       // created minus destroyed
  int device_blocks = 0;
  int streams = 0;
  std::set<std::string> loaded_kernels;
  std::set<void*> capturing;  // streams

 private:
  friend struct FakeFunctions;

  struct Event {
    bool recorded = false;
    size_t after_copies = 0;  // completes when that many deferred copies ran
  };

  // Logs the call; its error or 0.
  int Enter(const char* function);
  std::string* Keep(std::string text);

  std::shared_ptr<AclApi> api_;
  std::vector<std::unique_ptr<std::string>> texts_;
  std::vector<std::string> calls_;
  std::map<std::string, int> failures_;
  std::string recent_text_;
  bool deferring_ = false;
  std::vector<std::function<void()>> copies_;
  size_t copies_enqueued_ = 0;
  size_t copies_done_ = 0;
};

}  // namespace ascend_attention

#endif  // ASCEND_ATTENTION_HOST_CC_TESTING_FAKE_ACL_H_
