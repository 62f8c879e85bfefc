# SPDX-License-Identifier: Apache-2.0
"""The console script `ascend-attention`: its commands and their options.

Exit codes: 0 all well, 1 a check failed or the device faulted, 2 wrong usage: nothing ran.
People read text; with --json the last line of stdout is one JSON object.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable, Sequence

import ascend_attention_reference as reference
from absl import app, logging
from absl.flags import argparse_flags

from ascend_attention.cli import (
    check,
    doctor,
    kernel,
    mutate,
    plan,
    run,
    support,
    timing,
    trace,
)
from ascend_attention.cli.case_problem import LIBRARY_ERRORS, UsageError, say_failed

Commands = argparse._SubParsersAction
Handler = Callable[[argparse.Namespace], int]

_EXAMPLE_CASE = "decode:b4:h32:kv8:d128:bs128:ctx1,127,128,4096:f16:seed7"


def run_main() -> None:
    """Runs the subcommand that sys.argv names and exits with its code."""
    app.run(_dispatch, flags_parser=_parse)


def _dispatch(args: argparse.Namespace) -> int:
    handler: Handler = args.handler
    try:
        code = handler(args)
        sys.stdout.flush()
        return code
    except UsageError as error:
        return _failed(args, str(error), 2)
    except LIBRARY_ERRORS as error:  # one line for people; the traceback with --verbosity=1
        logging.debug("traceback", exc_info=True)
        return _failed(args, f"{type(error).__name__}: {error}", 1)
    except KeyboardInterrupt:
        print("ascend-attention: interrupted", file=sys.stderr)
        return 130
    except OSError as error:  # nobody reads our output, or its disk is full
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        print(f"ascend-attention: cannot write: {error}", file=sys.stderr)
        return 1


def _failed(args: argparse.Namespace, text: str, code: int) -> int:
    say_failed(text)
    if args.json:
        print(json.dumps({"ok": False, "error": text}))
    return code


def _parse(argv: Sequence[str]) -> argparse.Namespace:
    parser = argparse_flags.ArgumentParser(
        prog="ascend-attention",
        description="Paged-attention decode for Ascend A2.",
        allow_abbrev=False,
    )
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    _add_doctor(commands)
    _add_support(commands)
    _add_run(commands)
    _add_plan(commands)
    _add_check(commands)
    _add_time(commands)
    _add_trace(commands)
    _add_mutate(commands)
    kernel.add_commands(commands, _add_command)
    return parser.parse_args(argv[1:])


def _add_command(
    commands: Commands, name: str, handler: Handler, text: str
) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = commands.add_parser(
        name, help=text, description=text, allow_abbrev=False
    )
    parser.set_defaults(handler=handler)
    parser.add_argument("--json", action="store_true", help="end with one line of JSON")
    return parser


def _add_doctor(commands: Commands) -> None:
    parser = _add_command(
        commands, "doctor", doctor.run, "Say which device, libraries and kernels are there."
    )
    parser.add_argument("--device", type=int, default=0, help="index of the device")


def _add_support(commands: Commands) -> None:
    parser = _add_command(
        commands, "support", support.run, "Say what every kernel can do; needs no device."
    )
    parser.add_argument(
        "--markdown", action="store_true", help="print the table of README.md instead of text"
    )


def _add_run(commands: Commands) -> None:
    parser = _add_command(
        commands, "run", run.run, "Decode one case and compare with the float64 reference."
    )
    _add_case(parser)
    parser.add_argument("--repeat", type=_positive, default=1, metavar="N", help="runs of the case")
    parser.add_argument("--device", type=int, default=0, help="index of the device")


def _add_plan(commands: Commands) -> None:
    parser = _add_command(
        commands, "plan", plan.run, "Show how a case is spread over the cores; needs no device."
    )
    _add_case(parser)
    parser.add_argument("--full", action="store_true", help="every work item and split")
    parser.add_argument("--soc", default=plan.DEFAULT_SOC, metavar="NAME", help="chip to plan for")


def _add_check(commands: Commands) -> None:
    parser = _add_command(
        commands,
        "check",
        check.run,
        "Look for races and bad memory accesses in one case, or in all problems of a kernel.",
    )
    what = parser.add_mutually_exclusive_group(required=True)
    _add_case(what, required=False)
    what.add_argument("--kernel", choices=mutate.KERNELS)
    parser.add_argument(
        "--strict_gm_visibility",
        action="store_true",
        help="demand dsb(DSB_DDR) before the flag that hands GM to another core",
    )


def _add_time(commands: Commands) -> None:
    parser = _add_command(commands, "time", timing.run, "Model the time of one case on a device.")
    _add_case(parser)
    _add_model(parser)


def _add_trace(commands: Commands) -> None:
    parser = _add_command(
        commands, "trace", trace.run, "Write the modelled course of one case, to look at."
    )
    _add_case(parser)
    _add_model(parser)
    trace.add_output(parser)


def _add_mutate(commands: Commands) -> None:
    parser = _add_command(
        commands,
        "mutate",
        mutate.run,
        "Remove every flag, wait and barrier of a kernel, one at a time: do the checkers notice?",
    )
    parser.add_argument("--kernel", choices=mutate.KERNELS, required=True)
    parser.add_argument(
        "--case",
        type=_case,
        action="append",
        metavar="CASE",
        help="cases to try, may be repeated; default: a few small ones that reach every branch",
    )
    parser.add_argument(
        "--sync_only", action="store_true", help="leave counts, slots and regions as they are"
    )
    parser.add_argument("--verbose", action="store_true", help="show every mutant")


def _add_model(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--soc", metavar="NAME", help=f"chip to model; default {plan.DEFAULT_SOC}")
    parser.add_argument(
        "--l2",
        choices=("cold", "warm"),
        default="cold",
        help="what the L2 holds at the start: nothing, or what an earlier run left",
    )


def _add_case(parser: argparse._ActionsContainer, *, required: bool = True) -> None:
    parser.add_argument(
        "--case", type=_case, required=required, metavar="CASE", help=f"such as {_EXAMPLE_CASE}"
    )


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r}; allowed: 1 or more")
    return int(text)


def _case(text: str) -> reference.DecodeCase:
    try:
        return reference.parse_case(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error
