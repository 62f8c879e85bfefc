# SPDX-License-Identifier: Apache-2.0
"""DecodeAttention and paged_attention: what a caller may rely on beyond single results."""

import concurrent.futures

import ascend_attention_reference as reference
import ml_dtypes
import numpy as np
import pytest
from ascend_attention import DecodeAttention, DeviceArray, paged_attention

RAGGED = "decode:b5:h8:kv2:d128:bs64:ctx0,1,300,64,1500:f16:seed21"


def make_op(inputs: reference.DecodeInputs, **options) -> DecodeAttention:
    num_kv_blocks, kv_block_size, num_kv_heads, head_dim = inputs.key_cache.shape
    options = {"softmax_scale": inputs.softmax_scale, "dtype": inputs.query.dtype, **options}
    return DecodeAttention(
        batch=len(inputs.query),
        num_heads=inputs.query.shape[1],
        num_kv_heads=num_kv_heads,
        head_dim=head_dim,
        kv_block_size=kv_block_size,
        num_kv_blocks=num_kv_blocks,
        max_kv_blocks=inputs.block_table.shape[1],
        **options,
    )


def tensors(inputs: reference.DecodeInputs) -> tuple[np.ndarray, ...]:
    return inputs.query, inputs.key_cache, inputs.value_cache, inputs.block_table


def run(op: DecodeAttention, inputs: reference.DecodeInputs) -> tuple[np.ndarray, np.ndarray]:
    op.plan(inputs.context_lens)
    return op.run(*tensors(inputs), return_lse=True)


def same(a: tuple[np.ndarray, ...], b: tuple[np.ndarray, ...]) -> bool:
    return all(x.tobytes() == y.tobytes() for x, y in zip(a, b, strict=True))


def inputs_of(case: str) -> reference.DecodeInputs:
    return reference.make_inputs(reference.parse_case(case))


@pytest.fixture(scope="module")
def ragged() -> reference.DecodeInputs:
    return inputs_of(RAGGED)


@pytest.mark.parametrize("dtype", ["f16", "bf16"])
def test_result_is_close_to_the_float64_reference(dtype):
    inputs = inputs_of(RAGGED.replace("f16", dtype))
    out, lse = run(make_op(inputs), inputs)
    assert out.dtype == inputs.query.dtype
    assert lse.dtype == np.float32
    report = reference.check(out, lse, inputs)
    assert report.ok, str(report)


def test_empty_sequence_gives_zero_and_minus_infinity(ragged):
    out, lse = run(make_op(ragged), ragged)
    assert (out[0] == 0).all()
    assert (lse[0] == -np.inf).all()


def test_runs_and_objects_give_the_same_bytes(ragged):
    op = make_op(ragged)
    first = run(op, ragged)
    assert same(first, run(op, ragged))
    assert same(first, op.run(*tensors(ragged), return_lse=True))
    assert same(first, run(make_op(ragged), ragged))


def test_one_plan_serves_many_layers(ragged):
    op = make_op(ragged)
    op.plan(ragged.context_lens)
    for seed in (22, 23):
        layer = inputs_of(RAGGED.replace("seed21", f"seed{seed}"))
        out, lse = op.run(*tensors(layer), return_lse=True)
        report = reference.check(out, lse, layer)
        assert report.ok, str(report)


def test_later_plans_replace_earlier_ones(ragged):
    op = make_op(ragged)
    first = run(op, ragged)
    shorter = reference.DecodeInputs(
        ragged.query,
        ragged.key_cache,
        ragged.value_cache,
        ragged.block_table,
        np.minimum(ragged.context_lens, 65),
        ragged.softmax_scale,
    )
    out, lse = run(op, shorter)
    report = reference.check(out, lse, shorter)
    assert report.ok, str(report)
    assert same(first, run(op, ragged))


def test_fewer_sequences_than_the_capacity(ragged):
    op = make_op(ragged)
    full = run(op, ragged)
    op.plan(ragged.context_lens[1:4])
    rows = (ragged.query[1:4], ragged.key_cache, ragged.value_cache, ragged.block_table[1:4])
    out, lse = op.run(*rows, return_lse=True)
    assert out.shape == (3, 8, 128)
    part = reference.DecodeInputs(*rows, ragged.context_lens[1:4], ragged.softmax_scale)
    report = reference.check(out, lse, part)
    assert report.ok, str(report)
    assert not same((out, lse), full)


def test_entries_past_the_last_kv_block_are_not_looked_at(ragged):
    expected = run(make_op(ragged), ragged)
    table = ragged.block_table.copy()
    used = -(-ragged.context_lens // 64)
    past = np.arange(table.shape[1]) >= used[:, np.newaxis]
    for junk in (-1, 10**9, np.iinfo(np.int32).min):
        table[past] = junk
        out, lse = paged_attention(
            *tensors(ragged)[:3],
            table,
            ragged.context_lens,
            softmax_scale=ragged.softmax_scale,
            return_lse=True,
        )
        assert same(expected, (out, lse))


def test_device_arrays_and_numpy_arrays_give_the_same_bytes(ragged):
    op = make_op(ragged)
    expected = run(op, ragged)
    on_device = [DeviceArray(array) for array in tensors(ragged)]
    assert same(expected, op.run(*on_device, return_lse=True))
    # A cache on the device, the rest from the host: the shape of a decode step.
    mixed = (ragged.query, *on_device[1:3], ragged.block_table)
    assert same(expected, op.run(*mixed, return_lse=True))


def test_out_is_written_in_place(ragged):
    op = make_op(ragged)
    expected, _ = run(op, ragged)
    out = np.full_like(ragged.query, np.nan)
    assert op.run(*tensors(ragged), out=out) is out
    assert out.tobytes() == expected.tobytes()
    device_out = DeviceArray(np.full_like(ragged.query, np.nan))
    assert op.run(*tensors(ragged), out=device_out) is device_out
    assert device_out.numpy().tobytes() == expected.tobytes()


def test_inputs_are_not_changed(ragged):
    copies = [array.copy() for array in tensors(ragged)]
    on_device = [DeviceArray(array) for array in tensors(ragged)]
    op = make_op(ragged)
    op.plan(ragged.context_lens)
    op.run(*on_device)
    for copy, array in zip(copies, on_device, strict=True):
        assert copy.tobytes() == array.numpy().tobytes()


@pytest.mark.parametrize("scale", [0.0, -0.25, 1.0])
def test_softmax_scale_is_used(scale):
    inputs = inputs_of("decode:b2:h4:kv2:d64:bs32:ctx40,200:f16:seed24")
    scaled = reference.DecodeInputs(*tensors(inputs), inputs.context_lens, scale)
    out, lse = run(make_op(scaled), scaled)
    report = reference.check(out, lse, scaled)
    assert report.ok, str(report)


def test_default_scale_is_one_over_the_root_of_head_dim(ragged):
    expected = run(make_op(ragged), ragged)
    assert same(expected, run(make_op(ragged, softmax_scale=None), ragged))


@pytest.mark.parametrize("cores", [1, 3, 24])
def test_any_number_of_cores(ragged, cores):
    op = make_op(ragged, num_cores=cores)
    assert op.plan(ragged.context_lens).num_cores == cores
    out, lse = op.run(*tensors(ragged), return_lse=True)
    report = reference.check(out, lse, ragged)
    assert report.ok, str(report)


def test_one_shot_call_equals_plan_and_run(ragged):
    expected = run(make_op(ragged), ragged)
    out = np.full_like(ragged.query, np.nan)
    result = paged_attention(
        *tensors(ragged),
        ragged.context_lens.tolist(),
        softmax_scale=ragged.softmax_scale,
        return_lse=True,
        out=out,
    )
    assert result[0] is out
    assert same(expected, result)


def test_dtype_by_name_and_by_numpy_dtype():
    inputs = inputs_of("decode:b1:h2:kv1:d64:bs16:ctx20:bf16:seed25")
    results = [
        run(make_op(inputs, dtype=dtype), inputs)
        for dtype in ("bfloat16", ml_dtypes.bfloat16, np.dtype(ml_dtypes.bfloat16))
    ]
    assert same(results[0], results[1])
    assert same(results[0], results[2])


def test_workspace_bytes_cover_every_plan(ragged):
    op = make_op(ragged)
    for lens in ([0], [1] * 5, ragged.context_lens, [64 * ragged.block_table.shape[1]] * 5):
        assert op.plan(lens).workspace_bytes <= op.workspace_bytes


def test_device_array_keeps_shape_dtype_and_bytes():
    array = np.arange(24, dtype=np.float32).reshape(2, 3, 4).astype(ml_dtypes.bfloat16)
    on_device = DeviceArray(array.transpose(2, 0, 1))  # any layout on the host
    assert (on_device.shape, on_device.dtype) == ((4, 2, 3), array.dtype)
    assert on_device.nbytes == array.nbytes
    assert np.array_equal(on_device.numpy(), array.transpose(2, 0, 1))
    on_device.copy_from(np.zeros((4, 2, 3), array.dtype))
    assert (on_device.numpy() == 0).all()


def test_an_object_may_go_right_after_its_plan(ragged):
    """The upload of a plan must not outlive the workspace it goes to."""
    for _ in range(50):
        make_op(ragged).plan(ragged.context_lens)
    out, lse = run(make_op(ragged), ragged)
    report = reference.check(out, lse, ragged)
    assert report.ok, str(report)


def test_threads_with_an_object_each_do_not_disturb_each_other(ragged):
    expected = run(make_op(ragged), ragged)
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        results = list(pool.map(lambda _: run(make_op(ragged), ragged), range(8)))
    assert all(same(expected, result) for result in results)


def test_empty_caches_serve_empty_sequences():
    op = DecodeAttention(
        batch=2,
        num_heads=4,
        num_kv_heads=2,
        head_dim=64,
        kv_block_size=16,
        num_kv_blocks=0,
        max_kv_blocks=0,
    )
    op.plan([0, 0])
    cache = np.zeros((0, 16, 2, 64), np.float16)
    query = np.ones((2, 4, 64), np.float16)
    out, lse = op.run(query, cache, cache, np.zeros((2, 0), np.int32), return_lse=True)
    assert (out == 0).all()
    assert (lse == -np.inf).all()


def attention_sink(ctx: int, gap: float) -> reference.DecodeInputs:
    """One token far above a long tail of equal ones, which alone carries the output."""
    blocks = ctx // 128
    key = np.zeros((blocks, 128, 1, 64), np.float16)
    value = np.ones((blocks, 128, 1, 64), np.float16)
    query = np.zeros((1, 2, 64), np.float16)
    query[:, :, 0] = 1
    key[0, 0, 0, 0] = gap
    value[0, 0] = 0
    return reference.DecodeInputs(
        query=query,
        key_cache=key,
        value_cache=value,
        block_table=np.arange(blocks, dtype=np.int32)[None],
        context_lens=np.array([ctx], np.int32),
        softmax_scale=1.0,
    )


@pytest.mark.parametrize("num_cores", [1, 24])
@pytest.mark.parametrize("gap", [12.0, 16.0, 17.0, 17.375, 20.0])
def test_small_fp16_weights_of_a_long_tail_are_not_lost(gap, num_cores):
    """Unscaled, exp(-17.375) rounds to 0 in fp16 and the tail of 65535 tokens with it."""
    inputs = attention_sink(65536, gap)
    out, lse = run(make_op(inputs, num_cores=num_cores), inputs)
    tail = 65535 * np.exp(-gap)
    share = tail / (1 + tail)  # of the tail in the output
    # All weights of the tail are equal and round the same way, by at most 2^-11 of themselves; out
    # rounds once more. lse is fp32: a few roundings of numbers up to gap.
    assert np.abs(out.astype(np.float64) - share).max() <= 2 * 2**-11 * share
    assert np.abs(lse - (gap + np.log1p(tail))).max() <= 2**-11 * share + 4 * 2**-24 * gap
