/* SPDX-License-Identifier: Apache-2.0 */
/* Settings of devices, streams and threads, host functions in streams, peer
 * access, reserved address ranges, and kernels by host symbol: what frameworks
 * use beyond acl_abi.h.
 *
 * Sources, by section:
 *   [rt]   acl_rt.h, version 1.17.0, as shipped in the torch_npu 2.13.0 wheel
 *   [base] acl_base_rt.h of the same wheel
 *   [use]  not in a public header; as public kernel libraries declare it
 *
 * Next: settings.cc, callback.cc, vmm.cc, kernel_registry.cc.
 */
#ifndef VNPU_ACL_ACL_CONTROL_ABI_H_
#define VNPU_ACL_ACL_CONTROL_ABI_H_

#include "tools/vnpu/acl/acl_abi.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ---- Settings of streams, devices, threads ---------------------------------- */

/* Failure modes of a stream. [rt] */
#define ACL_CONTINUE_ON_FAILURE 0U
#define ACL_STOP_ON_FAILURE 1U

/* [rt] */
typedef enum {
  ACL_STREAM_ATTR_FAILURE_MODE = 1,
  ACL_STREAM_ATTR_FLOAT_OVERFLOW_CHECK = 2,
  ACL_STREAM_ATTR_USER_CUSTOM_TAG = 3,
  ACL_STREAM_ATTR_CACHE_OP_INFO = 4,
  ACL_STREAM_ATTR_PRIORITY = 5
} aclrtStreamAttr;

/* [rt] */
typedef union {
  uint64_t failureMode;
  uint32_t overflowSwitch;
  uint32_t userCustomTag;
  uint32_t cacheOpInfoSwitch;
  uint32_t streamPriority;
  uint32_t reserve[4];
} aclrtStreamAttrValue;

/* [rt] */
typedef enum {
  ACL_RT_OVERFLOW_MODE_SATURATION = 0,
  ACL_RT_OVERFLOW_MODE_INFNAN = 1,
  ACL_RT_OVERFLOW_MODE_UNDEF = 2
} aclrtFloatOverflowMode;

/* [rt] */
typedef enum { ACL_RT_DEV_RES_CUBE_CORE = 0, ACL_RT_DEV_RES_VECTOR_CORE = 1 } aclrtDevResLimitType;

/* [base] */
typedef enum {
  ACL_OPT_DETERMINISTIC = 0,
  ACL_OPT_ENABLE_DEBUG_KERNEL = 1,
  ACL_OPT_STRONG_CONSISTENCY = 2
} aclSysParamOpt;

/* [rt] */
VNPU_ACL_EXPORT aclError aclrtSetStreamFailureMode(aclrtStream stream, uint64_t mode);
VNPU_ACL_EXPORT aclError aclrtSetStreamAttribute(aclrtStream stream, aclrtStreamAttr stmAttrType,
                                                 aclrtStreamAttrValue* value);
VNPU_ACL_EXPORT aclError aclrtGetStreamAttribute(aclrtStream stream, aclrtStreamAttr stmAttrType,
                                                 aclrtStreamAttrValue* value);
VNPU_ACL_EXPORT aclError aclrtStreamGetId(aclrtStream stream, int32_t* streamId);
VNPU_ACL_EXPORT aclError aclrtSetDeviceSatMode(aclrtFloatOverflowMode mode);
VNPU_ACL_EXPORT aclError aclrtGetDeviceSatMode(aclrtFloatOverflowMode* mode);
VNPU_ACL_EXPORT aclError aclrtSetOpExecuteTimeOut(uint32_t timeout);       /* s */
VNPU_ACL_EXPORT aclError aclrtSetOpExecuteTimeOutWithMs(uint32_t timeout); /* ms */
VNPU_ACL_EXPORT aclError aclrtSetOpExecuteTimeOutV2(uint64_t timeout,
                                                    uint64_t* actualTimeout); /* us */
VNPU_ACL_EXPORT aclError aclrtGetPrimaryCtxState(int32_t deviceId, uint32_t* flags,
                                                 int32_t* active);
VNPU_ACL_EXPORT aclError aclrtGetLogicDevIdByUserDevId(const int32_t userDevid,
                                                       int32_t* const logicDevId);
VNPU_ACL_EXPORT aclError aclrtGetDeviceResLimit(int32_t deviceId, aclrtDevResLimitType type,
                                                uint32_t* value);
VNPU_ACL_EXPORT aclError aclrtGetStreamResLimit(aclrtStream stream, aclrtDevResLimitType type,
                                                uint32_t* value);
VNPU_ACL_EXPORT aclError aclrtGetResInCurrentThread(aclrtDevResLimitType type, uint32_t* value);

/* [rt] */
VNPU_ACL_EXPORT aclError aclrtCtxSetSysParamOpt(aclSysParamOpt opt, int64_t value);
VNPU_ACL_EXPORT aclError aclrtCtxGetSysParamOpt(aclSysParamOpt opt, int64_t* value);
VNPU_ACL_EXPORT aclError aclrtSetSysParamOpt(aclSysParamOpt opt, int64_t value);
VNPU_ACL_EXPORT aclError aclrtGetSysParamOpt(aclSysParamOpt opt, int64_t* value);

/* ---- Host functions in streams [rt] ------------------------------------------ */

typedef void (*aclrtCallback)(void* userData);
typedef void (*aclrtHostFunc)(void* args);
typedef enum { ACL_CALLBACK_NO_BLOCK = 0, ACL_CALLBACK_BLOCK = 1 } aclrtCallbackBlockType;

VNPU_ACL_EXPORT aclError aclrtLaunchHostFunc(aclrtStream stream, aclrtHostFunc fn, void* args);
VNPU_ACL_EXPORT aclError aclrtSubscribeReport(uint64_t threadId, aclrtStream stream);
VNPU_ACL_EXPORT aclError aclrtUnSubscribeReport(uint64_t threadId, aclrtStream stream);
VNPU_ACL_EXPORT aclError aclrtLaunchCallback(aclrtCallback fn, void* userData,
                                             aclrtCallbackBlockType blockType, aclrtStream stream);
VNPU_ACL_EXPORT aclError aclrtProcessReport(int32_t timeout); /* ms */

/* ---- Values in device memory, written and waited for by streams [rt] ---------- */

/* How aclrtValueWait compares the 64 bits in memory with `value`. */
#define ACL_STREAM_WAIT_VALUE_GEQ 0U /* memory - value >= 0, as signed numbers */
#define ACL_STREAM_WAIT_VALUE_EQ 1U
#define ACL_STREAM_WAIT_VALUE_AND 2U /* (memory & value) != 0 */
#define ACL_STREAM_WAIT_VALUE_NOR 3U /* ~(memory | value) != 0 */

VNPU_ACL_EXPORT aclError aclrtValueWrite(void* devAddr, uint64_t value, uint32_t flag,
                                         aclrtStream stream);
VNPU_ACL_EXPORT aclError aclrtValueWait(void* devAddr, uint64_t value, uint32_t flag,
                                        aclrtStream stream);

/* ---- Peers, address ranges, host registration [rt] --------------------------- */

typedef void* aclrtDrvMemHandle;

typedef enum { ACL_MEM_ALLOCATION_TYPE_PINNED = 0 } aclrtMemAllocationType;
typedef enum { ACL_MEM_HANDLE_TYPE_NONE = 0, ACL_MEM_HANDLE_TYPE_POSIX = 2 } aclrtMemHandleType;

typedef struct {
  aclrtMemHandleType handleType;
  aclrtMemAllocationType allocationType;
  aclrtMemAttr memAttr;
  aclrtMemLocation location;
  uint64_t reserve;
} aclrtPhysicalMemProp;

typedef enum {
  ACL_HOST_REGISTER_MAPPED = 0,
  ACL_HOST_REGISTER_IOMEMORY = 4,
  ACL_HOST_REGISTER_READONLY = 8
} aclrtHostRegisterType;

/* Bits of aclrtHostRegisterV2's flag. */
#define ACL_HOST_REG_MAPPED 0x2U
#define ACL_HOST_REG_PINNED 0x10000000U

VNPU_ACL_EXPORT aclError aclrtDeviceCanAccessPeer(int32_t* canAccessPeer, int32_t deviceId,
                                                  int32_t peerDeviceId);
VNPU_ACL_EXPORT aclError aclrtDeviceEnablePeerAccess(int32_t peerDeviceId, uint32_t flags);
VNPU_ACL_EXPORT aclError aclrtDeviceDisablePeerAccess(int32_t peerDeviceId);
VNPU_ACL_EXPORT aclError aclrtDeviceGetBareTgid(int32_t* pid);

VNPU_ACL_EXPORT aclError aclrtReserveMemAddress(void** virPtr, size_t size, size_t alignment,
                                                void* expectPtr, uint64_t flags);
VNPU_ACL_EXPORT aclError aclrtReleaseMemAddress(void* virPtr);
VNPU_ACL_EXPORT aclError aclrtMallocPhysical(aclrtDrvMemHandle* handle, size_t size,
                                             const aclrtPhysicalMemProp* prop, uint64_t flags);
VNPU_ACL_EXPORT aclError aclrtFreePhysical(aclrtDrvMemHandle handle);
VNPU_ACL_EXPORT aclError aclrtMapMem(void* virPtr, size_t size, size_t offset,
                                     aclrtDrvMemHandle handle, uint64_t flags);
VNPU_ACL_EXPORT aclError aclrtUnmapMem(void* virPtr);
VNPU_ACL_EXPORT aclError aclrtMemExportToShareableHandle(aclrtDrvMemHandle handle,
                                                         aclrtMemHandleType handleType,
                                                         uint64_t flags, uint64_t* shareableHandle);
VNPU_ACL_EXPORT aclError aclrtMemImportFromShareableHandle(uint64_t shareableHandle,
                                                           int32_t deviceId,
                                                           aclrtDrvMemHandle* handle);
VNPU_ACL_EXPORT aclError aclrtMemSetPidToShareableHandle(uint64_t shareableHandle, int32_t* pid,
                                                         size_t pidNum);

VNPU_ACL_EXPORT aclError aclrtHostRegister(void* ptr, uint64_t size, aclrtHostRegisterType type,
                                           void** devPtr);
VNPU_ACL_EXPORT aclError aclrtHostRegisterV2(void* ptr, uint64_t size, uint32_t flag);
VNPU_ACL_EXPORT aclError aclrtHostUnregister(void* ptr);

/* ---- Kernels: aclrtGetFunctionAddr [rt], else [use] --------------------------- */

typedef struct {
  uint32_t magic;
  uint32_t version;
  const void* data;
  uint64_t length; /* bytes */
} rtDevBinary_t;

VNPU_ACL_EXPORT aclError aclrtGetFunctionAddr(aclrtFuncHandle funcHandle, void** aicAddr,
                                              void** aivAddr);
VNPU_ACL_EXPORT int32_t rtDevBinaryRegister(const rtDevBinary_t* bin, void** hdl);
VNPU_ACL_EXPORT int32_t rtDevBinaryUnRegister(void* hdl);
VNPU_ACL_EXPORT int32_t rtFunctionRegister(void* binHandle, const void* stubFunc,
                                           const char* stubName, const void* kernelInfoExt,
                                           uint32_t funcMode);
VNPU_ACL_EXPORT int32_t rtKernelLaunch(const void* stubFunc, uint32_t blockDim, void* args,
                                       uint32_t argsSize, void* smDesc, aclrtStream stm);

#ifdef __cplusplus
}
#endif

#endif /* VNPU_ACL_ACL_CONTROL_ABI_H_ */
