# SPDX-License-Identifier: Apache-2.0
"""The command line as a user sees it: texts, JSON, exit codes."""

import importlib.metadata
import os
import pathlib
import sys

import ascend_attention
import ascend_attention_reference as reference
import pytest
from ascend_attention.cli import doctor, refuse_case
from ascend_attention.cli.case_problem import UsageError
from command_line import cli, last_json

LIBRARY = "libascend_attention_torch.so"

CASE = "decode:b3:h8:kv2:d64:bs32:ctx0,40,300:f16:cores4:seed31"


def test_run_compares_a_case_and_exits_0():
    done = cli("run", "--case", CASE)
    assert done.returncode == 0, done.stdout + done.stderr
    lines = done.stdout.splitlines()
    assert lines[-1] == "ok"
    assert f"case         {CASE}" in lines
    assert any(line.startswith("device       Ascend910B") for line in lines)
    assert any(line.startswith("out          largest error ") for line in lines)
    assert any("work items" in line and "of 4 cores" in line for line in lines)
    assert "reproduce" not in done.stdout


def test_run_json_has_the_documented_fields():
    done = cli("run", "--case", CASE, "--json", "--repeat", "3")
    assert done.returncode == 0, done.stdout + done.stderr
    result = last_json(done)
    assert result.keys() == {
        "ok",
        "case",
        "max_error",
        "tolerance",
        "rule",
        "lse_max_error",
        "lse_tolerance",
        "repeatable",
        "host_seconds",
        "total_seconds",
        "device",
    }
    assert result["ok"] is True
    assert result["repeatable"] is True
    assert result["case"] == CASE
    assert 0 <= result["max_error"] <= result["tolerance"]
    assert 0 < result["host_seconds"] < result["total_seconds"]
    assert "virtual NPU" in result["device"]


@pytest.mark.parametrize(
    ("case", "text"),
    [
        (CASE.replace("d64", "d80"), "NotImplementedError: head_dim = 80 has no kernel"),
        (CASE.replace("bs32", "bs20"), "NotImplementedError: kv_block_size = 20 has no kernel"),
        (CASE.replace("h8", "h9"), "ValueError: num_heads = 9"),
        (CASE.replace("cores4", "cores200"), "ValueError: num_cores = 200"),
    ],
)
def test_run_of_a_refused_case_exits_2_with_the_reason_and_the_command(case, text):
    done = cli("run", "--case", case, "--json")
    assert done.returncode == 2
    lines = done.stderr.splitlines()
    assert lines[0].startswith(f"ascend-attention: {text}")
    assert lines[1] == f"reproduce: ascend-attention run --case {case} --repeat=1"
    assert len(done.stdout.splitlines()) == 1
    result = last_json(done)
    assert result["ok"] is False
    assert result["case"] == case
    assert result["error"].startswith(text)


def test_run_fails_when_a_result_is_wrong(tmp_path):
    """A reference that is off by a little: the check must say WRONG and name the place."""
    (tmp_path / "sitecustomize.py").write_text(
        "import ascend_attention_reference as r\n"
        "check = r.check\n"
        "r.check = lambda out, lse, expected: check(out + out.dtype.type(0.02), lse, expected)\n"
    )
    path = os.pathsep.join([str(tmp_path), *(p for p in sys.path if p)])
    done = cli("run", "--case", CASE, "--json", PYTHONPATH=path)
    assert done.returncode == 1, done.stdout + done.stderr
    assert "WRONG" in done.stdout.splitlines()
    assert f"reproduce: ascend-attention run --case {CASE} --repeat=1" in done.stdout
    result = last_json(done)
    assert result["ok"] is False
    assert result["max_error"] > result["tolerance"]


def test_plan_shows_a_summary_without_a_device():
    done = cli("plan", "--case", CASE, ASCEND_ATTENTION_ACL_LIBRARY="/nonexistent")
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"case         {CASE}" in done.stdout
    assert "partial_out" in done.stdout
    assert "core 0\n" not in done.stdout


def test_plan_full_lists_every_item():
    done = cli("plan", "--case", CASE, "--full", "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    result = last_json(done)
    assert done.stdout.count("    sequence ") == sum(result["items_per_core"])


def test_plan_json_has_the_documented_fields():
    result = last_json(cli("plan", "--case", CASE, "--json", "--soc", "Ascend910B3"))
    assert result.keys() == {
        "ok",
        "case",
        "soc",
        "num_query_rows",
        "kv_route",
        "out_dtype",
        "num_cores",
        "items_per_core",
        "num_splits",
        "num_partials",
        "predicted_balance",
        "workspace_bytes",
        "region_bytes",
    }
    assert result["num_cores"] == len(result["items_per_core"]) == 4
    assert result["soc"] == "Ascend910B3"
    assert sum(result["region_bytes"].values()) <= result["workspace_bytes"]


GIB = 1 << 30
LARGE = "decode:b64:h8:kv8:d128:bs128:ctx1000000:f16:seed1"


@pytest.mark.parametrize(
    ("case", "text"),
    [
        # All kv blocks of this one cannot even be numbered.
        ("decode:b65536:h8:kv2:d128:bs128:ctx16777216:f16:seed1", "num_kv_blocks = 8589934592"),
        (LARGE, "MemoryError: ctx to 1000000 in b64 sequences: the inputs do not fit into memory"),
    ],
)
def test_run_of_a_case_that_is_too_large_is_refused_before_its_arrays_are_made(case, text):
    done = cli("run", "--case", case, memory=8 * GIB)
    assert done.returncode == 2, done.stdout + done.stderr
    assert text in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""


@pytest.mark.parametrize(
    ("case", "field", "size"),
    [
        (LARGE, "ctx to 1000000 in b64", "key_cache and value_cache 262.161 GB"),
        (LARGE.replace("f16", "f16:kvint8-token"), "ctx to 1000000 in b64", "131.080 GB"),
        (LARGE.replace("f16", "f16:shared"), "ctx to 1000000 in b64", "131.080 GB"),
        (
            "decode:b9000:h8:kv1:d64:bs16:ctx2,8000000" + ",2" * 8998 + ":f16:seed1",
            "ctx to 8000000",
            "block_table 18.000 GB",
        ),
        ("decode:b60000:h128:kv1:d256:bs16:ctx1:f16:qlen16:seed1", "qlen to 16", "query 62.915 GB"),
    ],
    ids=("cache", "int8", "shared", "table", "query"),
)
def test_inputs_beyond_memory_are_refused_by_field_and_size(monkeypatch, case, field, size):
    monkeypatch.setattr(refuse_case, "available_bytes", lambda: 16 * GIB)
    with pytest.raises(UsageError, match=f"MemoryError: {field}.*{size}.*available are 17.180 GB"):
        refuse_case.refuse_case(reference.parse_case(case))


def test_inputs_within_memory_pass(monkeypatch):
    case = reference.parse_case(CASE)
    needed = 2 * sum(refuse_case.input_bytes(case).values())
    inputs = reference.make_inputs(case)
    used = (inputs.block_table >= 0).sum() / len(inputs.key_cache)
    nbytes = 2 * inputs.key_cache.nbytes * used + inputs.query.nbytes + inputs.block_table.nbytes
    assert needed == 2 * nbytes
    monkeypatch.setattr(refuse_case, "available_bytes", lambda: needed)
    refuse_case.refuse_case(case)
    monkeypatch.setattr(refuse_case, "available_bytes", lambda: needed - 1)
    with pytest.raises(UsageError, match="do not fit"):
        refuse_case.refuse_case(case)


def test_available_memory_is_the_least_of_what_limits_it(monkeypatch, tmp_path):
    (tmp_path / "meminfo").write_text("MemTotal: 9000 kB\nMemAvailable:    3000 kB\n")
    (tmp_path / "max").write_text("max\n")
    (tmp_path / "limit").write_text("2048000\n")
    monkeypatch.setattr(refuse_case, "_MEMORY", tmp_path / "meminfo")
    monkeypatch.setattr(refuse_case, "_CGROUP_LIMITS", (tmp_path / "max",))
    assert refuse_case.available_bytes() == 3000 * 1024
    limits = (tmp_path / "max", tmp_path / "limit", tmp_path / "none")
    monkeypatch.setattr(refuse_case, "_CGROUP_LIMITS", limits)
    assert refuse_case.available_bytes() == 2048000


def test_plan_of_an_unknown_chip_names_the_known_ones():
    done = cli("plan", "--case", CASE, "--soc", "Ascend999")
    assert done.returncode == 2
    assert "Ascend999" in done.stderr
    assert "Ascend910B1" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("args", "text"),
    [
        ((), "COMMAND"),
        (("walk",), "invalid choice: 'walk'"),
        (("run",), "--case"),
        (("run", "--case", CASE.replace("cores4", "bogus")), "option = 'bogus'"),
        (("run", "--case", "decode:b1"), "has 2 parts"),
        (("run", "--case", CASE, "--repeat", "0"), "'0'; allowed: 1 or more"),
        (("run", "--case", CASE, "--cores=3"), "--cores=3"),
        (("plan", "--case", CASE, "--repeat", "2"), "--repeat"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_wrong_usage_exits_2_and_says_what(args, text):
    done = cli(*args)
    assert done.returncode == 2, done.stdout + done.stderr
    assert text in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""


def test_help_exits_0_and_names_the_commands():
    done = cli("--help")
    assert done.returncode == 0
    for command in ("doctor", "support", "run", "plan", "check", "time", "trace", "vnpu"):
        assert command in done.stdout


def test_support_prints_one_table_in_three_forms():
    text = cli("support", ASCEND_ATTENTION_ACL_LIBRARY="/nonexistent")
    assert text.returncode == 0, text.stderr
    rows = last_json(cli("support", "--json"))["rows"]
    kernels = [row["kernel"] for row in rows]
    assert kernels[0] == "decode" and len(set(kernels)) == len(kernels)
    assert [line for line in text.stdout.splitlines() if line[0] != " "] == kernels
    markdown = cli("support", "--markdown").stdout.splitlines()
    assert [line.split("`")[1] for line in markdown[2:]] == kernels
    decode = rows[0]
    assert {head["head_dim"] for head in decode["heads"]} >= {64, 128}
    assert "16 to 512, multiples of 16" in text.stdout
    outs = [
        line.split("out", 1)[1].strip() for line in text.stdout.splitlines() if "  out " in line
    ]
    assert outs == ["query dtype"] * 3 + ["query dtype, float32"]
    tokens = [
        line.split("sequence")[1].strip() for line in text.stdout.splitlines() if "query t" in line
    ]
    assert tokens == ["1 to 16", "1", "1", "1"]


def test_doctor_says_what_is_there():
    done = cli("doctor", "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.splitlines()[-2] == "ready"
    result = last_json(done)
    assert result["ok"] is True
    assert result["missing"] == []
    facts = result["facts"]
    for name in ("python", "numpy", "ml-dtypes", "absl-py", "machine", "CANN toolkit"):
        assert facts[name], name
    assert "clang" in facts["kernel compiler"]
    for package in ("torch", "torch_npu"):
        try:
            assert facts[package] == importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            assert facts[package].startswith("not installed; for ")
    found = (pathlib.Path(ascend_attention.__file__).parent / LIBRARY).exists()
    where = "is in this package" if found else "is not in this package, which was built where"
    assert facts["torch operators"].startswith(f"{LIBRARY} {where}")
    assert [line for line in done.stdout.splitlines() if line.startswith("torch operators   lib")]
    assert "virtual NPU" in facts["device"]
    assert "libascendcl.so" in facts["ACL library"]
    for dtype in ("float16", "bfloat16"):
        assert "decode and decode_fifo loaded" in facts[f"kernels {dtype}"]
        assert "decoded right" in facts[f"kernels {dtype}"]


def test_doctor_takes_no_cann_for_pytorch_or_cann_that_is_not_there(monkeypatch):
    def absent(package):
        if package.startswith("torch"):
            raise importlib.metadata.PackageNotFoundError(package)
        return "1"

    monkeypatch.setattr(doctor.importlib.metadata, "version", absent)
    monkeypatch.setattr(doctor._runtime, "PACKAGE", pathlib.Path("/nowhere"))
    monkeypatch.setenv("ASCEND_HOME_PATH", "/x/ascend_attention/vnpu/home")  # as activate() does
    facts = {fact.name: fact for fact in doctor._host_facts()}
    for name in ("torch", "torch_npu"):
        assert facts[name].value.startswith("not installed")
    assert "--no-build-isolation" in facts["torch operators"].value
    assert facts["CANN toolkit"].value.startswith("not found")
    assert all(fact.ok for fact in facts.values())  # all this is for ascend_attention.torch alone


def test_doctor_without_an_acl_library_exits_1_and_says_how_to_get_one():
    done = cli("doctor", "--json", ASCEND_ATTENTION_ACL_LIBRARY="/nonexistent/libascendcl.so")
    assert done.returncode == 1
    result = last_json(done)
    assert result["missing"] == ["device"]
    assert "/nonexistent/libascendcl.so" in result["facts"]["device"]
    assert "ASCEND_ATTENTION_ACL_LIBRARY" in result["facts"]["device"]


def test_doctor_without_kernels_exits_1_and_says_how_to_get_them(tmp_path):
    done = cli("doctor", "--json", ASCEND_ATTENTION_KERNEL_DIR=str(tmp_path))
    assert done.returncode == 1
    result = last_json(done)
    assert result["missing"] == ["kernels float16", "kernels bfloat16"]
    text = result["facts"]["kernels float16"]
    assert "without ASCEND_ATTENTION_KERNEL_DIR those beside the library are taken" in text
    assert "in the source tree ./bazelw build" in text
