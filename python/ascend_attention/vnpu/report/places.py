# SPDX-License-Identifier: Apache-2.0
"""Where the time goes by source place: instructions and waits summed over all cores."""

from __future__ import annotations

from typing import Any

import numpy as np

from ascend_attention.vnpu.timeline import PIPES, WAIT_CAUSES, Timeline

_KINDS = np.array([0, 1, 1])  # by role: AIC, AIV
_KIND_NAMES = ("AIC", "AIV")
_NOT_WAITS = [WAIT_CAUSES.index("launch"), WAIT_CAUSES.index("done")]


def busiest(timeline: Timeline, limit: int) -> list[dict[str, Any]]:
    """Returns the places with the most working time: pipe, intrinsic, site, count, bytes, time."""
    spans = timeline.spans
    lengths = spans["end_ps"] - spans["begin_ps"]
    groups = np.stack([_pipe_kind(timeline, spans["lane"]), spans["insn"], spans["site"]], axis=1)
    rows = []
    for key, members, total in _largest(groups, lengths, limit):
        rows.append(
            {
                "pipe": _pipe_name(int(key[0])),
                "intrinsic": timeline.insn_names[int(key[1])],
                "site": int(key[2]),
                "count": len(members),
                "bytes": int(spans["bytes"][members].sum()),
                "total_ps": total,
            }
        )
    return rows


def longest_waits(timeline: Timeline, limit: int) -> list[dict[str, Any]]:
    """Returns the places with the most waiting time: pipe, cause, site, count, time."""
    waits = timeline.waits[~np.isin(timeline.waits["cause"], _NOT_WAITS)]
    lengths = waits["end_ps"] - waits["begin_ps"]
    groups = np.stack([_pipe_kind(timeline, waits["lane"]), waits["cause"], waits["site"]], axis=1)
    return [
        {
            "pipe": _pipe_name(int(key[0])),
            "cause": WAIT_CAUSES[int(key[1])],
            "site": int(key[2]),
            "count": len(members),
            "total_ps": total,
        }
        for key, members, total in _largest(groups, lengths, limit)
    ]


def _pipe_kind(timeline: Timeline, lane: np.ndarray) -> np.ndarray:
    """One number per pipe of a kind of core."""
    lanes = timeline.lanes
    return (_KINDS[lanes["role"]] * len(PIPES) + lanes["pipe"])[lane].astype(np.int64)


def _pipe_name(number: int) -> str:
    return f"{_KIND_NAMES[number // len(PIPES)]}.{PIPES[number % len(PIPES)]}"


def _largest(
    groups: np.ndarray, lengths: np.ndarray, limit: int
) -> list[tuple[np.ndarray, np.ndarray, int]]:
    """(key, indices, summed length) of the groups with the largest sums; ties by key."""
    if not len(groups):
        return []
    keys, group_of = np.unique(groups, axis=0, return_inverse=True)
    group_of = group_of.reshape(-1)
    sums = np.zeros(len(keys), np.int64)
    np.add.at(sums, group_of, lengths)
    largest = np.argsort(-sums, kind="stable")[:limit]
    return [(keys[group], np.flatnonzero(group_of == group), int(sums[group])) for group in largest]
