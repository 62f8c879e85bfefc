/* SPDX-License-Identifier: Apache-2.0 */
/* libhccl.so of the virtual NPU: its settings, kept and given back. There are no
 * collectives; frameworks look those up when they first need one, and say so.
 * Types and codes as in hccl.h and hccl_types.h of the torch_npu 2.13.0 wheel. */
#include <stddef.h>
#include <stdint.h>

#define EXPORT __attribute__((visibility("default")))

typedef int32_t HcclResult;
enum { HCCL_SUCCESS = 0, HCCL_E_PARA = 1, HCCL_E_PTR = 2 };

typedef enum { HCCL_DETERMINISTIC = 0, HCCL_CONFIG_END = 1 } HcclConfig;
typedef union {
  int32_t value;
} HcclConfigValue;

EXPORT HcclResult HcclSetConfig(HcclConfig config, HcclConfigValue value);
EXPORT HcclResult HcclGetConfig(HcclConfig config, HcclConfigValue* value);

static int32_t settings[HCCL_CONFIG_END];

HcclResult HcclSetConfig(HcclConfig config, HcclConfigValue value) {
  if ((unsigned)config >= HCCL_CONFIG_END) return HCCL_E_PARA;
  __atomic_store_n(&settings[config], value.value, __ATOMIC_RELAXED);
  return HCCL_SUCCESS;
}

HcclResult HcclGetConfig(HcclConfig config, HcclConfigValue* value) {
  if ((unsigned)config >= HCCL_CONFIG_END) return HCCL_E_PARA;
  if (value == NULL) return HCCL_E_PTR;
  value->value = __atomic_load_n(&settings[config], __ATOMIC_RELAXED);
  return HCCL_SUCCESS;
}
