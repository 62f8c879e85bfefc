# SPDX-License-Identifier: Apache-2.0
"""From what the virtual NPU has recorded to the classes that users hold (findings.py)."""

from __future__ import annotations

import functools
from collections.abc import Collection, Sequence

from ascend_attention import _vnpu
from ascend_attention.vnpu import findings
from ascend_attention.vnpu.timeline import Timeline

CHECKERS = ("race", "memory")


def checkers(checks: str | Collection[str]) -> tuple[str, ...]:
    """Returns the checkers that "all", "none" or a collection of names asks for.

    Raises:
        ValueError: a name that is no checker.
    """
    if checks == "all":
        return CHECKERS
    if checks == "none":
        return ()
    names = {checks} if isinstance(checks, str) else set(checks)
    if not names <= set(CHECKERS):
        raise ValueError(
            f"checks = {checks!r}; allowed: 'all', 'none', or a collection of {list(CHECKERS)}"
        )
    return tuple(name for name in CHECKERS if name in names)


def open_session(
    device: _vnpu.Device,
    checks: Sequence[str],
    *,
    timing: bool,
    strict_gm_visibility: bool,
    outputs_complete: bool = False,
) -> _vnpu.Session:
    """Attaches checkers and clock to a device until the session is closed."""
    return _vnpu.Session(
        device,
        race="race" in checks,
        memory="memory" in checks,
        timing=timing,
        strict_gm_visibility=strict_gm_visibility,
        outputs_complete=outputs_complete,
    )


def report(records: Sequence[_vnpu.LaunchRecord], checks: Sequence[str]) -> findings.Report:
    """Returns the report of launches."""
    return findings.Report(
        launches=[_launch(record) for record in records],
        usage=_usage(records),
        checks=tuple(checks),
    )


def _usage(records: Sequence[_vnpu.LaunchRecord]) -> list[findings.RegionUsage]:
    """The highest bytes over all launches."""
    found: dict[tuple[str, int], tuple[int, int]] = {}
    for memory in (memory for record in records for memory in record.memory):
        key = memory.name, memory.bytes
        read_end, write_end = found.get(key, (0, 0))
        found[key] = max(read_end, memory.read_end), max(write_end, memory.write_end)
    return [findings.RegionUsage(*key, *ends) for key, ends in found.items()]


def _launch(record: _vnpu.LaunchRecord) -> findings.Launch:
    return findings.Launch(
        kernel=record.kernel,
        num_blocks=record.num_blocks,
        fault=record.fault if record.faulted else None,
        findings=[_finding(finding) for finding in record.findings],
        timeline=None if record.timeline is None else _timeline(record.timeline),
        timing_error=record.timing_error or None,
        notes=record.notes,
    )


def _finding(finding: _vnpu.Finding) -> findings.Finding:
    return findings.Finding(
        checker=finding.checker,
        kind=finding.kind,
        headline=finding.headline,
        kernel=finding.kernel,
        sites=[_site(site) for site in finding.sites],
        missing=finding.missing,
        fix=finding.fix,
        count=finding.count,
        text=finding.text,
    )


def _site(site: _vnpu.Site) -> findings.Site:
    return findings.Site(
        block=site.block,
        role=site.role,
        pipe=site.pipe,
        intrinsic=site.intrinsic,
        sequence=site.sequence,
        what=site.what,
        frames=findings.parse_frames(site.frames),
    )


@functools.cache
def _insn_names() -> list[str]:
    return _vnpu.insn_names()


def _timeline(timeline: _vnpu.Timeline) -> Timeline:
    return Timeline.from_buffers(
        kernel=timeline.kernel,
        soc=timeline.soc,
        num_blocks=timeline.num_blocks,
        total_ps=timeline.total_ps,
        launch_ps=timeline.launch_ps,
        lanes=timeline.lanes,
        sites=timeline.sites,
        spans=timeline.spans,
        waits=timeline.waits,
        arrows=timeline.arrows,
        totals=timeline.totals,
        core_end_ps=timeline.core_end_ps,
        gm_read_bytes=timeline.gm_read_bytes,
        gm_write_bytes=timeline.gm_write_bytes,
        hbm_bytes=timeline.hbm_bytes,
        l2_hit_bytes=timeline.l2_hit_bytes,
        mad_flops=timeline.mad_flops,
        peak_hbm_bytes_per_s=timeline.peak_hbm_bytes_per_s,
        peak_flops=timeline.peak_flops,
        insn_names=_insn_names(),
    )
