# SPDX-License-Identifier: Apache-2.0
"""The wheel is complete, the same each time, and says what pyproject.toml and the lock say."""

import base64
import hashlib
import json
import pathlib
import re
import zipfile

import pytest

from tools.packaging import wheel_builder

_TAG = "cp311-cp311-linux_x86_64"
_NAME = f"ascend_attention-0.1.0-{_TAG}.whl"
_INFO = "ascend_attention-0.1.0.dist-info"


def _arguments(folder: pathlib.Path, output: str) -> list[str]:
    (folder / "b.py").write_text("B = 1\n", encoding="utf-8")
    (folder / "a.so").write_bytes(b"\x7fELF")
    files = {
        "ascend_attention/b.py": str(folder / "b.py"),
        "ascend_attention/kernels/a.so": str(folder / "a.so"),
    }
    (folder / "files.json").write_text(json.dumps(files), encoding="utf-8")
    arguments = {
        "tag": _TAG,
        "files": folder / "files.json",
        "pyproject": "pyproject.toml",
        "readme": "README.md",
        "license": "LICENSE",
        "output": folder / output,
    }
    return [f"--{name}={value}" for name, value in arguments.items()]


@pytest.fixture
def wheel(tmp_path) -> zipfile.ZipFile:
    assert wheel_builder.main(_arguments(tmp_path, _NAME)) == 0
    return zipfile.ZipFile(tmp_path / _NAME)


def test_record_lists_every_file_with_its_digest(wheel):
    rows = [row.split(",") for row in wheel.read(f"{_INFO}/RECORD").decode().splitlines()]
    assert sorted(row[0] for row in rows) == sorted(wheel.namelist())
    for name, digest, size in rows:
        if name.endswith("RECORD"):
            assert (digest, size) == ("", "")
            continue
        data = wheel.read(name)
        sha = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
        assert (digest, int(size)) == (f"sha256={sha}", len(data))


def test_metadata_names_project_dependencies_and_script(wheel):
    header = wheel.read(f"{_INFO}/METADATA").decode().split("\n\n")[0].splitlines()
    assert "Name: ascend-attention" in header
    required = {line.split(": ")[1] for line in header if line.startswith("Requires-Dist")}
    assert required == {"absl-py", "ml_dtypes", "numpy"}
    assert (
        "ascend-attention = ascend_attention.cli.main:run_main"
        in wheel.read(f"{_INFO}/entry_points.txt").decode().splitlines()
    )
    assert f"Tag: {_TAG}" in wheel.read(f"{_INFO}/WHEEL").decode().splitlines()
    assert wheel.read(f"{_INFO}/licenses/LICENSE") == pathlib.Path("LICENSE").read_bytes()


def test_licenses_of_what_is_compiled_in_are_shipped_and_named(tmp_path):
    (tmp_path / "text").write_text("Copyright (c) A\n", encoding="utf-8")
    header = tmp_path / "map.h"
    header.write_text(
        "/**\n * MIT License\n *\n * this permission and copyright notice shall\n */\n#ifndef M\n",
        encoding="utf-8",
    )
    parts = [f"--third_party=one BSD-3-Clause {tmp_path}/text", f"--third_party=two MIT {header}"]
    wheel_builder.main(_arguments(tmp_path, _NAME) + parts)
    wheel = zipfile.ZipFile(tmp_path / _NAME)
    lines = wheel.read(f"{_INFO}/METADATA").decode().split("\n\n")[0].splitlines()
    assert "License-Expression: Apache-2.0 AND BSD-3-Clause AND MIT" in lines
    files = [line.split(": ")[1] for line in lines if line.startswith("License-File")]
    assert files == ["LICENSE", "one/LICENSE", "two/LICENSE"]
    assert {f"{_INFO}/licenses/{file}" for file in files} <= set(wheel.namelist())
    assert wheel.read(f"{_INFO}/licenses/one/LICENSE") == b"Copyright (c) A\n"
    text = wheel.read(f"{_INFO}/licenses/two/LICENSE").decode()
    assert text == "MIT License\n\nthis permission and copyright notice shall\n"


def test_header_without_a_license_is_refused(tmp_path):
    (tmp_path / "map.h").write_text("#ifndef M\n", encoding="utf-8")
    with pytest.raises(SystemExit, match=r"map\.h does not begin with a license"):
        wheel_builder.ThirdParty.from_argument(f"map MIT {tmp_path}/map.h")


def test_same_input_gives_same_bytes(tmp_path):
    (tmp_path / "1").mkdir()
    (tmp_path / "2").mkdir()
    for folder in ("1", "2"):
        wheel_builder.main(_arguments(tmp_path / folder, _NAME))
    assert (tmp_path / "1" / _NAME).read_bytes() == (tmp_path / "2" / _NAME).read_bytes()


def test_name_that_differs_from_pyproject_is_refused(tmp_path):
    with pytest.raises(SystemExit, match=r"0\.2\.0.*0\.1\.0"):
        wheel_builder.main(_arguments(tmp_path, _NAME.replace("0.1.0", "0.2.0")))


def test_pyproject_and_lock_agree():
    pyproject = wheel_builder.tomllib.loads(pathlib.Path("pyproject.toml").read_text("utf-8"))
    lock = pathlib.Path("requirements.lock").read_text(encoding="utf-8")
    locked = dict(re.findall(r"^([\w-]+)==([\w.]+)", lock, flags=re.MULTILINE))
    for name in pyproject["project"]["dependencies"]:
        assert name.replace("_", "-") in locked
    pinned = [line for line in pyproject["build-system"]["requires"] if "==" in line]
    assert pinned == [f"nanobind=={locked['nanobind']}"]
