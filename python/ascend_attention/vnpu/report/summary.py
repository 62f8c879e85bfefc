# SPDX-License-Identifier: Apache-2.0
"""The figures of timelines that people and programs ask for. Modelled, not measured.

Keys of `summarize`; a fraction is of the launch time and a mean over all lanes of a pipe:

    source            "model"
    soc               chip that was modelled
    time_us           all launches with their launch cost, as a profiler would show them
    launch_us         launch cost in it
    kv_bytes          as given by the caller; null if not given
    kv_tb_per_s       kv_bytes / time_us; null without kv_bytes
    gm_read_bytes, gm_write_bytes   asked for by the instructions
    hbm_bytes         moved between HBM and L2, both ways
    l2_hit_bytes      of gm_read_bytes
    hbm_tb_per_s      hbm_bytes / time_us
    tflops            multiply-adds of the cube without padding, two flops each
    imbalance         working time of the slowest block / mean of the blocks; 1 is perfect
    bound             "hbm", "cube", "pipe", "launch" or "latency"; see `_bound`
    bound_pipe        the busiest pipe, such as "AIC.MTE2"
    roofline          hbm_fraction, cube_fraction, peak_hbm_tb_per_s, peak_tflops,
                      flop_per_byte (null without HBM traffic)
    pipes             by name, in the order that data passes them: lanes (of a launch), busy,
                      busy_max (of one lane), slowed (the part of transfers owed to HBM and L2 that
                      others use too), exposed_wait (standing still between begin and end of its
                      core), idle (before and after), waits (by cause)
    launches          kernel, num_blocks, time_us, launch_us, imbalance of each
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ascend_attention.vnpu.timeline import PIPES, WAIT_CAUSES, Timeline

if TYPE_CHECKING:
    from ascend_attention.vnpu.findings import Report

# Causes that do not stop a pipe but slow it, and those outside the life of its core.
SLOWED_CAUSES = ("hbm", "l2")
IDLE_CAUSES = ("launch", "done")
_SLOWED = [WAIT_CAUSES.index(cause) for cause in SLOWED_CAUSES]
_IDLE = [WAIT_CAUSES.index(cause) for cause in IDLE_CAUSES]
_LAUNCH = WAIT_CAUSES.index("launch")
_KINDS = ("AIC", "AIV", "AIV")  # by role
_FLOW = ("S", "MTE2", "MTE1", "M", "V", "FIX", "MTE3")  # the way that data takes

# From here on a resource is what limits a launch.
_BOUND_FRACTION = 0.5
_PIPE_BOUND_FRACTION = 0.75


def summarize(timelines: Sequence[Timeline], *, kv_bytes: int | None = None) -> dict[str, Any]:
    """Returns the figures of launches that ran one after the other.

    Raises:
        ValueError: there is no timeline.
    """
    if not timelines:
        raise ValueError("no launch has a timeline; launch with timing on")
    seconds = sum(t.total_ps for t in timelines) * 1e-12
    pipes = _pipes(timelines)
    roofline = _roofline(timelines, seconds)
    bound, bound_pipe = _bound(timelines, roofline, pipes)
    return {
        "source": "model",
        "soc": timelines[0].soc,
        "time_us": _rounded(seconds * 1e6),
        "launch_us": _rounded(sum(t.launch_ps for t in timelines) * 1e-6),
        "kv_bytes": kv_bytes,
        "kv_tb_per_s": None if kv_bytes is None else _rate(kv_bytes, seconds),
        "gm_read_bytes": sum(t.gm_read_bytes for t in timelines),
        "gm_write_bytes": sum(t.gm_write_bytes for t in timelines),
        "hbm_bytes": sum(t.hbm_bytes for t in timelines),
        "l2_hit_bytes": sum(t.l2_hit_bytes for t in timelines),
        "hbm_tb_per_s": _rate(sum(t.hbm_bytes for t in timelines), seconds),
        "tflops": _rate(sum(t.mad_flops for t in timelines), seconds),
        "imbalance": _imbalance(timelines),
        "bound": bound,
        "bound_pipe": bound_pipe,
        "roofline": roofline,
        "pipes": pipes,
        "launches": [
            {
                "kernel": t.kernel,
                "num_blocks": t.num_blocks,
                "time_us": _rounded(t.total_ps * 1e-6),
                "launch_us": _rounded(t.launch_ps * 1e-6),
                "imbalance": _imbalance([t]),
            }
            for t in timelines
        ],
    }


def report_dict(report: Report, *, kv_bytes: int | None = None) -> dict[str, Any]:
    """Returns a report as JSON types: verdict, checks, launches, usage, timing (null without)."""
    return {
        "verdict": report.verdict,
        "checks": list(report.checks),
        "launches": [
            {
                "kernel": launch.kernel,
                "num_blocks": launch.num_blocks,
                "verdict": launch.verdict,
                "fault": launch.fault,
                "notes": launch.notes,
                "findings": [dataclasses.asdict(finding) for finding in launch.findings],
            }
            for launch in report.launches
        ],
        "usage": [dataclasses.asdict(region) for region in report.usage],
        "timing": summarize(report.timelines, kv_bytes=kv_bytes) if report.timelines else None,
    }


def bound_line(figures: dict[str, Any]) -> str:
    """Returns what limits a launch, as "HBM-bound: 78 % of 1.30 TB/s modelled"."""
    roofline, pipe = figures["roofline"], figures["bound_pipe"]
    hbm = f"{_percent(roofline['hbm_fraction'])} of {roofline['peak_hbm_tb_per_s']:.2f} TB/s"
    if figures["bound"] == "hbm":
        return f"HBM-bound: {hbm} modelled"
    if figures["bound"] == "cube":
        peak = roofline["peak_tflops"]
        share = _percent(roofline["cube_fraction"])
        return f"cube-bound: {share} of {peak:.0f} TFLOPS modelled"
    if figures["bound"] == "launch":
        share = _percent(figures["launch_us"] / figures["time_us"])
        return f"launch-bound: {share} of {figures['time_us']:.1f} us is launch cost, modelled"
    if figures["bound"] == "pipe":
        row = figures["pipes"][pipe]
        share = _percent(row["busy"] + row["slowed"])
        return f"{pipe}-bound: it works {share} of the time, HBM at {hbm}, modelled"
    row = figures["pipes"].get(pipe)
    share = _percent(row["exposed_wait"] if row else 0.0)
    return f"latency-bound: {pipe} waits {share} of the time, HBM at {hbm}, modelled"


def block_working_ps(timeline: Timeline) -> dict[int, int]:
    """Returns by block the time from the begin of its cores to the end of its last one."""
    head = np.zeros(len(timeline.cores), np.int64)
    # Lanes of a core begin together, so any of them tells the core's begin.
    head[timeline.lane_core] = timeline.totals["wait_ps"][:, _LAUNCH]
    working: dict[int, int] = {}
    for core, (block, _) in enumerate(timeline.cores):
        own = int(timeline.core_end_ps[core] - head[core])
        working[block] = max(working.get(block, 0), own)
    return working


def _imbalance(timelines: Sequence[Timeline]) -> float:
    slowest = mean = 0.0
    for timeline in timelines:
        working = list(block_working_ps(timeline).values())
        if working:
            slowest += max(working)
            mean += sum(working) / len(working)
    return _rounded(slowest / mean) if mean > 0 else 1.0


def _pipes(timelines: Sequence[Timeline]) -> dict[str, dict[str, Any]]:
    rows: dict[tuple[str, int], list[np.ndarray]] = {}  # by kind of core and pipe: a row per lane
    for timeline in timelines:
        for lane, totals in zip(timeline.lanes, timeline.totals, strict=True):
            row = np.array([timeline.total_ps, totals["busy_ps"], *totals["wait_ps"]], np.float64)
            rows.setdefault((_KINDS[lane["role"]], int(lane["pipe"])), []).append(row)
    figures = {}
    for (kind, pipe), table in sorted(rows.items(), key=_along_the_data):
        if not any(row[1] for row in table):
            continue  # a pipe without work
        lanes = max(_lane_count(timeline, kind, pipe) for timeline in timelines)
        figures[f"{kind}.{PIPES[pipe]}"] = {"lanes": lanes, **_pipe_row(np.array(table))}
    return figures


def _along_the_data(item: tuple[tuple[str, int], object]) -> tuple[str, int]:
    kind, pipe = item[0]
    return kind, _FLOW.index(PIPES[pipe])


def _lane_count(timeline: Timeline, kind: str, pipe: int) -> int:
    return len(
        [lane for lane in timeline.lanes if (_KINDS[lane["role"]], lane["pipe"]) == (kind, pipe)]
    )


def _pipe_row(table: np.ndarray) -> dict[str, Any]:
    total, busy, waits = table[:, 0], table[:, 1], table[:, 2:]
    time = total.sum()
    shares = waits.sum(axis=0) / time
    slowed, idle = shares[_SLOWED].sum(), shares[_IDLE].sum()
    return {
        "busy": _rounded(busy.sum() / time),
        "busy_max": _rounded((busy / total).max()),
        "slowed": _rounded(slowed),
        "exposed_wait": _rounded(shares.sum() - slowed - idle),
        "idle": _rounded(idle),
        "waits": {cause: _rounded(share) for cause, share in zip(WAIT_CAUSES, shares, strict=True)},
    }


def _roofline(timelines: Sequence[Timeline], seconds: float) -> dict[str, Any]:
    peak_hbm = timelines[0].peak_hbm_bytes_per_s
    peak_flops = timelines[0].peak_flops
    hbm_bytes = sum(t.hbm_bytes for t in timelines)
    flops = sum(t.mad_flops for t in timelines)
    return {
        "hbm_fraction": _rounded(hbm_bytes / seconds / peak_hbm) if peak_hbm else 0.0,
        "cube_fraction": _rounded(flops / seconds / peak_flops) if peak_flops else 0.0,
        "peak_hbm_tb_per_s": _rounded(peak_hbm * 1e-12),
        "peak_tflops": _rounded(peak_flops * 1e-12),
        "flop_per_byte": _rounded(flops / hbm_bytes) if hbm_bytes else None,
    }


def _bound(
    timelines: Sequence[Timeline], roofline: dict[str, Any], pipes: dict[str, dict[str, Any]]
) -> tuple[str, str | None]:
    """What limits: a roof of which half is used while cores work, or a pipe, or neither.

    More than half launch cost is "launch"; a pipe that works three quarters of the cores' time
    is "pipe"; "latency" is what remains: pipes waiting for each other.
    """
    work = {name: row["busy"] + row["slowed"] for name, row in pipes.items()}
    busiest = max(work, key=lambda name: work[name], default=None)
    launch = sum(t.launch_ps for t in timelines) / sum(t.total_ps for t in timelines)
    if launch > _BOUND_FRACTION:
        return "launch", busiest
    roofs = {name: roofline[f"{name}_fraction"] / (1 - launch) for name in ("hbm", "cube")}
    highest = max(roofs, key=lambda name: roofs[name])
    if roofs[highest] >= _BOUND_FRACTION:
        return highest, busiest
    if busiest is not None and work[busiest] >= _PIPE_BOUND_FRACTION * (1 - pipes[busiest]["idle"]):
        return "pipe", busiest
    return "latency", busiest


def _rate(amount: float, seconds: float) -> float:
    """In units of 1e12 a second."""
    return _rounded(amount / seconds * 1e-12)


def _rounded(value: float) -> float:
    """Six digits after the point: what is shown and stored is the same on every host."""
    return round(float(value), 6)


def _percent(fraction: float) -> str:
    return f"{fraction * 100:.0f} %"
