# SPDX-License-Identifier: Apache-2.0
"""The FIFO route against the float64 reference: every shape it takes, and a float32 out.

Inputs hold NaN wherever a kernel must not look: pages that no sequence names, and what lies behind
the last token of a page.
"""

import pathlib

import ascend_attention_reference as reference
import numpy as np
import pytest
from ascend_attention import DecodeAttention, DeviceArray, paged_attention, planning
from ascend_attention.cli.case_problem import decode, on_device, run_arguments, shape_arguments
from hypothesis import given, settings
from hypothesis import strategies as st

RAGGED = "decode:b5:h20:kv1:d128:bs64:ctx0,1,300,64,1500:bf16:cores3:route-fifo:seed21"
EDGES = st.sampled_from([-1, 0, 1, 15, 16])  # tokens more or less than full pages
WIDE = reference.read_cases(pathlib.Path("testdata/cases/decode_fifo_wide.txt").read_text())

settings.register_profile("fixed", deadline=None, derandomize=True, database=None)
settings.load_profile("fixed")


def make_op(case: reference.DecodeCase, inputs: reference.DecodeInputs) -> DecodeAttention:
    return DecodeAttention(
        **shape_arguments(case, len(inputs.key_cache)),
        softmax_scale=inputs.softmax_scale,
        num_cores=case.num_cores,
    )


def ragged(options: str = "") -> tuple[reference.DecodeCase, reference.DecodeInputs]:
    case = reference.parse_case(RAGGED.replace(":seed21", f"{options}:seed21"))
    return case, reference.make_inputs(case)


def attend(inputs: reference.DecodeInputs, **options) -> np.ndarray:
    return paged_attention(
        **run_arguments(inputs),
        context_lens=inputs.context_lens,
        softmax_scale=inputs.softmax_scale,
        **options,
    )


def assert_right(case: reference.DecodeCase) -> None:
    inputs = reference.make_inputs(case)
    decoded = decode(case, inputs, device=0, repeat=1)
    assert decoded.plan.kv_route == "fifo"
    assert decoded.out.dtype.name == decoded.plan.out_dtype == case.out_dtype
    report = reference.check(decoded.out, decoded.lse, inputs)
    assert report.ok, f"{case}: {report}"
    empty = inputs.context_lens == 0
    assert (decoded.out[empty] == 0).all()
    assert (decoded.lse[empty] == -np.inf).all()


@pytest.mark.parametrize("case", WIDE, ids=str)
def test_a_wide_case_is_close_to_the_reference(case):
    assert_right(case)


@st.composite
def cases(draw) -> reference.DecodeCase:
    """A shape that the route takes, with lengths around its pages."""
    block = draw(st.sampled_from([64, 128]))
    near_pages = st.builds(lambda pages, by: max(0, pages * block + by), st.integers(0, 9), EDGES)
    lens = draw(st.lists(near_pages | st.integers(0, 700), min_size=1, max_size=6))
    num_kv_heads = draw(st.sampled_from([1, 1, 2, 3]))
    q_per_kv = draw(st.sampled_from([1, 15, 16, 17, 63, 64, 65, 128]) | st.integers(1, 128))
    return reference.DecodeCase(
        batch=len(lens),
        num_heads=num_kv_heads * q_per_kv,
        num_kv_heads=num_kv_heads,
        head_dim=128,
        kv_block_size=block,
        context_lens=tuple(lens),
        dtype=draw(st.sampled_from(["f16", "bf16"])),
        seed=draw(st.integers(0, 1000)),
        num_cores=draw(st.sampled_from([1, 2, 5, 24])),
        route="fifo",
        out_float32=draw(st.booleans()),
        headmajor=draw(st.booleans()),
        interleaved=draw(st.booleans()),
        fulltable=draw(st.booleans()),
        shared=draw(st.booleans()),
    )


@settings(max_examples=50)
@given(cases())
def test_any_shape_is_close_to_the_reference(case):
    assert_right(case)


@pytest.mark.parametrize("options", ["", ":outf32"])
def test_twenty_launches_are_equal_bit_for_bit(options):
    case, inputs = ragged(options)
    assert decode(case, inputs, device=0, repeat=20).repeatable


def test_cores_and_batch_do_not_change_a_bit():
    """A sequence is on one core, page by page, whatever lies beside it."""
    case, inputs = ragged()
    options = {"kv_route": "fifo", "return_lse": True}
    out, lse = attend(inputs, **options, num_cores=1)
    for cores in (2, 7, 24):
        again, lse_again = attend(inputs, **options, num_cores=cores)
        assert (again.tobytes(), lse_again.tobytes()) == (out.tobytes(), lse.tobytes())
    for row in range(case.batch):
        one = slice(row, row + 1)
        alone = reference.DecodeInputs(
            inputs.query[one],
            inputs.key_cache,
            inputs.value_cache,
            inputs.block_table[one],
            inputs.context_lens[one],
            inputs.softmax_scale,
        )
        assert attend(alone, **options)[0].tobytes() == out[one].tobytes()


def test_a_float32_out_is_what_the_16_bit_one_was_rounded_from():
    _, inputs = ragged()
    exact = attend(inputs, kv_route="fifo", out_dtype="float32")
    rounded = attend(inputs, kv_route="fifo")
    assert exact.dtype == np.float32 and rounded.dtype == inputs.query.dtype
    assert (exact.astype(rounded.dtype) == rounded).all()
    assert (exact != rounded.astype(np.float32)).any()


@pytest.mark.parametrize("out_dtype", ["float32", "f4", np.float32])
def test_a_float32_out_chooses_the_route(out_dtype):
    _, inputs = ragged()
    expected = attend(inputs, kv_route="fifo", out_dtype="float32")
    assert attend(inputs, out_dtype=out_dtype).tobytes() == expected.tobytes()


@pytest.mark.parametrize("out_dtype", ["float64", "float", ">f4", "single precision", np.int8, 4])
def test_an_out_dtype_that_is_none_is_quoted(out_dtype):
    _, inputs = ragged()
    with pytest.raises(ValueError) as caught:
        attend(inputs, out_dtype=out_dtype)
    allowed = "allowed: None, bfloat16, float32, or their numpy dtypes"
    assert str(caught.value) == f"out_dtype is {out_dtype!r}; {allowed}"


def test_query_tokens_are_refused_by_the_name_that_the_caller_gave():
    case = reference.parse_case("decode:b2:h8:kv2:d128:bs64:ctx9:f16:qlen1,2:seed1")
    inputs = reference.make_inputs(case)
    with pytest.raises(NotImplementedError) as caught:
        attend(inputs, kv_route="fifo", q_lens=inputs.q_lens)
    text = "q_lens[1] = 2 with kv_route = fifo has no kernel; nearest supported: 1"
    assert str(caught.value) == text


@pytest.mark.parametrize("out_dtype", [None, "bfloat16", np.dtype("bfloat16")])
def test_the_dtype_of_the_query_is_the_default_of_out(out_dtype):
    case, inputs = ragged()
    op = DecodeAttention(**{**shape_arguments(case, len(inputs.key_cache)), "out_dtype": out_dtype})
    assert op.plan(inputs.context_lens).out_dtype == "bfloat16"
    assert op.run(**run_arguments(inputs)).dtype == inputs.query.dtype


def test_out_is_written_where_the_caller_says():
    case, inputs = ragged(":outf32")
    op = make_op(case, inputs)
    op.plan(inputs.context_lens)
    expected = op.run(**on_device(inputs, 0))
    host = np.full(expected.shape, np.nan, np.float32)
    device = DeviceArray(host)
    assert op.run(**run_arguments(inputs), out=host) is host
    assert op.run(**on_device(inputs, 0), out=device) is device
    assert host.tobytes() == device.numpy().tobytes() == expected.tobytes()
    with pytest.raises(ValueError, match=r"^out has dtype bfloat16; expected float32$"):
        op.run(**run_arguments(inputs), out=host.astype(inputs.query.dtype))


def test_lse_is_not_written_unless_asked_for():
    case, inputs = ragged()
    op = make_op(case, inputs)
    op._lse.fill(0xFF)
    op.plan(inputs.context_lens)
    out = op.run(**run_arguments(inputs))
    report = reference.check(out, None, inputs)
    assert report.ok, str(report)
    lse = np.empty(op._lse.size, np.uint8)
    op._lse.download(lse)
    assert (lse == 0xFF).all()


def test_a_page_id_that_only_the_device_sees_is_named():
    case, inputs = ragged()
    op = make_op(case, inputs)
    op.plan(inputs.context_lens)
    expected = op.run(**run_arguments(inputs))
    for row, index, page in ((4, 20, 10**6), (1, 0, -1)):
        table = inputs.block_table.copy()
        table[row, index] = page
        arrays = {**run_arguments(inputs), "block_table": DeviceArray(table)}
        with pytest.raises(IndexError, match=rf"^block_table\[{row}\]\[{index}\] = {page} is out"):
            op.run(**arrays)
    assert op.run(**run_arguments(inputs)).tobytes() == expected.tobytes()


@pytest.mark.parametrize("length", [-1, 24 * 64 + 65, 2**31 - 1])
def test_a_length_that_was_overwritten_in_the_workspace_is_named(length):
    case, inputs = ragged()
    op = make_op(case, inputs)
    plan = op.plan(inputs.context_lens)
    limit = case.max_kv_blocks * case.kv_block_size + 1
    begin = int(planning.read_header(plan.to_bytes())["context_lens"])
    op._workspace.upload(np.array([length], np.int32).view(np.uint8), begin + 3 * 4)
    with pytest.raises(IndexError) as caught:
        op.run(**run_arguments(inputs))
    text = f"context_lens[3] = {length} is outside [0, {limit}); found on the device: "
    assert str(caught.value).startswith(text)
    op.plan(inputs.context_lens)
    report = reference.check(op.run(**run_arguments(inputs)), None, inputs)
    assert report.ok, str(report)


def test_the_view_of_a_plan_shows_lengths_and_no_items():
    case, inputs = ragged(":outf32")
    plan = make_op(case, inputs).plan(inputs.context_lens)
    blob = plan.to_bytes()
    header = planning.read_header(blob)
    assert header["abi_version"] == 3
    assert (plan.kv_route, plan.out_dtype) == ("fifo", "float32")
    assert plan.context_lens == tuple(inputs.context_lens)
    lens = planning.read_array(blob, np.dtype("<i4"), header["context_lens"], case.batch)
    assert tuple(lens) == plan.context_lens
    assert (plan.num_cores, plan.items_per_core) == (3, (0, 0, 0))
    assert plan.items() == ()
    assert (plan.num_items, plan.num_splits, plan.num_partials) == (0, 0, 0)
    assert plan.kv_head_parts == 2  # tiles of 16 query heads
    assert plan.predicted_balance >= 1
    empty = ("partial_out", "partial_lse", "query_operands", "dequant_keys", "dequant_values")
    assert all(plan.region_bytes[name] == 0 for name in empty)
    for name, slot in (("scores", 16 * 64 * 4), ("probs", 16 * 64 * 2), ("o_tiles", 16 * 128 * 4)):
        assert plan.region_bytes[name] >= 3 * 4 * slot  # cores, slots of a FIFO
    assert "kernel     decode_fifo, kv_route fifo" in plan.summary()
