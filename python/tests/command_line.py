# SPDX-License-Identifier: Apache-2.0
"""Runs the command line for tests."""

import functools
import json
import os
import resource
import subprocess
import sys


def cli(
    *args: str, timeout: float = 120, memory: int | None = None, **env: str
) -> subprocess.CompletedProcess:
    """Runs `python -m ascend_attention` on the paths of this process, in so many bytes."""
    limit = functools.partial(resource.setrlimit, resource.RLIMIT_AS, (memory, memory))
    return subprocess.run(
        [sys.executable, "-m", "ascend_attention", *args],
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
        preexec_fn=limit if memory else None,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p), **env},
    )


def last_json(done: subprocess.CompletedProcess) -> dict:
    """Returns the object in the last line of stdout."""
    return json.loads(done.stdout.splitlines()[-1])
