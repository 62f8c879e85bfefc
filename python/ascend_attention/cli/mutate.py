# SPDX-License-Identifier: Apache-2.0
"""`ascend-attention mutate`: remove every flag, wait and barrier of a kernel, one at a time."""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import sys

import ascend_attention_reference as reference
import numpy as np

from ascend_attention import _runtime, _vnpu
from ascend_attention.cli.case_problem import Decoded, decode
from ascend_attention.cli.observed import use_virtual_npu
from ascend_attention.vnpu.mutation import mutate

KERNELS = ("decode", "combine")

# Small, and between them every branch of the schedules: several tiles of several chunks, slots
# used again, partial blocks and groups, empty sequences, sequences split on few cores and merged
# in several steps; scores so large that a wrong maximum shows.
_PROBLEMS = (
    "decode:b4:h8:kv2:d128:bs128:ctx0,130,1100,2500:{dtype}:cores4:seed7",
    "decode:b3:h16:kv16:d64:bs64:ctx1,700,1300:{dtype}:cores3:seed7",
    "decode:b2:h12:kv1:d128:bs32:ctx33,1400:{dtype}:cores5:seed7",
    "decode:b1:h40:kv8:d128:bs128:ctx3000:{dtype}:cores2:seed7",
    "decode:b3:h8:kv2:d128:bs128:ctx40,900,2000:{dtype}:cores3:bigscores:seed10",
    "decode:b1:h128:kv8:d64:bs128:ctx1500:{dtype}:cores2:seed7",
    "decode:b1:h8:kv1:d128:bs128:ctx16384:{dtype}:cores24:seed7",
)
DEFAULT_CASES = tuple(
    problem.format(dtype=dtype) for problem in _PROBLEMS for dtype in ("f16", "bf16")
)
_TIMEOUT_VARIABLE = "ASCEND_ATTENTION_VNPU_TIMEOUT_SECONDS"
_TIMEOUT_SECONDS = "60"


class CaseProblem:
    """A decode case: its inputs are made once, its results judged by the tolerance rule."""

    def __init__(self, case: reference.DecodeCase) -> None:
        self.name = str(case)
        self._case = case
        self._inputs = reference.make_inputs(case)
        self._expected = reference.expect(self._inputs)
        self._right: bytes | None = None

    def run(self) -> Decoded:
        """Decodes once."""
        return decode(self._case, self._inputs, device=0, repeat=1)

    def accepts(self, result: object) -> bool:
        """True for the bytes that were right before, or for others within tolerance."""
        assert isinstance(result, Decoded)
        digest = result.out.tobytes() + result.lse.tobytes()
        if digest == self._right:
            return True
        with np.errstate(all="ignore"):
            ok = reference.check(result.out, result.lse, self._expected).ok
        if ok and self._right is None:
            self._right = digest
        return ok


def run(args: argparse.Namespace) -> int:
    """Runs the subcommand; returns the exit code."""
    use_virtual_npu()
    os.environ.setdefault(_TIMEOUT_VARIABLE, _TIMEOUT_SECONDS)
    cases = args.case or [reference.parse_case(text) for text in DEFAULT_CASES]
    runtime = _runtime.open_runtime(0)
    device = _vnpu.attached_device(runtime.acl_library, 0)
    report = mutate(
        device,
        f"{args.kernel}_",
        [CaseProblem(case) for case in cases],
        data=not args.sync_only,
        progress=_progress,
    )
    sync = report.summary(sync=True)
    data = report.summary(sync=False)
    print(report.to_text(verbose=args.verbose).rstrip())
    if args.json:
        result = {"kernel": args.kernel, "cases": [str(case) for case in cases], **sync}
        if not args.sync_only:
            result["data"] = data
        if args.verbose:
            result["all"] = [dataclasses.asdict(mutant) for mutant in report.mutants]
        print(json.dumps(result, allow_nan=False))
    return 0 if sync["survived"] == 0 and sync["mutants"] > 0 else 1


def _progress(done: int, total: int) -> None:
    if sys.stderr.isatty():
        print(f"\r{done} of {total}", end="\n" if done == total else "", file=sys.stderr)
