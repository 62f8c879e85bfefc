# SPDX-License-Identifier: Apache-2.0
"""Our kernels are one function for each kind of core: nothing of ours is called.

The cube and the vector pass are linked into one binary on the device and must not export equal
names (cce/address.h). A class with rings needs its destructor written out, for AICORE_INLINE.
"""

import pathlib
import subprocess

import pytest

KERNELS = sorted(pathlib.Path("ascend_kernels").glob("*/*.so"))


@pytest.mark.parametrize("kernel", KERNELS, ids=lambda path: path.stem)
def test_kernel_has_no_function_but_its_entry(kernel):
    command = ["nm", "--demangle", "--defined-only", str(kernel)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    symbols = done.stdout.splitlines()
    assert any(kernel.stem in symbol for symbol in symbols)
    assert [symbol for symbol in symbols if "ascend_attention::" in symbol] == []


def test_all_kernels_are_looked_at():
    assert len(KERNELS) == 13
