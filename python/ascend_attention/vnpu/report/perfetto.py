# SPDX-License-Identifier: Apache-2.0
"""Timelines in the Chrome trace format, which ui.perfetto.dev opens. Modelled, not measured.

A process per core, a thread per pipe, one complete event ("X") per instruction and per wait, a
pair of flow events ("s", "f") per flag. Launches follow each other on one time axis. Events are
sorted by time; times are microseconds with six digits, so that no picosecond is lost.

`args.source` has the innermost source lines; `otherData.sites[args.site]` all of them, with their
functions. A trace takes about 150 bytes an event: a name that ends in .json.gz makes it a tenth.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator, Sequence

import numpy as np

from ascend_attention.vnpu.timeline import PIPES, ROLES, WAIT_CAUSES, Timeline

_NOT_SHOWN = [WAIT_CAUSES.index("launch"), WAIT_CAUSES.index("done")]

_SHOWN_FRAMES = 3

# Flows must begin and end inside a slice; a picosecond before its end is the last place.
_INSIDE_PS = 1


def render(timelines: Sequence[Timeline]) -> str:
    """Returns the trace as JSON text.

    Raises:
        ValueError: there is no timeline.
    """
    if not timelines:
        raise ValueError("no launch has a timeline; launch with timing on")
    lines = [*_names(timelines), *_sorted_events(timelines)]
    other = {
        "source": "modelled by the virtual NPU, not measured",
        "soc": timelines[0].soc,
        "kernels": [timeline.kernel for timeline in timelines],
        "time_us": sum(timeline.total_ps for timeline in timelines) * 1e-6,
        "sites": [site for timeline in timelines for site in timeline.sites],
    }
    head = f'{{"displayTimeUnit":"ns","otherData":{json.dumps(other)},"traceEvents":[\n'
    return head + ",\n".join(lines) + "\n]}\n"


def source_line(site: str) -> str:
    """Returns the innermost frames of a site in one line: "a.h:1 < b.h:2"."""
    frames = (line.strip().removeprefix("at ").removeprefix("in ") for line in site.splitlines())
    places = [frame.split(" (")[0].rsplit("/", 1)[-1] for frame in frames if frame]
    return " < ".join(places[:_SHOWN_FRAMES])


def _pid(block: int, role: int) -> int:
    return block * len(ROLES) + role + 1


def _names(timelines: Sequence[Timeline]) -> Iterator[str]:
    """Metadata events: processes and threads by name, in the order of the machine."""
    lanes = {
        (int(lane["block"]), int(lane["role"]), int(lane["pipe"]))
        for timeline in timelines
        for lane in timeline.lanes
    }
    for block, role in sorted({lane[:2] for lane in lanes}):
        pid = _pid(block, role)
        for event, key, value in (
            ("process_name", "name", f"block {block} {ROLES[role]}"),
            ("process_sort_index", "sort_index", pid),
        ):
            yield json.dumps({"ph": "M", "name": event, "pid": pid, "args": {key: value}})
    for block, role, pipe in sorted(lanes):
        thread = {"ph": "M", "pid": _pid(block, role), "tid": pipe + 1}
        yield json.dumps({**thread, "name": "thread_name", "args": {"name": PIPES[pipe]}})
        yield json.dumps({**thread, "name": "thread_sort_index", "args": {"sort_index": pipe}})


def _sorted_events(timelines: Sequence[Timeline]) -> list[str]:
    events: list[tuple[int, int, str]] = []  # begin, -length: an outer slice before inner ones
    start_ps = flow = site = 0
    for timeline in timelines:
        threads = [
            f'"pid":{_pid(int(lane["block"]), int(lane["role"]))},"tid":{int(lane["pipe"]) + 1}'
            for lane in timeline.lanes
        ]
        sources = [
            f'"source":{json.dumps(source_line(text))},"site":{site + number}'
            for number, text in enumerate(timeline.sites)
        ]
        events.extend(_spans(timeline, start_ps, threads, sources))
        events.extend(_waits(timeline, start_ps, threads, sources))
        events.extend(_flows(timeline, start_ps, threads, flow))
        flow += len(timeline.arrows)
        site += len(timeline.sites)
        start_ps += timeline.total_ps
    events.sort(key=lambda event: event[:2])
    return [text for _, _, text in events]


def _us(ps: int) -> str:
    return f"{ps // 1000000}.{ps % 1000000:06d}"


def _spans(
    timeline: Timeline, start_ps: int, threads: list[str], sources: list[str]
) -> Iterator[tuple[int, int, str]]:
    names = [json.dumps(name) for name in timeline.insn_names]
    for begin, end, done, size, lane, site, insn, _ in timeline.spans.tolist():
        args = f'{sources[site]},"result_us":{_us(start_ps + done)}'
        if size:
            args += f',"bytes":{size}'
        yield (
            start_ps + begin,
            begin - end,
            f'{{"ph":"X","name":{names[insn]},"cat":"instruction",{threads[lane]},'
            f'"ts":{_us(start_ps + begin)},"dur":{_us(end - begin)},"args":{{{args}}}}}',
        )


def _waits(
    timeline: Timeline, start_ps: int, threads: list[str], sources: list[str]
) -> Iterator[tuple[int, int, str]]:
    for begin, end, lane, cause, site, by in timeline.waits.tolist():
        if cause in _NOT_SHOWN or end <= begin:
            continue
        name = WAIT_CAUSES[cause]
        args = f'"cause":"{name}"'
        if site < len(sources):
            args += f",{sources[site]}"
        if by != lane:
            args += f',"ended_by":{json.dumps(timeline.lane_name(by))}'
        yield (
            start_ps + begin,
            begin - end,
            f'{{"ph":"X","name":"wait: {name}","cat":"wait",{threads[lane]},'
            f'"ts":{_us(start_ps + begin)},"dur":{_us(end - begin)},"args":{{{args}}}}}',
        )


def _flows(
    timeline: Timeline, start_ps: int, threads: list[str], first_id: int
) -> Iterator[tuple[int, int, str]]:
    """A flow needs a slice at each end: the setter at or before it, the waiter at or after it.

    Arrows without one (nothing follows the last wait of a pipe) have no picture and are left out.
    """
    by_lane = _span_times(timeline)
    for number, row in enumerate(timeline.arrows.tolist()):
        begin, end, source, target, flag, cross_core = row
        source_ps = _at_or_before(by_lane[source], begin)
        target_ps = _at_or_after(by_lane[target], end)
        if source_ps is None or target_ps is None:
            continue
        name = f"cross-core flag {flag}" if cross_core else f"flag {flag}"
        common = f'"name":"{name}","cat":"flag","id":{first_id + number}'
        for phase, lane, at in (('"s"', source, source_ps), ('"f","bp":"e"', target, target_ps)):
            ts = start_ps + at
            yield (ts, 1, f'{{"ph":{phase},{common},{threads[lane]},"ts":{_us(ts)}}}')


def _span_times(timeline: Timeline) -> list[tuple[np.ndarray, np.ndarray]]:
    """Begins and ends of the instructions of each lane."""
    spans = timeline.spans
    order = np.lexsort((spans["begin_ps"], spans["lane"]))
    bounds = np.searchsorted(spans["lane"][order], np.arange(len(timeline.lanes) + 1))
    begins, ends = spans["begin_ps"][order], spans["end_ps"][order]
    return [(begins[low:high], ends[low:high]) for low, high in itertools.pairwise(bounds)]


def _at_or_before(times: tuple[np.ndarray, np.ndarray], ps: int) -> int | None:
    begins, ends = times
    at = int(np.searchsorted(begins, ps, side="right")) - 1
    if at < 0:
        return None
    return max(int(begins[at]), min(ps, int(ends[at]) - _INSIDE_PS))


def _at_or_after(times: tuple[np.ndarray, np.ndarray], ps: int) -> int | None:
    begins, ends = times
    at = int(np.searchsorted(ends, ps, side="right"))
    return max(int(begins[at]), ps) if at < len(begins) else None
