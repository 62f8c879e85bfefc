# SPDX-License-Identifier: Apache-2.0
"""Draws steps of each form of the decode_fifo kernel: ascend_kernels/decode_fifo/steps.svg.

    ./bazelw run //python/bench:draw_fifo -- -o ascend_kernels/decode_fifo/steps.svg

Everything in the picture is modelled; it is Case1. Also prints what a step's pipes do in Case1 and
Case2, for the budget there.
"""

from __future__ import annotations

import argparse
import dataclasses
import os
import pathlib
from collections.abc import Iterator

import ascend_attention_reference as reference
import draw_timeline as base
import numpy as np
from ascend_attention.vnpu import Timeline
from ascend_attention.vnpu.timeline import PIPES, ROLES, WAIT_CAUSES
from decode_figures import timelines
from decode_suites import case_line

# Case1 and Case2 with as many sequences as cores: their steps, without their rounds.
_OPTIONS = {"batch": 24, "kv_heads": 1, "dtype": "bf16", "options": "route-fifo:outf32"}
CASE = case_line(8192, heads=16, **_OPTIONS)
CASE2 = case_line(8192, heads=64, block=64, **_OPTIONS)
# Name, how to model it, what to look at.
FORMS = (
    (
        "Baseline",
        ("baseline",),
        "K[i] is asked for when S[i] needs it (framed): all pipes wait for memory",
    ),
    (
        "Prefetch",
        ("prefetch",),
        "K[i+1] is queued behind the L0 moves of S[i], V likewise: under the wait for P",
    ),
    (
        "SlotEvents, as it ships",
        (),
        "and no wait for FIX: O[i-1] and S[i+1] side by side; left is the way to P and back",
    ),
)
_FRAMED = "baseline"
_BLOCK, _FIRST_STEP, _WINDOW_PS = 12, 40, 7_000_000

_LANES = (
    ("AIC", "S", "cube: scalar"),
    ("AIC", "MTE2", "GM to L1"),
    ("AIC", "MTE1", "L1 to L0"),
    ("AIC", "M", "mmad"),
    ("AIC", "FIX", "L0C to GM"),
    ("AIV0", "MTE2", "vector: GM to UB"),
    ("AIV0", "V", "vector unit"),
    ("AIV0", "MTE3", "UB to GM"),
)
# What the cube's scalar unit stands still for; the phase it is drawn as, and its words.
_WAITS = {
    "cross_core": ("#cfd8dc", "waits for P"),
    "flag": ("#f4a582", "waits for FIX"),
    "scalar_gm": (base._COLOURS["load by the scalar unit"], "reads a block id"),
}
_LEGEND = (
    (base._COLOURS["K"], "K: load, S = Q K^T"),
    (base._COLOURS["V"], "V: load, O = P V"),
    (base._COLOURS["P"], "P: softmax, load"),
    (base._COLOURS["rescale, store"], "o_acc"),
    *_WAITS.values(),
    (base._COLOURS["signal"], "signal, not credits"),
)
_KEYS = base._COLOURS["K"]
_LEFT, _WIDTH, _ROW, _BAR, _PANEL = 118, 880, 20, 13, 222
_LABEL = 34  # what the name of a step needs
_FAINT = 0.35  # of a transfer: issued, bytes not there yet


@dataclasses.dataclass(frozen=True)
class Mark:
    """Something to draw: [begin, end) in colour, then until `done` faint."""

    row: int
    begin: int
    end: int
    done: int
    colour: str


@dataclasses.dataclass(frozen=True)
class Form:
    """One form's window: picoseconds of the launch, and what happens there."""

    name: str
    note: str
    timeline: Timeline
    steps: list[int]  # begin of S = Q K^T of each page
    is_framed: bool  # its loads of K stand in a frame

    @property
    def step_ps(self) -> float:
        """Mean over all pages but the first and last few."""
        inner = self.steps[4:-4]
        return (inner[-1] - inner[0]) / (len(inner) - 1)

    @property
    def begin(self) -> int:
        """Where its window begins."""
        return self.steps[_FIRST_STEP]


def main() -> None:
    """Writes the picture, prints the budget."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("-o", "--output", required=True, metavar="FILE")
    args = parser.parse_args()
    forms = model_forms()
    path = pathlib.Path(os.environ.get("BUILD_WORKING_DIRECTORY", ""), args.output).expanduser()
    path.write_text(draw(forms))
    for case, its_forms in (("Case1", forms), ("Case2, L2 warm", model_forms(CASE2, "warm"))):
        for form in its_forms:
            print(f"{case}, {form.name}: {form.step_ps * 1e-3:.0f} ns a step, of which")
            for name, cells in budget(form).items():
                print(f"  {name:<18}" + "  ".join(f"{what} {ns:.0f}" for what, ns in cells.items()))


def model_forms(case: str = CASE, *condition: str) -> list[Form]:
    """Models each form; `condition` may be "warm"."""
    made = []
    for name, how, note in FORMS:
        (timeline,) = timelines(reference.parse_case(case), "drawn", *condition, *how)
        cube = _lanes(timeline)[_row("AIC", "M")]
        products = timeline.spans[timeline.spans["lane"] == cube]
        steps = [
            int(span["begin_ps"])
            for span in products
            if "ComputeScores" in timeline.sites[span["site"]]
        ]
        made.append(Form(name, note, timeline, steps, _FRAMED in how))
    return made


def budget(form: Form) -> dict[str, dict[str, float]]:
    """By lane: nanoseconds a step of work, and of each cause of waiting."""
    timeline, steps = form.timeline, form.steps[4:-4]
    count = len(steps) - 1

    def inside(table: np.ndarray) -> float:
        begin = np.maximum(table["begin_ps"], steps[0])
        end = np.minimum(table["end_ps"], steps[-1])
        return float(np.maximum(end - begin, 0).sum()) * 1e-3 / count

    figures = {}
    for row, lane in _lanes(timeline).items():
        spans = timeline.spans[timeline.spans["lane"] == lane]
        waits = timeline.waits[timeline.waits["lane"] == lane]
        cells = {"work": inside(spans)}
        for number, cause in enumerate(WAIT_CAUSES):
            nanoseconds = inside(waits[waits["cause"] == number])
            if nanoseconds >= 1:
                cells[cause] = nanoseconds
        figures[_LANES[row][2]] = cells
    return figures


def draw(forms: list[Form]) -> str:
    """Returns the SVG: the forms one below the other, on one scale."""
    height = len(forms) * _PANEL + 56
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_LEFT + _WIDTH + 16} {height}" '
        'font-family="sans-serif" font-size="11">',
        '<rect width="100%" height="100%" fill="white"/>',
        base._text(8, 16, f"modelled, not measured: core {_BLOCK} of 24, {CASE}, kv blocks drawn"),
        f'<clipPath id="window"><rect x="{_LEFT}" y="0" width="{_WIDTH}" height="{height}"/>'
        "</clipPath>",
    ]
    for index, form in enumerate(forms):
        parts += _panel(form, 34 + index * _PANEL)
    parts += _legend(height - 10)
    return "\n".join([*parts, "</svg>"]) + "\n"


def _panel(form: Form, top: int) -> Iterator[str]:
    lanes_top = top + 34
    bottom = lanes_top + len(_LANES) * _ROW
    yield (
        f'<text x="8" y="{top + 10}" font-weight="bold">{form.name}, '
        f"{form.step_ps * 1e-6:.2f} us a page</text>"
    )
    yield base._text(_LEFT + 150, top + 10, form.note)
    for row, (_, _, name) in enumerate(_LANES):
        yield base._text(8, lanes_top + row * _ROW + 10, name)
    yield '<g clip-path="url(#window)">'
    for step in form.steps:
        if 0 <= step - form.begin <= _WINDOW_PS:
            x = _x(form, step)
            yield f'<path d="M{x:.1f} {lanes_top - 6}V{bottom}" stroke="#999999"/>'
            page = form.steps.index(step)
            if x < _LEFT + _WIDTH - _LABEL:
                yield base._text(x + 3, lanes_top - 8, f"S[{page}]")
    for mark in _marks(form):
        yield from _bar(form, mark, lanes_top)
        if form.is_framed and _LANES[mark.row][2] == "GM to L1" and mark.colour == _KEYS:
            x, width = _x(form, mark.begin), (mark.done - mark.begin) * _WIDTH / _WINDOW_PS
            yield (
                f'<rect x="{x:.1f}" y="{lanes_top + mark.row * _ROW - 2}" width="{width:.1f}" '
                f'height="{_BAR + 4}" fill="none" stroke="#d6604d" stroke-width="2"/>'
            )
    yield from _signals(form, lanes_top)
    yield "</g>"


def _x(form: Form, time: float) -> float:
    return _LEFT + (time - form.begin) * _WIDTH / _WINDOW_PS


def _bar(form: Form, mark: Mark, top: int) -> Iterator[str]:
    y = top + mark.row * _ROW
    for begin, end, opacity in ((mark.begin, mark.end, 1), (mark.end, mark.done, _FAINT)):
        if end > begin:
            x, width = _x(form, begin), max((end - begin) * _WIDTH / _WINDOW_PS, 0.6)
            yield (
                f'<rect x="{x:.1f}" y="{y}" width="{width:.1f}" height="{_BAR}" '
                f'fill="{mark.colour}" fill-opacity="{opacity}"/>'
            )


def _marks(form: Form) -> Iterator[Mark]:
    timeline = form.timeline
    first, last = form.begin, form.begin + _WINDOW_PS
    for row, lane in _lanes(timeline).items():
        if _LANES[row][:2] == ("AIC", "S"):
            yield from _scalar_waits(timeline, row, lane, first, last)
            continue
        for span in timeline.spans[timeline.spans["lane"] == lane]:
            if span["done_ps"] < first or span["begin_ps"] > last:
                continue
            phase = _phase(timeline.sites[span["site"]])
            if phase:
                times = (int(span[name]) for name in ("begin_ps", "end_ps", "done_ps"))
                yield Mark(row, *times, base._COLOURS[phase])


def _phase(site: str) -> str | None:
    return "P" if "LoadProbs" in site else base._phase(site)


def _scalar_waits(timeline: Timeline, row: int, lane: int, first: int, last: int) -> Iterator[Mark]:
    for wait in timeline.waits[timeline.waits["lane"] == lane]:
        cause = WAIT_CAUSES[wait["cause"]]
        begin, end = int(wait["begin_ps"]), int(wait["end_ps"])
        if cause in _WAITS and end >= first and begin <= last:
            yield Mark(row, begin, end, end, _WAITS[cause][0])


def _signals(form: Form, top: int) -> Iterator[str]:
    timeline = form.timeline
    rows = {lane: row for row, lane in _lanes(timeline).items()}
    arrows = timeline.arrows[timeline.arrows["cross_core"] == 1]
    # Both ends may be a lane that is not drawn: a signal arrives at the scalar unit of a core.
    scalar = next(i for i, lane in enumerate(timeline.lanes) if _key(lane) == (_BLOCK, "AIV0", "S"))
    rows[scalar] = _row("AIV0", "MTE2")
    for arrow in arrows[np.isin(arrows["from"], list(rows)) & np.isin(arrows["to"], list(rows))]:
        near = form.begin - 2_000_000 < arrow["begin_ps"] < form.begin + _WINDOW_PS
        if not near or arrow["id"] % 2 != 0:  # credits: fifo_events.h
            continue
        points = []
        for lane, time in (("from", "begin_ps"), ("to", "end_ps")):
            y = top + rows[int(arrow[lane])] * _ROW + _BAR / 2
            points.append(f"{_x(form, int(arrow[time])):.1f} {y:.0f}")
        yield f'<path d="M{points[0]}L{points[1]}" stroke="{base._COLOURS["signal"]}"/>'


def _lanes(timeline: Timeline) -> dict[int, int]:
    """Row in the picture to lane of the timeline."""
    keys = {_key(lane): index for index, lane in enumerate(timeline.lanes)}
    return {row: keys[_BLOCK, role, pipe] for row, (role, pipe, _) in enumerate(_LANES)}


def _key(lane: np.void) -> tuple[int, str, str]:
    return int(lane["block"]), ROLES[lane["role"]], PIPES[lane["pipe"]]


def _row(role: str, pipe: str) -> int:
    return next(row for row, lane in enumerate(_LANES) if lane[:2] == (role, pipe))


def _legend(y: int) -> Iterator[str]:
    x = 8.0
    for colour, text in _LEGEND:
        yield f'<rect x="{x:.0f}" y="{y - 9}" width="10" height="10" fill="{colour}"/>'
        yield base._text(x + 14, y, text)
        x += 28 + 5.7 * len(text)
    yield (
        f'<rect x="{x:.0f}" y="{y - 9}" width="10" height="10" fill="#888888" fill-opacity="0.4"/>'
    )
    yield base._text(x + 14, y, "on its way")


if __name__ == "__main__":
    main()
