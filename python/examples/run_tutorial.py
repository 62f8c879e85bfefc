# SPDX-License-Identifier: Apache-2.0
"""Runs a tutorial: writes its files, applies its diffs, runs its commands, compares the outputs.

    ./bazelw run //python/examples:run_tutorial -- "$PWD/python/examples/vnpu_tutorial.md" --update

rewrites the outputs in the file; without --update a difference is an error. Blocks by language:

    cpp <file>      contents of a file
    diff <file>     hunks, parted by lines of @@, to apply to it
    console         commands behind "$ " (a line may end in a backslash), each with its output
    python          a program; the next block (text) is its output

A line of "..." in an output stands for any lines.
"""

from __future__ import annotations

import argparse
import dataclasses
import os
import pathlib
import re
import subprocess
import sys
import tempfile

_BLOCK = re.compile(r"^```(?P<language>\w+)(?: (?P<file>\S+))?\n(?P<text>.*?)^```$", re.M | re.S)
_COMMAND = re.compile(r"^\$ (?P<command>(?:.*\\\n)*.*)\n(?P<expected>(?:(?!\$ ).*\n)*)", re.M)
_ANY = "..."
_SECONDS = 120


@dataclasses.dataclass(frozen=True)
class Step:
    """One command of a tutorial and what it printed."""

    command: str
    expected: str
    printed: str
    span: tuple[int, int]  # of `expected` in the text

    @property
    def ok(self) -> bool:
        """Whether it printed what the tutorial shows."""
        parts = [re.escape(line) for line in self.expected.splitlines()]
        pattern = "".join(r"(?:.*\n)*?" if p == re.escape(_ANY) else p + r"\n" for p in parts)
        return re.fullmatch(pattern, self.printed) is not None


def run(tutorial: str, folder: pathlib.Path) -> list[Step]:
    """Runs the blocks of a tutorial in order, in `folder`.

    Raises:
        ValueError: a diff does not fit, or a program has no block with its output.
    """
    program = folder / "bin" / "ascend-attention"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m ascend_attention "$@"\n')
    program.chmod(0o755)
    steps: list[Step] = []
    code = None
    for block in _BLOCK.finditer(tutorial):
        language, file, text = block["language"], block["file"], block["text"]
        if language == "cpp":
            (folder / file).write_text(text)
        elif language == "diff":
            path = folder / file
            path.write_text(apply(path.read_text(), text))
        elif language == "console":
            steps += _console(text, block.start("text"), folder)
        elif language == "python":
            code = text
        elif language == "text" and code is not None:
            printed = _execute([sys.executable, "-c", code], folder)
            steps.append(Step(code, text, printed, block.span("text")))
            code = None
    if code is not None:
        raise ValueError("a python block is not followed by a text block with its output")
    return steps


def apply(text: str, diff: str) -> str:
    """Returns `text` with the hunks of `diff` applied.

    Raises:
        ValueError: the lines of a hunk are not there, or there twice.
    """
    for hunk in re.split(r"^@@\n", diff, flags=re.M):
        lines = hunk.splitlines(keepends=True)
        before = "".join(line[1:] for line in lines if line[0] in " -")
        after = "".join(line[1:] for line in lines if line[0] in " +")
        if text.count(before) != 1:
            raise ValueError(f"{text.count(before)} places fit this hunk; expected 1:\n{hunk}")
        text = text.replace(before, after)
    return text


def _console(text: str, start: int, folder: pathlib.Path) -> list[Step]:
    steps = []
    for match in _COMMAND.finditer(text):
        printed = _execute(["sh", "-c", match["command"]], folder)
        begin, end = (start + at for at in match.span("expected"))
        steps.append(Step(match["command"], match["expected"], printed, (begin, end)))
    return steps


def _execute(command: list[str], folder: pathlib.Path) -> str:
    """Returns what a command prints: people see both streams as one."""
    environment = {
        **os.environ,
        "PATH": os.pathsep.join([str(folder / "bin"), os.environ["PATH"]]),
        "PYTHONPATH": os.pathsep.join(os.path.abspath(p) for p in sys.path if p),
    }
    done = subprocess.run(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=_SECONDS,
        check=False,
        cwd=folder,
        env=environment,
    )
    return done.stdout


def update(tutorial: str, steps: list[Step]) -> str:
    """Returns the tutorial with what was printed, wherever it shows something else."""
    for step in sorted(steps, key=lambda step: step.span, reverse=True):
        if not step.ok:
            begin, end = step.span
            tutorial = tutorial[:begin] + _shortened(step) + tutorial[end:]
    return tutorial


def _shortened(step: Step) -> str:
    """What was printed, with the lines left out that were left out before.

    Lines that differ in numbers only are the same line; if that does not work out, all is shown.
    """
    rest = step.printed.splitlines()
    lines = []
    for line in step.expected.splitlines():
        if line != _ANY:
            same = [new for new in rest if new == line] or [
                new for new in rest if _shape(new) == _shape(line)
            ]
            if not same:
                return step.printed
            rest = rest[rest.index(same[0]) + 1 :]
            line = same[0]
        lines.append(line)
    shortened = "".join(line + "\n" for line in lines)
    return shortened if dataclasses.replace(step, expected=shortened).ok else step.printed


def _shape(line: str) -> list[str]:
    return re.sub(r"[\d.]+", "0", line).split()


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(description="Runs a tutorial.")
    parser.add_argument("tutorial", type=pathlib.Path)
    parser.add_argument("--update", action="store_true", help="write the outputs into the file")
    args = parser.parse_args(argv)
    text = args.tutorial.read_text(encoding="utf-8")
    with tempfile.TemporaryDirectory() as folder:
        steps = run(text, pathlib.Path(folder))
    differing = [step for step in steps if not step.ok]
    for step in differing:
        print(f"$ {step.command}\n{step.printed}")
    print(f"{len(steps)} steps, {len(differing)} print something else")
    if args.update and differing:
        args.tutorial.write_text(update(text, steps), encoding="utf-8")
    return 1 if differing and not args.update else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
