/* SPDX-License-Identifier: Apache-2.0 */
/* Capture of streams into graphs ("model running instances") and their replay.
 *
 * Source: acl_rt.h, version 1.17.0, as shipped in the torch_npu 2.13.0 wheel;
 * error codes: error_codes/rt_error_codes.h of the same wheel.
 *
 * Next: capture.h - how it works here.
 */
#ifndef VNPU_ACL_ACL_GRAPH_ABI_H_
#define VNPU_ACL_ACL_GRAPH_ABI_H_

#include "tools/vnpu/acl/acl_abi.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef void* aclmdlRI;
typedef void* aclrtTaskGrp;

/* Who may call what cannot be captured (synchronous copies and fills, waiting
 * for a device) while a stream captures. */
typedef enum {
  ACL_MODEL_RI_CAPTURE_MODE_GLOBAL = 0,       /* nobody */
  ACL_MODEL_RI_CAPTURE_MODE_THREAD_LOCAL = 1, /* not the capturing thread */
  ACL_MODEL_RI_CAPTURE_MODE_RELAXED = 2       /* everybody */
} aclmdlRICaptureMode;

typedef enum {
  ACL_MODEL_RI_CAPTURE_STATUS_NONE = 0,
  ACL_MODEL_RI_CAPTURE_STATUS_ACTIVE = 1,
  ACL_MODEL_RI_CAPTURE_STATUS_INVALIDATED = 2
} aclmdlRICaptureStatus;

enum {
  ACL_ERROR_RT_CAPTURE_DEPENDENCY = 107024,
  ACL_ERROR_RT_STREAM_UNJOINED = 107025,
  ACL_ERROR_RT_MODEL_CAPTURED = 107026,
  ACL_ERROR_RT_STREAM_CAPTURED = 107027,
  ACL_ERROR_RT_EVENT_CAPTURED = 107028,
  ACL_ERROR_RT_STREAM_NOT_CAPTURED = 107029,
  ACL_ERROR_RT_CAPTURE_MODE_NOT_SUPPORT = 107030,
  ACL_ERROR_RT_STREAM_CAPTURE_IMPLICIT = 107031,
  ACL_ERROR_STREAM_CAPTURE_CONFLICT = 107032,
  ACL_ERROR_STREAM_TASK_GROUP_STATUS = 107033,
  ACL_ERROR_RT_STREAM_CAPTURE_UNMATCHED = 107036,
  ACL_ERROR_RT_MODEL_RUNNING = 107037,
  ACL_ERROR_RT_STREAM_CAPTURE_WRONG_THREAD = 107038,
  ACL_ERROR_RT_MODEL_UPDATE_FAILED = 107040,
  ACL_ERROR_RT_CAPTURE_MODE_BLOCK_ASYNC = 107041,
  ACL_ERROR_RT_STREAM_CAPTURE_INVALIDATED = 507903
};

VNPU_ACL_EXPORT aclError aclmdlRICaptureBegin(aclrtStream stream, aclmdlRICaptureMode mode);
VNPU_ACL_EXPORT aclError aclmdlRICaptureGetInfo(aclrtStream stream, aclmdlRICaptureStatus* status,
                                                aclmdlRI* modelRI);
VNPU_ACL_EXPORT aclError aclmdlRICaptureEnd(aclrtStream stream, aclmdlRI* modelRI);
VNPU_ACL_EXPORT aclError aclmdlRICaptureThreadExchangeMode(aclmdlRICaptureMode* mode);
VNPU_ACL_EXPORT aclError aclmdlRICaptureTaskGrpBegin(aclrtStream stream);
VNPU_ACL_EXPORT aclError aclmdlRICaptureTaskGrpEnd(aclrtStream stream, aclrtTaskGrp* handle);
VNPU_ACL_EXPORT aclError aclmdlRICaptureTaskUpdateBegin(aclrtStream stream, aclrtTaskGrp handle);
VNPU_ACL_EXPORT aclError aclmdlRICaptureTaskUpdateEnd(aclrtStream stream);
VNPU_ACL_EXPORT aclError aclmdlRIExecuteAsync(aclmdlRI modelRI, aclrtStream stream);
VNPU_ACL_EXPORT aclError aclmdlRIExecute(aclmdlRI modelRI, int32_t timeout); /* ms */
VNPU_ACL_EXPORT aclError aclmdlRIDestroy(aclmdlRI modelRI);
VNPU_ACL_EXPORT aclError aclmdlRIGetId(aclmdlRI modelRI, uint32_t* modelRIId);
VNPU_ACL_EXPORT aclError aclmdlRIDebugPrint(aclmdlRI modelRI);

#ifdef __cplusplus
}
#endif

#endif /* VNPU_ACL_ACL_GRAPH_ABI_H_ */
