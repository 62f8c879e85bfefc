# SPDX-License-Identifier: Apache-2.0
"""Writes the goldens of cases/decode_*.txt, or checks that they are what it would write.

    ./bazelw run //testdata:generate              write
    ./bazelw run //testdata:generate -- --check   compare bytes; lists what differs, exit code 1

Per case: golden/<name>/{case.txt, out.npy, lse.npy, bounds.npy}. Inputs are not stored; their CRCs
are, in golden/input_crcs.txt, for the C++ twin of the generator. golden/manifest.json has the
sha256 of every file. A golden whose case is gone is reported and left for you to delete. Lists in
COMPUTED have no goldens: who runs them computes what to expect.

Next: ascend_attention_reference/tolerance.py - what bounds.npy holds.
"""

import argparse
import hashlib
import json
import os
import sys
import zlib
from pathlib import Path

import numpy as np
from ascend_attention_reference import (
    DecodeCase,
    DecodeInputs,
    Expected,
    expect,
    make_inputs,
    read_cases,
)
from numpy.typing import ArrayLike

MANIFEST = "manifest.json"
INPUT_CRCS = "input_crcs.txt"
COMPUTED = ("decode_fifo_wide.txt", "decode_fifo_published.txt")

_CRC_HEADER = """\
# case, then the CRC-32 of the bytes of query, key_cache, value_cache, block_table (little endian);
# of int8 caches also key_scale, key_offset, value_scale, value_offset. A pool counts as key_cache;
# what there is not has no bytes. Written by //testdata:generate.
"""


def golden_lists(root: Path) -> list[Path]:
    """The lists below testdata folder `root` whose cases have a golden each."""
    lists = sorted((root / "cases").glob("decode_*.txt"))
    return [path for path in lists if path.name not in COMPUTED]


def npy_bytes(array: ArrayLike) -> bytes:
    """A .npy file (version 1.0) of float32 in C order; the same bytes with every numpy."""
    data = np.asarray(array, dtype="<f4", order="C")
    shape = "".join(f"{size}, " for size in data.shape).rstrip()
    header = f"{{'descr': '<f4', 'fortran_order': False, 'shape': ({shape}), }}"
    # The format wants the data on a multiple of 64: 10 bytes before the header, a newline after it.
    header += " " * (-(10 + len(header) + 1) % 64) + "\n"
    return (
        b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header.encode() + data.tobytes()
    )


def golden_files(case: DecodeCase, expected: Expected) -> dict[str, bytes]:
    """File name -> content of one golden."""
    bounds = expected.tolerance
    return {
        "case.txt": f"{case}\n".encode(),
        "out.npy": npy_bytes(expected.out),
        "lse.npy": npy_bytes(expected.lse),
        "bounds.npy": npy_bytes(np.stack([bounds.out, bounds.out_rms, bounds.lse], axis=-1)),
    }


def input_crcs(case: DecodeCase, inputs: DecodeInputs) -> str:
    """A line of INPUT_CRCS."""
    caches = (inputs.key_cache, inputs.value_cache)
    arrays = [inputs.query, *(caches if inputs.pool is None else (inputs.pool, None))]
    arrays.append(inputs.block_table)
    if inputs.kv_quant != "none":
        arrays += [inputs.key_scale, inputs.key_offset, inputs.value_scale, inputs.value_offset]
    crcs = (zlib.crc32(b"" if array is None else array.tobytes()) for array in arrays)
    return f"{case} " + " ".join(f"{crc:08x}" for crc in crcs) + "\n"


def build(cases: list[DecodeCase]) -> dict[str, bytes]:
    """Path below golden/ -> content, of all goldens and the two lists."""
    files: dict[str, bytes] = {}
    crcs = _CRC_HEADER
    for case in cases:
        inputs = make_inputs(case)
        crcs += input_crcs(case, inputs)
        for name, content in golden_files(case, expect(inputs)).items():
            files[f"{case.name}/{name}"] = content
    files[INPUT_CRCS] = crcs.encode()
    hashes = {path: hashlib.sha256(content).hexdigest() for path, content in sorted(files.items())}
    files[MANIFEST] = (json.dumps({"sha256": hashes}, indent=1) + "\n").encode()
    return files


def differences(golden: Path, files: dict[str, bytes]) -> list[str]:
    """What keeps the folder from holding exactly `files`; empty if nothing."""
    found = {p.relative_to(golden).as_posix() for p in golden.rglob("*") if p.is_file()}
    lines = [f"stale, delete it: {path}" for path in sorted(found - files.keys())]
    for path, content in files.items():
        if path not in found:
            lines.append(f"missing: {path}")
        elif (golden / path).read_bytes() != content:
            lines.append(f"differs: {path}")
    return lines


def write(golden: Path, files: dict[str, bytes]) -> list[str]:
    """Writes what differs; returns the paths written."""
    written = []
    for path, content in files.items():
        target = golden / path
        if target.is_file() and target.read_bytes() == content:
            continue
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)
        written.append(path)
    return written


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(description="Write or check the goldens.")
    parser.add_argument("--check", action="store_true", help="compare only; 1 if anything differs")
    parser.add_argument("--root", type=Path, default=_root(), help="the testdata folder")
    args = parser.parse_args(argv)

    golden = args.root / "golden"
    cases = [case for path in golden_lists(args.root) for case in read_cases(path.read_text())]
    files = build(cases)
    size = sum(map(len, files.values()))
    print(f"{len(cases)} cases, {len(files)} files, {size / 2**20:.2f} MiB")
    if not args.check:
        for path in write(golden, files):
            print(f"wrote golden/{path}")
    wrong = differences(golden, files)
    for line in wrong:
        print(f"golden/ {line}")
    if wrong and args.check:
        print("to write them: ./bazelw run //testdata:generate")
    return 1 if wrong else 0


def _root() -> Path:
    # Under `bazel run` this file is a link in the runfiles; the goldens belong in the source tree.
    workspace = os.environ.get("BUILD_WORKSPACE_DIRECTORY")
    return Path(workspace) / "testdata" if workspace else Path(__file__).parent


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
