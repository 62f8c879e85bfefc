# SPDX-License-Identifier: Apache-2.0
"""Installed headers are those that a public one reaches, and include each other by one path."""

import json
import pathlib
import tarfile

import pytest

from tools.packaging import install_builder

_HEADERS = {  # path in the tree: installed name, text
    "api/include/lib/a.h": ("include/lib/a.h", '#include "core/b.h"\n#  include "lib/c.h"\n'),
    "api/include/lib/c.h": ("include/lib/c.h", "#include <vector>\n"),
    "core/b.h": ("include/lib/core/b.h", '#include "api/include/lib/c.h" // why\nint b;\n'),
    "core/private.h": ("include/lib/core/private.h", ""),
}


def _build(folder: pathlib.Path, output: str = "tree.tar.gz") -> tarfile.TarFile:
    headers = {}
    for number, (path, (name, text)) in enumerate(_HEADERS.items()):
        (folder / str(number)).write_text(text, encoding="utf-8")
        headers[path] = {"file": str(folder / str(number)), "name": name}
    (folder / "lib.so").write_bytes(b"\x7fELF @VERSION@")
    (folder / "version.cmake").write_text("is @VERSION@\n", encoding="utf-8")
    listing = {
        "headers": headers,
        "public_headers": ["api/include/lib/a.h"],
        "files": {
            "lib/lib.so": str(folder / "lib.so"),
            "lib/cmake/version.cmake": str(folder / "version.cmake"),
        },
    }
    (folder / "listing.json").write_text(json.dumps(listing), encoding="utf-8")
    (folder / "pyproject.toml").write_text('[project]\nversion = "1.2.3"\n', encoding="utf-8")
    arguments = [f"--listing={folder}/listing.json", f"--pyproject={folder}/pyproject.toml"]
    assert install_builder.main([*arguments, f"--output={folder / output}"]) == 0
    return tarfile.open(folder / output)


def _read(archive: tarfile.TarFile, name: str) -> bytes:
    file = archive.extractfile(name)
    assert file is not None
    return file.read()


def test_headers_that_are_reached_and_no_others(tmp_path):
    archive = _build(tmp_path)
    assert archive.getnames() == [
        "include/lib/a.h",
        "include/lib/c.h",
        "include/lib/core/b.h",
        "lib/cmake/version.cmake",
        "lib/lib.so",
    ]
    a, b = _read(archive, "include/lib/a.h"), _read(archive, "include/lib/core/b.h")
    assert a.decode() == '#include "lib/core/b.h"\n#  include "lib/c.h"\n'
    assert b.decode() == '#include "lib/c.h" // why\nint b;\n'


def test_version_is_written_into_cmake_files_alone(tmp_path):
    archive = _build(tmp_path)
    assert _read(archive, "lib/cmake/version.cmake") == b"is 1.2.3\n"
    assert _read(archive, "lib/lib.so") == b"\x7fELF @VERSION@"
    assert [archive.getmember(name).mode for name in ("lib/lib.so", "include/lib/a.h")] == [
        0o755,
        0o644,
    ]


def test_same_input_gives_same_bytes(tmp_path):
    _build(tmp_path, "1.tar.gz")
    _build(tmp_path, "2.tar.gz")
    assert (tmp_path / "1.tar.gz").read_bytes() == (tmp_path / "2.tar.gz").read_bytes()


def test_include_of_what_is_not_installed_is_refused(tmp_path, monkeypatch):
    monkeypatch.setitem(_HEADERS, "core/b.h", ("include/lib/core/b.h", '#include "gone.h"\n'))
    with pytest.raises(SystemExit, match=r'core/b\.h includes "gone\.h", which is not'):
        _build(tmp_path)
