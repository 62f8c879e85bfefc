# SPDX-License-Identifier: Apache-2.0
"""The commands that build kernels for Atlas A2 are exactly these.

Source: compile_ascendc.py of ascend-boost-comm and the toolchain of hw-native-sys/simpler, both run
on Ascend 910B. A change here is a change of what runs on hardware.
"""

import pathlib
import re

_COMMANDS = pathlib.Path("tools/bazel/tests/a2_commands.txt")

_COMPILE = (
    "external/cann_toolkit/ccec -x cce -std=c++17 -O3 -c --cce-aicore-only"
    " --cce-aicore-arch=dav-c220-{arch}"
    " -mllvm -cce-aicore-stack-size=0x8000"
    " -mllvm -cce-aicore-function-stack-size=0x8000"
    " -mllvm -cce-aicore-record-overflow=false"
    " -mllvm -cce-aicore-addr-transform"
    " -mllvm -cce-aicore-dcci-insert-for-scalar=false"
    " -Dprobe={symbol} -DTILING_KEY_VAR={key}"
    " -I. -IBIN -DPROBE_DEFINE=1 tools/bazel/tests/probe.cce"
    " -o BIN/tools/bazel/tests/_objs/{object}"
)
_LINK = (
    "external/cann_toolkit/ld.lld -m aicorelinux -Ttext=0 {objects} -static"
    " -o BIN/tools/bazel/tests/{output}"
)
_OBJS = "BIN/tools/bazel/tests/_objs/"


def _commands() -> list[str]:
    text = re.sub(r"bazel-out/[^/ ]+/bin", "BIN", _COMMANDS.read_text(encoding="utf-8"))
    return text.splitlines()


def _compile(arch: str, symbol: str, key: int, output: str) -> str:
    return _COMPILE.format(arch=arch, symbol=symbol, key=key, object=output)


def test_mixed_kernel_is_compiled_for_both_core_kinds_and_linked():
    assert _commands()[:3] == [
        _compile("cube", "probe_0_mix_aic", 0, "mixed/aic.o"),
        _compile("vec", "probe_0_mix_aiv", 0, "mixed/aiv.o"),
        _LINK.format(objects=f"{_OBJS}mixed/aic.o {_OBJS}mixed/aiv.o", output="mixed.o"),
    ]


def test_kernel_of_one_core_kind_has_no_suffix():
    assert _commands()[3:] == [
        _compile("vec", "probe_7", 7, "vector_only/aiv.o"),
        _LINK.format(objects=f"{_OBJS}vector_only/aiv.o", output="vector_only.o"),
    ]
