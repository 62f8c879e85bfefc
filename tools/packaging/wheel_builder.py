# SPDX-License-Identifier: Apache-2.0
"""Writes a wheel from a list of files and pyproject.toml; the same input gives the same bytes.

Called by the python_wheel rule (tools/bazel/wheel.bzl). Standard library only.
"""

import argparse
import base64
import hashlib
import json
import pathlib
import re
import sys
import zipfile
from collections.abc import Sequence
from typing import NamedTuple

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

# The oldest time a zip file can hold: no build time goes into the wheel.
_TIMESTAMP = (1980, 1, 1, 0, 0, 0)


def read_project(pyproject: pathlib.Path) -> dict:
    """Returns the [project] table."""
    return tomllib.loads(pyproject.read_text(encoding="utf-8"))["project"]


class ThirdParty(NamedTuple):
    """Code of others that is compiled into the binaries."""

    name: str
    spdx: str
    license: str  # text

    @staticmethod
    def from_argument(text: str) -> "ThirdParty":
        """Makes one of "NAME SPDX PATH", where a header's license is its first comment."""
        name, spdx, path = text.split(" ", 2)
        license_text = pathlib.Path(path).read_text(encoding="utf-8")
        if path.endswith(".h"):
            comment = re.match(r"/\*\*?\n(.*?)\*/", license_text, re.DOTALL)
            if comment is None or "copyright notice" not in comment[1]:
                raise SystemExit(f"{path} does not begin with a license")
            license_text = re.sub(r"^ \* ?", "", comment[1], flags=re.MULTILINE).rstrip() + "\n"
        return ThirdParty(name, spdx, license_text)

    @property
    def file(self) -> str:
        """Where the text lies below licenses/."""
        return f"{self.name}/LICENSE"


def metadata(project: dict, readme: str, third_party: Sequence[ThirdParty] = ()) -> str:
    """Returns the METADATA (in an sdist: PKG-INFO) text of the project."""
    licenses = [project["license"], *sorted({part.spdx for part in third_party})]
    lines = [
        "Metadata-Version: 2.4",
        f"Name: {project['name']}",
        f"Version: {project['version']}",
        f"Summary: {project['description']}",
        f"License-Expression: {' AND '.join(licenses)}",
        "License-File: LICENSE",
        *(f"License-File: {part.file}" for part in third_party),
        f"Requires-Python: {project['requires-python']}",
        *(f"Requires-Dist: {name}" for name in project["dependencies"]),
        "Description-Content-Type: text/markdown",
    ]
    return "\n".join(lines) + "\n\n" + readme


def wheel_name(project: dict, tag: str) -> str:
    """Returns the file name of the wheel."""
    return f"{project['name'].replace('-', '_')}-{project['version']}-{tag}.whl"


def _wheel_text(tag: str) -> str:
    return (
        "Wheel-Version: 1.0\n"
        "Generator: ascend-attention tools/packaging\n"
        "Root-Is-Purelib: false\n"
        f"Tag: {tag}\n"
    )


def _entry_points(project: dict) -> str:
    scripts = sorted(project.get("scripts", {}).items())
    return "[console_scripts]\n" + "".join(f"{name} = {target}\n" for name, target in scripts)


def write_wheel(output: pathlib.Path, contents: dict[str, bytes], info: str) -> None:
    """Writes `contents` and their RECORD, which lies in the folder `info`."""
    record = ""
    with zipfile.ZipFile(output, "w", zipfile.ZIP_DEFLATED) as archive:

        def add(name: str, data: bytes) -> None:
            entry = zipfile.ZipInfo(name, _TIMESTAMP)
            entry.external_attr = (0o755 if name.endswith(".so") else 0o644) << 16
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, data)

        for name, data in sorted(contents.items()):
            digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
            record += f"{name},sha256={digest},{len(data)}\n"
            add(name, data)
        add(f"{info}/RECORD", (record + f"{info}/RECORD,,\n").encode())


def build(args: argparse.Namespace) -> None:
    """Writes the wheel that the command line asks for."""
    project = read_project(args.pyproject)
    expected = wheel_name(project, args.tag)
    if args.output.name != expected:
        raise SystemExit(
            f"python_wheel would write {args.output.name}, but pyproject.toml says {expected}"
        )
    info = "-".join(expected.split("-")[:2]) + ".dist-info"
    files = json.loads(args.files.read_text(encoding="utf-8"))
    contents = {name: pathlib.Path(path).read_bytes() for name, path in files.items()}
    readme = args.readme.read_text(encoding="utf-8")
    contents[f"{info}/METADATA"] = metadata(project, readme, args.third_party).encode()
    contents[f"{info}/WHEEL"] = _wheel_text(args.tag).encode()
    contents[f"{info}/entry_points.txt"] = _entry_points(project).encode()
    contents[f"{info}/licenses/LICENSE"] = args.license.read_bytes()
    for part in args.third_party:
        contents[f"{info}/licenses/{part.file}"] = part.license.encode()
    write_wheel(args.output, contents, info)


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(description="Writes a wheel.")
    parser.add_argument("--tag", required=True, help="for example cp311-cp311-linux_x86_64")
    for name in ("files", "pyproject", "readme", "license", "output"):
        parser.add_argument("--" + name, required=True, type=pathlib.Path)
    parser.add_argument(
        "--third_party",
        action="append",
        default=[],
        type=ThirdParty.from_argument,
        help="'NAME SPDX PATH' of code that is compiled in; PATH is its license",
    )
    build(parser.parse_args(argv))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
