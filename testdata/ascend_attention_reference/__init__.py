# SPDX-License-Identifier: Apache-2.0
"""Decode cases, their inputs, the float64 reference and the tolerance: what every test compares with.

Shares no code with the product and needs numpy only (and ml_dtypes for the bfloat16 dtype).

    case = parse_case("decode:b2:h8:kv2:d128:bs128:ctx1,300:f16:seed7")
    inputs = make_inputs(case)
    out, lse = reference(inputs)

Next: case.py - the grammar.
"""

from ascend_attention_reference.attention import reference
from ascend_attention_reference.case import DecodeCase, format_case, parse_case, read_cases
from ascend_attention_reference.inputs import DecodeInputs, make_inputs, numpy_dtype

__all__ = [
    "DecodeCase",
    "DecodeInputs",
    "format_case",
    "make_inputs",
    "numpy_dtype",
    "parse_case",
    "read_cases",
    "reference",
]
