// SPDX-License-Identifier: Apache-2.0
// What libascendcl.so of the virtual NPU exports beyond the ACL interface, for
// libraries that want their tensors named in reports and for tools that attach
// checkers. Look the names up with dlsym: CANN's library has none of them.
//
// `device` is an ACL device id. Nothing here reports through aclrtGetLastError.
#ifndef VNPU_ACL_VNPU_EXTENSIONS_H_
#define VNPU_ACL_VNPU_EXTENSIONS_H_

#include <stdint.h>

#if defined(__GNUC__)
#pragma GCC visibility push(default)
#endif

#ifdef __cplusplus
namespace vnpu {
class Device;
}
extern "C" {
// The machine behind a device id; null if there is none. Lives until the process
// ends. A tool must hold no launch in flight while it attaches observers.
vnpu::Device* vnpuAclDevice(int32_t device);
#endif

// 1 while a checker or a clock is attached, else 0: names are not worth giving.
int vnpuAclChecksEnabled(int32_t device);
// Rules of a named region: what kernels may do there (vnpu::RegionRule).
enum {
  VNPU_ACL_READ_WRITE = 0,
  VNPU_ACL_READ_ONLY = 1,
  VNPU_ACL_OUTPUT = 2,
  VNPU_ACL_NO_ACCESS = 3
};
// Names [begin, begin + bytes) until it is freed or named again. 0, or 1 if the
// device does not exist, the range lies in no live allocation or the rule is
// unknown.
int vnpuAclNameRegion(int32_t device, const void* begin, uint64_t bytes, const char* name,
                      int rule);
// From now on kernels must not depend on what these bytes hold.
int vnpuAclMarkUndefined(int32_t device, const void* begin, uint64_t bytes);

// The configuration in use, as "devices=1 soc=Ascend910B1 cores=24
// hbm_bytes=68719476736 threads=0 timeout_seconds=0 check=none"; null until the
// first call has read it, or if it cannot be used.
const char* vnpuAclConfiguration(void);

// Fault injection: the `nth` launch from now on (from 1) that `device` comes to
// run, replayed graphs included, does not run and fails with `code`, an error of
// a task: 507000 to 507999, such as 507015 (exception) or 507014 (time-out).
// nth = 0 takes it back. 0, or 1 if the device does not exist or the code is no
// such error.
int vnpuAclFailLaunch(int32_t device, uint64_t nth, int32_t code);

#ifdef __cplusplus
}  // extern "C"
#endif

#if defined(__GNUC__)
#pragma GCC visibility pop
#endif

#endif  // VNPU_ACL_VNPU_EXTENSIONS_H_
