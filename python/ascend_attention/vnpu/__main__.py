# SPDX-License-Identifier: Apache-2.0
"""Runs a Python program on the virtual NPU: python -m ascend_attention.vnpu [options] script.py."""

from __future__ import annotations

import argparse
import runpy
import sys

from ascend_attention.vnpu import activate


def main(argv: list[str]) -> None:
    """Activates the virtual NPU, then runs the program as if it had been started itself."""
    parser = argparse.ArgumentParser(
        prog="python -m ascend_attention.vnpu",
        description="Runs a Python program whose NPU is the virtual one.",
    )
    parser.add_argument("--devices", type=int, help="how many devices there are (1)")
    parser.add_argument("--soc", help="which chip they are (Ascend910B1)")
    parser.add_argument("--check", help="none, all, race or memory: findings raise (none)")
    parser.add_argument("--hbm_bytes", type=int, help="memory of each device (the chip's)")
    parser.add_argument("-m", dest="module", action="store_true", help="the program is a module")
    parser.add_argument("program", help="file of the program, or name of the module")
    parser.add_argument("arguments", nargs=argparse.REMAINDER, help="what the program gets")
    options = parser.parse_args(argv)
    try:
        activate(options.devices, options.soc, options.check, hbm_bytes=options.hbm_bytes)
    except (RuntimeError, ValueError) as error:
        parser.error(str(error))
    sys.argv = [options.program, *options.arguments]
    if options.module:
        runpy.run_module(options.program, run_name="__main__", alter_sys=True)
    else:
        runpy.run_path(options.program, run_name="__main__")


if __name__ == "__main__":
    main(sys.argv[1:])
