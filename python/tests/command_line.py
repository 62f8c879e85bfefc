# SPDX-License-Identifier: Apache-2.0
"""Runs the command line for tests."""

import json
import os
import subprocess
import sys


def cli(*args: str, timeout: float = 120, **env: str) -> subprocess.CompletedProcess:
    """Runs `python -m ascend_attention` on the paths of this process."""
    return subprocess.run(
        [sys.executable, "-m", "ascend_attention", *args],
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p), **env},
    )


def last_json(done: subprocess.CompletedProcess) -> dict:
    """Returns the object in the last line of stdout."""
    return json.loads(done.stdout.splitlines()[-1])
