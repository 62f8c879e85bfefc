# SPDX-License-Identifier: Apache-2.0
"""The cache-write reference: numbers by hand, every layout, and what a reader gets back."""

import dataclasses
import fractions

import ml_dtypes
import numpy as np
import pytest
from ascend_attention_reference import (
    make_inputs,
    parse_case,
    quantise_channels,
    quantise_tokens,
    reference,
    write_cache,
)

_F32 = np.float32


def test_channels_round_to_nearest_even_and_clamp():
    x = np.array([[0.5, 1.5, 2.5, -0.5, -1.5, 126.5, 127.5, -128.5, -129.5, 1000, -1000]], _F32)
    got = quantise_channels(x, np.ones_like(x))
    assert got.tolist() == [[0, 2, 2, 0, -2, 126, 127, -128, -128, 127, -128]]


def test_channels_have_their_own_scale_and_offset():
    # 3 / 0.5 - 1.25 = 4.75; -1 / 0.25 + 3.5 = -0.5, a tie; 2 / 4 - 0 = 0.5, a tie.
    x = np.array([[3, -1, 2]], np.float16)
    scale, offset = np.array([[0.5, 0.25, 4]], _F32), np.array([[1.25, -3.5, 0]], _F32)
    assert quantise_channels(x, scale, offset).tolist() == [[5, 0, 0]]
    assert quantise_channels(x, scale).tolist() == [[6, -4, 0]]


@pytest.mark.parametrize("dtype", [np.float16, ml_dtypes.bfloat16])
def test_each_step_is_one_float32_rounding(dtype: np.dtype):
    rng = np.random.default_rng(1)
    x = (rng.standard_normal((64, 2, 16)) * 3).astype(dtype)
    scale = (0.02 + rng.random((2, 16)) * 0.06).astype(_F32)
    offset = (rng.random((2, 16)) * 40 - 20).astype(_F32)
    got = quantise_channels(x, scale, offset)
    for at in np.ndindex(x.shape):
        exact = fractions.Fraction(float(x[at])) / fractions.Fraction(float(scale[at[1:]]))
        quotient = float(_F32(float(exact)))  # double, then float32: harmless for a quotient
        steps = float(_F32(quotient - float(offset[at[1:]])))
        assert got[at] == min(127, max(-128, round(steps)))  # round() of Python: ties to even


def test_a_token_reaches_127_and_its_scale_is_a_float32_quotient():
    x = np.array([[[1.0, -2.0, 0.5, 0.0], [0.0, 0.0, 0.0, 0.0]]], np.float16)
    ints, scale = quantise_tokens(x)
    # 1 / (2 / 127) = 63.5 - a tie but for the rounding of the scale; 0.5 gives 31.75.
    assert scale.dtype == np.float32 and scale.tolist() == [[float(_F32(2) / _F32(127)), 0.0]]
    tie = float(_F32(1) / scale[0, 0])
    assert ints.tolist() == [[[round(tie), -127, 32, 0], [0, 0, 0, 0]]]


def test_what_is_no_number_becomes_zero_and_is_said_by_the_scale():
    x = np.array([[[np.nan, 1, 2]], [[np.inf, 1, -2]], [[-np.inf, np.nan, 0]]], _F32)
    ints, scale = quantise_tokens(x)
    assert (ints == 0).all()
    assert np.isnan(scale[0, 0]) and scale[1, 0] == np.inf and np.isnan(scale[2, 0])
    ints = quantise_channels(x, np.ones((1, 3), _F32))
    assert ints.tolist() == [[[0, 1, 2]], [[127, 1, -2]], [[-128, 0, 0]]]


def test_a_copy_goes_to_its_slots_and_nowhere_else():
    cache = np.full((3, 4, 2, 8), 7, np.float16)
    x = np.arange(3 * 2 * 8, dtype=np.float16).reshape(3, 2, 8)
    write_cache(x, np.array([9, -1, 0]), cache)
    np.testing.assert_array_equal(cache[2, 1], x[0])
    np.testing.assert_array_equal(cache[0, 0], x[2])
    cache[2, 1] = cache[0, 0] = 7
    assert (cache == 7).all()


@pytest.mark.parametrize("layout", ["", ":headmajor", ":interleaved", ":headmajor:interleaved"])
@pytest.mark.parametrize("scheme", ["", ":kvint8-channel", ":kvint8-channel-asym", ":kvint8-token"])
def test_what_is_written_is_what_the_reference_reads(layout: str, scheme: str):
    # One sequence of 20 tokens in two kv blocks, written token by token in a random order.
    inputs = make_inputs(parse_case(f"decode:b1:h4:kv2:d64:bs16:ctx20:f16{layout}{scheme}:seed5"))
    rng = np.random.default_rng(2)
    key, value = (rng.uniform(-1, 1, (20, 2, 64)).astype(np.float16) for _ in range(2))
    positions = np.arange(20)
    slots = inputs.block_table[0, positions // 16].astype(np.int64) * 16 + positions % 16
    if inputs.kv_quant == "int8_channel":
        # The case's own scales are for other numbers.
        inputs = dataclasses.replace(
            inputs,
            key_scale=np.full((2, 64), 1 / 127, _F32),
            value_scale=np.full((2, 64), 1 / 127, _F32),
        )
    elif inputs.kv_quant == "int8_channel_asym":
        narrow = np.full((2, 64), 1 / 100, _F32)
        inputs = dataclasses.replace(inputs, key_scale=narrow, value_scale=narrow)
    order = rng.permutation(20)
    for side, x in (("key", key), ("value", value)):
        write_cache(
            x[order],
            slots[order],
            getattr(inputs, f"{side}_cache"),
            kv_layout=inputs.kv_layout,
            kv_quant=inputs.kv_quant,
            scale=getattr(inputs, f"{side}_scale"),
            offset=getattr(inputs, f"{side}_offset"),
        )
    plain = make_inputs(parse_case("decode:b1:h4:kv2:d64:bs32:ctx20:f16:fulltable:seed5"))
    for name, x in (("key_cache", key), ("value_cache", value)):
        getattr(plain, name)[plain.block_table[0, 0], :20] = x
    plain = dataclasses.replace(plain, query=inputs.query)
    got, want = reference(inputs), reference(plain)
    if inputs.kv_quant == "none":
        np.testing.assert_array_equal(got[0], want[0])
        np.testing.assert_array_equal(got[1], want[1])
        return
    # A value is off by at most half a step of 1/100; a score by about 2 / sqrt(3) of a key's error.
    assert 1e-5 < np.abs(got[0] - want[0]).max() < 0.01
    assert 1e-6 < np.abs(got[1] - want[1]).max() < 0.02


@pytest.mark.parametrize("bad", [48, 1 << 40])
def test_a_slot_outside_the_cache_is_named_and_nothing_is_written(bad: int):
    cache = np.zeros((3, 16, 1, 8), np.float16)
    with pytest.raises(ValueError, match=rf"slot_mapping\[1\] = {bad}: allowed is below 48"):
        write_cache(np.ones((2, 1, 8), np.float16), np.array([0, bad]), cache)
    assert (cache == 0).all()


def test_a_slot_given_twice_is_named_and_skipped_tokens_may_repeat():
    cache = np.zeros((3, 16, 1, 8), np.float16)
    x = np.ones((4, 1, 8), np.float16)
    write_cache(x, np.array([-1, 5, -1, -7]), cache)
    assert (cache == 1).sum() == 8
    with pytest.raises(ValueError, match="slot 5: allowed is once"):
        write_cache(x, np.array([5, 1, 5, 2]), cache)
