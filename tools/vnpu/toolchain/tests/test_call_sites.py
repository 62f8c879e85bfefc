# SPDX-License-Identifier: Apache-2.0
"""The table of call_sites.py names the source line of each return address that really occurs."""

import ctypes
import pathlib
import subprocess

import pytest

from tools.vnpu.toolchain import call_sites, driver, host_programs

_FOLDER = pathlib.Path("tools/vnpu/toolchain/tests")
_RUNTIME = _FOLDER / "libcall_sites_runtime.so"
_SOURCE = "tools/vnpu/toolchain/tests/call_sites_kernel.cc"
# What Kernel calls, in order, innermost frame first.
_FRAMES = [
    f"Op@{_SOURCE}:8;Stage<3>@{_SOURCE}:13;Kernel@{_SOURCE}:19",
    f"Op@{_SOURCE}:8;Kernel@{_SOURCE}:20",
]


@pytest.fixture(scope="module")
def kernel(tmp_path_factory) -> str:
    output = str(tmp_path_factory.mktemp("kernel") / "kernel.so")
    flags = ["-x", "c++", *driver.FLAGS, *driver.STRICT, "-shared"]
    subprocess.run([host_programs.find_clang(), *flags, _SOURCE, "-o", output], check=True)
    return output


def _table_text(kernel: str) -> str:
    listing = subprocess.run(
        ["objdump", "-d", "-w", kernel], check=True, capture_output=True, text=True
    ).stdout
    return call_sites.call_table(kernel, listing, "addr2line")


@pytest.fixture(scope="module")
def table(kernel) -> dict[int, str]:
    rows = _table_text(kernel).splitlines()
    return {int(address, 16): frames for address, frames in (row.split("\t") for row in rows)}


def test_rows_are_sorted_and_complete(table):
    assert list(table) == sorted(table)
    assert list(table.values()) == _FRAMES


def test_return_addresses_at_run_time_are_in_the_table(kernel, table):
    runtime = ctypes.CDLL(str(_RUNTIME.resolve()), ctypes.RTLD_GLOBAL)
    runtime.Call.restype = ctypes.c_int64
    ctypes.CDLL(kernel).Kernel(1)
    assert [table[runtime.Call(i)] for i in range(runtime.NumCalls())] == _FRAMES


def test_section_holds_the_table_and_the_library_still_loads(kernel, tmp_path):
    output = tmp_path / "out.so"
    call_sites.add_section(kernel, _table_text(kernel), "objcopy", str(output))
    section = tmp_path / "section"
    subprocess.run(
        ["objcopy", f"--dump-section={call_sites.SECTION}={section}", str(output)], check=True
    )
    text = section.read_text(encoding="utf-8")
    assert text == _table_text(kernel)
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
