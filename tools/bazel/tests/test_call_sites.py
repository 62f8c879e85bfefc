# SPDX-License-Identifier: Apache-2.0
"""The table of call_sites.py names the source line of each return address that really occurs."""

import ctypes
import pathlib
import subprocess

import pytest

from tools.bazel import call_sites

_FOLDER = pathlib.Path("tools/bazel/tests")
_KERNEL = _FOLDER / "libcall_sites_kernel.so"
_RUNTIME = _FOLDER / "libcall_sites_runtime.so"
_SOURCE = "tools/bazel/tests/call_sites_kernel.cc"
# What Kernel calls, in order, innermost frame first.
_FRAMES = [
    f"Op@{_SOURCE}:8;Stage<3>@{_SOURCE}:13;Kernel@{_SOURCE}:19",
    f"Op@{_SOURCE}:8;Kernel@{_SOURCE}:20",
]


@pytest.fixture(scope="module")
def table() -> dict[int, str]:
    rows = call_sites.call_table(str(_KERNEL), "objdump", "addr2line").splitlines()
    return {int(address, 16): frames for address, frames in (row.split("\t") for row in rows)}


def test_rows_are_sorted_and_complete(table):
    assert list(table) == sorted(table)
    assert list(table.values()) == _FRAMES


def test_return_addresses_at_run_time_are_in_the_table(table):
    runtime = ctypes.CDLL(str(_RUNTIME.resolve()), ctypes.RTLD_GLOBAL)
    runtime.Call.restype = ctypes.c_int64
    ctypes.CDLL(str(_KERNEL.resolve())).Kernel(1)
    assert [table[runtime.Call(i)] for i in range(runtime.NumCalls())] == _FRAMES


def test_section_holds_the_table_and_the_library_still_loads(tmp_path):
    output = tmp_path / "out.so"
    assert call_sites.main([str(_KERNEL), str(output)]) == 0
    section = tmp_path / "section"
    subprocess.run(
        ["objcopy", f"--dump-section={call_sites.SECTION}={section}", str(output)], check=True
    )
    text = section.read_text(encoding="utf-8")
    assert text == call_sites.call_table(str(_KERNEL), "objdump", "addr2line")
    ctypes.CDLL(str(_RUNTIME.resolve()), ctypes.RTLD_GLOBAL)
    ctypes.CDLL(str(output))


def test_arm64_listing_is_understood():
    listing = (
        "0000000000000710 <Kernel>:\n"
        "     720:\t97ffffb8 \tbl\t600 <Issue@plt>\n"
        "     724:\t97ffffb4 \tbl\t5f4 <__cxa_finalize@plt>\n"
        "     728:\t94000010 \tbl\t768 <Local>\n"
    )
    assert call_sites.return_addresses(listing) == [0x724]


@pytest.mark.parametrize(
    ("function", "short"),
    [
        ("Kernel", "Kernel"),
        ("void Stage<3>(long)", "Stage<3>"),
        ("(anonymous namespace)::Op(int)", "Op"),
        ("a::B<a::C (*)(int)> a::Ring<2, int>::Take(a::D const&) const", "a::Ring<2, int>::Take"),
    ],
)
def test_short_name_drops_return_type_and_parameters(function, short):
    assert call_sites.short_name(function) == short
