# SPDX-License-Identifier: Apache-2.0
"""Adds the section .vnpu.calls to a kernel library: return address -> kernel source lines.

The virtual NPU reads it to say which line of a kernel issued an instruction, with no debugger at
run time. One text line per call to an imported function, sorted by address:

    <return address, hex>\\t<function>@<file>:<line>;<function>@<file>:<line>;...

Addresses are relative to the library's load address. The innermost inlined function comes first;
paths are relative to the workspace.
"""

import os
import re
import shutil
import subprocess
import tempfile

SECTION = ".vnpu.calls"

# "  1139:\te8 f2 fe ff ff  \tcall   1030 <vnpu_issue@plt>"; on arm64 the bytes are one word and the
# mnemonic is bl. The number of hex digits gives the length of the instruction.
_CALL = re.compile(r"^\s*([0-9a-f]+):\t([0-9a-f ]+?)\s*\t(?:callq?|bl)\s+.*<([^<>]+)@plt>")
_LOCATION = re.compile(r"^(.*):(\d+|\?)(?: \(discriminator \d+\))?$")


def return_addresses(listing: str) -> list[int]:
    """Returns the addresses behind the calls to imported functions in an objdump listing."""
    found = []
    for line in listing.splitlines():
        match = _CALL.match(line)
        if match and match.group(3) != "__cxa_finalize":  # start-up code of the C library
            address, code = match.group(1, 2)
            found.append(int(address, 16) + len(code.replace(" ", "")) // 2)
    return sorted(found)


def short_name(function: str) -> str:
    """Drops return type and parameters: "void Stage<3>(long)" becomes "Stage<3>"."""
    name = function.replace("(anonymous namespace)::", "")
    if "lambda" in name or "operator" in name:
        return name
    depth, start = 0, 0
    for index, char in enumerate(name):
        if char == "(" and depth == 0:
            return name[start:index]
        if char == " " and depth == 0:
            start = index + 1
        depth += (char in "<(") - (char in ">)")
    return name[start:]


def parse_frames(text: str) -> dict[int, list[str]]:
    """Returns {looked-up address: frames, innermost first} of `addr2line -a -f -i` output."""
    frames: dict[int, list[str]] = {}
    current: list[str] = []
    lines = iter(text.splitlines())
    for line in lines:
        if re.fullmatch(r"0x[0-9a-f]+", line):
            current = frames.setdefault(int(line, 16), [])
            continue
        location = _LOCATION.match(next(lines))
        if not location:
            raise ValueError("unexpected output of addr2line after " + line)
        path, number = location.groups()
        if path != "??":
            current.append(
                f"{short_name(line)}@{os.path.normpath(path)}:{number.replace('?', '0')}"
            )
    return frames


def call_table(library: str, listing: str, addr2line: str) -> str:
    """Returns the text of the section for `library`, of which `objdump -d -w` gives `listing`."""
    returns = return_addresses(listing)
    # The byte before the return address lies inside the call, so it has the line of the call.
    query = "".join(f"{address - 1:#x}\n" for address in returns)
    output = subprocess.run(
        [addr2line, "-e", library, "-a", "-f", "-i", "-C"],
        input=query,
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    frames = parse_frames(output)
    rows = [(address, frames.get(address - 1)) for address in returns]
    return "".join(f"{address:x}\t{';'.join(found)}\n" for address, found in rows if found)


def add_section(library: str, table: str, objcopy: str, output: str) -> None:
    """Writes `library` with the table as section .vnpu.calls to `output`."""
    with tempfile.NamedTemporaryFile("w", encoding="utf-8", suffix=SECTION) as file:
        file.write(table)
        file.flush()
        shutil.copyfile(library, output)
        subprocess.run([objcopy, f"--add-section={SECTION}={file.name}", output], check=True)
