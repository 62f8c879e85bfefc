// SPDX-License-Identifier: Apache-2.0
#include "host_cc/testing/case_on_device.h"

#include <algorithm>
#include <cstdlib>
#include <iostream>
#include <utility>

#include "ascend_kernels/case_shape.h"

namespace ascend_attention {
namespace {

constexpr uint8_t kNanByte = 0xff;  // every format reads 0xff.. as NaN
constexpr size_t kGuardBytes = 512;

[[noreturn]] void Die(const std::string& what) {
  std::cerr << what << std::endl;
  std::abort();
}

template <typename T>
T OrDie(StatusOr<T> value) {
  if (!value.ok()) Die(value.status().ToString());
  return *std::move(value);
}

void OrDie(const Status& status) {
  if (!status.ok()) Die(status.ToString());
}

testdata::DecodeCase ParseOrDie(const std::string& line) {
  testdata::DecodeCase problem = testdata::ParseCase(line);
  if (!problem.ok()) Die(line + ": " + problem.error);
  return problem;
}

DecodeAttention MakeOperator(const std::shared_ptr<Runtime>& runtime,
                             const testdata::DecodeCase& problem,
                             const testdata::DecodeInputs& inputs) {
  return OrDie(DecodeAttention::Create(runtime, ShapeOf(problem, inputs), inputs.softmax_scale,
                                       static_cast<int>(problem.num_cores)));
}

DeviceBuffer NanBuffer(const std::shared_ptr<Runtime>& runtime, size_t bytes) {
  DeviceBuffer buffer = OrDie(DeviceBuffer::Allocate(runtime, bytes));
  OrDie(buffer.Fill(kNanByte));
  return buffer;
}

DeviceBuffer OnDevice(const std::shared_ptr<Runtime>& runtime, const testdata::Bytes& bytes) {
  DeviceBuffer buffer = OrDie(DeviceBuffer::Allocate(runtime, bytes.size));
  if (bytes.size != 0) OrDie(buffer.Upload(bytes.data, bytes.size));
  return buffer;
}

template <typename T>
DeviceBuffer OnDevice(const std::shared_ptr<Runtime>& runtime, const std::vector<T>& values) {
  return OnDevice(runtime, testdata::Bytes{values.data(), values.size() * sizeof(T)});
}

bool TailIs(const DeviceBuffer& buffer, size_t begin, uint8_t value) {
  std::vector<uint8_t> tail(buffer.size() - begin);
  OrDie(buffer.Download(tail.data(), tail.size(), begin));
  return std::all_of(tail.begin(), tail.end(), [=](uint8_t byte) { return byte == value; });
}

}  // namespace

CaseOnDevice::CaseOnDevice(std::shared_ptr<Runtime> runtime, const std::string& case_line)
    : problem(ParseOrDie(case_line)),
      inputs(testdata::MakeInputs(problem)),
      op(MakeOperator(runtime, problem, inputs)),
      query(OnDevice(runtime, inputs.query)),
      key_cache(OnDevice(runtime, inputs.KeyBytes())),
      value_cache(OnDevice(runtime, inputs.ValueBytes())),
      key_scale(OnDevice(runtime, inputs.key_scale)),
      key_offset(OnDevice(runtime, inputs.key_offset)),
      value_scale(OnDevice(runtime, inputs.value_scale)),
      value_offset(OnDevice(runtime, inputs.value_offset)),
      block_table(OnDevice(runtime, inputs.block_table)),
      out(NanBuffer(runtime, out_bytes() + kGuardBytes)),
      lse(NanBuffer(runtime, lse_bytes() + kGuardBytes)),
      // Exactly what is asked for: the device knows its end.
      workspace(NanBuffer(runtime, op.workspace_bytes())),
      runtime_(std::move(runtime)) {}

size_t CaseOnDevice::lse_bytes() const {
  return static_cast<size_t>(problem.num_query_rows() * problem.num_heads) * sizeof(float);
}

DecodeTensors CaseOnDevice::tensors() const {
  DecodeTensors tensors;
  tensors.query = query.data();
  tensors.key_cache = key_cache.data();
  tensors.value_cache = value_cache.data();
  if (problem.interleaved) {
    const size_t elem_bytes = problem.kv_quant == testdata::KvQuant::kNone ? sizeof(uint16_t) : 1;
    tensors.value_cache = static_cast<const uint8_t*>(key_cache.data()) +
                          static_cast<size_t>(inputs.values_begin) * elem_bytes;
  }
  // Null where a buffer is empty.
  tensors.key_scale = static_cast<const float*>(key_scale.data());
  tensors.key_offset = static_cast<const float*>(key_offset.data());
  tensors.value_scale = static_cast<const float*>(value_scale.data());
  tensors.value_offset = static_cast<const float*>(value_offset.data());
  tensors.block_table = static_cast<const int32_t*>(block_table.data());
  tensors.out = out.data();
  tensors.lse = static_cast<float*>(lse.data());
  return tensors;
}

Status CaseOnDevice::Decode(void* stream) {
  AA_ASSIGN_OR_RETURN(const PreparedPlan plan, Plan(stream));
  AA_RETURN_IF_ERROR(Run(plan, stream));
  return runtime_->Synchronize(stream);
}

size_t CaseOnDevice::out_bytes() const {
  return inputs.query.size() * (problem.out_float32 ? sizeof(float) : sizeof(uint16_t));
}

std::vector<uint16_t> CaseOnDevice::OutBits() const {
  std::vector<uint16_t> bits(out_bytes() / sizeof(uint16_t));
  OrDie(out.Download(bits.data(), out_bytes()));
  return bits;
}

std::vector<float> CaseOnDevice::Out() const {
  std::vector<float> values(inputs.query.size());
  if (problem.out_float32) {
    OrDie(out.Download(values.data(), out_bytes()));
    return values;
  }
  const std::vector<uint16_t> bits = OutBits();
  std::transform(bits.begin(), bits.end(), values.begin(),
                 [this](uint16_t element) { return testdata::ToFloat(element, problem.bfloat16); });
  return values;
}

std::vector<float> CaseOnDevice::Lse() const {
  std::vector<float> values(lse_bytes() / sizeof(float));
  OrDie(lse.Download(values.data(), lse_bytes()));
  return values;
}

bool CaseOnDevice::GuardsAreIntact() const {
  return TailIs(out, out_bytes(), kNanByte) && TailIs(lse, lse_bytes(), kNanByte);
}

void CaseOnDevice::FillOutputs(uint8_t value) {
  std::vector<uint8_t> bytes(out_bytes(), value);
  OrDie(out.Upload(bytes.data(), bytes.size()));
  OrDie(lse.Upload(bytes.data(), std::min(bytes.size(), lse_bytes())));
}

}  // namespace ascend_attention
