// SPDX-License-Identifier: Apache-2.0
// Descriptions of tensors, buffers, attributes; and operators by name, which the
// virtual NPU does not have: it runs kernels, not the vendor's operator library.
#include <cstring>
#include <map>
#include <sstream>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "tools/vnpu/acl/acl_op_abi.h"
#include "tools/vnpu/acl/api.h"
#include "tools/vnpu/acl/runtime.h"

struct aclTensorDesc {
  aclDataType type;
  aclFormat storage_format;
  aclFormat format;
  std::vector<int64_t> dims;
  std::vector<int64_t> storage_dims;
  aclMemType placement = ACL_MEMTYPE_DEVICE;
  std::string name;
};

struct aclDataBuffer {
  void* data;
  size_t size;
};

struct aclopAttr {
  using Value =
      std::variant<bool, int64_t, float, std::string, aclDataType, std::vector<uint8_t>,
                   std::vector<int64_t>, std::vector<float>, std::vector<std::vector<int64_t>>>;
  std::map<std::string, Value> values;
};

namespace vnpu_acl {
namespace {

constexpr int kNumCompileOptions = 17;

Result CheckDims(int num_dims, const int64_t* dims) {
  if (num_dims < 0) {
    return Error(ACL_ERROR_INVALID_PARAM, "numDims = ", num_dims, ": expected 0 or more");
  }
  return num_dims > 0 && dims == nullptr ? NullPointer("dims") : Result{};
}

Result CheckAttr(const aclopAttr* attr, const char* name) {
  if (attr == nullptr) return NullPointer("attr");
  return name == nullptr ? NullPointer("attrName") : Result{};
}

Result SetAttr(aclopAttr* attr, const char* name, aclopAttr::Value value) {
  const Result result = CheckAttr(attr, name);
  if (result.ok()) attr->values[name] = std::move(value);
  return result;
}

template <typename T>
Result SetListAttr(aclopAttr* attr, const char* name, int count, const T* values) {
  if (count < 0)
    return Error(ACL_ERROR_INVALID_PARAM, "numValues = ", count, ": expected 0 or more");
  if (count > 0 && values == nullptr) return NullPointer("values");
  return SetAttr(attr, name, std::vector<T>(values, values + count));
}

template <typename T>
void Print(std::ostream& text, const T& value) {
  text << value;
}

void Print(std::ostream& text, uint8_t value) { text << int{value}; }

template <typename T>
void Print(std::ostream& text, const std::vector<T>& values) {
  text << "[";
  for (size_t i = 0; i < values.size(); ++i) {
    text << (i > 0 ? ", " : "");
    Print(text, values[i]);
  }
  text << "]";
}

std::string Shape(const aclTensorDesc* desc) {
  if (desc == nullptr) return "none";
  std::ostringstream text;
  text << "type " << int{desc->type} << " ";
  Print(text, desc->dims);
  if (desc->storage_format != desc->format) text << " of format " << int{desc->storage_format};
  if (!desc->storage_dims.empty() && desc->storage_dims != desc->dims) {
    text << " stored as ";
    Print(text, desc->storage_dims);
  }
  if (desc->placement != ACL_MEMTYPE_DEVICE) text << " on the host";
  return text.str();
}

std::string Attributes(const aclopAttr* attr) {
  std::ostringstream text;
  if (attr == nullptr) return {};
  for (const auto& [name, value] : attr->values) {
    text << "; " << name << " = ";
    std::visit([&](const auto& held) { Print(text, held); }, value);
  }
  return text.str();
}

template <typename Desc>
std::string Shapes(int count, Desc* const descs[]) {
  std::string text;
  for (int i = 0; descs != nullptr && i < count; ++i) text += (i > 0 ? ", " : "") + Shape(descs[i]);
  return text.empty() ? "none" : text;
}

template <typename Desc>
Result Refuse(const char* op, int num_inputs, Desc* const inputs[], int num_outputs,
              Desc* const outputs[], const aclopAttr* attr) {
  if (op == nullptr) return NullPointer("opType");
  return Error(ACL_ERROR_RT_FEATURE_NOT_SUPPORT, "operator ", op,
               " (inputs: ", Shapes(num_inputs, inputs),
               "; outputs: ", Shapes(num_outputs, outputs), Attributes(attr),
               ") does not exist on the virtual NPU, which runs kernels and has no operator "
               "library: compute on CPU tensors and copy, or call "
               "ascend_attention.vnpu.enable_aten() for such a fallback");
}

// Options of the operator compiler: kept, so that they can be read back.
struct CompileOptions {
  std::mutex mutex;
  std::map<int, std::string> values;
};

CompileOptions& AllCompileOptions() {
  static CompileOptions* options = new CompileOptions;
  return *options;
}

Result CheckCompileOption(int option) {
  if (option >= 0 && option < kNumCompileOptions) return {};
  return Error(ACL_ERROR_INVALID_PARAM, "opt = ", option, ": expected 0 to ",
               kNumCompileOptions - 1);
}

}  // namespace
}  // namespace vnpu_acl

using vnpu_acl::Call;
using vnpu_acl::NullPointer;
using vnpu_acl::Result;
using vnpu_acl::Runtime;

extern "C" {

aclTensorDesc* aclCreateTensorDesc(aclDataType dataType, int numDims, const int64_t* dims,
                                   aclFormat format) {
  aclTensorDesc* desc = nullptr;
  Call("aclCreateTensorDesc", [&](Runtime&) {
    const Result result = vnpu_acl::CheckDims(numDims, dims);
    if (result.ok()) {
      desc = new aclTensorDesc{dataType,           format, format, {dims, dims + numDims}, {},
                               ACL_MEMTYPE_DEVICE, {}};
    }
    return result;
  });
  return desc;
}

void aclDestroyTensorDesc(const aclTensorDesc* desc) { delete desc; }

aclDataType aclGetTensorDescType(const aclTensorDesc* desc) {
  return desc != nullptr ? desc->type : ACL_DT_UNDEFINED;
}

aclFormat aclGetTensorDescFormat(const aclTensorDesc* desc) {
  return desc != nullptr ? desc->format : ACL_FORMAT_UNDEFINED;
}

size_t aclGetTensorDescNumDims(const aclTensorDesc* desc) {
  return desc != nullptr ? desc->dims.size() : 0;
}

aclError aclGetTensorDescDimV2(const aclTensorDesc* desc, size_t index, int64_t* dimSize) {
  return Call("aclGetTensorDescDimV2", [=](Runtime&) -> Result {
    if (desc == nullptr) return NullPointer("desc");
    if (dimSize == nullptr) return NullPointer("dimSize");
    if (index >= desc->dims.size()) {
      return vnpu_acl::Error(ACL_ERROR_INVALID_PARAM, "index = ", index, ": the tensor has ",
                             desc->dims.size(), " dimensions");
    }
    *dimSize = desc->dims[index];
    return {};
  });
}

const char* aclGetTensorDescName(aclTensorDesc* desc) {
  return desc != nullptr ? desc->name.c_str() : "";
}

void aclSetTensorDescName(aclTensorDesc* desc, const char* name) {
  if (desc != nullptr) desc->name = name != nullptr ? name : "";
}

aclError aclSetTensorFormat(aclTensorDesc* desc, aclFormat format) {
  return Call("aclSetTensorFormat", [=](Runtime&) -> Result {
    if (desc == nullptr) return NullPointer("desc");
    desc->storage_format = format;
    return {};
  });
}

aclError aclSetTensorShape(aclTensorDesc* desc, int numDims, const int64_t* dims) {
  return Call("aclSetTensorShape", [=](Runtime&) -> Result {
    if (desc == nullptr) return NullPointer("desc");
    const Result result = vnpu_acl::CheckDims(numDims, dims);
    if (result.ok()) desc->storage_dims.assign(dims, dims + numDims);
    return result;
  });
}

aclError aclSetTensorPlaceMent(aclTensorDesc* desc, aclMemType memType) {
  return Call("aclSetTensorPlaceMent", [=](Runtime&) -> Result {
    if (desc == nullptr) return NullPointer("desc");
    desc->placement = memType;
    return {};
  });
}

aclDataBuffer* aclCreateDataBuffer(void* data, size_t size) {
  return new (std::nothrow) aclDataBuffer{data, size};
}

aclError aclDestroyDataBuffer(const aclDataBuffer* dataBuffer) {
  return Call("aclDestroyDataBuffer", [=](Runtime&) -> Result {
    if (dataBuffer == nullptr) return NullPointer("dataBuffer");
    delete dataBuffer;
    return {};
  });
}

void* aclGetDataBufferAddr(const aclDataBuffer* dataBuffer) {
  return dataBuffer != nullptr ? dataBuffer->data : nullptr;
}

size_t aclGetDataBufferSizeV2(const aclDataBuffer* dataBuffer) {
  return dataBuffer != nullptr ? dataBuffer->size : 0;
}

aclopAttr* aclopCreateAttr() { return new (std::nothrow) aclopAttr; }

void aclopDestroyAttr(const aclopAttr* attr) { delete attr; }

aclError aclopSetAttrBool(aclopAttr* attr, const char* attrName, uint8_t attrValue) {
  return Call("aclopSetAttrBool",
              [=](Runtime&) { return vnpu_acl::SetAttr(attr, attrName, attrValue != 0); });
}

aclError aclopSetAttrInt(aclopAttr* attr, const char* attrName, int64_t attrValue) {
  return Call("aclopSetAttrInt",
              [=](Runtime&) { return vnpu_acl::SetAttr(attr, attrName, attrValue); });
}

aclError aclopSetAttrFloat(aclopAttr* attr, const char* attrName, float attrValue) {
  return Call("aclopSetAttrFloat",
              [=](Runtime&) { return vnpu_acl::SetAttr(attr, attrName, attrValue); });
}

aclError aclopSetAttrString(aclopAttr* attr, const char* attrName, const char* attrValue) {
  return Call("aclopSetAttrString", [=](Runtime&) -> Result {
    if (attrValue == nullptr) return NullPointer("attrValue");
    return vnpu_acl::SetAttr(attr, attrName, std::string(attrValue));
  });
}

aclError aclopSetAttrDataType(aclopAttr* attr, const char* attrName, aclDataType attrValue) {
  return Call("aclopSetAttrDataType",
              [=](Runtime&) { return vnpu_acl::SetAttr(attr, attrName, attrValue); });
}

aclError aclopSetAttrListBool(aclopAttr* attr, const char* attrName, int numValues,
                              const uint8_t* values) {
  return Call("aclopSetAttrListBool",
              [=](Runtime&) { return vnpu_acl::SetListAttr(attr, attrName, numValues, values); });
}

aclError aclopSetAttrListInt(aclopAttr* attr, const char* attrName, int numValues,
                             const int64_t* values) {
  return Call("aclopSetAttrListInt",
              [=](Runtime&) { return vnpu_acl::SetListAttr(attr, attrName, numValues, values); });
}

aclError aclopSetAttrListFloat(aclopAttr* attr, const char* attrName, int numValues,
                               const float* values) {
  return Call("aclopSetAttrListFloat",
              [=](Runtime&) { return vnpu_acl::SetListAttr(attr, attrName, numValues, values); });
}

aclError aclopSetAttrListListInt(aclopAttr* attr, const char* attrName, int numLists,
                                 const int* numValues, const int64_t* const values[]) {
  return Call("aclopSetAttrListListInt", [=](Runtime&) -> Result {
    if (numLists > 0 && numValues == nullptr) return NullPointer("numValues");
    if (numLists > 0 && values == nullptr) return NullPointer("values");
    std::vector<std::vector<int64_t>> lists;
    for (int i = 0; i < numLists; ++i) lists.emplace_back(values[i], values[i] + numValues[i]);
    return vnpu_acl::SetAttr(attr, attrName, std::move(lists));
  });
}

aclError aclopCompileAndExecute(const char* opType, int numInputs,
                                const aclTensorDesc* const inputDesc[],
                                const aclDataBuffer* const[], int numOutputs,
                                const aclTensorDesc* const outputDesc[], aclDataBuffer* const[],
                                const aclopAttr* attr, aclopEngineType, aclopCompileType,
                                const char*, aclrtStream) {
  return Call("aclopCompileAndExecute", [=](Runtime&) {
    return vnpu_acl::Refuse(opType, numInputs, inputDesc, numOutputs, outputDesc, attr);
  });
}

aclError aclopCompileAndExecuteV2(const char* opType, int numInputs, aclTensorDesc* inputDesc[],
                                  aclDataBuffer*[], int numOutputs, aclTensorDesc* outputDesc[],
                                  aclDataBuffer*[], aclopAttr* attr, aclopEngineType,
                                  aclopCompileType, const char*, aclrtStream) {
  return Call("aclopCompileAndExecuteV2", [=](Runtime&) {
    return vnpu_acl::Refuse(opType, numInputs, inputDesc, numOutputs, outputDesc, attr);
  });
}

aclError aclSetCompileopt(aclCompileOpt opt, const char* value) {
  return Call("aclSetCompileopt", [=](Runtime&) -> Result {
    const Result result = vnpu_acl::CheckCompileOption(opt);
    if (!result.ok()) return result;
    if (value == nullptr) return NullPointer("value");
    auto& options = vnpu_acl::AllCompileOptions();
    std::lock_guard lock(options.mutex);
    options.values[opt] = value;
    return {};
  });
}

// With the terminating zero.
size_t aclGetCompileoptSize(aclCompileOpt opt) {
  auto& options = vnpu_acl::AllCompileOptions();
  std::lock_guard lock(options.mutex);
  const auto found = options.values.find(opt);
  return found == options.values.end() ? 1 : found->second.size() + 1;
}

aclError aclGetCompileopt(aclCompileOpt opt, char* value, size_t length) {
  return Call("aclGetCompileopt", [=](Runtime&) -> Result {
    const Result result = vnpu_acl::CheckCompileOption(opt);
    if (!result.ok()) return result;
    if (value == nullptr) return NullPointer("value");
    auto& options = vnpu_acl::AllCompileOptions();
    std::lock_guard lock(options.mutex);
    const std::string& text = options.values[opt];
    if (length <= text.size()) {
      return vnpu_acl::Error(ACL_ERROR_INVALID_PARAM, "length = ", length, ": the value needs ",
                             text.size() + 1, " bytes");
    }
    std::memcpy(value, text.c_str(), text.size() + 1);
    return {};
  });
}

}  // extern "C"
