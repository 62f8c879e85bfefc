# SPDX-License-Identifier: Apache-2.0
"""Int8 caches with an attention sink: weights near the step of the cube's operands."""

import ascend_attention_reference as reference
import pytest
from ascend_attention import paged_attention
from ascend_attention.cli.case_problem import run_arguments
from sink_inputs import SHAPES, sink_inputs


@pytest.mark.parametrize(
    ("route", "context_len", "one_value"),
    [
        ("dequant", 512, True),
        ("limbs", 512, False),
        ("limbs", 512, True),
        ("limbs", 4096, True),
    ],
)
@pytest.mark.parametrize("scheme", ["kvint8-channel", "kvint8-channel-asym", "kvint8-token"])
@pytest.mark.parametrize("dtype", ["f16", "bf16"])
def test_small_weights_below_a_sink_count(dtype, scheme, route, context_len, one_value):
    """Guards weights that all round the same way: N of them are off by N / 2 steps."""
    inputs = sink_inputs(context_len, dtype, scheme, route, one_value=one_value)
    out, lse = paged_attention(
        **run_arguments(inputs),
        context_lens=inputs.context_lens,
        softmax_scale=inputs.softmax_scale,
        kv_quant=inputs.kv_quant,
        kv_route=route,
        return_lse=True,
    )
    report = reference.check(out, lse, inputs)
    row = report.worst.index[0]
    assert report.ok, f"gap and spread {SHAPES[row]}: {report}"
