# SPDX-License-Identifier: Apache-2.0
"""Finds and runs the host programs that build kernels: clang and binutils."""

import dataclasses
import functools
import os
import re
import shlex
import shutil
import subprocess
import time

# From this version on clang computes with bfloat16 and half on x86-64.
MIN_CLANG = 17
_CLANGS = ("clang-19", "clang-20", "clang-21", "clang-22", "clang-18", "clang-17", "clang")
CLANG_VARIABLE = "ASCEND_ATTENTION_CLANG"


# An absolute path; its last part is what a reader needs.
_PATH = re.compile(r"/(?:[^/=\s]+/)+([^/=\s]+)")


class CompileError(Exception):
    """A kernel could not be built; the text says why and what to do.

    Attributes:
        command: of the program that failed, in full; the text shows no folders. None: none ran.
    """

    def __init__(self, text: str, command: list[str] | None = None) -> None:
        shown = "" if command is None else "\ncommand: " + _PATH.sub(r".../\1", shlex.join(command))
        super().__init__(text + shown)
        self.command = command


@dataclasses.dataclass(frozen=True)
class Tools:
    """Paths of the programs."""

    clang: str
    ld: str
    objcopy: str
    objdump: str
    addr2line: str


class Runner:
    """Runs programs until a common deadline."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._end = time.monotonic() + seconds

    def run(self, command: list[str]) -> subprocess.CompletedProcess:
        """The result, whatever its return code; raises CompileError when the time is up."""
        try:
            return subprocess.run(
                command,
                capture_output=True,
                text=True,
                errors="replace",
                timeout=max(0.001, self._end - time.monotonic()),
                env={**os.environ, "LC_ALL": "C"},
                stdin=subprocess.DEVNULL,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise CompileError(
                f"building the kernel takes longer than {self._seconds:g} s (timeout); stopped in "
                + os.path.basename(command[0])
            ) from None
        except OSError as error:
            raise CompileError(f"{command[0]} does not run: {error.strerror}") from None

    def check(self, command: list[str], what: str) -> str:
        """Standard output; a failure is a CompileError that starts with `what`."""
        result = self.run(command)
        if result.returncode != 0:
            raise CompileError(f"{what}\n{result.stderr.strip()}", command)
        return result.stdout


def _find(names: tuple[str, ...]) -> str | None:
    return next(filter(None, map(shutil.which, names)), None)


@functools.lru_cache(maxsize=8)
def _check_clang(clang: str) -> None:
    result = Runner(60).run([clang, "--version"])
    version = re.search(r"clang version (\d+)", result.stdout)
    if not version:
        detail = (result.stderr or result.stdout).strip().partition("\n")[0]
        raise CompileError(f"{clang} is no clang (`--version` says: {detail})")
    if int(version[1]) < MIN_CLANG:
        raise CompileError(
            f"{clang} is version {version[1]}; kernels for the virtual NPU need clang {MIN_CLANG} "
            f"or later: install clang-19, or name another in {CLANG_VARIABLE}"
        )


def find_clang(clang: str | None = None) -> str:
    """The clang to use: `clang`, $ASCEND_ATTENTION_CLANG, or the first in PATH."""
    named = clang or os.environ.get(CLANG_VARIABLE)
    found = _find((named,) if named else _CLANGS)
    if not found:
        wanted = f"{named} not found" if named else "no clang found"
        raise CompileError(
            f"{wanted}: kernels for the virtual NPU are compiled by clang {MIN_CLANG} or later; "
            f"install it (Debian, Ubuntu: apt-get install clang-19) or name it in {CLANG_VARIABLE}"
        )
    _check_clang(found)
    return found


def find_tools(clang: str | None = None) -> Tools:
    """Raises CompileError naming what is missing."""
    found = {"clang": find_clang(clang)}
    for tool, names in {
        "ld": ("ld.bfd", "ld"),
        "objcopy": ("objcopy",),
        "objdump": ("objdump",),
        "addr2line": ("addr2line",),
    }.items():
        path = _find(names)
        if not path:
            raise CompileError(
                f"{names[0]} not found: install binutils (Debian, Ubuntu: apt-get install binutils)"
            )
        found[tool] = path
    return Tools(**found)
