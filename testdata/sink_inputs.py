# SPDX-License-Identifier: Apache-2.0
"""Int8 caches in which the first token dominates and all others lie `gap` below it.

Weights of such an attention sink are exp(-gap): for a gap of 11 the step of two int8 limbs. What
rounds them all the same way is off by their number times half a step, which neither random inputs
nor sharp ones show. Sequences differ in their query alone and share the kv blocks. For tests only.

Next: test_int8_tolerance.py and python/tests/test_int8_sink.py - who must pass.
"""

import dataclasses
import itertools

import numpy as np
from ascend_attention_reference import DecodeInputs, make_inputs, parse_case

# Distance of the other scores from the first one, and their standard deviation.
GAPS = (9, 10, 10.5, 11, 12, 13, 14)
SPREADS = (0.0, 0.5, 1.0)
SHAPES = tuple(itertools.product(GAPS, SPREADS))

_UNIT = 0.01
_LARGEST = 127


def sink_inputs(
    context_len: int, dtype: str, scheme: str, route: str, *, one_value: bool = False
) -> DecodeInputs:
    """One sequence for each of SHAPES.

    Channel 0 makes the gap: 127 in the first token, 0 in all others. The rest of the channels make
    the spread. Offsets of keys are 0.

    Args:
      one_value: values are 100, those of the first token -100, so that no error cancels.
    """
    line = f"decode:b1:h4:kv1:d128:bs128:ctx{context_len}:{dtype}:{scheme}:route-{route}:seed1"
    inputs = make_inputs(parse_case(line))
    rng = np.random.default_rng(3)
    first = inputs.block_table[0, 0]
    keys, values = inputs.key_cache.copy(), inputs.value_cache.copy()
    keys[..., 0] = 0
    keys[first, 0] = 0
    keys[first, 0, :, 0] = _LARGEST
    if one_value:
        values[:] = 100
        values[first, 0] = -100
    key_scale = inputs.key_scale.copy()
    if inputs.kv_quant == "int8_token":
        key_scale[:] = _UNIT
    else:
        key_scale[:, 0] = _UNIT
    offset = inputs.key_offset
    channel_scale = _UNIT if inputs.kv_quant == "int8_token" else key_scale[:, 1:]
    others = keys[inputs.block_table[0]][..., 1:] * channel_scale
    noise = rng.standard_normal((len(SHAPES), *inputs.query.shape[1:]))
    noise /= inputs.softmax_scale * np.sqrt((others**2).sum(axis=-1).mean())
    query = noise * np.array([spread for _, spread in SHAPES])[:, None, None]
    gaps = np.array([gap for gap, _ in SHAPES])
    query[..., 0] = gaps[:, None] / (_LARGEST * _UNIT * inputs.softmax_scale)
    return dataclasses.replace(
        inputs,
        query=query.astype(inputs.query.dtype),
        q_lens=None,
        key_cache=keys,
        value_cache=values,
        pool=None,
        key_scale=key_scale,
        key_offset=None if offset is None else np.zeros_like(offset),
        block_table=np.repeat(inputs.block_table, len(SHAPES), axis=0),
        context_lens=np.repeat(inputs.context_lens, len(SHAPES)),
    )
