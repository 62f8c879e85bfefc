// SPDX-License-Identifier: Apache-2.0
// A case of testdata in device memory, and its decode, for tests on the virtual
// NPU. Outputs and workspace start as NaN.
#ifndef ASCEND_ATTENTION_HOST_CC_TESTING_CASE_ON_DEVICE_H_
#define ASCEND_ATTENTION_HOST_CC_TESTING_CASE_ON_DEVICE_H_

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "host_cc/include/ascend_attention/decode.h"
#include "host_cc/include/ascend_attention/device_buffer.h"
#include "testdata/decode_case.h"
#include "testdata/decode_inputs.h"

namespace ascend_attention {

class CaseOnDevice {
 public:
  // Aborts on an error: the caller's other checks would make no sense.
  CaseOnDevice(std::shared_ptr<Runtime> runtime, const std::string& case_line);

  StatusOr<PreparedPlan> Plan(void* stream) {
    return Plan(workspace.data(), op.workspace_bytes(), stream);
  }
  // In another workspace than its own.
  StatusOr<PreparedPlan> Plan(void* shared, size_t size, void* stream) {
    return op.Plan(problem.context_lens, shared, size, stream, q_lens());
  }
  Status Run(const PreparedPlan& plan, void* stream) { return op.Run(plan, tensors(), stream); }

  DecodeTensors tensors() const;

  // Plan, Run and Runtime::Synchronize.
  Status Decode(void* stream);

  // Results, and whether the guard bytes behind each are as they were.
  std::vector<float> Out() const;
  std::vector<float> Lse() const;
  std::vector<uint16_t> OutBits() const;  // a float32 takes two
  bool GuardsAreIntact() const;
  void FillOutputs(uint8_t value);

  const testdata::DecodeCase problem;
  testdata::DecodeInputs inputs;
  DecodeAttention op;
  DeviceBuffer query;
  DeviceBuffer key_cache;                                         // or the pool of both
  DeviceBuffer value_cache;                                       // empty with a pool
  DeviceBuffer key_scale, key_offset, value_scale, value_offset;  // empty where there are none
  DeviceBuffer block_table, out, lse, workspace;

 private:
  // Not said where they say nothing.
  std::vector<int32_t> q_lens() const {
    return problem.max_q_len() == 1 ? std::vector<int32_t>() : problem.q_lens;
  }
  size_t out_bytes() const;
  size_t lse_bytes() const;

  std::shared_ptr<Runtime> runtime_;
};

}  // namespace ascend_attention

#endif  // ASCEND_ATTENTION_HOST_CC_TESTING_CASE_ON_DEVICE_H_
