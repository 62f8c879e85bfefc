# SPDX-License-Identifier: Apache-2.0
"""The wheel works outside the repository: a fresh venv, no Bazel, no compiler, no network."""

import json
import os
import pathlib
import subprocess
import sys
import zipfile

import absl
import ml_dtypes
import numpy as np
import pytest

CASE = "decode:b3:h8:kv2:d128:bs64:ctx0,70,300:bf16:seed41"
WHEEL = next(pathlib.Path("python").glob("ascend_attention-*.whl"))


@pytest.fixture(scope="module")
def venv(tmp_path_factory) -> pathlib.Path:
    """A venv with only the wheel in it."""
    folder = tmp_path_factory.mktemp("venv")
    subprocess.run([sys.executable, "-m", "venv", folder], check=True)
    pip = [folder / "bin" / "python", "-m", "pip", "--disable-pip-version-check"]
    install = ["install", "--no-index", "--no-deps", "--quiet", WHEEL.resolve()]
    subprocess.run([*pip, *install], check=True)
    return folder


def in_venv(venv: pathlib.Path, *command: str, path: str = "") -> subprocess.CompletedProcess:
    """Runs a program of the venv; the dependencies come from the packages of this test.

    `path` are folders with programs beyond those of the venv.
    """
    packages = {pathlib.Path(p.__path__[0]).parent for p in (np, ml_dtypes, absl)}
    return subprocess.run(
        [venv / "bin" / command[0], *command[1:]],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        cwd=venv,
        env={
            "PATH": os.pathsep.join(filter(None, (str(venv / "bin"), path))),
            "PYTHONPATH": os.pathsep.join(map(str, packages)),
        },
    )


def test_console_script_runs_a_case(venv):
    done = in_venv(venv, "ascend-attention", "run", "--case", CASE, "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    result = json.loads(done.stdout.splitlines()[-1])
    assert result["ok"] is True
    assert result["case"] == CASE
    assert 0 < result["max_error"] <= result["tolerance"]


def test_doctor_finds_everything_inside_the_venv(venv):
    done = in_venv(venv, "python", "-m", "ascend_attention", "doctor", "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    facts = json.loads(done.stdout.splitlines()[-1])["facts"]
    assert str(venv) in facts["ascend-attention"]
    assert str(venv) in facts["ACL library"]
    assert facts["kernel compiler"].startswith("none, only vnpu.compile needs it: no clang found")


KERNEL = """
extern "C" __global__ __aicore__ void twice(__gm__ float* x, __gm__ float* y, int32_t n) {
  for (int32_t i = 0; i < n; ++i) y[i] = 2 * x[i];
  dcci(y, ENTIRE_DATA_CACHE);
}
"""

LAUNCH = """
import numpy as np
from ascend_attention import vnpu
kernel = vnpu.compile("twice.cce", entry="twice")
result = kernel.launch(1, vnpu.input(np.arange(9, dtype="f4")), vnpu.output(9, "f4"), 9)
print(result.report.verdict, result.outputs["y"].tolist())
"""


def test_check_finds_a_case_clean(venv):
    done = in_venv(venv, "ascend-attention", "check", "--case", CASE, "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    result = json.loads(done.stdout.splitlines()[-1])
    assert result["verdict"] == "clean"
    assert result["case"] == CASE


def test_a_kernel_of_the_user_compiles_and_runs(venv):
    (venv / "twice.cce").write_text(KERNEL)
    done = in_venv(venv, "python", "-c", LAUNCH, path="/usr/bin:/bin")
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout == f"clean {[2.0 * i for i in range(9)]}\n"


def test_without_clang_compiling_says_what_to_install(venv):
    (venv / "twice.cce").write_text(KERNEL)
    done = in_venv(venv, "ascend-attention", "vnpu", "compile", "twice.cce", "--entry", "twice")
    assert done.returncode == 2
    assert "no clang found" in done.stderr
    assert "apt-get install clang-19" in done.stderr
    assert "Traceback" not in done.stderr


def test_wheel_is_small():
    assert WHEEL.stat().st_size < 5_000_000


def test_wheel_has_the_parts_and_only_those():
    names = zipfile.ZipFile(WHEEL).namelist()
    for part in (
        "ascend_attention/decode.py",
        "ascend_attention/_core.pyi",
        "ascend_attention/py.typed",
        "ascend_attention_reference/__init__.py",
        "ascend_attention/kernels/vnpu/decode_f16.so",
        "ascend_attention/kernels/vnpu/decode_bf16.so",
        "ascend_attention/kernels/vnpu/decode_fifo_bf16.so",
        "ascend_attention/kernels/vnpu/decode_int8_dequant_f16.so",
        "ascend_attention/kernels/vnpu/decode_int8_limbs_bf16.so",
        "ascend_attention/kernels/vnpu/merge_states_f32.so",
        "ascend_attention/kernels/vnpu/reshape_and_cache_f16.so",
        "ascend_attention/kernels/vnpu/reshape_and_cache_bf16.so",
        "ascend_attention/vnpu/lib/libascendcl.so",
        "ascend_attention/vnpu/lib/libvnpu.so",
        "ascend_attention/vnpu/report/assets/main.js",
        "ascend_attention/vnpu/report/assets/page.html",
        "ascend_attention/vnpu/include/tools/vnpu/isa/cce.h",
        "ascend_attention/vnpu/include/tools/vnpu/isa/insns.inc",
        "ascend_attention/vnpu/_toolchain/driver.py",
        "ascend_attention/vnpu/kernel.py",
        "ascend_attention/vnpu/report/html.py",
        "ascend_attention/_vnpu.pyi",
    ):
        assert part in names
    for module in ("_core.", "_vnpu."):
        assert any(n.startswith(f"ascend_attention/{module}") and ".so" in n for n in names)
    tops = {name.split("/")[0] for name in names}
    assert tops == {"ascend_attention", "ascend_attention_reference", dist_info(names)}
    assert not [name for name in names if "test" in name]
    fifo = [name for name in names if "kernels" in name and "decode_fifo" in name]
    assert len(fifo) == 2  # one per dtype: its older forms are for comparison alone


def dist_info(names: list[str]) -> str:
    (info,) = {name.split("/")[0] for name in names if ".dist-info/" in name}
    return info


def test_package_in_the_venv_is_the_one_that_runs(venv):
    done = in_venv(venv, "python", "-c", "import ascend_attention as a; print(a.__file__)")
    assert done.stdout.startswith(str(venv)), done.stdout + done.stderr
