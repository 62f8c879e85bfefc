# SPDX-License-Identifier: Apache-2.0
"""Decode cases, their inputs, the float64 reference and the tolerance.

What every test compares with. Shares no code with the product; needs numpy, and ml_dtypes for the
bfloat16 dtype.

    case = parse_case("decode:b2:h8:kv2:d128:bs128:ctx1,300:f16:seed7")
    inputs = make_inputs(case)
    expected = expect(inputs)                    # out, lse, tolerance
    report = check(out, lse, expected)           # report.ok, report.max_error, report.tolerance

and what cache writes (write_cache) and merges of partial results (merge_states) must give.

Next: case.py - the grammar.
"""

from ascend_attention_reference.attention import reference
from ascend_attention_reference.cache_write import (
    quantise_channels,
    quantise_tokens,
    write_cache,
)
from ascend_attention_reference.case import DecodeCase, format_case, parse_case, read_cases
from ascend_attention_reference.inputs import DecodeInputs, make_inputs, numpy_dtype
from ascend_attention_reference.merge import merge_states
from ascend_attention_reference.tolerance import (
    CheckReport,
    Expected,
    Tolerance,
    check,
    expect,
)

__all__ = [
    "CheckReport",
    "DecodeCase",
    "DecodeInputs",
    "Expected",
    "Tolerance",
    "check",
    "expect",
    "format_case",
    "make_inputs",
    "merge_states",
    "numpy_dtype",
    "parse_case",
    "quantise_channels",
    "quantise_tokens",
    "read_cases",
    "reference",
    "write_cache",
]
