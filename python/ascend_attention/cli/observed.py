# SPDX-License-Identifier: Apache-2.0
"""Decodes a case under the checkers and the clock of the virtual NPU: check, time, trace."""

from __future__ import annotations

import dataclasses
import os

import ascend_attention_reference as reference

from ascend_attention import _vnpu, vnpu
from ascend_attention.cli.case_problem import (
    LIBRARY_ERRORS,
    REFUSALS,
    UsageError,
    before_anything_runs,
    decode,
)
from ascend_attention.cli.refuse_case import refuse_case

_ACL_VARIABLE = "ASCEND_ATTENTION_ACL_LIBRARY"
_SOC_VARIABLE = "ASCEND_ATTENTION_VNPU_SOC"


@dataclasses.dataclass(frozen=True)
class Observed:
    """What was seen of one decode of a case."""

    report: vnpu.Report
    kv_bytes: int  # keys and values of all tokens in context
    error: str | None  # what the operator raised
    is_refused: bool  # by a value of the case: nothing was launched


def use_virtual_npu(soc: str | None = None) -> None:
    """Chooses the virtual NPU for this process, whatever else is installed.

    A library that the environment names is kept: it may be another virtual NPU.

    Raises:
        UsageError: there is no such `soc`.
    """
    os.environ.setdefault(_ACL_VARIABLE, "vnpu")
    if soc is not None:
        with before_anything_runs():
            _vnpu.check_soc(soc)
        os.environ[_SOC_VARIABLE] = soc


def observe(
    case: reference.DecodeCase,
    *,
    checks: str,
    timing: bool,
    strict_gm_visibility: bool = False,
    warm_l2: bool = False,
) -> Observed:
    """Decodes `case` once, with `warm_l2` a second time of which alone the launches are kept."""
    error, is_refused = None, False
    with vnpu.session(
        checks=checks, timing=timing, strict_gm_visibility=strict_gm_visibility
    ) as session:
        try:
            refuse_case(case)
            inputs = reference.make_inputs(case)
            decode(case, inputs, device=0, repeat=2 if warm_l2 else 1)
        except UsageError as refused:
            error, is_refused = str(refused), True
        except LIBRARY_ERRORS as raised:
            error = f"{type(raised).__name__}: {raised}"
            is_refused = isinstance(raised, REFUSALS)
    report = session.report
    is_refused &= not report.launches
    if warm_l2:
        half = len(report.launches) // 2
        report = dataclasses.replace(report, launches=report.launches[half:])
    return Observed(report, _kv_bytes(case), error, is_refused)


def _kv_bytes(case: reference.DecodeCase) -> int:
    row = case.num_kv_heads * case.head_dim * (2 if case.kv_quant == "none" else 1)
    return 2 * row * sum(case.context_lens)
