# SPDX-License-Identifier: Apache-2.0
"""Checkers and clock around the operators of the package: vnpu.session()."""

import argparse
import json
import pathlib

import ascend_attention_reference as reference
import numpy as np
import pytest
from ascend_attention import DecodeAttention, DeviceArray, _runtime, _vnpu, paged_attention, vnpu
from ascend_attention.cli import check, mutation_problems

SPLIT = "decode:b2:h8:kv2:d128:bs64:ctx4000,30:f16:cores4:seed21"


@pytest.fixture(scope="module")
def inputs() -> reference.DecodeInputs:
    return reference.make_inputs(reference.parse_case(SPLIT))


def decode(inputs: reference.DecodeInputs) -> bytes:
    out, lse = paged_attention(
        inputs.query,
        inputs.key_cache,
        inputs.value_cache,
        inputs.block_table,
        inputs.context_lens,
        softmax_scale=inputs.softmax_scale,
        num_cores=4,
        return_lse=True,
    )
    return out.tobytes() + lse.tobytes()


def test_a_session_sees_every_launch_of_its_block_and_no_other(inputs):
    decode(inputs)
    with vnpu.session(timing=True) as session:
        assert session.report.launches == []
        decode(inputs)
        during = session.report
    decode(inputs)
    after = session.report
    for report in (during, after):
        assert report.verdict == "clean", report.to_text()
        assert [launch.kernel for launch in report.launches] == ["decode_f16_0"]
        assert report.checks == ("race", "memory")
    assert after.summary()["source"] == "model"


@pytest.mark.parametrize("checks", ["none", "all", "race", ["memory"], {"race", "memory"}])
def test_results_are_the_same_bytes_under_any_checkers(inputs, checks):
    expected = decode(inputs)
    with vnpu.session(checks=checks, timing=checks == "all") as session:
        assert decode(inputs) == expected
    assert session.report.verdict == "clean", session.report.to_text()


def test_arrays_that_were_there_before_the_block_are_taken_as_defined(inputs):
    keys, values = DeviceArray(inputs.key_cache), DeviceArray(inputs.value_cache)
    num_kv_blocks, kv_block_size, num_kv_heads, head_dim = inputs.key_cache.shape
    op = DecodeAttention(
        batch=2,
        num_heads=8,
        num_kv_heads=num_kv_heads,
        head_dim=head_dim,
        kv_block_size=kv_block_size,
        num_kv_blocks=num_kv_blocks,
        max_kv_blocks=inputs.block_table.shape[1],
        num_cores=4,
    )
    op.plan(inputs.context_lens)
    with vnpu.session() as session:
        op.run(inputs.query, keys, values, inputs.block_table)
    assert session.report.verdict == "clean", session.report.to_text()


def test_sessions_nest(inputs):
    with vnpu.session(checks="none") as outer:
        with vnpu.session(checks="race") as inner:
            decode(inputs)
        decode(inputs)
    assert len(inner.report.launches) == 1
    assert len(outer.report.launches) == 2


def test_a_session_is_entered_once():
    session = vnpu.session(checks="none")
    with session:
        pass
    with pytest.raises(RuntimeError, match="entered once"), session:
        pass


def test_a_session_ends_with_an_exception():
    session = vnpu.session(checks="none")
    with pytest.raises(KeyError), session:
        raise KeyError
    assert session.report.launches == []


def test_a_wrong_checker_is_refused():
    with pytest.raises(ValueError, match="checks = 'sync'; allowed: 'all', 'none'"):
        vnpu.session(checks="sync")


def test_a_device_that_is_not_there_is_refused():
    with pytest.raises(ValueError, match=r"device = 7 is outside \[0, 1\)"):
        vnpu.session(device=7)


class WrongMerge(mutation_problems.MergeProblem):
    """A problem whose right result is not what the kernel gives."""

    def accepts(self, result: object) -> bool:
        return not super().accepts(result)


def test_check_of_a_kernel_tells_wrong_results_and_findings(monkeypatch, capsys):
    sizes = {"num_parts": 3, "rows": 2, "num_heads": 2, "head_dim": 64, "dtype": np.dtype("f2")}
    problems = [mutation_problems.MergeProblem(**sizes), WrongMerge(**sizes)]
    monkeypatch.setitem(mutation_problems.PROBLEMS, "merge_states", lambda: problems)
    arguments = argparse.Namespace(kernel="merge_states", json=True, strict_gm_visibility=False)
    assert check.run(arguments) == 1
    first, second, *_, last = capsys.readouterr().out.splitlines()
    assert first.startswith("clean  ") and second.startswith("wrong  ")
    assert json.loads(last)["bad"] == [problems[1].name]

    mutator = _vnpu.Mutator(_vnpu.attached_device(_runtime.open_runtime(0).acl_library, 0))
    try:
        mutator.record("merge_states_f16_0")
        problems[0].run()
        waits = [m.what.startswith("wait_flag V->MTE3") for m in mutator.mutations()]
        mutator.apply(waits.index(True))
        assert check.run(arguments) == 1
    finally:
        mutator.close()
    assert not capsys.readouterr().out.startswith("clean")


def test_check_of_a_kernel_that_lost_a_wait_fails_with_the_place(capsys):
    """One wait of the decode kernel is dropped as it is issued: the command must notice."""
    runtime = _runtime.open_runtime(0)
    mutator = _vnpu.Mutator(_vnpu.attached_device(runtime.acl_library, 0))
    arguments = argparse.Namespace(
        case=reference.parse_case(SPLIT), kernel=None, json=True, strict_gm_visibility=False
    )
    try:
        mutator.record("decode_f16_0")
        assert check.run(arguments) == 0
        mutations = mutator.mutations()
        index = next(i for i, m in enumerate(mutations) if m.what.startswith("wait_flag M->"))
        mutator.apply(index)
        capsys.readouterr()
        code = check.run(arguments)
    finally:
        mutator.close()
    text = capsys.readouterr().out
    result = json.loads(text.splitlines()[-1])
    assert code == 1, text
    assert result["verdict"] in ("findings", "fault")
    assert result["findings"] or result["faults"]
    assert "ascend_kernels/" in text
    assert f"reproduce: ascend-attention check --case {SPLIT}" in text
    assert check.run(arguments) == 0


def test_another_acl_library_is_told_that_this_needs_the_virtual_npu():
    runtime = _runtime.open_runtime(0)
    no_acl = pathlib.Path(runtime.acl_library).resolve()
    (other,) = {
        line.split()[-1]
        for line in pathlib.Path("/proc/self/maps").read_text().splitlines()
        if line.endswith("libvnpu.so")
    }
    assert other != str(no_acl)
    with pytest.raises(
        RuntimeError, match="this needs the virtual NPU, but the ACL library in use"
    ):
        _vnpu.attached_device(other, 0)
    with pytest.raises(RuntimeError, match=r"nothing\.so is not loaded"):
        _vnpu.attached_device("/nothing.so", 0)
