# SPDX-License-Identifier: Apache-2.0
"""The reference against slow loops that share no line with it, and its promises at the edges."""

import dataclasses
import math

import numpy as np
import pytest
from ascend_attention_reference import DecodeInputs, make_inputs, parse_case, reference
from ascend_attention_reference.attention import (
    _EXACT_TOKENS,
    _exact_sums,
    _exp,
    attend,
    to_float64,
)

_SMALL = [
    "decode:b4:h4:kv2:d64:bs16:ctx0,1,33,100:f16:seed1",
    "decode:b3:h6:kv2:d64:bs32:ctx31,32,33:bf16:seed2",
    "decode:b2:h5:kv5:d128:bs48:ctx50,97:bf16:seed3",
    "decode:b2:h7:kv1:d64:bs64:ctx130,0:f16:seed4",
    "decode:b3:h4:kv4:d64:bs16:ctx40,41,16:f16:shared:seed5",
    "decode:b2:h4:kv2:d64:bs16:ctx20,60:f16:outliers:onehot:seed6",
    "decode:b2:h4:kv2:d64:bs16:ctx20,60:bf16:bigscores:seed7",
    "decode:b2:h4:kv2:d128:bs16:ctx20,60:f16:sharp:fulltable:seed8",
    "decode:b1:h2:kv1:d72:bs20:ctx45:f16:seed9",
    "decode:b4:h4:kv2:d64:bs16:ctx0,3,17,40:f16:qlen2,5,4,16:seed1",
    "decode:b2:h4:kv2:d64:bs16:ctx20,33:bf16:qlen3:headmajor:interleaved:shared:seed2",
    "decode:b2:h4:kv2:d64:bs16:ctx0,37:f16:kvint8-channel:seed3",
    "decode:b2:h4:kv2:d64:bs16:ctx18,37:bf16:headmajor:kvint8-channel-asym:outliers:seed3",
    "decode:b2:h4:kv2:d64:bs16:ctx18,37:f16:interleaved:kvint8-token:seed3",
    "decode:b2:h4:kv2:d64:bs16:ctx2,37:f16:qlen3,2:kvint8-token:outliers:sharp:seed3",
]


def _token(inputs: DecodeInputs, side: str, seq: int, position: int, kv_head: int) -> list[float]:
    """A token's key or value, looked up and dequantised element by element."""
    cache = getattr(inputs, f"{side}_cache")
    size = cache.shape[1] if inputs.kv_layout == "token_major" else cache.shape[2]
    page, slot = int(inputs.block_table[seq, position // size]), position % size
    row = cache[page, slot, kv_head] if inputs.kv_layout == "token_major" else None
    row = cache[page, kv_head, slot] if row is None else row
    scale, offset = getattr(inputs, f"{side}_scale"), getattr(inputs, f"{side}_offset")
    if scale is None:
        return [float(x) for x in row]
    if inputs.kv_quant == "int8_token":
        return [int(x) * float(scale[page, kv_head, slot]) for x in row]
    offsets = [0.0] * len(row) if offset is None else [float(x) for x in offset[kv_head]]
    scales = [float(x) for x in scale[kv_head]]
    return [(int(x) + o) * c for x, o, c in zip(row, offsets, scales, strict=True)]


def _attend_slowly(
    inputs: DecodeInputs, seq: int, row: int, visible: int, head: int
) -> tuple[list[float], float]:
    """One row by loops over tokens and channels, summed without rounding errors (math.fsum)."""
    dims = inputs.query.shape[2]
    if visible <= 0:
        return [0.0] * dims, -math.inf
    num_kv_heads = inputs.key_cache.shape[2 if inputs.kv_layout == "token_major" else 1]
    kv_head = head // (inputs.query.shape[1] // num_kv_heads)
    scores, rows = [], []
    for position in range(visible):
        key = _token(inputs, "key", seq, position, kv_head)
        terms = [float(inputs.query[row, head, i]) * key[i] for i in range(dims)]
        scores.append(inputs.softmax_scale * math.fsum(terms))
        rows.append(_token(inputs, "value", seq, position, kv_head))
    top = max(scores)
    total = math.fsum(math.exp(score - top) for score in scores)
    probs = [math.exp(score - top) / total for score in scores]
    out = [math.fsum(p * row[i] for p, row in zip(probs, rows, strict=True)) for i in range(dims)]
    return out, top + math.log(total)


@pytest.mark.parametrize("line", _SMALL)
def test_reference_equals_slow_loops(line: str):
    case = parse_case(line)
    inputs = make_inputs(case)
    out, lse = reference(inputs)
    row = 0
    for seq, (length, q_len) in enumerate(zip(case.context_lens, case.q_lens, strict=True)):
        for token in range(q_len):
            for head in range(case.num_heads):
                visible = length - q_len + token + 1
                slow_out, slow_lse = _attend_slowly(inputs, seq, row, visible, head)
                np.testing.assert_allclose(out[row, head], slow_out, rtol=1e-12, atol=1e-15)
                assert lse[row, head] == pytest.approx(slow_lse, rel=1e-13, abs=1e-14)
            row += 1
    assert row == len(out)


def _by_hand(**changes) -> DecodeInputs:
    """Two tokens of one channel, keys 0 and ln 3, values 4 and 8; a query of 1."""
    arrays = {
        "query": np.ones((1, 1, 1), np.float32),
        "key_cache": np.array([0, math.log(3)], np.float64).reshape(1, 2, 1, 1),
        "value_cache": np.array([4.0, 8.0]).reshape(1, 2, 1, 1),
        "block_table": np.zeros((1, 1), np.int32),
        "context_lens": np.array([2], np.int32),
        "softmax_scale": 1.0,
    }
    return DecodeInputs(**{**arrays, **changes})


def test_two_tokens_by_hand():
    out, lse = reference(_by_hand())  # weights 1 and 3
    assert out[0, 0, 0] == pytest.approx(7.0) and lse[0, 0] == pytest.approx(math.log(4))


def test_query_tokens_by_hand():
    # Four query tokens at the end of a context of two: the first two see nothing.
    query, lens = np.ones((4, 1, 1), np.float32), np.array([4], np.int32)
    out, lse = reference(_by_hand(query=query, q_lens=lens))
    assert out[:, 0, 0] == pytest.approx([0, 0, 4, 7])
    assert lse[:, 0].tolist()[:2] == [-math.inf] * 2
    assert lse[2:, 0] == pytest.approx([0, math.log(4)], abs=1e-15)


def test_int8_by_hand():
    # Keys (1 + 2) ln 3 / 6 and (4 + 2) ln 3 / 6: half of ln 3 and ln 3. Values (-3 + 0.5) 2, 7 2.
    scale = np.array([[math.log(3) / 6]])
    changes = {
        "key_cache": np.array([1, 4], np.int8).reshape(1, 2, 1, 1),
        "value_cache": np.array([-3, 6], np.int8).reshape(1, 2, 1, 1),
        "kv_quant": "int8_channel_asym",
        "key_scale": scale,
        "key_offset": np.array([[2.0]]),
        "value_scale": np.array([[2.0]]),
        "value_offset": np.array([[0.5]]),
    }
    out, lse = reference(_by_hand(**changes))
    first, second = math.sqrt(3), 3
    assert lse[0, 0] == pytest.approx(math.log(first + second))
    assert out[0, 0, 0] == pytest.approx((first * -5 + second * 13) / (first + second))


def test_int8_scales_per_token_by_hand():
    changes = {
        "key_cache": np.array([100, 3], np.int8).reshape(1, 2, 1, 1),
        "value_cache": np.array([1, -128], np.int8).reshape(1, 2, 1, 1),
        "kv_quant": "int8_token",
        "key_scale": np.array([0.0, math.log(3) / 3]).reshape(1, 1, 2),
        "value_scale": np.array([4.0, -8.0 / 128]).reshape(1, 1, 2),
    }
    out, lse = reference(_by_hand(**changes))
    assert out[0, 0, 0] == pytest.approx(7.0) and lse[0, 0] == pytest.approx(math.log(4))


@pytest.mark.parametrize("scheme", ["", ":kvint8-channel-asym:outliers", ":kvint8-token"])
def test_layouts_and_the_number_of_query_tokens_change_no_bit(scheme: str):
    head = "decode:b2:h4:kv2:d64:bs16:ctx40,21:f16"
    out, lse = reference(make_inputs(parse_case(f"{head}{scheme}:seed3")))
    for layout in (":headmajor", ":interleaved", ":headmajor:interleaved"):
        other = reference(make_inputs(parse_case(f"{head}{layout}{scheme}:seed3")))
        np.testing.assert_array_equal(other[0], out)
        np.testing.assert_array_equal(other[1], lse)
    # Query token 0 of many is the only one of a context that ends with it.
    longer = f"decode:b2:h4:kv2:d64:bs16:ctx44,23:f16:qlen5,3{scheme}:seed3"
    other = reference(make_inputs(parse_case(longer)))
    np.testing.assert_array_equal(other[0][[0, 5]], out)
    np.testing.assert_array_equal(other[1][[0, 5]], lse)


@pytest.mark.parametrize("scheme", ["channel", "channel-asym", "token"])
@pytest.mark.parametrize("dtype", ["f16", "bf16"])
def test_int8_scores_are_exact_in_any_order(scheme: str, dtype: str):
    line = f"decode:b1:h2:kv1:d256:bs16:ctx50:{dtype}:kvint8-{scheme}:outliers:sharp:seed3"
    inputs = make_inputs(parse_case(line))
    (part,) = attend(inputs)
    query = to_float64(inputs.query[0])
    assert part.keys.shape == (50, 256)
    order = np.random.default_rng(1).permutation(256)
    for head in range(2):
        for key in part.keys:
            products = query[head] * key
            exact = math.fsum(products)
            assert np.cumsum(products)[-1] == exact == np.cumsum(products[order])[-1]


def test_an_empty_sequence_gives_zero_and_minus_infinity_and_its_table_is_not_read():
    inputs = make_inputs(parse_case("decode:b3:h4:kv2:d64:bs16:ctx5,0,9:f16:seed1"))
    table = inputs.block_table.copy()
    table[1] = 1_000_000
    out, lse = reference(dataclasses.replace(inputs, block_table=table))
    assert (out[1] == 0).all() and (lse[1] == -np.inf).all()
    assert np.isfinite(out).all() and np.isfinite(lse[[0, 2]]).all()


def test_one_token_gives_its_value_and_its_score():
    inputs = make_inputs(parse_case("decode:b1:h1:kv1:d64:bs16:ctx1:bf16:seed1"))
    out, lse = reference(inputs)
    page = inputs.block_table[0, 0]
    np.testing.assert_array_equal(out[0, 0], to_float64(inputs.value_cache[page, 0, 0]))
    score = to_float64(inputs.query[0, 0]) @ to_float64(inputs.key_cache[page, 0, 0]) * 0.125
    assert lse[0, 0] == score


def test_kv_block_size_does_not_change_a_bit():
    results = []
    for size in (16, 32, 48, 64, 128, 256):
        line = f"decode:b3:h8:kv2:d128:bs{size}:ctx1,255,600:f16:seed2"
        results.append(reference(make_inputs(parse_case(line))))
    for out, lse in results[1:]:
        np.testing.assert_array_equal(out, results[0][0])
        np.testing.assert_array_equal(lse, results[0][1])


def test_sums_over_tokens_are_exact_in_any_order():
    rng = np.random.default_rng(1)
    weights = rng.random((2, 5000)) ** 8
    weights[0, 17] = 1.0
    values = (2 * rng.integers(0, 2048, (5000, 8)) + 1 - 2048) / 2048
    total, weighted = _exact_sums(weights, values)
    order = rng.permutation(5000)
    total_permuted, weighted_permuted = _exact_sums(weights[:, order], values[order])
    np.testing.assert_array_equal(total, total_permuted)
    np.testing.assert_array_equal(weighted, weighted_permuted)
    for row in range(2):
        exact = math.fsum(weights[row])
        assert abs(total[row] - exact) <= 5000 * 2.0**-53
        products = [math.fsum(weights[row] * values[:, i]) for i in range(8)]
        np.testing.assert_allclose(weighted[row], products, atol=5000 * 2.0**-53)


def test_longer_sequences_than_one_exact_part_add_up():
    length = _EXACT_TOKENS + 3
    weights, values = np.ones((1, length)), np.full((length, 1), 0.5)
    total, weighted = _exact_sums(weights, values)
    assert total[0] == length and weighted[0, 0] == length / 2


def test_exp_is_within_two_units_in_the_last_place():
    x = -np.concatenate([np.linspace(0, 1, 1001), np.geomspace(1, 690, 3001)])
    exact = np.array([math.exp(value) for value in x])
    assert (np.abs(_exp(x) - exact) / np.spacing(exact)).max() <= 2
    assert _exp(np.array([0.0]))[0] == 1.0
    assert _exp(np.array([-1.2e5]))[0] < 1e-300


def _inputs(**changes) -> DecodeInputs:
    inputs = make_inputs(parse_case("decode:b2:h4:kv2:d64:bs16:ctx5,40:f16:seed1"))
    return dataclasses.replace(inputs, **changes)


@pytest.mark.parametrize("bad", [-1, 99])
def test_a_block_id_outside_the_cache_names_row_and_column(bad: int):
    table = _inputs().block_table.copy()
    table[1, 2] = bad
    with pytest.raises(ValueError, match=rf"block_table\[1, 2\] = {bad}: allowed is 0\.\."):
        reference(_inputs(block_table=table))


@pytest.mark.parametrize("length", [-1, 65])
def test_a_length_beyond_the_table_is_named(length: int):
    with pytest.raises(ValueError, match=rf"context_lens\[1\] = {length}: allowed is 0\.\.64"):
        reference(_inputs(context_lens=np.array([5, length], np.int32)))


def test_shapes_that_contradict_are_named():
    inputs = _inputs()
    with pytest.raises(ValueError, match="num_heads = 3: allowed are multiples of 2"):
        reference(_inputs(query=inputs.query[:, :3]))
    with pytest.raises(ValueError, match="value_cache"):
        reference(_inputs(value_cache=inputs.value_cache[..., :32]))
    with pytest.raises(ValueError, match="context_lens"):
        reference(_inputs(context_lens=inputs.context_lens[:1]))


def test_query_tokens_and_scales_that_do_not_fit_are_named():
    inputs = make_inputs(parse_case("decode:b2:h4:kv2:d64:bs16:ctx9:f16:kvint8-token:seed1"))
    with pytest.raises(ValueError, match=r"q_lens \[1, 2\]: allowed are 2 numbers with the sum 2"):
        reference(dataclasses.replace(inputs, q_lens=np.array([1, 2], np.int32)))
    with pytest.raises(
        ValueError, match=r"key_scale None: allowed is \(\d+, 2, 16\) with int8_token"
    ):
        reference(dataclasses.replace(inputs, key_scale=None))
    with pytest.raises(ValueError, match=r"value_scale \(2, 64\): allowed is \(\d+, 2, 16\)"):
        reference(dataclasses.replace(inputs, value_scale=np.ones((2, 64), np.float32)))
    with pytest.raises(ValueError, match=r"key_offset \(2, 64\): allowed is None with int8_token"):
        reference(dataclasses.replace(inputs, key_offset=np.ones((2, 64), np.float32)))
