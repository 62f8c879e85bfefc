# SPDX-License-Identifier: Apache-2.0
"""Mutation tests of kernels: would anybody notice one lost flag?

Each mutation changes a kernel's instruction stream in one small way (tools/vnpu/mutation/mutator.h
lists them), runs problems under all checkers and compares the results. A mutation is

    caught            a checker reports it, the machine faults, or a result is wrong;
    proven_redundant  a synchronisation without which every access to memory still starts behind
                      exactly the same ones: other flags and barriers order them already
                      (with drained_end none is on its way at the end either, or it is caught);
    survived          neither: a hole in a checker, in the problems, or a needless instruction.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any, Literal, Protocol

from ascend_attention import _vnpu
from ascend_attention.vnpu import _records
from ascend_attention.vnpu.findings import Frame, Report, parse_frames

Outcome = Literal["caught", "proven_redundant", "survived"]

# What launches and their callers raise when the machine stops a kernel.
_FAULTS = (IndexError, MemoryError, RuntimeError, ValueError)


class Problem(Protocol):
    """Something that launches the kernel and can tell a right result from a wrong one."""

    name: str

    def run(self) -> object:
        """Launches; returns what the kernel made of it."""

    def accepts(self, result: object) -> bool:
        """Says whether a result of run() is right."""


@dataclasses.dataclass(frozen=True)
class Mutant:
    """One mutation and what became of it."""

    kind: str  # "drop", "drop-pair", "move-pipe"; "shorten", "one-slot", "shrink"
    is_sync: bool
    kernel: str
    what: str
    frames: list[Frame]
    outcome: Outcome
    by: str  # "race", "memory", "sync", "result"; empty unless caught
    problem: str  # that caught it

    def to_dict(self) -> dict[str, Any]:
        """Returns the fields as plain data."""
        return dataclasses.asdict(self)

    def to_text(self) -> str:
        """Returns what was changed, what became of it and where it is, in two lines."""
        place = " < ".join(f"{at.file}:{at.line} ({at.function})" for at in self.frames[:4])
        by = f" by {self.by}" if self.by else ""
        return f"{self.outcome}{by}: {self.kernel} {self.kind}: {self.what}\n    {place}\n"


@dataclasses.dataclass(frozen=True)
class MutationReport:
    """All mutants of the kernels that were asked for."""

    mutants: list[Mutant]

    def count(self, outcome: Outcome, *, sync: bool) -> int:
        """Returns how many mutants of synchronisation, or of data, ended so."""
        return sum(m.outcome == outcome and m.is_sync == sync for m in self.mutants)

    def summary(self, *, sync: bool) -> dict[str, Any]:
        """Returns counts, and the survivors with their places."""
        return {
            "mutants": sum(m.is_sync == sync for m in self.mutants),
            "caught": self.count("caught", sync=sync),
            "proven_redundant": self.count("proven_redundant", sync=sync),
            "survived": self.count("survived", sync=sync),
            "survivors": [
                m.to_dict() for m in self.mutants if m.is_sync == sync and m.outcome == "survived"
            ],
        }

    def to_text(self, *, verbose: bool = False) -> str:
        """Returns the survivors with their places, then the counts.

        Args:
            verbose: show every mutant, not only survivors.
        """
        shown = (m.to_text() for m in self.mutants if verbose or m.outcome == "survived")
        return "".join(shown) + self._counts(sync=True) + self._counts(sync=False)

    def __str__(self) -> str:
        return self.to_text()

    def _counts(self, *, sync: bool) -> str:
        """A line; empty if mutants of data were not asked for."""
        found = self.summary(sync=sync)
        if not sync and not found["mutants"]:
            return ""
        return (
            f"{'synchronisation' if sync else 'data'}: {found['mutants']} mutants, "
            f"{found['caught']} caught, {found['proven_redundant']} proven redundant, "
            f"{found['survived']} survived\n"
        )


def mutate(
    device: _vnpu.Device,
    prefix: str,
    problems: Sequence[Problem],
    *,
    data: bool = True,
    drained_end: bool = False,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> MutationReport:
    """Tries every mutation of the kernels whose name begins with `prefix`.

    Args:
        device: where the problems launch.
        prefix: of "<entry>_<key>".
        problems: run in this order until one catches the mutation; put the quickest first.
        data: mutate counts, slots and regions too, not only synchronisation.
        drained_end: an access to GM on its way when a core leaves the kernel is a finding.
        progress: called with the number of mutations done, and of all.

    Raises:
        RuntimeError: a problem is not clean and right without any mutation.
    """
    mutator = _vnpu.Mutator(device)
    try:
        mutator.record(prefix)
        orders = _baseline(device, problems, drained_end)
        mutations = mutator.mutations()
        chosen = [i for i, m in enumerate(mutations) if data or m.is_sync]
        mutants = []
        for done, index in enumerate(chosen):
            mutator.apply(index)
            mutants.append(_try(mutations[index], device, problems, orders, drained_end))
            progress(done + 1, len(chosen))
    finally:
        mutator.close()
    return MutationReport(mutants)


@dataclasses.dataclass(frozen=True)
class _Run:
    by: str  # who noticed that something is wrong, or nothing
    order: int  # digest of the order of all accesses
    text: str


def _baseline(device: _vnpu.Device, problems: Sequence[Problem], drained_end: bool) -> list[int]:
    """Runs the unchanged kernels; returns the order of each problem's accesses."""
    orders = []
    for problem in problems:
        run = _run(device, problem, drained_end)
        if run.by:
            raise RuntimeError(f"{problem.name} fails without a mutation: {run.text}")
        orders.append(run.order)
    return orders


def _try(
    mutation: _vnpu.Mutation,
    device: _vnpu.Device,
    problems: Sequence[Problem],
    orders: Sequence[int],
    drained_end: bool,
) -> Mutant:
    by, caught_in = "", ""
    same_order = mutation.is_sync
    for problem, order in zip(problems, orders, strict=True):
        run = _run(device, problem, drained_end)
        same_order &= run.order == order
        if run.by:
            by, caught_in = run.by, problem.name
            break
    outcome: Outcome = "caught" if by else "proven_redundant" if same_order else "survived"
    return Mutant(
        kind=mutation.kind,
        is_sync=mutation.is_sync,
        kernel=mutation.kernel,
        what=mutation.what,
        frames=parse_frames(mutation.frames),
        outcome=outcome,
        by=by,
        problem=caught_in,
    )


def _run(device: _vnpu.Device, problem: Problem, drained_end: bool) -> _Run:
    session = _vnpu.Session(
        device,
        race=True,
        memory=True,
        timing=False,
        strict_gm_visibility=False,
        digest_order=True,
        drained_end=drained_end,
    )
    result: object = None
    error = ""
    try:
        result = problem.run()
    except _FAULTS as raised:
        error = str(raised)
    finally:
        report: Report = _records.report(session.launches(), _records.CHECKERS)
        order = session.order_digest()
        session.close()
    for launch in report.launches:
        for finding in launch.findings:
            return _Run(finding.checker, order, finding.text)
        if launch.fault is not None:
            by = "sync" if _is_sync_fault(launch.fault) else "memory"
            return _Run(by, order, launch.fault)
    if error or not problem.accepts(result):
        return _Run("result", order, error or "a wrong result")
    return _Run("", order, "")


def _is_sync_fault(text: str) -> bool:
    words = ("deadlock", "timeout", "flag", "barrier", "counter")
    return any(word in text.splitlines()[0] for word in words)
