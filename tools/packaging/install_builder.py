# SPDX-License-Identifier: Apache-2.0
"""Writes the archive of an install tree; the same input gives the same bytes.

Headers of the tree include each other by their paths in it. Installed, every one of them lies below
one include path, and its includes are rewritten to that. Only headers that a public one reaches are
installed. Called by the install_tree rule (tools/bazel/install.bzl).
"""

import argparse
import gzip
import io
import json
import pathlib
import re
import sys
import tarfile

from tools.packaging import wheel_builder

_INCLUDE_PATH = "include/"
_INCLUDE = re.compile(r'^(\s*#\s*include\s*)"([^"]+)"', re.MULTILINE)


class HeaderTree:
    """The headers of a listing, by their path in the tree and by what users include them as."""

    def __init__(self, headers: dict[str, dict[str, str]]):
        self._headers = headers
        self._by_include = {
            entry["name"].removeprefix(_INCLUDE_PATH): source for source, entry in headers.items()
        }

    def installed_include(self, includer: str, included: str) -> str:
        """Returns what an #include of `included` says when it is installed."""
        if included in self._headers:
            return self._headers[included]["name"].removeprefix(_INCLUDE_PATH)
        if included in self._by_include:
            return included
        raise SystemExit(f'{includer} includes "{included}", which is not to be installed')

    def install(self, public: list[str]) -> dict[str, bytes]:
        """Returns the public headers and those they include: {installed name: text}."""
        installed: dict[str, bytes] = {}
        waiting = list(public)
        while waiting:
            source = waiting.pop()
            name = self._headers[source]["name"]
            if name in installed:
                continue
            text = pathlib.Path(self._headers[source]["file"]).read_text(encoding="utf-8")

            def rewritten(match: re.Match, source: str = source) -> str:
                include = self.installed_include(source, match[2])
                waiting.append(self._by_include[include])
                return f'{match[1]}"{include}"'

            installed[name] = _INCLUDE.sub(rewritten, text).encode()
        return installed


def write_archive(output: pathlib.Path, contents: dict[str, bytes]) -> None:
    """Writes a .tar.gz without times and owners."""
    with (
        output.open("wb") as file,
        gzip.GzipFile("", "wb", fileobj=file, mtime=0) as packed,
        tarfile.open(fileobj=packed, mode="w", format=tarfile.GNU_FORMAT) as archive,
    ):
        for name, data in sorted(contents.items()):
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            entry.mode = 0o755 if name.endswith(".so") else 0o644
            archive.addfile(entry, io.BytesIO(data))


def build(args: argparse.Namespace) -> None:
    """Writes the archive that the command line asks for."""
    version = wheel_builder.read_project(args.pyproject)["version"]
    listing = json.loads(args.listing.read_text(encoding="utf-8"))
    contents = HeaderTree(listing["headers"]).install(listing["public_headers"])
    for name, path in listing["files"].items():
        data = pathlib.Path(path).read_bytes()
        if name.endswith(".cmake"):
            data = data.replace(b"@VERSION@", version.encode())
        contents[name] = data
    write_archive(args.output, contents)


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(description="Writes the archive of an install tree.")
    for name in ("listing", "pyproject", "output"):
        parser.add_argument("--" + name, required=True, type=pathlib.Path)
    build(parser.parse_args(argv))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
