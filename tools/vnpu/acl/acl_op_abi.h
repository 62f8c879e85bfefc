/* SPDX-License-Identifier: Apache-2.0 */
/* Descriptions of tensors, buffers and attributes, operators by name, dump,
 * profiling and logging: the part of the ACL interface that frameworks link and
 * that has no device behind it here.
 *
 * Sources, by section:
 *   [base] acl_base_rt.h, acl_base_mdl.h as shipped in the torch_npu 2.13.0 wheel
 *   [op]   acl_op.h, acl_op_compiler.h of the same wheel
 *   [mdl]  acl_mdl.h, acl_dump.h of the same wheel
 *   [prof] profiling/aprof_pub.h of the same wheel
 *
 * Next: op.cc, profiling.cc - what they do on the virtual NPU.
 */
#ifndef VNPU_ACL_ACL_OP_ABI_H_
#define VNPU_ACL_ACL_OP_ABI_H_

#include "tools/vnpu/acl/acl_abi.h"

#ifdef __cplusplus
extern "C" {
#endif

/* [base] */
typedef struct aclTensorDesc aclTensorDesc;
typedef struct aclDataBuffer aclDataBuffer;
/* [op] */
typedef struct aclopAttr aclopAttr;

/* Of the many types and formats only those that need naming. [base] */
typedef enum { ACL_DT_UNDEFINED = -1, ACL_FLOAT = 0, ACL_FLOAT16 = 1, ACL_BF16 = 27 } aclDataType;
typedef enum { ACL_FORMAT_UNDEFINED = -1, ACL_FORMAT_NCHW = 0, ACL_FORMAT_ND = 2 } aclFormat;

/* [base] */
typedef enum {
  ACL_MEMTYPE_DEVICE = 0,
  ACL_MEMTYPE_HOST = 1,
  ACL_MEMTYPE_HOST_COMPILE_INDEPENDENT = 2
} aclMemType;

/* [base] */
typedef enum { ACL_DEBUG = 0, ACL_INFO = 1, ACL_WARNING = 2, ACL_ERROR = 3 } aclLogLevel;

/* [op] */
typedef enum { ACL_ENGINE_SYS = 0, ACL_ENGINE_AICORE = 1, ACL_ENGINE_VECTOR = 2 } aclopEngineType;
typedef enum { ACL_COMPILE_SYS = 0, ACL_COMPILE_UNREGISTERED = 1 } aclopCompileType;

/* ACL_PRECISION_MODE = 0 to ACL_OP_DEBUG_OPTION = 16. [op] */
typedef int aclCompileOpt;

/* ---- Tensor descriptions and data buffers [base] --------------------------- */

VNPU_ACL_EXPORT aclTensorDesc* aclCreateTensorDesc(aclDataType dataType, int numDims,
                                                   const int64_t* dims, aclFormat format);
VNPU_ACL_EXPORT void aclDestroyTensorDesc(const aclTensorDesc* desc);
VNPU_ACL_EXPORT aclDataType aclGetTensorDescType(const aclTensorDesc* desc);
VNPU_ACL_EXPORT aclFormat aclGetTensorDescFormat(const aclTensorDesc* desc);
VNPU_ACL_EXPORT size_t aclGetTensorDescNumDims(const aclTensorDesc* desc);
VNPU_ACL_EXPORT aclError aclGetTensorDescDimV2(const aclTensorDesc* desc, size_t index,
                                               int64_t* dimSize);
VNPU_ACL_EXPORT const char* aclGetTensorDescName(aclTensorDesc* desc);
VNPU_ACL_EXPORT void aclSetTensorDescName(aclTensorDesc* desc, const char* name);
VNPU_ACL_EXPORT aclError aclSetTensorFormat(aclTensorDesc* desc, aclFormat format);
VNPU_ACL_EXPORT aclError aclSetTensorShape(aclTensorDesc* desc, int numDims, const int64_t* dims);
VNPU_ACL_EXPORT aclError aclSetTensorPlaceMent(aclTensorDesc* desc, aclMemType memType);

VNPU_ACL_EXPORT aclDataBuffer* aclCreateDataBuffer(void* data, size_t size);
VNPU_ACL_EXPORT aclError aclDestroyDataBuffer(const aclDataBuffer* dataBuffer);
VNPU_ACL_EXPORT void* aclGetDataBufferAddr(const aclDataBuffer* dataBuffer);
VNPU_ACL_EXPORT size_t aclGetDataBufferSizeV2(const aclDataBuffer* dataBuffer);

/* ---- Operators by name [op] ------------------------------------------------- */

VNPU_ACL_EXPORT aclopAttr* aclopCreateAttr(void);
VNPU_ACL_EXPORT void aclopDestroyAttr(const aclopAttr* attr);
VNPU_ACL_EXPORT aclError aclopSetAttrBool(aclopAttr* attr, const char* attrName, uint8_t attrValue);
VNPU_ACL_EXPORT aclError aclopSetAttrInt(aclopAttr* attr, const char* attrName, int64_t attrValue);
VNPU_ACL_EXPORT aclError aclopSetAttrFloat(aclopAttr* attr, const char* attrName, float attrValue);
VNPU_ACL_EXPORT aclError aclopSetAttrString(aclopAttr* attr, const char* attrName,
                                            const char* attrValue);
VNPU_ACL_EXPORT aclError aclopSetAttrDataType(aclopAttr* attr, const char* attrName,
                                              aclDataType attrValue);
VNPU_ACL_EXPORT aclError aclopSetAttrListBool(aclopAttr* attr, const char* attrName, int numValues,
                                              const uint8_t* values);
VNPU_ACL_EXPORT aclError aclopSetAttrListInt(aclopAttr* attr, const char* attrName, int numValues,
                                             const int64_t* values);
VNPU_ACL_EXPORT aclError aclopSetAttrListFloat(aclopAttr* attr, const char* attrName, int numValues,
                                               const float* values);
VNPU_ACL_EXPORT aclError aclopSetAttrListListInt(aclopAttr* attr, const char* attrName,
                                                 int numLists, const int* numValues,
                                                 const int64_t* const values[]);

/* Always fails: the text names the operator and its tensors. */
VNPU_ACL_EXPORT aclError aclopCompileAndExecute(
    const char* opType, int numInputs, const aclTensorDesc* const inputDesc[],
    const aclDataBuffer* const inputs[], int numOutputs, const aclTensorDesc* const outputDesc[],
    aclDataBuffer* const outputs[], const aclopAttr* attr, aclopEngineType engineType,
    aclopCompileType compileFlag, const char* opPath, aclrtStream stream);
VNPU_ACL_EXPORT aclError
aclopCompileAndExecuteV2(const char* opType, int numInputs, aclTensorDesc* inputDesc[],
                         aclDataBuffer* inputs[], int numOutputs, aclTensorDesc* outputDesc[],
                         aclDataBuffer* outputs[], aclopAttr* attr, aclopEngineType engineType,
                         aclopCompileType compileFlag, const char* opPath, aclrtStream stream);

VNPU_ACL_EXPORT aclError aclSetCompileopt(aclCompileOpt opt, const char* value);
VNPU_ACL_EXPORT size_t aclGetCompileoptSize(aclCompileOpt opt);
VNPU_ACL_EXPORT aclError aclGetCompileopt(aclCompileOpt opt, char* value, size_t length);

/* ---- Dump [mdl], profiling [prof], log [base] ------------------------------- */

VNPU_ACL_EXPORT aclError aclmdlInitDump(void);
VNPU_ACL_EXPORT aclError aclmdlSetDump(const char* dumpCfgPath);
VNPU_ACL_EXPORT aclError aclmdlFinalizeDump(void);

typedef int32_t (*ProfCommandHandle)(uint32_t type, void* data, uint32_t len);
struct MsprofApi;

VNPU_ACL_EXPORT int32_t MsprofRegisterCallback(uint32_t moduleId, ProfCommandHandle handle);
VNPU_ACL_EXPORT int32_t MsprofReportApi(uint32_t nonPersistantFlag, const struct MsprofApi* api);
VNPU_ACL_EXPORT int32_t MsprofReportCompactInfo(uint32_t nonPersistantFlag, const void* data,
                                                uint32_t length);
VNPU_ACL_EXPORT int32_t MsprofReportAdditionalInfo(uint32_t nonPersistantFlag, const void* data,
                                                   uint32_t length);
VNPU_ACL_EXPORT uint64_t MsprofGetHashId(const char* hashInfo, size_t length);
VNPU_ACL_EXPORT uint64_t MsprofSysCycleTime(void);

VNPU_ACL_EXPORT void aclAppLog(aclLogLevel logLevel, const char* func, const char* file,
                               uint32_t line, const char* fmt, ...);

#ifdef __cplusplus
}
#endif

#endif /* VNPU_ACL_ACL_OP_ABI_H_ */
