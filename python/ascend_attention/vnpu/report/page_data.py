# SPDX-License-Identifier: Apache-2.0
"""What the page shows, as one string for it: base64 of deflated bytes.

The bytes are the length of a JSON header (4, little-endian), the header, and columns of numbers.
A column of n numbers of w bytes is stored as w planes of n bytes, lowest bytes first, which
deflates well; assets/data.js is the reader.
"""

from __future__ import annotations

import base64
import dataclasses
import json
import zlib
from typing import TYPE_CHECKING, Any

import numpy as np

from ascend_attention.vnpu.report import places, summary, text
from ascend_attention.vnpu.timeline import PIPES, ROLES, WAIT_CAUSES, Timeline

if TYPE_CHECKING:
    from ascend_attention.vnpu.findings import Report

# Instructions and waits that a page holds; a browser keeps about 60 bytes for each.
DEFAULT_MAX_ITEMS = 1_500_000

# Cells over the launch of a lane whose single instructions are left out.
_HEAT_CELLS = 600
_PLACES = 15


class _Columns:
    """Bytes behind the header; a column is known by [offset, count, width]."""

    def __init__(self) -> None:
        self.data = bytearray()

    def add(self, values: np.ndarray) -> list[int]:
        if len(values) and int(values.min()) < 0:
            raise ValueError(
                f"a column holds {int(values.min())}; columns hold no negative numbers"
            )
        top = int(values.max()) if len(values) else 0
        width = max(1, (top.bit_length() + 7) // 8)
        planes = values.astype("<u8").view(np.uint8).reshape(-1, 8)[:, :width]
        offset = len(self.data)
        self.data += np.ascontiguousarray(planes.T).tobytes()
        return [offset, len(values), width]


def encode(
    report: Report, *, title: str, kv_bytes: int | None, max_items: int = DEFAULT_MAX_ITEMS
) -> str:
    """Returns the data of the page for a report."""
    columns = _Columns()
    timed = report.timelines
    header = {
        "title": title,
        "verdict": report.verdict,
        "verdict_line": text.verdict_line(report),
        "checks": list(report.checks),
        "faults": [launch.fault for launch in report.launches if launch.fault is not None],
        "findings": [dataclasses.asdict(finding) for finding in report.findings],
        "usage": [dataclasses.asdict(region) for region in report.usage],
        "pipes": PIPES,
        "roles": ROLES,
        "causes": WAIT_CAUSES,
        "figures": _figures(timed, kv_bytes) if timed else None,
        "launches": [
            _launch(timeline, columns, kv_bytes if len(timed) == 1 else None, max_items)
            for timeline in timed
        ],
    }
    head = json.dumps(header, separators=(",", ":"), allow_nan=False).encode()
    raw = len(head).to_bytes(4, "little") + head + bytes(columns.data)
    return base64.b64encode(zlib.compress(raw, 6)).decode("ascii")


def _figures(timelines: list[Timeline], kv_bytes: int | None) -> dict[str, Any]:
    figures = summary.summarize(timelines, kv_bytes=kv_bytes)
    return {**figures, "bound_line": summary.bound_line(figures)}


def _launch(
    timeline: Timeline, columns: _Columns, kv_bytes: int | None, max_items: int
) -> dict[str, Any]:
    working = summary.block_working_ps(timeline)
    shown, until_ps = _shown_blocks(timeline, working, max_items)
    shown_lane = np.isin(timeline.lanes["block"], shown)
    return {
        "kernel": timeline.kernel,
        "soc": timeline.soc,
        "num_blocks": timeline.num_blocks,
        "total_ps": timeline.total_ps,
        "launch_ps": timeline.launch_ps,
        "peak_hbm_bytes_per_s": timeline.peak_hbm_bytes_per_s,
        "peak_flops": timeline.peak_flops,
        "hbm_bytes": timeline.hbm_bytes,
        "mad_flops": timeline.mad_flops,
        "figures": _figures([timeline], kv_bytes),
        "lanes": [
            [int(row["block"]), int(row["role"]), int(row["pipe"])] for row in timeline.lanes
        ],
        "busy_ps": timeline.totals["busy_ps"].tolist(),
        "wait_ps": timeline.totals["wait_ps"].tolist(),
        "working_ps": {str(block): time for block, time in working.items()},
        "favourites": favourite_blocks(working),
        "shown_blocks": shown,
        "shown_until_ps": until_ps,
        "num_spans": len(timeline.spans),
        "sites": timeline.sites,
        "insns": timeline.insn_names,
        "busiest": places.busiest(timeline, _PLACES),
        "longest_waits": places.longest_waits(timeline, _PLACES),
        "spans": _span_columns(timeline, columns, shown_lane, until_ps),
        "waits": _wait_columns(timeline, columns, shown_lane, until_ps),
        "arrows": _arrow_columns(timeline, columns, shown_lane, until_ps),
        "heat": _heat(timeline, columns, shown_lane if until_ps is None else shown_lane & False),
    }


def favourite_blocks(working: dict[int, int]) -> list[int]:
    """Returns the blocks worth a look first: the slowest, the one in the middle, the first."""
    if not working:
        return []
    by_time = sorted(working, key=lambda block: (-working[block], block))
    return list(dict.fromkeys([by_time[0], by_time[len(by_time) // 2], min(working)]))


def _shown_blocks(
    timeline: Timeline, working: dict[int, int], max_items: int
) -> tuple[list[int], int | None]:
    """Which blocks come with every instruction, and up to when (None: to the end).

    Favourites first, then by number, while they fit. If not even the first fits, its begin does.
    """
    lane_block = timeline.lanes["block"].astype(np.int64)
    size = len(lane_block) and int(lane_block.max()) + 1
    items = np.bincount(lane_block[timeline.spans["lane"]], minlength=size)
    items += np.bincount(lane_block[timeline.waits["lane"]], minlength=size)
    favourites = favourite_blocks(working)
    shown: list[int] = []
    used = 0
    for block in [*favourites, *sorted(set(working) - set(favourites))]:
        if shown and used + items[block] > max_items:
            break
        shown.append(block)
        used += int(items[block])
    if used <= max_items:
        return sorted(shown), None
    begins = np.sort(timeline.spans["begin_ps"][np.isin(lane_block[timeline.spans["lane"]], shown)])
    return shown, int(begins[min(len(begins) - 1, len(begins) * max_items // used)])


def _begins(lane: np.ndarray, begin: np.ndarray) -> np.ndarray:
    """Begin times as distances from the one before on the same lane."""
    steps = np.diff(begin, prepend=0)
    first = np.diff(lane.astype(np.int64), prepend=-1) != 0
    steps[first] = begin[first]
    return steps


def _kept(rows: np.ndarray, shown_lane: np.ndarray, until_ps: int | None) -> np.ndarray:
    keep = shown_lane[rows["lane"]]
    if until_ps is not None:
        keep &= rows["begin_ps"] < until_ps
    return rows[keep]


def _span_columns(
    timeline: Timeline, columns: _Columns, shown_lane: np.ndarray, until_ps: int | None
) -> dict[str, list[int]]:
    rows = _kept(timeline.spans, shown_lane, until_ps)
    return {
        "per_lane": columns.add(np.bincount(rows["lane"], minlength=len(timeline.lanes))),
        "begin": columns.add(_begins(rows["lane"], rows["begin_ps"])),
        "length": columns.add(rows["end_ps"] - rows["begin_ps"]),
        "tail": columns.add(np.maximum(rows["done_ps"] - rows["end_ps"], 0)),
        "bytes": columns.add(rows["bytes"]),
        "site": columns.add(rows["site"]),
        "insn": columns.add(rows["insn"]),
    }


def _wait_columns(
    timeline: Timeline, columns: _Columns, shown_lane: np.ndarray, until_ps: int | None
) -> dict[str, list[int]]:
    rows = _kept(timeline.waits, shown_lane, until_ps)
    return {
        "per_lane": columns.add(np.bincount(rows["lane"], minlength=len(timeline.lanes))),
        "begin": columns.add(_begins(rows["lane"], rows["begin_ps"])),
        "length": columns.add(rows["end_ps"] - rows["begin_ps"]),
        "cause": columns.add(rows["cause"]),
        "site": columns.add(np.minimum(rows["site"], len(timeline.sites))),
        "from": columns.add(rows["from"]),
    }


def _arrow_columns(
    timeline: Timeline, columns: _Columns, shown_lane: np.ndarray, until_ps: int | None
) -> dict[str, list[int]]:
    rows = timeline.arrows
    keep = shown_lane[rows["from"]] & shown_lane[rows["to"]]
    if until_ps is not None:
        keep &= rows["end_ps"] < until_ps
    rows = rows[keep]
    return {
        "begin": columns.add(np.diff(rows["begin_ps"], prepend=0)),
        "length": columns.add(np.maximum(rows["end_ps"] - rows["begin_ps"], 0)),
        "from": columns.add(rows["from"]),
        "to": columns.add(rows["to"]),
        "id": columns.add(rows["id"]),
        "cross_core": columns.add(rows["cross_core"]),
    }


def _heat(timeline: Timeline, columns: _Columns, shown_lane: np.ndarray) -> dict[str, list[int]]:
    """By lane that is not shown: share of each part of the launch that it works, 0 to 255."""
    edges = np.linspace(0.0, float(timeline.total_ps), _HEAT_CELLS + 1)
    slowed = [WAIT_CAUSES.index(cause) for cause in summary.SLOWED_CAUSES]
    heat = {}
    for lane in np.flatnonzero(~shown_lane):
        spans = timeline.spans[timeline.spans["lane"] == lane]
        waits = timeline.waits[timeline.waits["lane"] == lane]
        waits = waits[np.isin(waits["cause"], slowed)]
        covered = _covered(spans, edges) + _covered(waits, edges)
        share = np.clip(covered / (edges[1] - edges[0]), 0.0, 1.0)
        heat[str(lane)] = columns.add(np.rint(share * 255).astype(np.int64))
    return heat


def _covered(rows: np.ndarray, edges: np.ndarray) -> np.ndarray:
    """Time that sorted, disjoint rows cover between each two edges."""
    if not len(rows):
        return np.zeros(len(edges) - 1)
    lengths = np.cumsum(rows["end_ps"] - rows["begin_ps"])
    times = np.stack([rows["begin_ps"], rows["end_ps"]], axis=1).reshape(-1)
    sums = np.stack([np.concatenate([[0], lengths[:-1]]), lengths], axis=1).reshape(-1)
    return np.diff(np.interp(edges, times.astype(np.float64), sums.astype(np.float64)))
