# SPDX-License-Identifier: Apache-2.0
"""The merge reference: by hand, against attention over the union of tokens, and empty parts."""

import itertools
import math

import ml_dtypes
import numpy as np
import pytest
from ascend_attention_reference import make_inputs, merge_states, parse_case, reference
from ascend_attention_reference.attention import attend

_INF = np.inf


def test_two_parts_by_hand():
    # Weights 1/4 and 3/4, of sums 1 and 3.
    out, lse = merge_states([[4.0, 0.0], [0.0, 8.0]], [0.0, math.log(3)])
    np.testing.assert_allclose(out, [1.0, 6.0], rtol=1e-15)
    assert lse == pytest.approx(math.log(4), rel=1e-15)


def test_the_logarithm_is_natural_and_large_ones_do_not_overflow():
    out, lse = merge_states([[1.0], [3.0]], [5e4, 5e4])
    assert out.tolist() == [2.0] and lse == 5e4 + math.log(2)
    out, lse = merge_states([[1.0], [3.0]], [-5e4, 5e4])
    assert out.tolist() == [3.0] and lse == 5e4


def test_empty_parts_are_not_looked_at():
    outs = np.array([[[np.nan, np.nan]], [[1.0, 2.0]], [[_INF, np.nan]]])
    out, lse = merge_states(outs, [[-_INF], [0.5], [-_INF]])
    assert out.tolist() == [[1.0, 2.0]] and lse.tolist() == [0.5]


@pytest.mark.parametrize("parts", [0, 1, 3])
def test_without_tokens_there_is_zero_and_minus_infinity(parts: int):
    out, lse = merge_states(np.full((parts, 2, 3, 4), np.nan), np.full((parts, 2, 3), -_INF))
    assert out.shape == (2, 3, 4) and (out == 0).all() and (lse == -_INF).all()


@pytest.mark.parametrize("cuts", [(100,), (1, 2, 3), (64, 128, 192, 256), ()])
def test_parts_of_a_sequence_merge_to_the_whole(cuts: tuple[int, ...]):
    inputs = make_inputs(parse_case("decode:b1:h4:kv1:d64:bs64:ctx300:f16:sharp:seed1"))
    (whole,) = attend(inputs)
    scores = np.log(whole.weights)
    outs, lses = [], []
    bounds = [0, *cuts, 300]
    for begin, end in itertools.pairwise(bounds):
        weights = np.exp(scores[:, begin:end])
        outs.append(weights @ whole.values[begin:end] / weights.sum(axis=1, keepdims=True))
        lses.append(np.log(weights.sum(axis=1)))
    out, lse = merge_states(np.array(outs), np.array(lses))
    np.testing.assert_allclose(out, reference(inputs)[0][0], rtol=1e-11, atol=1e-14)
    np.testing.assert_allclose(lse, np.log(whole.weights.sum(axis=1)), atol=1e-14)


def test_the_order_of_parts_and_merging_in_steps_change_nothing():
    rng = np.random.default_rng(3)
    outs, lses = rng.standard_normal((5, 7, 16)), rng.uniform(-9, 9, (5, 7))
    lses[1, :3] = lses[4, 2] = -_INF
    out, lse = merge_states(outs, lses)
    for order in ([4, 3, 2, 1, 0], [2, 0, 4, 1, 3]):
        other = merge_states(outs[order], lses[order])
        np.testing.assert_allclose(other[0], out, rtol=1e-12, atol=1e-15)
        np.testing.assert_allclose(other[1], lse, rtol=1e-14)
    first = merge_states(outs[:2], lses[:2])
    rest = merge_states(outs[2:], lses[2:])
    both = merge_states(np.stack([first[0], rest[0]]), np.stack([first[1], rest[1]]))
    np.testing.assert_allclose(both[0], out, rtol=1e-12, atol=1e-15)
    np.testing.assert_allclose(both[1], lse, rtol=1e-14)


def test_16_bit_parts_are_widened_exactly():
    outs = np.array([[0.1], [0.3]]).astype(ml_dtypes.bfloat16)
    out, _ = merge_states(outs, np.zeros(2, np.float32))
    assert out[0] == (float(outs[0, 0]) + float(outs[1, 0])) / 2


@pytest.mark.parametrize("bad", [np.nan, _INF])
def test_a_wrong_lse_is_named(bad: float):
    with pytest.raises(ValueError, match=r"lses\[\(1, 0\)\] = (nan|inf): allowed are numbers"):
        merge_states(np.zeros((2, 1, 4)), [[0.0], [bad]])


def test_shapes_that_do_not_fit_are_named():
    with pytest.raises(ValueError, match=r"lses \(3,\): allowed is outs \(2, 4\) without"):
        merge_states(np.zeros((2, 4)), np.zeros(3))
