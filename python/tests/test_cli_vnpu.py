# SPDX-License-Identifier: Apache-2.0
"""The commands check, time, trace and vnpu as a user sees them: texts, JSON, files, exit codes."""

import pathlib
import subprocess

import numpy as np
import pytest
from command_line import cli, last_json

CASE = "decode:b3:h8:kv2:d64:bs32:ctx0,40,300:f16:cores4:seed31"
SMALL = "decode:b1:h2:kv1:d64:bs16:ctx20:f16:cores2:seed1"
HEAD = 'extern "C" __global__ __aicore__ void '
TWICE = (
    HEAD
    + "twice(__gm__ float* x, __gm__ float* y, int32_t n) { "
    + ("for (int32_t i = 0; i < n; ++i) y[i] = FACTOR * x[i]; }")
)


@pytest.fixture
def source(tmp_path) -> pathlib.Path:
    (tmp_path / "twice.cce").write_text(TWICE)
    return tmp_path / "twice.cce"


def launch(source: pathlib.Path, command: str, *args: str) -> subprocess.CompletedProcess:
    fixed = ["--entry", "twice", "--define", "FACTOR=2", "--blocks", "1"]
    return cli("vnpu", command, str(source), *fixed, *args)


ARGUMENTS = ("--arg", "in:f32:[4]:arange", "--arg", "out:f32:4", "--arg", "i32:4")


def test_check_json_has_the_documented_fields():
    done = cli("check", "--case", CASE, "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    assert last_json(done) == {
        "verdict": "clean",
        "case": CASE,
        "checks": ["race", "memory"],
        "strict_gm_visibility": False,
        "launches": 1,
        "findings": [],
        "faults": [],
        "error": None,
    }
    assert done.stdout.splitlines()[1].startswith("clean: 1 launch of decode_f16_0")


@pytest.mark.parametrize("kernel", ["merge_states", "reshape_and_cache"])
def test_check_runs_every_problem_of_a_kernel(kernel):
    done = cli("check", "--kernel", kernel, "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    result = last_json(done)
    assert result["verdict"] == "clean" and result["bad"] == []
    assert result["problems"] == done.stdout.count(f"clean        {kernel}") > 3


OPTIONS = [
    ("f16:qlen3,1,4", "direct", "decode_f16_0"),
    ("bf16:headmajor:interleaved:split64", "direct", "decode_bf16_0"),
    ("bf16:headmajor:route-fifo:outf32", "fifo", "decode_fifo_bf16_0"),
    ("f16:interleaved:route-fifo", "fifo", "decode_fifo_f16_0"),
    ("f16:kvint8-token:route-dequant", "dequant", "decode_int8_dequant_f16_0"),
    ("bf16:interleaved:kvint8-channel-asym:route-limbs", "limbs", "decode_int8_limbs_bf16_0"),
]


@pytest.mark.parametrize(("options", "route", "kernel"), OPTIONS)
def test_run_check_and_time_take_the_options_of_a_case(options, route, kernel):
    head_dim, block = (128, 64) if route == "fifo" else (64, 32)
    case = f"decode:b3:h8:kv2:d{head_dim}:bs{block}:ctx0,40,300:{options}:seed31"
    done = cli("run", "--case", case, "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    assert last_json(done)["case"] == case
    done = cli("check", "--case", case, "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"of {kernel}, checked" in done.stdout
    result = last_json(cli("time", "--case", case, "--json"))
    assert [launch["kernel"] for launch in result["launches"]] == [kernel]
    assert result["kv_bytes"] == 340 * 2 * 2 * head_dim * (1 if "kvint8" in case else 2)
    plan = last_json(cli("plan", "--case", case, "--json"))
    assert plan["num_query_rows"] == (8 if "qlen" in case else 3)
    assert plan["kv_route"] == route
    dtype = {"f16": "float16", "bf16": "bfloat16"}[options.split(":")[0]]
    assert plan["out_dtype"] == ("float32" if "outf32" in options else dtype)


def test_check_of_a_refused_case_is_no_clean_bill():
    done = cli("check", "--case", CASE.replace("d64", "d80"), "--json")
    assert done.returncode == 2
    result = last_json(done)
    assert result["verdict"] == "error"
    assert result["error"].startswith("NotImplementedError: head_dim = 80 has no kernel")
    assert f"ascend-attention: {result['error']}" in done.stderr
    assert "reproduce: ascend-attention check --case" in done.stderr


def test_check_needs_the_virtual_npu(tmp_path):
    done = cli("check", "--case", CASE, ASCEND_ATTENTION_ACL_LIBRARY="/nonexistent/libascendcl.so")
    assert done.returncode == 1
    assert "/nonexistent/libascendcl.so" in done.stderr
    assert "Traceback" not in done.stderr


def test_time_json_has_the_documented_fields_and_is_repeatable():
    first, second = (cli("time", "--case", CASE, "--json") for _ in range(2))
    assert first.returncode == 0, first.stdout + first.stderr
    assert first.stdout == second.stdout
    result = last_json(first)
    assert result["source"] == "model"
    assert result["soc"] == "Ascend910B1"
    assert result["case"] == CASE
    assert result["l2"] == "cold"
    assert result["kv_bytes"] == 340 * 2 * 2 * 64 * 2
    assert result["time_us"] > 0
    assert result["kv_tb_per_s"] == pytest.approx(
        result["kv_bytes"] / result["time_us"] * 1e-6, rel=1e-2
    )
    assert result["imbalance"] >= 1
    assert {"AIC.MTE2", "AIC.M", "AIV.V"} <= result["pipes"].keys()
    for row in result["pipes"].values():
        assert 0 <= row["busy"] <= 1
        assert 0 <= row["exposed_wait"] <= 1
    assert [launch["kernel"] for launch in result["launches"]] == ["decode_f16_0"]


def test_time_tells_chips_and_a_warm_l2_apart():
    cold = last_json(cli("time", "--case", CASE, "--json"))
    warm = last_json(cli("time", "--case", CASE, "--json", "--l2", "warm"))
    assert warm["l2"] == "warm"
    assert len(warm["launches"]) == len(cold["launches"])
    assert warm["l2_hit_bytes"] > cold["l2_hit_bytes"]
    assert warm["hbm_bytes"] < cold["hbm_bytes"]
    other = last_json(cli("time", "--case", CASE, "--json", "--soc", "Ascend910B4"))
    assert other["soc"] == "Ascend910B4"
    assert other["time_us"] != cold["time_us"]


@pytest.mark.parametrize("soc", ["Ascend999", "ascend910b1"])
@pytest.mark.parametrize("command", [("time",), ("trace", "-o", "none.html")])
def test_an_unknown_chip_is_refused_before_any_library_is_looked_for(command, soc):
    done = cli(
        *command, "--case", CASE, "--soc", soc, ASCEND_ATTENTION_ACL_LIBRARY="/nonexistent/libx.so"
    )
    assert done.returncode == 2
    assert f"soc = '{soc}'; allowed: Ascend910B1, " in done.stderr and "B4" in done.stderr
    assert "libx.so" not in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("command", [("check",), ("time",), ("trace", "-o", "none.html"), ("run",)])
@pytest.mark.parametrize(
    ("part", "other", "text"),
    [
        ("h8", "h9", "ValueError: num_heads = 9"),
        ("d64", "d80", "NotImplementedError: head_dim = 80 has no kernel"),
        ("f16", "f16:qlen17", "NotImplementedError: max_q_len = 17 has no kernel"),
        ("f16", "f16:qlen2:kvint8-token", "NotImplementedError: max_q_len = 2 with kv_quant"),
    ],
)
def test_a_refused_case_exits_2_on_stderr(command, part, other, text):
    case = CASE.replace(":cores4", "").replace(part, other)
    done = cli(*command, "--case", case, "--json")
    assert done.returncode == 2, done.stdout + done.stderr
    assert last_json(done)["error"].startswith(text)
    assert done.stderr.startswith(f"ascend-attention: {text}")
    assert len(done.stdout.splitlines()) == 1


def test_a_source_or_a_compiler_that_is_missing_exits_2(source, tmp_path):
    done = launch(tmp_path / "none.cce", "check", *ARGUMENTS)
    assert done.returncode == 2
    assert "none.cce" in done.stderr
    done = cli("vnpu", "compile", str(source), "--entry", "twice", ASCEND_ATTENTION_CLANG="noclang")
    assert done.returncode == 2
    assert "noclang not found" in done.stderr


def test_vnpu_compile_overwrites_only_by_force(source, tmp_path):
    fixed = ("vnpu", "compile", str(source), "--entry", "twice", "--define", "FACTOR=2", "-o")
    path = tmp_path / "twice.so"
    path.write_text("mine")
    done = cli(*fixed, str(path))
    assert done.returncode == 2
    assert f"{path} exists; choose another --output or say --force" in done.stderr
    assert path.read_text() == "mine"
    assert cli(*fixed, str(path), "--force").returncode == 0
    assert path.read_bytes()[:4] == b"\x7fELF"
    for bad, text in ((tmp_path, "it is a folder"), (tmp_path / "no" / "k.so", "no folder")):
        done = cli(*fixed, str(bad))
        assert done.returncode == 2
        assert text in done.stderr and str(bad) in done.stderr


def test_an_output_that_is_not_written_in_full_is_a_finding(source):
    done = launch(source, "check", *ARGUMENTS[:-1], "i32:3")
    assert done.returncode == 1, done.stdout + done.stderr
    assert "output not written: 4 of 16 bytes of y, the first at y + 12" in done.stdout
    assert "1 not finite" in done.stdout


@pytest.mark.parametrize(
    ("suffix", "start", "content"),
    [
        ("html", "<!doctype html>", f"<title>{SMALL}"),
        ("json", "{", '"decode_f16_0"'),
        ("txt", "clean: 1 launch", "decode_f16_0"),
    ],
)
def test_trace_writes_the_form_that_the_name_asks_for(tmp_path, suffix, start, content):
    path = tmp_path / f"out.{suffix}"
    done = cli("trace", "--case", SMALL, "-o", str(path), "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.splitlines()[0] == f"{path}: 1 launch, clean"
    text = path.read_text()
    assert text[: len(start)] == start
    assert text.count(content) > 0
    result = last_json(done)
    assert result["output"] == str(path)
    assert result["bytes"] == path.stat().st_size
    assert result["verdict"] == "clean"


def test_trace_overwrites_only_by_force(tmp_path):
    path = tmp_path / "out.txt"
    path.write_text("mine")
    done = cli("trace", "--case", SMALL, "-o", str(path))
    assert done.returncode == 2
    assert "exists; choose another --output or say --force" in done.stderr
    assert path.read_text() == "mine"
    assert cli("trace", "--case", SMALL, "-o", str(path), "--force").returncode == 0
    assert path.read_text() != "mine"


def test_vnpu_compile_shows_the_parameters_and_keeps_the_library(source, tmp_path):
    done = cli(
        "vnpu",
        "compile",
        str(source),
        "--entry",
        "twice",
        "--define",
        "FACTOR=2",
        "--json",
        "-o",
        str(tmp_path / "twice.so"),
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.splitlines()[:4] == [
        "twice_0 for AIV",
        "  __gm__ f32* x",
        "  __gm__ f32* y",
        "  i32 n",
    ]
    assert last_json(done)["parameters"] == ["__gm__ f32* x", "__gm__ f32* y", "i32 n"]
    assert (tmp_path / "twice.so").read_bytes()[:4] == b"\x7fELF"


def test_vnpu_check_runs_a_kernel_and_saves_its_outputs_once(source, tmp_path):
    args = (*ARGUMENTS, "--save_outputs", str(tmp_path / "outputs"), "--json")
    done = launch(source, "check", *args)
    assert done.returncode == 0, done.stdout + done.stderr
    assert np.load(tmp_path / "outputs" / "y.npy").tolist() == [0, 2, 4, 6]
    result = last_json(done)
    assert result["verdict"] == "clean"
    assert result["outputs"] == {"y": {"dtype": "float32", "shape": [4]}}
    again = launch(source, "check", *args)
    assert again.returncode == 2
    assert "y.npy exists; choose another --save_outputs" in again.stderr


def test_vnpu_run_reads_files(source, tmp_path):
    np.save(tmp_path / "x.npy", np.array([5, 6], np.float32))
    done = launch(
        source,
        "run",
        "--arg",
        f"in:@{tmp_path}/x.npy",
        "--arg",
        "inout:f32:2:ones",
        "--arg",
        "i32:2",
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "[10 12]  min 10 max 12" in done.stdout


def test_vnpu_run_that_faults_exits_1_with_the_line(source):
    done = launch(source, "run", *ARGUMENTS[:-1], "i32:40000")
    assert done.returncode == 1, done.stdout + done.stderr
    assert done.stdout.startswith("fault: in twice_0")
    assert "twice.cce:1" in done.stdout


@pytest.mark.parametrize(
    ("args", "text"),
    [
        (("--arg", "in:f33:4"), "type 'f33'; allowed: f16, bf16, f32"),
        (("--arg", "in:f32:[4"), "shape '[4'; expected a number or [4,256]"),
        (("--arg", "in:f32:4:twos"), "contents 'twos'; allowed: zeros, ones, arange, random"),
        (("--arg", "in:@none.npy"), "'none.npy' cannot be read"),
        (("--arg", "i32:x"), "value 'x'; expected a number for i32"),
        (("--arg", "out:f32"), "expected out:<type>:<shape>"),
        (("--arg", "float"), "must begin with in:, inout:"),
        (("-o", "x.html"), "-o"),
    ],
)
def test_a_wrong_option_of_vnpu_exits_2_and_says_what(source, args, text):
    done = launch(source, "run", *args)
    assert done.returncode == 2, done.stdout + done.stderr
    assert text in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("args", "text"),
    [
        (ARGUMENTS[:4], "2 arguments given; expected 3: (__gm__ f32* x"),
        (("--arg", "in:f16:4", *ARGUMENTS[2:]), "x has dtype float16; expected float32"),
        ((*ARGUMENTS, "--blocks", "0"), "blocks = 0; allowed: 1 to 65535"),
        ((*ARGUMENTS, "--timeout", "-1"), "timeout = -1.0; allowed: above 0"),
        ((*ARGUMENTS, "--soc", "ascend910b1"), "soc = 'ascend910b1'; allowed: Ascend910B1"),
        ((*ARGUMENTS, "--cores", "xyz"), "cores = ['xyz']; allowed: ('aic', 'aiv')"),
        ((*ARGUMENTS, "--key", "-1"), "key = -1; allowed: 0 to"),
        ((*ARGUMENTS, "--define", "FACTOR=two"), "undeclared identifier 'two'"),
        ((*ARGUMENTS, "--entry", "thrice"), "no entry 'thrice'"),
    ],
)
def test_what_does_not_fit_the_kernel_exits_2_and_says_what(source, args, text):
    done = launch(source, "run", *args, "--json")
    assert done.returncode == 2, done.stdout + done.stderr
    assert text in done.stderr
    assert "Traceback" not in done.stderr
    assert text.replace("'", "") in last_json(done)["error"].replace("'", "")


@pytest.mark.parametrize(
    ("path", "text"),
    [("out.png", "its ending must be .html"), ("nowhere/out.html", "there is no folder 'nowhere'")],
)
def test_trace_refuses_a_file_that_it_cannot_write(path, text):
    done = cli("trace", "--case", SMALL, "-o", path)
    assert done.returncode == 2
    assert text in done.stderr
