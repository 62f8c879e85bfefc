# SPDX-License-Identifier: Apache-2.0
"""PEP 517 backend: `pip install .` gets the wheel of `./bazelw build //:wheel`.

There is one build description, Bazel's; this file only translates. Standard library only.
"""

import io
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tarfile
import tempfile
import urllib.parse
from typing import Any

import wheel_builder

_ROOT = pathlib.Path(__file__).resolve().parents[2]


def _wheel_path(events: pathlib.Path) -> pathlib.Path:
    """Returns the wheel that a `bazel build` with this event file has written."""
    for line in events.read_text(encoding="utf-8").splitlines():
        for file in json.loads(line).get("namedSetOfFiles", {}).get("files", []):
            if file["name"].endswith(".whl"):
                return pathlib.Path(urllib.parse.unquote(urllib.parse.urlparse(file["uri"]).path))
    raise RuntimeError("bazel build //:wheel succeeded but names no .whl file")


def build_wheel(
    wheel_directory: str,
    config_settings: dict[str, Any] | None = None,
    metadata_directory: str | None = None,
) -> str:
    """Builds the wheel for the running interpreter; returns its file name."""
    environment = {
        **os.environ,
        "ASCEND_ATTENTION_PYTHON": sys.executable,
        # Of requirements.lock only what the build needs; tests are not run here.
        "ASCEND_ATTENTION_LOCKED": "nanobind",
    }
    with tempfile.TemporaryDirectory() as folder:
        events = pathlib.Path(folder) / "events.json"
        command = [str(_ROOT / "bazelw"), "build", f"--build_event_json_file={events}", "//:wheel"]
        status = subprocess.run(command, cwd=_ROOT, env=environment, check=False).returncode
        if status != 0:
            raise SystemExit(f"`{' '.join(command)}` failed with code {status}; see its output")
        wheel = _wheel_path(events)
        shutil.copyfile(wheel, pathlib.Path(wheel_directory) / wheel.name)
    return wheel.name


def build_sdist(sdist_directory: str, config_settings: dict[str, Any] | None = None) -> str:
    """Packs the files under version control and PKG-INFO; returns the archive's name."""
    project = wheel_builder.read_project(_ROOT / "pyproject.toml")
    base = f"{project['name'].replace('-', '_')}-{project['version']}"
    listing = subprocess.run(
        ["git", "ls-files", "-z"], cwd=_ROOT, check=True, capture_output=True, text=True
    ).stdout
    with tarfile.open(pathlib.Path(sdist_directory) / f"{base}.tar.gz", "w:gz") as archive:
        for name in sorted(filter(None, listing.split("\0"))):
            archive.add(_ROOT / name, f"{base}/{name}")
        readme = (_ROOT / project["readme"]).read_text(encoding="utf-8")
        text = wheel_builder.metadata(project, readme).encode()
        entry = tarfile.TarInfo(f"{base}/PKG-INFO")
        entry.size = len(text)
        archive.addfile(entry, io.BytesIO(text))
    return f"{base}.tar.gz"
