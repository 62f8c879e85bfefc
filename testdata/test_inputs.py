# SPDX-License-Identifier: Apache-2.0
"""The inputs: what each option promises, and NaN wherever a kernel must not look."""

import dataclasses
from pathlib import Path

import ml_dtypes
import numpy as np
import pytest
from ascend_attention_reference import DecodeInputs, make_inputs, parse_case, read_cases
from ascend_attention_reference.attention import attend, gather, to_float64
from ascend_attention_reference.inputs import outlier_channels

_LISTED = [
    case
    for path in sorted((Path(__file__).parent / "cases").glob("decode_*.txt"))
    for case in read_cases(path.read_text())
]
# The grammar's own extremes, which no kernel takes.
_ODD = [
    parse_case("decode:b2:h3:kv3:d1:bs1:ctx0,7:bf16:seed1"),
    parse_case("decode:b1:h5:kv2:d72:bs20:ctx45:f16:shared:seed1"),
    parse_case("decode:b3:h2:kv2:d8:bs4:ctx0:f16:shared:seed1"),
]


def _tokens(inputs: DecodeInputs, cache: np.ndarray, seq: int) -> np.ndarray:
    heads = range(cache.shape[2])
    return np.stack([gather(inputs, cache, seq, head) for head in heads], axis=1)


def _case(options: str, dtype: str = "f16", ctx: str = "0,40,1,333"):
    return parse_case(f"decode:b4:h8:kv2:d64:bs16:ctx{ctx}:{dtype}{options}:seed3")


@pytest.mark.parametrize("case", [*_LISTED, *_ODD], ids=str)
def test_the_cache_is_finite_exactly_where_a_kernel_may_read(case):
    inputs = make_inputs(case)
    assert inputs.query.shape == (case.num_query_rows, case.num_heads, case.head_dim)
    row = (case.kv_block_size, case.num_kv_heads, case.head_dim)
    assert inputs.keys.shape == inputs.values.shape == (len(inputs.keys), *row)
    assert inputs.block_table.shape == (case.batch, case.max_kv_blocks)
    read = np.zeros(inputs.keys.shape[:2], bool)
    for seq, length in enumerate(case.context_lens):
        used = -(-length // case.kv_block_size)
        assert (inputs.block_table[seq, used:] == -1).all()
        positions = np.arange(length)
        read[inputs.block_table[seq, positions // row[0]], positions % row[0]] = True
    for cache in (inputs.keys, inputs.values):
        if case.kv_quant != "none":
            assert (cache[~read] == -128).all()
            continue
        finite = np.isfinite(cache.astype(np.float32))
        np.testing.assert_array_equal(finite.all(axis=(2, 3)), read)
        np.testing.assert_array_equal(finite.any(axis=(2, 3)), read)
    if case.kv_quant == "int8_token":
        for scale in (inputs.key_scale, inputs.value_scale):
            finite = np.isfinite(scale.swapaxes(1, 2))
            np.testing.assert_array_equal(finite.all(axis=2), read)
            np.testing.assert_array_equal(finite.any(axis=2), read)
    assert np.isfinite(inputs.query.astype(np.float32)).all()
    assert not read.all(axis=1).all(), "there are spare kv blocks"


@pytest.mark.parametrize(("dtype", "bits"), [("f16", 11), ("bf16", 8)])
def test_values_are_odd_multiples_of_the_grid(dtype: str, bits: int):
    inputs = make_inputs(_case("", dtype))
    assert inputs.query.dtype == {"f16": np.float16, "bf16": ml_dtypes.bfloat16}[dtype]
    arrays = [to_float64(inputs.query) / 2, *(_tokens(inputs, c, 3) for c in _caches(inputs))]
    for values in arrays:
        steps = values * 2.0**bits
        assert np.array_equal(steps, np.rint(steps)) and (steps % 2 == 1).all()
        assert abs(values).max() < 1 and abs(values.mean()) < 0.05
        assert 0.5 < values.std() < 0.65


def _caches(inputs: DecodeInputs) -> tuple[np.ndarray, np.ndarray]:
    return inputs.key_cache, inputs.value_cache


def test_a_block_is_named_once_and_out_of_order():
    table = make_inputs(_case("", ctx="1000")).block_table
    ids = table[table >= 0]
    assert len(set(ids.tolist())) == len(ids)
    assert not np.array_equal(ids, np.sort(ids))


def test_shared_blocks_repeat_within_and_between_sequences():
    table = make_inputs(_case(":shared", ctx="1000")).block_table
    rows = [row[row >= 0].tolist() for row in table]
    assert all(len(set(row)) < len(row) for row in rows)
    assert set(rows[0]) & set(rows[1])


def test_fulltable_has_no_spare_column():
    assert make_inputs(_case(":fulltable")).block_table.shape[1] == 21
    assert make_inputs(_case("")).block_table.shape[1] == 22


@pytest.mark.parametrize("options", ["", ":outliers:onehot", ":bigscores"])
def test_tokens_do_not_depend_on_pages_or_other_sequences(options: str):
    base = _case(options)
    inputs = make_inputs(base)
    for other in (
        dataclasses.replace(base, kv_block_size=256),
        dataclasses.replace(base, context_lens=(500, 40, 17, 333)),
        dataclasses.replace(base, batch=5, q_lens=(), context_lens=(*base.context_lens, 9)),
    ):
        others = make_inputs(other)
        np.testing.assert_array_equal(others.query[: base.batch], inputs.query)
        for seq in (1, 3):
            for a, b in zip(_caches(inputs), _caches(others), strict=True):
                np.testing.assert_array_equal(_tokens(inputs, a, seq), _tokens(others, b, seq))


def test_outliers_are_64_times_larger_in_few_channels():
    case = _case(":outliers")
    inputs = make_inputs(case)
    keys = np.abs(_tokens(inputs, inputs.key_cache, 3)).mean(axis=0)  # [kv head, channel]
    for kv_head in range(case.num_kv_heads):
        channels = outlier_channels(case, kv_head)
        assert len(channels) == 2
        rest = np.delete(keys[kv_head], channels)
        assert keys[kv_head, channels].min() > 50 * rest.mean()
    assert set(outlier_channels(case, 0)).isdisjoint(outlier_channels(case, 1))


def test_onehot_values_have_one_one():
    inputs = make_inputs(_case(":onehot"))
    values = _tokens(inputs, inputs.value_cache, 3)
    assert set(np.unique(values)) == {0.0, 1.0}
    assert (values.sum(axis=-1) == 1).all()
    assert len(set(values[:, 0].argmax(axis=-1).tolist())) > 50


def _scores(inputs: DecodeInputs, seq: int) -> np.ndarray:
    keys = _tokens(inputs, inputs.key_cache, seq)[:, 0]
    return to_float64(inputs.query[seq, 0]) @ keys.T * inputs.softmax_scale


@pytest.mark.parametrize(
    ("options", "low", "high"), [("", 0.5, 0.9), (":outliers", 0.5, 1.2), (":sharp", 4, 7)]
)
def test_scores_spread_as_promised(options: str, low: float, high: float):
    assert low < _scores(make_inputs(_case(options)), 3).std() < high


@pytest.mark.parametrize("dtype", ["f16", "bf16"])
@pytest.mark.parametrize("head_dim", [64, 128])
def test_bigscores_reach_both_ends_of_fp16_and_have_rivals(dtype: str, head_dim: int):
    line = f"decode:b1:h4:kv1:d{head_dim}:bs16:ctx500:{dtype}:bigscores:seed3"
    inputs = make_inputs(parse_case(line))
    scores = _scores(inputs, 0)
    assert 5.8e4 < scores.max() < 65504 and -65504 < scores.min() < -5.8e4
    assert (scores > scores.max() - 3).sum() > 20
    # Exact in float32 as well: every partial sum is a multiple of 1/16 below 2**20.
    products = to_float64(inputs.query[0, 0]) * _tokens(inputs, inputs.key_cache, 0)[:, 0]
    sums = np.cumsum(products, axis=1)
    assert np.array_equal(sums * 16, np.rint(sums * 16)) and np.abs(sums).max() < 2**20


def test_unequal_heads_still_have_inputs():
    inputs = make_inputs(parse_case("decode:b1:h30:kv8:d128:bs16:ctx5:f16:outliers:seed1"))
    assert inputs.query.shape == (1, 30, 128)


_INT8 = ("channel", "channel-asym", "token")


def test_interleaved_caches_are_slices_of_one_pool():
    plain = make_inputs(_case(""))
    assert plain.pool is None and plain.kv_strides == (16 * 2 * 64, 2 * 64, 64)
    major = make_inputs(_case(":headmajor"))
    assert major.key_cache.shape[1:] == (2, 16, 64)
    assert major.kv_strides == (16 * 2 * 64, 64, 16 * 64)
    for options, strides in (
        (":interleaved", (4096, 128, 64)),
        (":headmajor:interleaved", (4096, 64, 1024)),
    ):
        inputs = make_inputs(_case(options))
        assert inputs.pool is not None and inputs.pool.flags.c_contiguous
        assert inputs.kv_strides == strides
        assert np.shares_memory(inputs.pool[:, 0], inputs.key_cache)
        assert np.shares_memory(inputs.pool[:, 1], inputs.value_cache)
        np.testing.assert_array_equal(inputs.pool[:, 1].view("u2"), inputs.value_cache.view("u2"))
        np.testing.assert_array_equal(inputs.keys.view("u2"), plain.keys.view("u2"))
        np.testing.assert_array_equal(inputs.values.view("u2"), plain.values.view("u2"))


def test_more_query_tokens_leave_the_first_as_it_was():
    one, more = make_inputs(_case("")), make_inputs(_case(":qlen4,1,2,3"))
    np.testing.assert_array_equal(more.row_begins, [0, 4, 5, 7, 10])
    np.testing.assert_array_equal(more.query[more.row_begins[:-1]], one.query)
    assert (more.query[1] != more.query[0]).any()
    np.testing.assert_array_equal(more.key_cache, one.key_cache)


@pytest.mark.parametrize("scheme", _INT8)
def test_int8_elements_are_a_bell_over_the_whole_range(scheme: str):
    inputs = make_inputs(_case(f":kvint8-{scheme}"))
    for cache in (inputs.keys, inputs.values):
        assert cache.dtype == np.int8
        values = _tokens(inputs, cache, 3)
        assert values.min() == -128 and values.max() == 127
        assert abs(values.mean()) < 1 and 40 < values.std() < 52
        assert (abs(values) < 46).mean() > 0.65  # a flat distribution has 0.36


@pytest.mark.parametrize("options", ["", ":outliers"])
@pytest.mark.parametrize("scheme", _INT8)
def test_int8_scales_vary_and_no_16_bit_float_holds_them(scheme: str, options: str):
    case = _case(f":kvint8-{scheme}{options}")
    inputs = make_inputs(case)
    assert inputs.key_scale is not None and inputs.value_scale is not None
    for scale in (inputs.key_scale, inputs.value_scale):
        assert scale.dtype == np.float32
        known = scale[np.isfinite(scale)]
        spread = known.max() / known.min()
        if scheme == "token":
            assert 7 < spread < 8
        elif options and scale is inputs.key_scale:
            for head in range(2):
                large = outlier_channels(case, head)
                rest = np.delete(scale[head], large)
                assert scale[head, large].min() > 16 * rest.mean()
        else:
            assert 3.5 < spread < 4
        assert (known.astype(np.float16).astype(np.float32) != known).mean() > 0.5
    for offset in (inputs.key_offset, inputs.value_offset):
        assert (offset is None) == (scheme != "channel-asym")
        if offset is not None:
            assert -20 < offset.min() < -15 and 15 < offset.max() < 20
            assert (offset != np.rint(offset)).mean() > 0.9


@pytest.mark.parametrize("scheme", _INT8)
@pytest.mark.parametrize(
    ("options", "low", "high"), [("", 0.4, 0.9), (":outliers", 0.4, 1.2), (":sharp", 3, 7)]
)
def test_int8_scores_spread_as_promised(scheme: str, options: str, low: float, high: float):
    for part in attend(make_inputs(_case(f":kvint8-{scheme}{options}"))):
        if part.sequence == 3:
            assert (low < np.log(part.weights).std(axis=1)).all()
            assert (np.log(part.weights).std(axis=1) < high * 1.3).all()


def test_int8_onehot_values_have_one_127():
    inputs = make_inputs(_case(":kvint8-token:onehot"))
    values = _tokens(inputs, inputs.values, 3)
    assert set(np.unique(values)) == {0.0, 127.0} and (values.sum(axis=-1) == 127).all()
