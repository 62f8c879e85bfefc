# SPDX-License-Identifier: Apache-2.0
"""DecodeAttention and paged_attention: what a caller may rely on beyond single results."""

import concurrent.futures

import ascend_attention_reference as reference
import ml_dtypes
import numpy as np
import pytest
from ascend_attention import DecodeAttention, DeviceArray, paged_attention
from ascend_attention.cli.case_problem import on_device, run_arguments, shape_arguments

RAGGED = "decode:b5:h8:kv2:d128:bs64:ctx0,1,300,64,1500:f16:seed21"


def make_op(inputs: reference.DecodeInputs, **options) -> DecodeAttention:
    num_kv_blocks, kv_block_size, num_kv_heads, head_dim = inputs.key_cache.shape
    options = {"softmax_scale": inputs.softmax_scale, "dtype": inputs.query.dtype, **options}
    options = {"batch": len(inputs.query), **options}
    return DecodeAttention(
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
    arrays = [DeviceArray(array) for array in tensors(ragged)]
    assert same(expected, op.run(*arrays, return_lse=True))
    # A cache on the device, the rest from the host: the shape of a decode step.
    mixed = (ragged.query, *arrays[1:3], ragged.block_table)
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
    arrays = [DeviceArray(array) for array in tensors(ragged)]
    op = make_op(ragged)
    op.plan(ragged.context_lens)
    op.run(*arrays)
    for copy, array in zip(copies, arrays, strict=True):
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


def test_views_of_a_device_array_are_those_of_numpy():
    array = np.arange(2 * 5 * 3 * 4, dtype=np.float32).reshape(2, 5, 3, 4)
    array = array.astype(ml_dtypes.bfloat16)
    on_device = DeviceArray(array)
    for index in (
        1,
        -1,
        (slice(None), 1),
        (slice(1, 9), slice(None, None, 2)),
        (Ellipsis, 2),
        (0, None, slice(1, 1)),
        (1, 4, 2, 3),
    ):
        view, expected = on_device[index], np.asarray(array[index])
        assert (view.shape, view.strides, view.dtype) == (
            expected.shape,
            expected.strides,
            array.dtype,
        )
        assert view.numpy().tobytes() == expected.tobytes(), index
        assert view.nbytes == expected.nbytes
    turned = on_device[:, 1:].transpose(0, 2, 1, 3)
    assert not turned.is_dense
    assert turned.numpy().tobytes() == array[:, 1:].transpose(0, 2, 1, 3).tobytes()
    assert on_device[1].is_dense
    assert on_device[1].address - on_device.address == array[0].nbytes


def test_writing_a_view_of_a_device_array_leaves_the_rest():
    array = np.zeros((2, 5, 3), np.int32)
    on_device = DeviceArray(array)
    for index in (1, (slice(None), 2), (0, slice(None, None, 2), slice(1, None))):
        array[index] += 1
        on_device[index].copy_from(array[index])
        assert np.array_equal(on_device.numpy(), array)


@pytest.mark.parametrize("index", [[0, 1], True, slice(None, None, -1), 1.0, np.array([0])])
def test_an_index_that_would_copy_is_refused(index):
    with pytest.raises(TypeError, match="allowed: integers, slices with a positive step"):
        DeviceArray(np.zeros((2, 2), np.int32))[index]
    with pytest.raises(IndexError):
        DeviceArray(np.zeros((2, 2), np.int32))[2]


@pytest.mark.parametrize("options", ["headmajor", "interleaved", "headmajor:interleaved"])
def test_views_on_device_and_on_host_give_the_same_bytes(options):
    """And the memory under two views of one array is copied once."""
    case = reference.parse_case(f"decode:b2:h8:kv2:d64:bs32:ctx40,200:f16:{options}:seed24")
    inputs = reference.make_inputs(case)
    op = DecodeAttention(
        **shape_arguments(case, len(inputs.key_cache)), softmax_scale=inputs.softmax_scale
    )
    op.plan(inputs.context_lens)
    expected = op.run(**run_arguments(inputs), return_lse=True)
    assert reference.check(*expected, inputs).ok
    assert ("kv_pool" in op._staging._buffers) == case.interleaved
    assert ("key_cache" in op._staging._buffers) != case.interleaved
    assert same(expected, op.run(**on_device(inputs, 0), return_lse=True))


def test_one_array_as_keys_and_values_is_copied_once():
    rng = np.random.default_rng(5)
    cache = rng.uniform(-1, 1, (3, 16, 2, 64)).astype(np.float16)
    query = rng.uniform(-1, 1, (1, 4, 64)).astype(np.float16)
    inputs = reference.DecodeInputs(
        query, cache, cache, np.array([[2, 0]], np.int32), np.array([30], np.int32), 0.125
    )
    op = make_op(inputs)
    assert reference.check(*run(op, inputs), inputs).ok
    assert "value_cache" not in op._staging._buffers


def test_query_tokens_one_by_one_and_together_give_the_same_rows():
    """Token t of q sees what a sequence without the later ones would see."""
    inputs = inputs_of("decode:b2:h8:kv2:d64:bs32:ctx300,5:f16:qlen4,7:seed26")
    op = make_op(inputs, batch=2, max_q_len=7)
    plan = op.plan(inputs.context_lens, inputs.q_lens)
    assert (plan.q_lens, plan.num_query_rows) == ((4, 7), 11)
    out, lse = op.run(*tensors(inputs), return_lse=True)
    report = reference.check(out, lse, inputs)
    assert report.ok, str(report)
    assert (out[4:6] == 0).all() and (lse[4:6] == -np.inf).all()  # 7 tokens, 5 in context
    for row, (sequence, visible) in enumerate([(0, 297 + t) for t in range(4)] + [(1, 1), (1, 2)]):
        row += 2 * (sequence == 1)
        alone = reference.DecodeInputs(
            inputs.query[row : row + 1],
            inputs.key_cache,
            inputs.value_cache,
            inputs.block_table[sequence : sequence + 1],
            np.array([visible], np.int32),
            inputs.softmax_scale,
        )
        report = reference.check(out[row : row + 1], lse[row : row + 1], alone)
        assert report.ok, f"row {row}: {report}"


@pytest.mark.parametrize("scheme", ["kvint8-channel", "kvint8-channel-asym", "kvint8-token"])
def test_both_routes_of_an_int8_cache_agree_with_the_reference(scheme):
    for route in ("route-dequant", "route-limbs"):
        case = reference.parse_case(
            f"decode:b2:h8:kv2:d128:bs64:ctx90,300:bf16:{scheme}:{route}:seed27"
        )
        inputs = reference.make_inputs(case)
        op = DecodeAttention(
            **shape_arguments(case, len(inputs.key_cache)), softmax_scale=inputs.softmax_scale
        )
        assert op.plan(inputs.context_lens).kv_route == case.route
        report = reference.check(*op.run(**run_arguments(inputs), return_lse=True), inputs)
        assert report.ok, f"{case}: {report}"


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


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_bad_value_row_spoils_all_query_rows_of_its_tile(bad):
    """What the documentation says: the mask is a weight of 0, and 0 * NaN is NaN."""
    inputs = inputs_of("decode:b2:h4:kv2:d64:bs16:ctx30,30:f16:qlen3:seed5")
    block, slot = inputs.block_table[0, 1], 29 - 16  # the last token: one row of three sees it
    inputs.value_cache[block, slot, 0] = bad
    out = paged_attention(
        **run_arguments(inputs), context_lens=inputs.context_lens, q_lens=inputs.q_lens
    )
    finite = np.isfinite(np.asarray(out, np.float32)).all(axis=2)
    assert not finite[:3, :2].any()
    assert finite[:3, 2:].all()  # the other kv head
    assert finite[3:].all()  # the other sequence


def test_sizes_and_the_device_may_be_numpy_integers(ragged):
    plain = run(make_op(ragged), ragged)
    cores = {"num_cores": np.int32(24), "fixed_split_tokens": np.int64(0)}
    assert same(run(make_op(ragged, device=np.int64(0), **cores), ragged), plain)
