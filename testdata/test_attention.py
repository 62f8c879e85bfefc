# SPDX-License-Identifier: Apache-2.0
"""The reference against slow loops that share no line with it, and its promises at the edges."""

import dataclasses
import math

import numpy as np
import pytest
from ascend_attention_reference import DecodeInputs, make_inputs, parse_case, reference
from ascend_attention_reference.attention import _EXACT_TOKENS, _exact_sums, _exp, to_float64

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
]


def _attend_slowly(inputs: DecodeInputs, seq: int, head: int) -> tuple[list[float], float]:
    """One row by loops over tokens and channels, summed without rounding errors (math.fsum)."""
    length = int(inputs.context_lens[seq])
    dims = inputs.query.shape[2]
    if length == 0:
        return [0.0] * dims, -math.inf
    size = inputs.key_cache.shape[1]
    kv_head = head // (inputs.query.shape[1] // inputs.key_cache.shape[2])
    scores, rows = [], []
    for position in range(length):
        page = int(inputs.block_table[seq, position // size])
        key = inputs.key_cache[page, position % size, kv_head]
        terms = [float(inputs.query[seq, head, i]) * float(key[i]) for i in range(dims)]
        scores.append(inputs.softmax_scale * math.fsum(terms))
        rows.append([float(x) for x in inputs.value_cache[page, position % size, kv_head]])
    top = max(scores)
    total = math.fsum(math.exp(score - top) for score in scores)
    probs = [math.exp(score - top) / total for score in scores]
    out = [math.fsum(p * row[i] for p, row in zip(probs, rows, strict=True)) for i in range(dims)]
    return out, top + math.log(total)


@pytest.mark.parametrize("line", _SMALL)
def test_reference_equals_slow_loops(line: str):
    inputs = make_inputs(parse_case(line))
    out, lse = reference(inputs)
    for seq in range(out.shape[0]):
        for head in range(out.shape[1]):
            slow_out, slow_lse = _attend_slowly(inputs, seq, head)
            np.testing.assert_allclose(out[seq, head], slow_out, rtol=1e-13, atol=1e-15)
            assert lse[seq, head] == pytest.approx(slow_lse, rel=1e-14, abs=1e-14)


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
