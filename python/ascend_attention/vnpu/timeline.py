# SPDX-License-Identifier: Apache-2.0
"""The modelled course of one launch: what each pipe of each core did when, and why it waited.

The arrays have the layout of tools/vnpu/timing/timeline.h, which says what each field means.
Times are picoseconds from the start of the launch. All of it is modelled, none of it measured.

Next: python/ascend_attention/vnpu/report/summary.py - the figures that people ask for.
"""

from __future__ import annotations

import dataclasses
import functools

import numpy as np

# By number: enum Pipe and CoreRole of tools/vnpu/core/types.h, WaitCause of timeline.h.
PIPES = ("S", "V", "M", "MTE1", "MTE2", "MTE3", "FIX")
ROLES = ("AIC", "AIV0", "AIV1")
WAIT_CAUSES = (
    "flag",
    "cross_core",
    "barrier",
    "queue_full",
    "issue",
    "hbm",
    "l2",
    "scalar_gm",
    "launch",
    "done",
)

LANE = np.dtype([("block", "<u4"), ("role", "u1"), ("pipe", "u1"), ("unused", "<u2")])
SPAN = np.dtype(
    [
        ("begin_ps", "<i8"),
        ("end_ps", "<i8"),
        ("done_ps", "<i8"),
        ("bytes", "<u8"),
        ("lane", "<u4"),
        ("site", "<u4"),
        ("insn", "<u4"),
        ("unused", "<u4"),
    ]
)
WAIT = np.dtype(
    [
        ("begin_ps", "<i8"),
        ("end_ps", "<i8"),
        ("lane", "<u4"),
        ("cause", "<u4"),
        ("site", "<u4"),
        ("from", "<u4"),
    ]
)
ARROW = np.dtype(
    [
        ("begin_ps", "<i8"),
        ("end_ps", "<i8"),
        ("from", "<u4"),
        ("to", "<u4"),
        ("id", "<u4"),
        ("cross_core", "<u4"),
    ]
)
TOTALS = np.dtype([("busy_ps", "<i8"), ("wait_ps", "<i8", (len(WAIT_CAUSES),))])


@dataclasses.dataclass(frozen=True, eq=False)
class Timeline:
    """One launch; arrays are one-dimensional and of the dtypes above.

    `totals` has an entry per lane, `core_end_ps` one per core in the order in which cores first
    appear in `lanes`.
    """

    kernel: str
    soc: str
    num_blocks: int
    total_ps: int
    launch_ps: int
    lanes: np.ndarray
    sites: list[str]
    spans: np.ndarray
    waits: np.ndarray
    arrows: np.ndarray
    totals: np.ndarray
    core_end_ps: np.ndarray
    gm_read_bytes: int
    gm_write_bytes: int
    hbm_bytes: int
    l2_hit_bytes: int
    mad_flops: float
    peak_hbm_bytes_per_s: float
    peak_flops: float
    insn_names: list[str]

    @classmethod
    def from_buffers(
        cls,
        *,
        kernel: str,
        soc: str,
        num_blocks: int,
        total_ps: int,
        launch_ps: int,
        lanes: bytes,
        sites: list[str],
        spans: bytes,
        waits: bytes,
        arrows: bytes,
        totals: bytes,
        core_end_ps: bytes,
        gm_read_bytes: int,
        gm_write_bytes: int,
        hbm_bytes: int,
        l2_hit_bytes: int,
        mad_flops: float,
        peak_hbm_bytes_per_s: float,
        peak_flops: float,
        insn_names: list[str],
    ) -> Timeline:
        """Builds a timeline from the raw bytes of the C++ vectors (copied).

        Raises:
            ValueError: a buffer is no whole number of records, or an index points nowhere.
        """
        timeline = cls(
            kernel=kernel,
            soc=soc,
            num_blocks=num_blocks,
            total_ps=total_ps,
            launch_ps=launch_ps,
            lanes=_records("lanes", lanes, LANE),
            sites=list(sites),
            spans=_records("spans", spans, SPAN),
            waits=_records("waits", waits, WAIT),
            arrows=_records("arrows", arrows, ARROW),
            totals=_records("totals", totals, TOTALS),
            core_end_ps=_records("core_end_ps", core_end_ps, np.dtype("<i8")),
            gm_read_bytes=gm_read_bytes,
            gm_write_bytes=gm_write_bytes,
            hbm_bytes=hbm_bytes,
            l2_hit_bytes=l2_hit_bytes,
            mad_flops=mad_flops,
            peak_hbm_bytes_per_s=peak_hbm_bytes_per_s,
            peak_flops=peak_flops,
            insn_names=list(insn_names),
        )
        timeline.validate()
        return timeline

    def validate(self) -> None:
        """Raises ValueError, naming the field, if an index points nowhere."""
        lanes, cores = len(self.lanes), len(self.cores)
        if len(self.totals) != lanes:
            raise ValueError(f"totals has {len(self.totals)} entries; expected {lanes}, one a lane")
        if len(self.core_end_ps) != cores:
            raise ValueError(f"core_end_ps has {len(self.core_end_ps)} entries; expected {cores}")
        for name, values, limit in (
            ("lanes.role", self.lanes["role"], len(ROLES)),
            ("lanes.pipe", self.lanes["pipe"], len(PIPES)),
            ("spans.lane", self.spans["lane"], lanes),
            ("spans.site", self.spans["site"], len(self.sites)),
            ("spans.insn", self.spans["insn"], len(self.insn_names)),
            ("waits.lane", self.waits["lane"], lanes),
            ("waits.from", self.waits["from"], lanes),
            ("waits.cause", self.waits["cause"], len(WAIT_CAUSES)),
            ("arrows.from", self.arrows["from"], lanes),
            ("arrows.to", self.arrows["to"], lanes),
        ):
            if len(values) and int(values.max()) >= limit:
                raise ValueError(f"{name} holds {int(values.max())}; allowed: 0 to {limit - 1}")

    @functools.cached_property
    def cores(self) -> list[tuple[int, int]]:
        """(block, role) of each core, in the order of `core_end_ps`."""
        keys = zip(self.lanes["block"].tolist(), self.lanes["role"].tolist(), strict=True)
        return list(dict.fromkeys(keys))

    @functools.cached_property
    def lane_core(self) -> np.ndarray:
        """Index into `cores` of each lane."""
        index = {core: i for i, core in enumerate(self.cores)}
        keys = zip(self.lanes["block"].tolist(), self.lanes["role"].tolist(), strict=True)
        return np.array([index[key] for key in keys], np.int64)

    def core_name(self, core: int) -> str:
        """ "block 3 AIV0" of an index into `cores`."""
        block, role = self.cores[core]
        return f"block {block} {ROLES[role]}"

    def lane_name(self, lane: int) -> str:
        """ "block 3 AIV0 MTE2" of an index into `lanes`."""
        row = self.lanes[lane]
        return f"block {row['block']} {ROLES[row['role']]} {PIPES[row['pipe']]}"


def _records(name: str, data: bytes, dtype: np.dtype) -> np.ndarray:
    if len(data) % dtype.itemsize:
        raise ValueError(
            f"{name} has {len(data)} bytes; expected a multiple of {dtype.itemsize}, its record"
        )
    return np.frombuffer(bytes(data), dtype)
