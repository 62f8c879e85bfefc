# SPDX-License-Identifier: Apache-2.0
"""Command line of the compile driver: `kernel` for people, `pass` and `link` for the build rule."""

import argparse
import shutil
import sys
import tempfile

from . import driver
from .host_programs import CompileError, Runner, Tools, find_tools


def _common(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("-o", dest="output", required=True)
    parser.add_argument("--timeout", type=float, default=driver.TIMEOUT_SECONDS, help="seconds")
    for tool in Tools.__dataclass_fields__:
        parser.add_argument("--" + tool, help="path; default: found in PATH")


def _source(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("source")
    parser.add_argument("--entry", required=True, help='the extern "C" __global__ function')
    parser.add_argument("--key", type=int, default=0, help="tiling key, part of the name")
    parser.add_argument("--isa-dir", default=".", help="folder of tools/vnpu/isa/cce.h")
    parser.add_argument("--strict", action="store_true", help="warnings are errors")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="toolchain",
        description="Builds raw CCE kernels for the virtual NPU.",
        allow_abbrev=False,
    )
    commands = parser.add_subparsers(dest="command", required=True)
    kernel = commands.add_parser(
        "kernel",
        help="source to library; options like -DNAME=1 and -Idir go to clang",
        allow_abbrev=False,
    )
    _source(kernel)
    kernel.add_argument("--cores", help="aic, aiv or aic,aiv; default: found out")
    kernel.add_argument("--runtime", required=True, help="libvnpu.so")
    one = commands.add_parser("pass", help="one core kind to an object", allow_abbrev=False)
    _source(one)
    one.add_argument("--core", required=True, choices=driver.CORES)
    one.add_argument(
        "--kind", required=True, help="suffix of the entry: mix_aic, mix_aiv, aic, aiv"
    )
    link = commands.add_parser("link", help="objects to a library")
    link.add_argument("objects", nargs="+")
    link.add_argument("--runtime", required=True, help="libvnpu.so")
    for command in (kernel, one, link):
        _common(command)
    return parser


def _tools(args: argparse.Namespace) -> Tools:
    given = {tool: getattr(args, tool) for tool in Tools.__dataclass_fields__}
    if all(given.values()):
        return Tools(**given)
    found = find_tools(given["clang"])
    return Tools(**{tool: path or getattr(found, tool) for tool, path in given.items()})


def _pass(args: argparse.Namespace, flags: list[str]) -> None:
    job = driver.Job(
        source=args.source,
        entry=args.entry,
        key=args.key,
        isa_dir=args.isa_dir,
        tools=_tools(args),
        runner=Runner(args.timeout),
        flags=tuple(flags),
        strict=args.strict,
    )
    with tempfile.TemporaryDirectory(prefix="vnpu_pass_") as folder:
        part = driver.front_end(job, args.core, args.kind, folder)
        shutil.copyfile(driver.back_end(job, part, folder), args.output)
    if part.warnings:
        print(part.warnings, file=sys.stderr)


def _kernel(args: argparse.Namespace, flags: list[str]) -> None:
    result = driver.compile_kernel(
        args.source,
        args.entry,
        args.output,
        key=args.key,
        cores=tuple(args.cores.split(",")) if args.cores else None,
        extra_flags=flags,
        clang=args.clang,
        isa_dir=args.isa_dir,
        runtime=args.runtime,
        strict=args.strict,
        timeout=args.timeout,
    )
    if result.warnings:
        print(result.warnings, file=sys.stderr)
    shown = ", ".join(f"{p.kind} {p.type}" for p in result.parameters)
    print(f"{result.path}: kernel {result.name}({shown}) for {' and '.join(result.cores)}")


def main(argv: list[str]) -> int:
    args, flags = _parser().parse_known_args(argv)
    try:
        if args.command == "link":
            if flags:
                raise CompileError("link does not know " + " ".join(flags))
            driver.link(args.objects, args.output, args.runtime, _tools(args), Runner(args.timeout))
        else:
            (_kernel if args.command == "kernel" else _pass)(args, flags)
    except CompileError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
