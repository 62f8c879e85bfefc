# SPDX-License-Identifier: Apache-2.0
"""A report as text: verdict first, then what was found, then the modelled timing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ascend_attention.vnpu.report import summary
from ascend_attention.vnpu.timeline import WAIT_CAUSES

if TYPE_CHECKING:
    from ascend_attention.vnpu.findings import Report

# Column heads of the pipe table; idle is before the core begins and after its end.
_CAUSE_HEADS = {
    "flag": "flag",
    "cross_core": "x-core",
    "barrier": "barrier",
    "queue_full": "queue",
    "issue": "issue",
    "scalar_gm": "scalar",
}


def render(report: Report, *, kv_bytes: int | None = None) -> str:
    """Returns the text; it ends with a newline."""
    parts = [verdict_line(report) + "\n"]
    for launch in report.launches:
        if launch.fault is not None:
            parts.append(_closed(launch.fault))
        parts.extend(_closed(finding.text) for finding in launch.findings)
        parts.extend(_closed(f"note: {note}") for note in launch.notes)
    if report.timelines:
        figures = report.summary(kv_bytes=kv_bytes)
        parts.append(_closed(timing_text(figures)))
    return "\n".join(parts)


def verdict_line(report: Report) -> str:
    """Returns the first line: "clean: 2 launches, checked for race, memory"."""
    kernels = ", ".join(dict.fromkeys(launch.kernel for launch in report.launches))
    launches = _count(len(report.launches), "launch", "launches")
    if report.verdict == "clean":
        of = f"clean: {launches} of {kernels or 'no kernel'}"
        return (
            f"{of}, checked for {', '.join(report.checks)}" if report.checks else f"{of}, no checks"
        )
    if report.verdict == "findings":
        found = dict.fromkeys(launch.kernel for launch in report.launches if launch.findings)
        number = _count(len(report.findings), "finding", "findings")
        return f"findings: {number} in {', '.join(found)}"
    failed = ", ".join(launch.kernel for launch in report.launches if launch.fault is not None)
    also = f"; {_count(len(report.findings), 'finding', 'findings')} too" if report.findings else ""
    return f"fault: in {failed}{also}"


def timing_text(figures: dict[str, Any]) -> str:
    """Returns the tables of `summary.summarize` for people."""
    return "\n".join(
        [
            f"timing, modelled for {figures['soc']}, not measured",
            *_launch_lines(figures),
            *_byte_lines(figures),
            f"  bound      {summary.bound_line(figures)}",
            "",
            *_pipe_lines(figures["pipes"]),
        ]
    )


def bytes_text(count: float) -> str:
    """Returns bytes in decimal units, as bandwidths are: "268.4 MB"."""
    for unit, size in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if count >= size:
            return f"{count / size:.1f} {unit}"
    return f"{count:.0f} B"


def _launch_lines(figures: dict[str, Any]) -> list[str]:
    launches = figures["launches"]
    width = max([len(launch["kernel"]) for launch in launches] + [6])
    lines = [f"  {'kernel':<{width}}  blocks     time us   launch us   imbalance"]
    rows = list(launches)
    if len(rows) > 1:
        rows.append({"kernel": "in all", "num_blocks": "", **figures})
    for row in rows:
        lines.append(
            f"  {row['kernel']:<{width}}  {row['num_blocks']:>6}  {row['time_us']:>10.2f}"
            f"  {row['launch_us']:>10.2f}  {row['imbalance']:>10.3f}"
        )
    return lines


def _byte_lines(figures: dict[str, Any]) -> list[str]:
    lines = []
    if figures["kv_bytes"] is not None:
        lines.append(
            f"  KV         {bytes_text(figures['kv_bytes'])}, {figures['kv_tb_per_s']:.3f} TB/s"
        )
    lines.append(
        f"  GM         {bytes_text(figures['gm_read_bytes'])} read "
        f"({bytes_text(figures['l2_hit_bytes'])} of it from L2), "
        f"{bytes_text(figures['gm_write_bytes'])} written"
    )
    lines.append(
        f"  HBM        {bytes_text(figures['hbm_bytes'])}, {figures['hbm_tb_per_s']:.3f} TB/s; "
        f"cube {figures['tflops']:.2f} TFLOPS"
    )
    return lines


def _pipe_lines(pipes: dict[str, dict[str, Any]]) -> list[str]:
    heads = "".join(f"{head:>9}" for head in _CAUSE_HEADS.values())
    lines = [
        "  % of the time   working           waiting for",
        f"  pipe     lanes     busy   slowed{heads}     idle",
    ]
    for name, row in pipes.items():
        waits = "".join(f"{row['waits'][cause] * 100:>9.1f}" for cause in _CAUSE_HEADS)
        lines.append(
            f"  {name:<9}{row['lanes']:>5}{row['busy'] * 100:>9.1f}{row['slowed'] * 100:>9.1f}"
            f"{waits}{row['idle'] * 100:>9.1f}"
        )
    return lines


def _count(number: int, one: str, many: str) -> str:
    return f"{number} {one if number == 1 else many}"


def _closed(text: str) -> str:
    return text if text.endswith("\n") else text + "\n"


assert set(_CAUSE_HEADS) == set(WAIT_CAUSES) - {*summary.SLOWED_CAUSES, *summary.IDLE_CAUSES}
