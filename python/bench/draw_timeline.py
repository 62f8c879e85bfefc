# SPDX-License-Identifier: Apache-2.0
"""Draws the modelled course of a decode on one core as an SVG: ascend_kernels/decode/timeline.svg.

    ./bazelw run //python/bench:draw_timeline -- -o ascend_kernels/decode/timeline.svg

Everything in the picture is modelled. For all cores, zoom and numbers: `ascend-attention trace`.
"""

from __future__ import annotations

import argparse
import html
import os
import pathlib
from collections.abc import Iterator

import ascend_attention_reference as reference
import numpy as np
from ascend_attention.vnpu import Timeline
from ascend_attention.vnpu.timeline import PIPES, ROLES, WAIT_CAUSES
from decode_figures import timelines
from decode_suites import case_line

_CASE = case_line([16384])
_BLOCK = 12

# Lanes from top to bottom, as data passes them.
_LANES = (
    ("AIC", "S", "cube: scalar"),
    ("AIC", "MTE2", "GM to L1"),
    ("AIC", "MTE1", "L1 to L0"),
    ("AIC", "M", "mmad"),
    ("AIC", "FIX", "L0C to GM"),
    ("AIV0", "S", "vector: scalar"),
    ("AIV0", "MTE2", "GM to UB"),
    ("AIV0", "V", "vector unit"),
    ("AIV0", "MTE3", "UB to GM"),
)

# (part of the name of a function on the way to the instruction, phase): the first that fits.
_PHASES = (
    ("ascend_kernels/combine/", "merge of partials"),
    ("LoadKeys", "K"),
    ("LoadValues", "V"),
    ("ComputeScores", "S = Q K^T"),
    ("ComputeOTile", "O = P V"),
    ("LoadProbs", "P"),
    ("LoadQuery", "Q"),
    ("ComputeProbs", "softmax"),
    ("AccumulateOutput", "rescale, store"),
    ("::Accumulate)", "rescale, store"),  # of decode_fifo, as WriteResult
    ("WriteResult", "rescale, store"),
)
_COLOURS = {
    "K": "#4477aa",
    "V": "#66ccee",
    "Q": "#222222",
    "P": "#aa3377",
    "S = Q K^T": "#4477aa",
    "O = P V": "#66ccee",
    "softmax": "#aa3377",
    "rescale, store": "#ccbb44",
    "merge of partials": "#ee6677",
    "load by the scalar unit": "#bbbbbb",
    "launch": "#eeeeee",
    "signal": "#228833",
}
_LEGEND = (
    ("K", "K: load, S = Q K^T"),
    ("V", "V: load, O = P V"),
    ("P", "P: softmax, load"),
    ("rescale, store", "rescale, store"),
    ("merge of partials", "merge of partials"),
    ("signal", "signal"),
    ("load by the scalar unit", "scalar load of GM"),
    ("launch", "launch"),
)

_LEFT, _WIDTH, _TOP, _LANE_HEIGHT, _BAR = 104, 880, 44, 22, 14
_GAP_PS = 60_000  # marks of one phase that are closer are drawn as one


def main() -> None:
    """Writes the picture."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--case", default=_CASE)
    parser.add_argument("--block", type=int, default=_BLOCK, help="which core")
    parser.add_argument("-o", "--output", required=True, metavar="FILE")
    args = parser.parse_args()
    (timeline,) = timelines(reference.parse_case(args.case))
    if not 0 <= args.block < timeline.num_blocks:
        parser.error(f"--block {args.block}; the launch has blocks 0 to {timeline.num_blocks - 1}")
    path = pathlib.Path(os.environ.get("BUILD_WORKING_DIRECTORY", ""), args.output).expanduser()
    path.write_text(draw(timeline, args.block, args.case))


def draw(timeline: Timeline, block: int, case: str) -> str:
    """Returns the SVG of one block."""
    scale = _WIDTH / timeline.total_ps
    height = _TOP + len(_LANES) * _LANE_HEIGHT + 60
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_LEFT + _WIDTH + 16} {height}" '
        'font-family="sans-serif" font-size="11">',
        '<rect width="100%" height="100%" fill="white"/>',
        _text(8, 16, f"modelled, not measured: core {block} of {timeline.num_blocks}, {case}"),
    ]
    for row, (_, _, name) in enumerate(_LANES):
        parts.append(_text(8, _TOP + row * _LANE_HEIGHT + 11, name))
    parts += _axis(timeline.total_ps, scale)
    rows = _rows_of_lanes(timeline, block)
    for lane, row in rows.items():
        y = _TOP + row * _LANE_HEIGHT
        for begin, end, phase in _merged(_marks(timeline, lane)):
            width = max((end - begin) * scale, 0.4)
            parts.append(
                f'<rect x="{_LEFT + begin * scale:.1f}" y="{y}" width="{width:.1f}" '
                f'height="{_BAR}" fill="{_COLOURS[phase]}"/>'
            )
    parts += _signals(timeline, rows, scale)
    parts += _legend(height - 12)
    return "\n".join([*parts, "</svg>"]) + "\n"


def _text(x: float, y: float, text: str) -> str:
    return f'<text x="{x:.0f}" y="{y:.0f}">{html.escape(text)}</text>'


def _axis(total_ps: int, scale: float) -> Iterator[str]:
    bottom = _TOP + len(_LANES) * _LANE_HEIGHT
    step = 5 if total_ps < 100_000_000 else 20
    for us in range(0, total_ps // 1_000_000 + 1, step):
        x = _LEFT + us * 1_000_000 * scale
        yield f'<path d="M{x:.1f} {_TOP - 6}V{bottom}" stroke="#dddddd"/>'
        yield _text(x - 6, _TOP - 10, f"{us} us" if us else "0")


def _rows_of_lanes(timeline: Timeline, block: int) -> dict[int, int]:
    rows = {(role, pipe): row for row, (role, pipe, _) in enumerate(_LANES)}
    found = {}
    for index, lane in enumerate(timeline.lanes):
        key = (ROLES[lane["role"]], PIPES[lane["pipe"]])
        if lane["block"] == block and key in rows:
            found[index] = rows[key]
    return found


def _marks(timeline: Timeline, lane: int) -> Iterator[tuple[int, int, str]]:
    """(begin, end, phase) of a lane: work with what sharing HBM and L2 adds, and scalar loads."""
    is_scalar = PIPES[timeline.lanes[lane]["pipe"]] == "S"
    waits = timeline.waits[timeline.waits["lane"] == lane]
    for wait in waits:
        cause = WAIT_CAUSES[wait["cause"]]
        if is_scalar and cause in ("scalar_gm", "launch"):
            phase = "launch" if cause == "launch" else "load by the scalar unit"
            yield int(wait["begin_ps"]), int(wait["end_ps"]), phase
        elif not is_scalar and cause in ("hbm", "l2"):
            phase = _phase(timeline.sites[wait["site"]])
            if phase:
                yield int(wait["begin_ps"]), int(wait["end_ps"]), phase
    if is_scalar:
        return
    for span in timeline.spans[timeline.spans["lane"] == lane]:
        phase = _phase(timeline.sites[span["site"]])
        if phase:
            yield int(span["begin_ps"]), int(span["end_ps"]), phase


def _phase(site: str) -> str | None:
    return next((phase for part, phase in _PHASES if part in site), None)


def _merged(marks: Iterator[tuple[int, int, str]]) -> list[tuple[int, int, str]]:
    made: list[tuple[int, int, str]] = []
    for begin, end, phase in sorted(marks):
        if made and made[-1][2] == phase and begin - made[-1][1] < _GAP_PS:
            made[-1] = (made[-1][0], max(end, made[-1][1]), phase)
        elif end > begin:
            made.append((begin, end, phase))
    return made


def _signals(timeline: Timeline, rows: dict[int, int], scale: float) -> Iterator[str]:
    arrows = timeline.arrows[timeline.arrows["cross_core"] == 1]
    mine = [lane for lane in rows]
    for arrow in arrows[np.isin(arrows["from"], mine) & np.isin(arrows["to"], mine)]:
        points = []
        for lane, time in (("from", "begin_ps"), ("to", "end_ps")):
            y = _TOP + rows[int(arrow[lane])] * _LANE_HEIGHT + _BAR / 2
            points.append(f"{_LEFT + int(arrow[time]) * scale:.1f} {y:.0f}")
        yield f'<path d="M{points[0]}L{points[1]}" stroke="{_COLOURS["signal"]}"/>'


def _legend(y: int) -> Iterator[str]:
    x = 8.0
    for phase, text in _LEGEND:
        yield f'<rect x="{x:.0f}" y="{y - 9}" width="10" height="10" fill="{_COLOURS[phase]}"/>'
        yield _text(x + 14, y, text)
        x += 28 + 6.2 * len(text)


if __name__ == "__main__":
    main()
