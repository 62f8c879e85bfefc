# SPDX-License-Identifier: Apache-2.0
"""Models the time of rows on the virtual NPU, and holds the figures against the targets.

Only the shape of a problem decides about its modelled time. So nothing is written to the caches:
their pages are reserved and stay the operating system's one page of zeros, and 34 GB of keys and
values take no memory. Unless a row says otherwise, no kv block is used twice and L2 is empty at the
start.

Next: decode_table.py - what is printed.
"""

from __future__ import annotations

import concurrent.futures
import dataclasses
import math
import multiprocessing
import os
from collections.abc import Callable, Collection, Iterable
from typing import Any

import ascend_attention_reference as reference
import decode_suites as suites
import fifo_variants
import numpy as np
from decode_suites import Row

# Before the first call of the package: it reads them once.
os.environ.setdefault("ASCEND_ATTENTION_ACL_LIBRARY", "vnpu")
os.environ["ASCEND_ATTENTION_VNPU_SOC"] = _SOC = "Ascend910B1"

from ascend_attention import DecodeAttention, DeviceArray, vnpu
from ascend_attention.vnpu.timeline import WAIT_CAUSES


@dataclasses.dataclass(frozen=True)
class Figures:
    """Modelled figures of a case; none is measured.

    Attributes:
        modelled_us: all launches, launch cost included.
        imbalance: time from the first cube core's begin to the last one's end over the mean of
            the cube cores' times.
        kernels: name and blocks of each launch.
        bound: what limits: hbm, cube, pipe, launch or latency.
    """

    modelled_us: float
    imbalance: float
    kernels: tuple[str, ...] = ()
    bound: str = ""


@dataclasses.dataclass(frozen=True)
class Target:
    """A figure and what is asked of it: to lie from `low` to `high`."""

    name: str
    value: float
    low: float
    high: float

    @property
    def met(self) -> bool:
        """Whether it does; not if there is no figure, a NaN."""
        return self.low <= self.value <= self.high


@dataclasses.dataclass(frozen=True)
class Result:
    """A row with its figures. `error` says why there are none."""

    row: Row
    figures: Figures | None
    other: Figures | None = None  # of row.other
    error: str = ""

    @property
    def kv_bytes(self) -> int:
        """Keys and values in context."""
        return suites.kv_bytes(reference.parse_case(self.row.case))

    @property
    def tb_per_s(self) -> float:
        """Of keys and values, over the whole modelled time."""
        assert self.figures is not None
        return self.kv_bytes / self.figures.modelled_us * 1e-6

    @property
    def net_tb_per_s(self) -> float:
        """Of keys and values, over the modelled time in which a kernel can load."""
        assert self.figures is not None
        return self.kv_bytes / (self.figures.modelled_us - suites.FIXED_US) * 1e-6

    @property
    def speedup(self) -> float | None:
        """Published over modelled time; None without a published one."""
        if self.figures is None or self.row.published_us is None:
            return None
        return self.row.published_us / self.figures.modelled_us

    @property
    def relative(self) -> float | None:
        """Modelled time over that of row.other."""
        if self.figures is None or self.other is None:
            return None
        return self.figures.modelled_us / self.other.modelled_us

    def targets(self) -> list[Target]:
        """What is asked of the row; all of it missed if there are no figures."""
        return [self._target(name) for name in self.row.targets]

    def _target(self, name: str) -> Target:
        low, high = {
            "rate": (suites.MIN_TB_PER_S, math.inf),
            "small": (0.0, suites.MAX_SMALL),
            "published": (suites.MIN_SPEEDUP, math.inf),
            "makespan": (0.0, suites.MAX_MAKESPAN),
            "int8": (suites.MIN_INT8_SPEEDUP, math.inf),
            "near": (-suites.MAX_OFF_PUBLISHED, suites.MAX_OFF_PUBLISHED),
            "gain1": suites.GAIN1,
            "gain2": suites.GAIN2,
            "order": (0.0, suites.MAX_OF_LAST),
            "direct": (0.0, suites.MAX_OF_DIRECT),
            "fifo": (0.0, suites.MAX_OF_FIFO),
        }[name]
        return Target(name, math.nan if self.figures is None else self._value(name), low, high)

    def _value(self, name: str) -> float:
        assert self.figures is not None
        if name == "rate":
            return self.net_tb_per_s
        if name == "small":
            floor_us = suites.LAUNCH_US + self.kv_bytes / suites.MIN_TB_PER_S * 1e-6
            return self.figures.modelled_us / floor_us
        if name in ("published", "near"):
            assert self.speedup is not None, f"{self.row.case} has no published time"
            return self.speedup if name == "published" else 1 / self.speedup - 1
        assert self.relative is not None, f"{self.row.case} has no row to compare with"
        if name.startswith("gain"):
            return 1 - self.relative
        return 1 / self.relative if name == "int8" else self.relative


def model(rows: Iterable[Row], *, jobs: int = 1) -> list[Result]:
    """Models rows and the cases that they are compared with, each of them once.

    A problem that the library refuses has no figures and says why.
    """
    rows = list(rows)
    wanted = {row.key for row in rows} | {row.other for row in rows if row.other}
    # Largest first, so that no long one is left for the end.
    order = sorted(wanted, key=lambda key: (-_cost(key), key))
    if jobs == 1 or len(order) == 1:
        made = [_try_key(key) for key in order]
    else:
        # New processes: a simulated device does not survive a fork.
        context = multiprocessing.get_context("spawn")
        with concurrent.futures.ProcessPoolExecutor(jobs, mp_context=context) as pool:
            made = list(pool.map(_try_key, order))
    by_key = dict(zip(order, made, strict=True))
    return [_result(row, by_key) for row in rows]


def _cost(key: str) -> int:
    return suites.kv_bytes(reference.parse_case(key.split()[0]))


def _result(row: Row, by_key: dict[str, Figures | str]) -> Result:
    figures = by_key[row.key]
    other = by_key[row.other] if row.other else None
    for one in (figures, other):
        if isinstance(one, str):
            return Result(row, None, error=one)
    assert isinstance(figures, Figures)
    return Result(row, figures, other if isinstance(other, Figures) else None)


def _try_key(key: str) -> Figures | str:
    case, *how = key.split()
    try:
        return model_case(reference.parse_case(case), *how)
    except NotImplementedError as error:
        return str(error)


def model_case(case: reference.DecodeCase, *how: str) -> Figures:
    """Runs a case under the clock.

    Args:
        case: the problem.
        *how: "warm": a second time, of which the figures are; "drawn": kv blocks as in `_drawn`;
            "direct": with the planned kernel; a name of fifo_variants.VARIANTS: with that form of
            the decode_fifo kernel.
    """
    report = _report(case, how)
    if "warm" in how:
        half = len(report.launches) // 2
        report = dataclasses.replace(report, launches=report.launches[half:])
    return _figures(report)


def timelines(case: reference.DecodeCase, *how: str) -> list[vnpu.Timeline]:
    """The modelled course of each launch of a case, the warm ones if `how` has "warm"."""
    report = _report(case, how)
    return report.timelines[len(report.timelines) // 2 if "warm" in how else 0 :]


def _report(case: reference.DecodeCase, how: Collection[str]) -> vnpu.Report:
    runs = 2 if "warm" in how else 1
    (variant,) = [one for one in how if one in fifo_variants.VARIANTS] or [""]
    blocks = [-(-length // case.kv_block_size) for length in case.context_lens]
    tensors = _tensors(case, blocks, _drawn if "drawn" in how else _spread)
    op = DecodeAttention(
        batch=case.batch,
        num_heads=case.num_heads,
        num_kv_heads=case.num_kv_heads,
        head_dim=case.head_dim,
        kv_block_size=case.kv_block_size,
        num_kv_blocks=tensors["key_cache"].shape[0],
        max_kv_blocks=case.max_kv_blocks,
        dtype=reference.numpy_dtype(case),
        softmax_scale=case.softmax_scale,
        max_q_len=max(case.q_lens),
        kv_quant=case.kv_quant,
        kv_route="direct" if "direct" in how else case.route,
        out_dtype=case.out_dtype,
        kv_layout=case.kv_layout,
        kv_strides=_kv_strides(case, tensors["key_cache"]),
        fixed_split_tokens=case.fixed_split_tokens,
        num_cores=case.num_cores,
    )
    plan = op.plan(np.array(case.context_lens, np.int32), np.array(case.q_lens, np.int32))
    if variant:
        return fifo_variants.report(variant, plan, tensors, soc=_SOC, runs=runs)
    with vnpu.session(checks="none", timing=True) as session:
        for _ in range(runs):
            op.run(**tensors)
    return session.report


def _tensors(
    case: reference.DecodeCase, blocks: list[int], ids: Callable[[int], np.ndarray]
) -> dict[str, Any]:
    dtype = reference.numpy_dtype(case)
    query = (sum(case.q_lens), case.num_heads, case.head_dim)
    num_blocks = max(1, sum(blocks))
    keys, values = _caches(case, num_blocks)
    tensors = {
        "query": DeviceArray.empty(query, dtype),
        "key_cache": keys,
        "value_cache": values,
        "block_table": DeviceArray(_block_table(case, blocks, ids)),
        "out": DeviceArray.empty(query, np.dtype(case.out_dtype or dtype)),
    }
    if case.kv_quant == "int8_token":
        shape = (num_blocks, case.num_kv_heads, case.kv_block_size)
    else:
        shape = (case.num_kv_heads, case.head_dim)
    names = [] if case.kv_quant == "none" else ["key_scale", "value_scale"]
    if case.kv_quant == "int8_channel_asym":
        names += ["key_offset", "value_offset"]
    return tensors | {name: DeviceArray.empty(shape, np.float32) for name in names}


def _caches(case: reference.DecodeCase, num_blocks: int) -> tuple[DeviceArray, DeviceArray]:
    dtype = reference.numpy_dtype(case) if case.kv_quant == "none" else np.dtype(np.int8)
    row = [case.kv_block_size, case.num_kv_heads, case.head_dim]
    if case.headmajor:
        row[:2] = row[1::-1]
    if case.interleaved:
        pool = DeviceArray.empty((num_blocks, 2, *row), dtype)
        return pool[:, 0], pool[:, 1]
    shape = (num_blocks, *row)
    return DeviceArray.empty(shape, dtype), DeviceArray.empty(shape, dtype)


def _kv_strides(case: reference.DecodeCase, cache: DeviceArray) -> tuple[int, int, int] | None:
    """Elements from one block, token and head to the next in a slice of a pool."""
    if not case.interleaved:
        return None
    block, token, head, _ = (stride // cache.dtype.itemsize for stride in cache.strides)
    return (block, head, token) if case.headmajor else (block, token, head)


def _block_table(
    case: reference.DecodeCase, blocks: list[int], ids: Callable[[int], np.ndarray]
) -> np.ndarray:
    table = np.full((case.batch, case.max_kv_blocks), -1, np.int32)
    filled = np.arange(case.max_kv_blocks) < np.array(blocks)[:, None]
    table[filled] = ids(sum(blocks))
    return table


def _spread(count: int) -> np.ndarray:
    """Every kv block once, neighbours in a sequence far apart in memory."""
    step = next(n for n in range(int(count * 0.618) | 1, 2 * count + 2) if np.gcd(n, count) == 1)
    return np.arange(count, dtype=np.int64) * step % max(1, count)


def _drawn(count: int) -> np.ndarray:
    """As many draws as there are kv blocks: 37 % of them are never drawn, others several times."""
    bits = np.arange(1, count + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)  # splitmix64
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        bits = (bits ^ (bits >> np.uint64(shift))) * np.uint64(factor)
    return (bits >> np.uint64(32)) * np.uint64(count) >> np.uint64(32)


def _figures(report: vnpu.Report) -> Figures:
    summary = report.summary()
    return Figures(
        modelled_us=summary["time_us"],
        imbalance=round(_imbalance(report.timelines[0]), 4),
        kernels=tuple(f"{one.kernel} x {one.num_blocks}" for one in report.launches),
        bound=summary["bound"],
    )


def _imbalance(timeline: vnpu.Timeline) -> float:
    """Of the first launch, over its cube cores: they do not wait for each other."""
    begins = np.zeros(len(timeline.cores), np.int64)
    begins[timeline.lane_core] = timeline.totals["wait_ps"][:, WAIT_CAUSES.index("launch")]
    cubes = [index for index, (_, role) in enumerate(timeline.cores) if role == 0]
    work = (timeline.core_end_ps - begins)[cubes]
    return float(work.max() / work.mean())
