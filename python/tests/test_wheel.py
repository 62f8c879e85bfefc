# SPDX-License-Identifier: Apache-2.0
"""The wheel works outside the repository: a fresh venv, no Bazel, no compiler, no network."""

import importlib.util
import json
import os
import pathlib
import platform
import re
import subprocess
import sys
import sysconfig
import zipfile

import absl
import ml_dtypes
import numpy as np
import pytest

CASE = "decode:b3:h8:kv2:d128:bs64:ctx0,70,300:bf16:seed41"
WHEEL = next(pathlib.Path("python").glob("ascend_attention-*.whl"))
A2_CONTENTS = [
    pathlib.Path("python/wheel.files.json"),
    pathlib.Path("host_cc/install_tree.files.json"),
]


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
            "TORCH_DEVICE_BACKEND_AUTOLOAD": "0",
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


def test_trace_is_written(venv):
    case = "decode:b1:h8:kv2:d128:bs64:ctx70:f16:seed41"
    done = in_venv(venv, "ascend-attention", "trace", "--case", case, "-o", "trace.txt")
    assert done.returncode == 0, done.stdout + done.stderr
    assert (venv / "trace.txt").read_text(encoding="utf-8").startswith("clean")


def test_support_needs_no_device(venv):
    done = in_venv(venv, "ascend-attention", "support")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "merge_states" in done.stdout


def test_import_leaves_torch_alone(venv):
    done = in_venv(
        venv, "python", "-c", "import ascend_attention, sys; sys.exit('torch' in sys.modules)"
    )
    assert done.returncode == 0, done.stdout + done.stderr


TORCH = """
import torch
import ascend_attention.torch as aa
cache = torch.full((3, 16, 2, 64), 0.5, dtype=torch.float16)
table = torch.tensor([[2, 0]], dtype=torch.int32)
out = aa.paged_attention(torch.ones(1, 4, 64).half(), cache, cache, table, [20])
print(aa.__file__, out.shape, float((out - 0.5).abs().max()))
"""


def test_torch_operators_are_there_if_it_was_built_with_torch(venv):
    name = "ascend_attention/libascend_attention_torch.so"
    with_torch = importlib.util.find_spec("torch") is not None
    assert (name in zipfile.ZipFile(WHEEL).namelist()) is with_torch
    done = in_venv(venv, "python", "-c", TORCH)
    if not with_torch:
        assert "No module named 'torch'" in done.stderr
        return
    assert done.returncode == 0, done.stdout + done.stderr
    file, shape = done.stdout.split(" ", 1)
    assert file.startswith(str(venv))
    assert shape == "torch.Size([1, 4, 64]) 0.0\n"


def test_wheel_is_small():
    assert WHEEL.stat().st_size < 5_000_000


def test_nothing_in_the_wheel_knows_where_it_was_built():
    wheel = zipfile.ZipFile(WHEEL)
    for name in wheel.namelist():
        data = wheel.read(name)
        for word in (os.getcwd().encode(), b"/execroot/", b"/sandbox/", b"/root/"):
            assert data.count(word) == 0, f"{name} contains {word!r}"


def test_tag_says_what_the_modules_are():
    name = re.fullmatch(r"ascend_attention-[\d.]+-(\w+)-(\w+)-(linux_\w+)\.whl", WHEEL.name)
    assert name, WHEEL.name
    modules = [n for n in zipfile.ZipFile(WHEEL).namelist() if re.search(r"/_(core|vnpu)\.", n)]
    suffixes = {n.split(".", 1)[1] for n in modules} - {"pyi"}
    assert name[3] == "linux_" + platform.machine()
    if sys.version_info >= (3, 12):
        assert (name[1], name[2], suffixes) == ("cp312", "abi3", {"abi3.so"})
    else:
        tag = f"cp{sys.version_info[0]}{sys.version_info[1]}"
        assert (name[1], name[2]) == (tag, tag)
        assert suffixes == {sysconfig.get_config_var("EXT_SUFFIX")[1:]}


def test_a2_adds_kernels_to_wheel_and_install_tree():
    listings = [json.loads(path.read_text(encoding="utf-8")) for path in A2_CONTENTS]
    wheel, tree = sorted(listings, key=lambda listing: "headers" in listing)
    for files, folder in (
        (wheel, "ascend_attention/kernels/"),
        (tree["files"], "lib/ascend_attention/kernels/"),
    ):
        kernels = {n.removeprefix(folder).split(".")[0] for n in files if n.startswith(folder)}
        names = {kernel.removeprefix("vnpu/") for kernel in kernels if "vnpu" in kernel}
        assert {"decode_f16", "decode_int8_limbs_bf16", "reshape_and_cache_f16"} <= names
        assert kernels == {f"{kind}/{name}" for kind in ("a2", "vnpu") for name in names}
        assert folder + "a2/decode_f16.o" in files
        assert folder + "vnpu/decode_f16.so" in files


def test_wheel_has_the_parts_and_only_those():
    names = zipfile.ZipFile(WHEEL).namelist()
    for part in (
        f"{dist_info(names)}/licenses/nanobind/LICENSE",
        f"{dist_info(names)}/licenses/robin_map/LICENSE",
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
