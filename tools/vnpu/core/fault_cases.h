// SPDX-License-Identifier: Apache-2.0
// Numbers of the bad kernels in fault_cases.cce, for host and kernel.
#ifndef VNPU_CORE_FAULT_CASES_H_
#define VNPU_CORE_FAULT_CASES_H_

enum class FaultCase : unsigned {
  kNone,
  kUbBounds,
  kGmBounds,
  kMisaligned,
  kField,
  kNegative,
  kDoubleSet,
  kLeftover,
  kPipeDeadlock,
  kScalarDeadlock,
  kEndDeadlock,
  kDeferred,
  kTrap,
  kScalarGm,
  kScalarUb,
  kScalarNull,
  kDivision,
  kStack,
  kWrongCore,
  kWrongPipe,
  kNoMask,
  kNoPad,
  kOneAivSignals,
  kCounterOverflow,
  kCounterLeftover,
  kAbsentCore,
  kTooManyBlocks,
  kBadConfig,
  kL1Bounds,
  kL0cMisaligned,
  kL0aBounds,
  kSrcStride,
  kLateTrap,
  kEndlessScalar,
  kEndlessPolls,
  kEndlessIssues,
};

#endif  // VNPU_CORE_FAULT_CASES_H_
