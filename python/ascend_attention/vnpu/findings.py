# SPDX-License-Identifier: Apache-2.0
"""What a launch on the virtual NPU was found to be: verdict, findings, faults, timing.

`Report` is what users hold; its texts, pages and traces come from the package `report`.
The findings mirror tools/vnpu/check/finding.h.
"""

from __future__ import annotations

import dataclasses
import gzip
import os
import pathlib
import re
from collections.abc import Sequence
from typing import Any, Literal

from ascend_attention.vnpu.report import html, perfetto, summary, text
from ascend_attention.vnpu.timeline import Timeline

Verdict = Literal["clean", "findings", "fault"]

_FRAME = re.compile(
    r"\s*(?:at|in)\s+(?P<file>.+?)(?::(?P<line>\d+))?(?:\s+\((?P<function>.*)\))?\s*$"
)


@dataclasses.dataclass(frozen=True)
class Frame:
    """One level of the source chain of an instruction; line 0 where it is not known."""

    function: str
    file: str
    line: int


def parse_frames(frames: str) -> list[Frame]:
    """Reads the lines "at file:line (function)" of the C++ side, innermost first."""
    found = []
    for line in frames.splitlines():
        match = _FRAME.match(line)
        if match:
            found.append(Frame(match["function"] or "", match["file"], int(match["line"] or 0)))
    return found


@dataclasses.dataclass(frozen=True)
class Site:
    """One instruction at one place: who, what, and the source lines, innermost first."""

    block: int
    role: str
    pipe: str
    intrinsic: str
    sequence: int
    what: str
    frames: list[Frame]


@dataclasses.dataclass(frozen=True)
class Finding:
    """What a checker has to say; `text` is the form for people, `kind` the one for programs."""

    checker: str
    kind: str
    headline: str
    kernel: str
    sites: list[Site]
    missing: str
    fix: str
    count: int
    text: str


@dataclasses.dataclass(frozen=True)
class RegionUsage:
    """How much of a named region or allocation was touched: ends of the highest bytes."""

    name: str
    size_bytes: int
    read_end_bytes: int
    write_end_bytes: int


@dataclasses.dataclass(frozen=True)
class Launch:
    """One kernel launch; `fault` is its text or None, `timeline` None without timing.

    `timing_error` says why there is no timeline although the clock was on. `notes` tell what
    hardware lets pass but nobody wants, such as a division by zero; they do not change the verdict.
    """

    kernel: str
    num_blocks: int
    fault: str | None = None
    findings: list[Finding] = dataclasses.field(default_factory=list)
    timeline: Timeline | None = None
    timing_error: str | None = None
    notes: list[str] = dataclasses.field(default_factory=list)

    @property
    def verdict(self) -> Verdict:
        if self.fault is not None:
            return "fault"
        return "findings" if self.findings else "clean"


@dataclasses.dataclass(frozen=True)
class Report:
    """The launches of a run in order.

    `checks` names the checkers that were on: a clean verdict says no more than they can see.
    """

    launches: list[Launch]
    usage: list[RegionUsage] = dataclasses.field(default_factory=list)
    checks: Sequence[str] = ()

    @property
    def verdict(self) -> Verdict:
        """The worst of the launches."""
        verdicts = {launch.verdict for launch in self.launches}
        return "fault" if "fault" in verdicts else "findings" if "findings" in verdicts else "clean"

    @property
    def findings(self) -> list[Finding]:
        return [finding for launch in self.launches for finding in launch.findings]

    @property
    def timelines(self) -> list[Timeline]:
        return [launch.timeline for launch in self.launches if launch.timeline is not None]

    def summary(self, *, kv_bytes: int | None = None) -> dict[str, Any]:
        """Returns the modelled timing of all launches; keys in report/summary.py.

        Args:
            kv_bytes: bytes of keys and values that the problem has, for kv_tb_per_s.

        Raises:
            ValueError: no launch has a timeline.
        """
        return summary.summarize(self.timelines, kv_bytes=kv_bytes)

    def to_text(self, *, kv_bytes: int | None = None) -> str:
        """Returns the report for people: verdict first, then findings, then timing."""
        return text.render(self, kv_bytes=kv_bytes)

    def to_dict(self, *, kv_bytes: int | None = None) -> dict[str, Any]:
        """Returns the report for programs: JSON types only, the same keys always."""
        return summary.report_dict(self, kv_bytes=kv_bytes)

    def to_html(self, *, title: str = "", kv_bytes: int | None = None) -> str:
        """Returns one self-contained page: findings and the timelines to look at."""
        return html.render(self, title=title, kv_bytes=kv_bytes)

    def to_trace(self) -> str:
        """Returns the timelines as a Chrome trace, for ui.perfetto.dev."""
        return perfetto.render(self.timelines)

    def write(
        self, path: str | os.PathLike[str], *, title: str = "", kv_bytes: int | None = None
    ) -> None:
        """Writes the report in the form that the name asks for.

        Names end in .html (the page), .json or .json.gz (Chrome trace) or .txt.

        Raises:
            ValueError: another ending, or a trace of launches without timelines.
        """
        path = pathlib.Path(path)
        if path.suffix == ".html":
            content = self.to_html(title=title, kv_bytes=kv_bytes).encode()
        elif path.suffix == ".json":
            content = self.to_trace().encode()
        elif path.name.endswith(".json.gz"):
            content = gzip.compress(self.to_trace().encode(), mtime=0)
        elif path.suffix == ".txt":
            content = self.to_text(kv_bytes=kv_bytes).encode()
        else:
            allowed = ".html, .json, .json.gz or .txt"
            raise ValueError(f"path = {str(path)!r}; its ending must be {allowed}")
        path.write_bytes(content)
