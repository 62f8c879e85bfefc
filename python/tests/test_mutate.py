# SPDX-License-Identifier: Apache-2.0
"""`ascend-attention mutate`: no flag, wait or barrier of our kernels can be lost unnoticed."""

import os
import re

import numpy as np
import pytest
from ascend_attention import vnpu
from ascend_attention.cli import main, mutate, support
from command_line import cli, last_json

# A copy through one slot, with a barrier that nothing needs.
NEEDLESS = """
extern "C" __global__ __aicore__ void copy_row(__gm__ float* dst, __gm__ float* src) {
  __ubuf__ float* ub = reinterpret_cast<__ubuf__ float*>((uintptr_t)0);
  copy_gm_to_ubuf(ub, src, 0, 1, 8, 0, 0);
  pipe_barrier(PIPE_MTE2);
  copy_gm_to_ubuf(ub + 64, src + 64, 0, 1, 8, 0, 0);
  set_flag(PIPE_MTE2, PIPE_MTE3, EVENT_ID0);
  wait_flag(PIPE_MTE2, PIPE_MTE3, EVENT_ID0);
  copy_ubuf_to_gm(dst, ub, 0, 1, 16, 0, 0);
}
"""

END_KERNEL = "ascend_attention::EndKernel"


def result_of(*args, code):
    done = cli("mutate", *args, "--json", timeout=900)
    assert done.returncode == code, done.stdout[:4000] + done.stderr
    return last_json(done), done.stdout


def is_credit(kernel, mutant):
    """Of decode_fifo: its schedule orders the FIFO's slots too, so a lost credit may do no harm."""
    return kernel == "decode_fifo" and re.search(r"MTE2 mode 2 flag [135]\b", mutant["what"])


@pytest.mark.parametrize("kernel", mutate.KERNELS)
def test_every_lost_synchronisation_is_caught_or_proven_redundant(kernel):
    result, text = result_of("--kernel", kernel, "--sync_only", "--verbose", code=0)
    assert result["survived"] == 0, text
    assert result["caught"] + result["proven_redundant"] == result["mutants"]
    rest = [mutant for mutant in result["all"] if not is_credit(kernel, mutant)]
    assert sum(mutant["outcome"] == "caught" for mutant in rest) > 0.9 * len(rest)
    kernels = {mutant["kernel"] for mutant in result["all"]}
    (row,) = (row for row in support.rows() if row["kernel"] == kernel)
    assert kernels == {f"{binary}_0" for binary in row["binaries"]}
    kinds = {mutant["kind"] for mutant in result["all"]}
    has_signals = row["op"] == "decode"
    assert kinds == {"drop", "drop-pair"} | ({"move-pipe"} if has_signals else set())
    # Nothing is on its way when a kernel ends, on either kind of core.
    ends = [mutant for mutant in result["all"] if mutant["frames"][0]["function"] == END_KERNEL]
    assert {mutant["kernel"] for mutant in ends} == kernels
    assert {mutant["by"] for mutant in ends} == {"race"}, text
    # Only the race detector can tell that a whole flag is gone.
    assert any(mutant["by"] == "race" for mutant in result["all"] if mutant["kind"] == "drop-pair")


def test_a_barrier_that_nothing_needs_survives(tmp_path):
    source = tmp_path / "copy_row.cce"
    source.write_text(NEEDLESS)
    kernel = vnpu.compile(source, entry="copy_row", cores=("aiv",))
    row = np.arange(128, dtype=np.float32)
    report = kernel.mutate(1, vnpu.output((128,), np.float32), vnpu.input(row), data=True)
    sync = report.summary(sync=True)
    assert [sync[name] for name in ("mutants", "caught", "survived")] == [4, 3, 1]
    survivor = sync["survivors"][0]
    assert survivor["what"] == "pipe_barrier MTE2 on AIV"
    assert survivor["frames"][0]["line"] == 5
    by = {(m.kind, m.what.split(",")[0].split(" on ")[0]): m.by for m in report.mutants}
    assert by["drop-pair", "set_flag MTE2->MTE3"] == "race"
    assert by["drop", "set_flag MTE2->MTE3"] == "sync"
    assert by["shrink", "dst ends at byte 480"] == "memory"

    text = report.to_text()
    assert str(report) == text
    assert text.startswith("survived: copy_row_0 drop: pipe_barrier MTE2 on AIV\n    ")
    assert "copy_row.cce:5 (copy_row)" in text.splitlines()[1]
    counts = "synchronisation: 4 mutants, 3 caught, 0 proven redundant, 1 survived\n"
    assert counts in text
    assert text.splitlines()[-1].startswith("data: ")
    assert report.to_text(verbose=True).count("\n    ") == len(report.mutants)


def test_a_kernel_of_ones_own_is_mutated_from_the_command_line(tmp_path):
    source = tmp_path / "copy_row.cce"
    source.write_text(NEEDLESS)
    fixed = ("vnpu", "mutate", str(source), "--entry", "copy_row", "--cores", "aiv")
    fixed = (*fixed, "--blocks", "1", "--arg", "out:f32:128", "--arg")
    done = cli(*fixed, "in:f32:128", "--json")
    assert done.returncode == 1, done.stdout + done.stderr  # one survives
    assert "pipe_barrier MTE2 on AIV\n" in done.stdout
    result = last_json(done)
    assert [result[name] for name in ("mutants", "caught", "survived")] == [4, 3, 1]
    done = cli(*fixed, "in:f16:128")
    assert done.returncode == 2
    assert "src has dtype float16; expected float32" in done.stderr
    source.write_text(NEEDLESS.replace("  pipe_barrier(PIPE_MTE2);\n", ""))
    done = cli(*fixed, "in:f32:128", "--data")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "3 mutants, 3 caught" in done.stdout and "data: " in done.stdout


def test_mutants_of_data_change_counts_slots_and_regions():
    result, _ = result_of("--kernel", "merge_states", "--verbose", code=0)
    data = [mutant for mutant in result["all"] if not mutant["is_sync"]]
    assert {mutant["kind"] for mutant in data} == {"shorten", "one-slot", "shrink"}
    assert result["data"]["caught"] > 0.8 * result["data"]["mutants"]
    shrunk = [mutant for mutant in data if mutant["kind"] == "shrink"]
    assert all(mutant["by"] == "memory" for mutant in shrunk)
    assert any(mutant["by"] == "result" for mutant in data)


def test_every_kernel_has_a_test_of_its_own():
    assert tuple(os.environ["MUTATED_KERNELS"].split(",")) == mutate.KERNELS


def test_cases_are_of_decode_kernels():
    case = "decode:b1:h2:kv1:d64:bs16:ctx20:f16:seed1"
    done = cli("mutate", "--kernel", "merge_states", "--case", case)
    assert done.returncode == 2
    assert "--case is of decode kernels: decode, decode_fifo, decode_int8_dequant" in done.stderr


def test_an_unknown_kernel_is_refused(capsys):
    with pytest.raises(SystemExit):
        main._parse(["ascend-attention", "mutate", "--kernel", "prefill"])
    assert "decode" in capsys.readouterr().err
