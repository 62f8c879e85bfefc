/* SPDX-License-Identifier: Apache-2.0 */
/* The part of the Ascend ACL runtime's binary interface that the virtual NPU
 * exports and the host library calls: names, signatures, layouts, values.
 *
 * Plain C, no other header of ours. For callers that resolve the functions at
 * run time, `decltype(&aclrtMalloc)` is the type of a table entry; the same
 * table then serves a real CANN installation.
 *
 * Sources of the facts, by section:
 *   [rt]   acl_rt.h, version 1.17.0, as shipped in the torch_npu 2.13.0 wheel
 *   [base] acl_base_rt.h of the same wheel
 *   [err]  error_codes/rt_error_codes.h of the same wheel
 *   [use]  not in a public header; signature as public kernel libraries
 *          (catlass, ATB) declare it
 * Layouts are pinned by abi_test.cc.
 *
 * Next: README.md - what each call does on the virtual NPU.
 */
#ifndef VNPU_ACL_ACL_ABI_H_
#define VNPU_ACL_ACL_ABI_H_

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define VNPU_ACL_EXPORT __attribute__((visibility("default")))

/* ---- Handles ------------------------------------------------ [base], [rt] */

typedef int aclError;
typedef void* aclrtContext;
typedef void* aclrtStream;
typedef void* aclrtEvent;
typedef void* aclrtBinHandle;
typedef void* aclrtFuncHandle;

/* ---- Error codes --------------------------------------------------------- */

enum {
  ACL_SUCCESS = 0,
  /* [base] */
  ACL_ERROR_INVALID_PARAM = 100000,
  ACL_ERROR_UNINITIALIZE = 100001,
  ACL_ERROR_REPEAT_INITIALIZE = 100002,
  ACL_ERROR_INVALID_FILE = 100003,
  ACL_ERROR_REPEAT_FINALIZE = 100037,
  /* [err] */
  ACL_ERROR_RT_PARAM_INVALID = 107000,
  ACL_ERROR_RT_INVALID_DEVICEID = 107001,
  ACL_ERROR_RT_CONTEXT_NULL = 107002,
  ACL_ERROR_RT_STREAM_CONTEXT = 107003,
  ACL_ERROR_RT_EVENT_TIMESTAMP_INVALID = 107006,
  ACL_ERROR_RT_EVENT_TIMESTAMP_REVERSAL = 107007,
  ACL_ERROR_RT_FILE_OPEN = 107009,
  ACL_ERROR_RT_INVALID_HANDLE = 107017,
  ACL_ERROR_RT_STREAM_ABORT = 107023,
  ACL_ERROR_RT_FEATURE_NOT_SUPPORT = 207000,
  ACL_ERROR_RT_MEMORY_ALLOCATION = 207001,
  ACL_ERROR_RT_RESOURCE_ALLOC_FAIL = 207005,
  ACL_ERROR_RT_INTERNAL_ERROR = 507000,
  ACL_ERROR_RT_EVENT_NOT_COMPLETE = 507006,
  ACL_ERROR_RT_SYS_DMA = 507013,
  ACL_ERROR_RT_AICORE_TIMEOUT = 507014,
  ACL_ERROR_RT_AICORE_EXCEPTION = 507015,
  ACL_ERROR_RT_AICORE_TRAP_EXCEPTION = 507016,
  ACL_ERROR_RT_KERNEL_LOOKUP = 507027,
  ACL_ERROR_RT_DEV_SETUP_ERROR = 507033,
  ACL_ERROR_RT_STREAM_SYNC_TIMEOUT = 507046
};

/* ---- Enumerations and structures ----------------------------------------- */

/* [base] */
typedef enum {
  ACL_DEVICE_INFO_UNDEFINED = -1,
  ACL_DEVICE_INFO_AI_CORE_NUM = 0,
  ACL_DEVICE_INFO_VECTOR_CORE_NUM = 1,
  ACL_DEVICE_INFO_L2_SIZE = 2 /* bytes */
} aclDeviceInfo;

/* [rt]; the values that are answered here */
typedef enum {
  ACL_DEV_ATTR_AICORE_CORE_NUM = 101,
  ACL_DEV_ATTR_CUBE_CORE_NUM = 102,
  ACL_DEV_ATTR_VECTOR_CORE_NUM = 201,
  ACL_DEV_ATTR_UBUF_PER_VECTOR_CORE = 204,  /* bytes */
  ACL_DEV_ATTR_TOTAL_GLOBAL_MEM_SIZE = 301, /* bytes */
  ACL_DEV_ATTR_L2_CACHE_SIZE = 302          /* bytes */
} aclrtDevAttr;

/* [rt] */
typedef enum {
  ACL_MEM_MALLOC_HUGE_FIRST = 0,
  ACL_MEM_MALLOC_HUGE_ONLY = 1,
  ACL_MEM_MALLOC_NORMAL_ONLY = 2,
  ACL_MEM_MALLOC_HUGE_FIRST_P2P = 3,
  ACL_MEM_MALLOC_HUGE_ONLY_P2P = 4,
  ACL_MEM_MALLOC_NORMAL_ONLY_P2P = 5,
  ACL_MEM_MALLOC_HUGE1G_ONLY = 6,
  ACL_MEM_MALLOC_HUGE1G_ONLY_P2P = 7,
  ACL_MEM_TYPE_LOW_BAND_WIDTH = 0x0100,
  ACL_MEM_TYPE_HIGH_BAND_WIDTH = 0x1000,
  ACL_MEM_ACCESS_USER_SPACE_READONLY = 0x100000
} aclrtMemMallocPolicy;

/* [rt] */
typedef enum {
  ACL_MEMCPY_HOST_TO_HOST = 0,
  ACL_MEMCPY_HOST_TO_DEVICE = 1,
  ACL_MEMCPY_DEVICE_TO_HOST = 2,
  ACL_MEMCPY_DEVICE_TO_DEVICE = 3,
  ACL_MEMCPY_DEFAULT = 4, /* each side is what its address says */
  ACL_MEMCPY_HOST_TO_BUF_TO_DEVICE = 5,
  ACL_MEMCPY_INNER_DEVICE_TO_DEVICE = 6,
  ACL_MEMCPY_INTER_DEVICE_TO_DEVICE = 7
} aclrtMemcpyKind;

/* [rt] */
typedef enum {
  ACL_DDR_MEM = 0,
  ACL_HBM_MEM = 1,
  ACL_DDR_MEM_HUGE = 2,
  ACL_DDR_MEM_NORMAL = 3,
  ACL_HBM_MEM_HUGE = 4,
  ACL_HBM_MEM_NORMAL = 5,
  ACL_DDR_MEM_P2P_HUGE = 6,
  ACL_DDR_MEM_P2P_NORMAL = 7,
  ACL_HBM_MEM_P2P_HUGE = 8,
  ACL_HBM_MEM_P2P_NORMAL = 9,
  ACL_HBM_MEM_HUGE1G = 10,
  ACL_HBM_MEM_P2P_HUGE1G = 11,
  ACL_MEM_NORMAL = 12,
  ACL_MEM_HUGE = 13,
  ACL_MEM_HUGE1G = 14,
  ACL_MEM_P2P_NORMAL = 15,
  ACL_MEM_P2P_HUGE = 16,
  ACL_MEM_P2P_HUGE1G = 17
} aclrtMemAttr;

/* [rt] */
typedef enum {
  ACL_MEM_LOCATION_TYPE_HOST = 0,
  ACL_MEM_LOCATION_TYPE_DEVICE = 1,
  ACL_MEM_LOCATION_TYPE_UNREGISTERED = 2
} aclrtMemLocationType;

/* [rt] */
typedef struct {
  uint32_t id;
  aclrtMemLocationType type;
} aclrtMemLocation;

/* [rt] */
typedef struct {
  aclrtMemLocation location;
  uint32_t pageSize;
  uint32_t rsv[4];
} aclrtPtrAttributes;

/* Bits of a stream's flag. [rt] */
#define ACL_STREAM_FAST_LAUNCH 0x00000001U
#define ACL_STREAM_FAST_SYNC 0x00000002U
#define ACL_STREAM_PERSISTENT 0x00000004U
#define ACL_STREAM_HUGE 0x00000008U
#define ACL_STREAM_CPU_SCHEDULE 0x00000010U
#define ACL_STREAM_DEVICE_USE_ONLY 0x00000020U

/* Bits of an event's flag. [rt] */
#define ACL_EVENT_SYNC 0x00000001U
#define ACL_EVENT_CAPTURE_STREAM_PROGRESS 0x00000002U
#define ACL_EVENT_TIME_LINE 0x00000008U
#define ACL_EVENT_DEVICE_USE_ONLY 0x00000010U
#define ACL_EVENT_EXTERNAL 0x00000020U
#define ACL_EVENT_IPC 0x00000040U

/* [rt] */
typedef enum {
  ACL_EVENT_RECORDED_STATUS_NOT_READY = 0,
  ACL_EVENT_RECORDED_STATUS_COMPLETE = 1
} aclrtEventRecordedStatus;

/* [rt] */
typedef enum {
  ACL_EVENT_WAIT_STATUS_COMPLETE = 0,
  ACL_EVENT_WAIT_STATUS_NOT_READY = 1,
  ACL_EVENT_WAIT_STATUS_RESERVED = 0xFFFF
} aclrtEventWaitStatus;

/* [rt] */
typedef enum {
  ACL_STREAM_STATUS_COMPLETE = 0,
  ACL_STREAM_STATUS_NOT_READY = 1,
  ACL_STREAM_STATUS_RESERVED = 0xFFFF
} aclrtStreamStatus;

/* [rt] */
typedef enum { ACL_RT_THREAD_LEVEL = 0 } aclrtLastErrLevel;

/* Values of ACL_RT_BINARY_LOAD_OPT_MAGIC. [rt] */
#define ACL_RT_BINARY_MAGIC_ELF_AICORE 0x43554245U
#define ACL_RT_BINARY_MAGIC_ELF_VECTOR_CORE 0x41415246U
#define ACL_RT_BINARY_MAGIC_ELF_CUBE_CORE 0x41494343U

/* [rt] */
typedef enum {
  ACL_RT_BINARY_LOAD_OPT_LAZY_LOAD = 1,
  ACL_RT_BINARY_LOAD_OPT_MAGIC = 2, /* for aclrtBinaryLoadFromData only */
  ACL_RT_BINARY_LOAD_OPT_CPU_KERNEL_MODE = 3
} aclrtBinaryLoadOptionType;

/* [rt] */
typedef union {
  uint32_t isLazyLoad;
  uint32_t magic;
  int32_t cpuKernelMode;
  uint32_t rsv[4];
} aclrtBinaryLoadOptionValue;

/* [rt] */
typedef struct {
  aclrtBinaryLoadOptionType type;
  aclrtBinaryLoadOptionValue value;
} aclrtBinaryLoadOption;

/* [rt] */
typedef struct {
  aclrtBinaryLoadOption* options;
  size_t numOpt;
} aclrtBinaryLoadOptions;

/* [rt] */
typedef enum { ACL_RT_ENGINE_TYPE_AIC = 0, ACL_RT_ENGINE_TYPE_AIV = 1 } aclrtEngineType;

/* [rt] */
typedef enum {
  ACL_RT_LAUNCH_KERNEL_ATTR_SCHEM_MODE = 1,
  ACL_RT_LAUNCH_KERNEL_ATTR_DYN_UBUF_SIZE = 2,
  ACL_RT_LAUNCH_KERNEL_ATTR_ENGINE_TYPE = 3,
  ACL_RT_LAUNCH_KERNEL_ATTR_BLOCKDIM_OFFSET = 4,
  ACL_RT_LAUNCH_KERNEL_ATTR_BLOCK_TASK_PREFETCH = 5,
  ACL_RT_LAUNCH_KERNEL_ATTR_DATA_DUMP = 6,
  ACL_RT_LAUNCH_KERNEL_ATTR_TIMEOUT = 7,
  ACL_RT_LAUNCH_KERNEL_ATTR_TIMEOUT_US = 8
} aclrtLaunchKernelAttrId;

/* [rt] */
typedef struct {
  uint32_t timeoutLow;
  uint32_t timeoutHigh;
} aclrtTimeoutUs;

/* [rt] */
typedef union {
  uint8_t schemMode; /* 0: start as cores become free; 1: all blocks at once */
  uint32_t dynUBufSize;
  aclrtEngineType engineType;
  uint32_t blockDimOffset;
  uint8_t isBlockTaskPrefetch;
  uint8_t isDataDump;
  uint16_t timeout; /* seconds */
  aclrtTimeoutUs timeoutUs;
  uint32_t rsv[4];
} aclrtLaunchKernelAttrValue;

/* [rt] */
typedef struct {
  aclrtLaunchKernelAttrId id;
  aclrtLaunchKernelAttrValue value;
} aclrtLaunchKernelAttr;

/* [rt] */
typedef struct {
  aclrtLaunchKernelAttr* attrs;
  size_t numAttrs;
} aclrtLaunchKernelCfg;

/* The bytes from hostArgs + dataOffset on travel to the device with the launch;
 * their device address is written at hostArgs + addrOffset. [rt] */
typedef struct {
  uint32_t addrOffset;
  uint32_t dataOffset;
} aclrtPlaceHolderInfo;

#define ACL_PKG_VERSION_MAX_SIZE 128
#define ACL_PKG_VERSION_PARTS_MAX_SIZE 64

/* [rt] */
typedef enum {
  ACL_PKG_NAME_CANN = 0,
  ACL_PKG_NAME_RUNTIME = 1,
  ACL_PKG_NAME_COMPILER = 2,
  ACL_PKG_NAME_HCCL = 3,
  ACL_PKG_NAME_TOOLKIT = 4,
  ACL_PKG_NAME_OPP = 5,
  ACL_PKG_NAME_OPP_KERNEL = 6,
  ACL_PKG_NAME_DRIVER = 7
} aclCANNPackageName;

/* [rt] */
typedef struct {
  char version[ACL_PKG_VERSION_MAX_SIZE];
  char majorVersion[ACL_PKG_VERSION_PARTS_MAX_SIZE];
  char minorVersion[ACL_PKG_VERSION_PARTS_MAX_SIZE];
  char releaseVersion[ACL_PKG_VERSION_PARTS_MAX_SIZE];
  char patchVersion[ACL_PKG_VERSION_PARTS_MAX_SIZE];
  char reserved[ACL_PKG_VERSION_MAX_SIZE];
} aclCANNPackageVersion;

/* ---- Process: aclrtGetSocName and aclGetDeviceCapability [base], else [rt] - */

VNPU_ACL_EXPORT aclError aclInit(const char* configPath);
VNPU_ACL_EXPORT aclError aclFinalize(void);
VNPU_ACL_EXPORT const char* aclGetRecentErrMsg(void);
VNPU_ACL_EXPORT aclError aclrtGetLastError(aclrtLastErrLevel level);
VNPU_ACL_EXPORT aclError aclrtPeekAtLastError(aclrtLastErrLevel level);
VNPU_ACL_EXPORT aclError aclsysGetCANNVersion(aclCANNPackageName name,
                                              aclCANNPackageVersion* version);
VNPU_ACL_EXPORT aclError aclsysGetVersionStr(char* pkgName, char* versionStr);

VNPU_ACL_EXPORT const char* aclrtGetSocName(void);
VNPU_ACL_EXPORT aclError aclrtGetDeviceCount(uint32_t* count);
VNPU_ACL_EXPORT aclError aclGetDeviceCapability(uint32_t deviceId, aclDeviceInfo deviceInfo,
                                                int64_t* value);
VNPU_ACL_EXPORT aclError aclrtGetDeviceInfo(uint32_t deviceId, aclrtDevAttr attr, int64_t* value);
VNPU_ACL_EXPORT aclError aclrtSetDevice(int32_t deviceId);
VNPU_ACL_EXPORT aclError aclrtResetDevice(int32_t deviceId);
VNPU_ACL_EXPORT aclError aclrtGetDevice(int32_t* deviceId);
VNPU_ACL_EXPORT aclError aclrtSynchronizeDevice(void);
VNPU_ACL_EXPORT aclError aclrtSynchronizeDeviceWithTimeout(int32_t timeout); /* ms */
VNPU_ACL_EXPORT aclError aclrtSetCurrentContext(aclrtContext context);
VNPU_ACL_EXPORT aclError aclrtGetCurrentContext(aclrtContext* context);

/* ---- Memory [rt] ---------------------------------------------------------- */

VNPU_ACL_EXPORT aclError aclrtMalloc(void** devPtr, size_t size, aclrtMemMallocPolicy policy);
VNPU_ACL_EXPORT aclError aclrtMallocAlign32(void** devPtr, size_t size,
                                            aclrtMemMallocPolicy policy);
VNPU_ACL_EXPORT aclError aclrtFree(void* devPtr);
VNPU_ACL_EXPORT aclError aclrtMallocHost(void** hostPtr, size_t size);
VNPU_ACL_EXPORT aclError aclrtFreeHost(void* hostPtr);
VNPU_ACL_EXPORT aclError aclrtMemcpy(void* dst, size_t destMax, const void* src, size_t count,
                                     aclrtMemcpyKind kind);
VNPU_ACL_EXPORT aclError aclrtMemcpyAsync(void* dst, size_t destMax, const void* src, size_t count,
                                          aclrtMemcpyKind kind, aclrtStream stream);
VNPU_ACL_EXPORT aclError aclrtMemset(void* devPtr, size_t maxCount, int32_t value, size_t count);
VNPU_ACL_EXPORT aclError aclrtMemsetAsync(void* devPtr, size_t maxCount, int32_t value,
                                          size_t count, aclrtStream stream);
VNPU_ACL_EXPORT aclError aclrtGetMemInfo(aclrtMemAttr attr, size_t* free, size_t* total);
VNPU_ACL_EXPORT aclError aclrtPointerGetAttributes(const void* ptr, aclrtPtrAttributes* attributes);

/* ---- Streams [rt] --------------------------------------------------------- */

VNPU_ACL_EXPORT aclError aclrtCreateStream(aclrtStream* stream);
VNPU_ACL_EXPORT aclError aclrtCreateStreamWithConfig(aclrtStream* stream, uint32_t priority,
                                                     uint32_t flag);
VNPU_ACL_EXPORT aclError aclrtDestroyStream(aclrtStream stream);
VNPU_ACL_EXPORT aclError aclrtDestroyStreamForce(aclrtStream stream);
VNPU_ACL_EXPORT aclError aclrtSynchronizeStream(aclrtStream stream);
VNPU_ACL_EXPORT aclError aclrtSynchronizeStreamWithTimeout(aclrtStream stream,
                                                           int32_t timeout); /* ms */
VNPU_ACL_EXPORT aclError aclrtStreamQuery(aclrtStream stream, aclrtStreamStatus* status);

/* ---- Events [rt] ---------------------------------------------------------- */

VNPU_ACL_EXPORT aclError aclrtCreateEvent(aclrtEvent* event);
VNPU_ACL_EXPORT aclError aclrtCreateEventWithFlag(aclrtEvent* event, uint32_t flag);
VNPU_ACL_EXPORT aclError aclrtCreateEventExWithFlag(aclrtEvent* event, uint32_t flag);
VNPU_ACL_EXPORT aclError aclrtDestroyEvent(aclrtEvent event);
VNPU_ACL_EXPORT aclError aclrtRecordEvent(aclrtEvent event, aclrtStream stream);
VNPU_ACL_EXPORT aclError aclrtResetEvent(aclrtEvent event, aclrtStream stream);
VNPU_ACL_EXPORT aclError aclrtStreamWaitEvent(aclrtStream stream, aclrtEvent event);
VNPU_ACL_EXPORT aclError aclrtSynchronizeEvent(aclrtEvent event);
VNPU_ACL_EXPORT aclError aclrtQueryEventStatus(aclrtEvent event, aclrtEventRecordedStatus* status);
VNPU_ACL_EXPORT aclError aclrtQueryEventWaitStatus(aclrtEvent event, aclrtEventWaitStatus* status);
VNPU_ACL_EXPORT aclError aclrtEventElapsedTime(float* ms, aclrtEvent startEvent,
                                               aclrtEvent endEvent);

/* ---- Kernels: rtGetC2cCtrlAddr [use], else [rt] ---------------------------- */

VNPU_ACL_EXPORT aclError aclrtBinaryLoadFromFile(const char* binPath,
                                                 aclrtBinaryLoadOptions* options,
                                                 aclrtBinHandle* binHandle);
VNPU_ACL_EXPORT aclError aclrtBinaryLoadFromData(const void* data, size_t length,
                                                 const aclrtBinaryLoadOptions* options,
                                                 aclrtBinHandle* binHandle);
VNPU_ACL_EXPORT aclError aclrtBinaryUnLoad(aclrtBinHandle binHandle);
VNPU_ACL_EXPORT aclError aclrtBinaryGetFunction(const aclrtBinHandle binHandle,
                                                const char* kernelName,
                                                aclrtFuncHandle* funcHandle);
VNPU_ACL_EXPORT aclError aclrtLaunchKernelWithHostArgs(
    aclrtFuncHandle funcHandle, uint32_t numBlocks, aclrtStream stream, aclrtLaunchKernelCfg* cfg,
    void* hostArgs, size_t argsSize, aclrtPlaceHolderInfo* placeHolderArray, size_t placeHolderNum);
VNPU_ACL_EXPORT aclError aclrtGetHardwareSyncAddr(void** addr);
VNPU_ACL_EXPORT int32_t rtGetC2cCtrlAddr(uint64_t* addr, uint32_t* len);

/* ---- Ours ------------------------------------------------------------------ */

/* Only the virtual NPU's libascendcl.so has this symbol: finding it tells the
 * two apart. The value changes when the meaning of a call here changes. */
VNPU_ACL_EXPORT int vnpu_abi_version(void);

#ifdef __cplusplus
}
#endif

#endif /* VNPU_ACL_ACL_ABI_H_ */
