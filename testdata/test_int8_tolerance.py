# SPDX-License-Identifier: Apache-2.0
"""The bounds of int8 caches from both sides: each route passes with room, each defect fails.

The bounds are those of int8_noise.py; as in test_tolerance.py they are never widened to make a test
green.
"""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from ascend_attention_reference import (
    DecodeCase,
    DecodeInputs,
    expect,
    int8_noise,
    make_inputs,
    parse_case,
    read_cases,
)
from ascend_attention_reference.attention import attend, to_float64
from ascend_attention_reference.tolerance import check
from simulated_int8_kernel import decode_sequence, wrong_inputs
from sink_inputs import SHAPES, sink_inputs

_TESTDATA = Path(__file__).parent
_LISTED = read_cases((_TESTDATA / "cases" / "decode_int8.txt").read_text())
_SCHEMES = ("kvint8-channel", "kvint8-channel-asym", "kvint8-token")
_LONG = [
    parse_case(f"decode:b1:h4:kv2:d128:bs128:ctx{length}:{dtype}:{scheme}:route-{route}:seed1")
    for length, dtype in ((4096, "f16"), (16384, "bf16"))
    for scheme in _SCHEMES
    for route in ("dequant", "limbs")
]
_MARGIN = 0.8


def _one(inputs: DecodeInputs, seq: int) -> DecodeInputs:
    """The problem of one sequence with one query token."""
    part = slice(seq, seq + 1)
    return dataclasses.replace(
        inputs,
        query=inputs.query[part],
        q_lens=None,
        block_table=inputs.block_table[part],
        context_lens=inputs.context_lens[part],
    )


def _routes(case: DecodeCase) -> tuple[str, ...]:
    return ("dequant", "limbs") if case.route == "auto" else (case.route,)


@pytest.mark.parametrize("case", [*_LISTED, *_LONG], ids=str)
def test_each_route_passes_with_room(case: DecodeCase):
    inputs = make_inputs(case)
    for seq in range(case.batch):
        one = _one(inputs, seq)
        expected = expect(one)
        for route in _routes(case):
            for tile in (64, 512):
                report = check(*decode_sequence(one, 0, route, tile), expected)
                assert report.worst.ratio < _MARGIN, (seq, route, tile, str(report))


def _is_coarse(case: DecodeCase) -> bool:
    """8 bits for an output whose mean, from the value offsets, is its largest part."""
    return case.dtype == "bf16" and case.kv_quant == "int8_channel_asym"


def _reports(case: DecodeCase) -> dict[str, bool]:
    """Defect -> whether it passes, in the longest sequence."""
    one = _one(make_inputs(case), int(np.argmax(case.context_lens)))
    expected = expect(one)
    passes = {}
    for route in _routes(case):
        with np.errstate(invalid="ignore", over="ignore", divide="ignore"):
            for name, wrong in wrong_inputs(one, 0).items():
                passes[f"{route}: {name}"] = check(
                    *decode_sequence(wrong, 0, route, 128), expected
                ).ok
    return passes


@pytest.mark.parametrize("case", [*_LISTED, *_LONG], ids=str)
def test_each_defect_fails(case: DecodeCase):
    passes = _reports(case)
    assert len(passes) >= 3
    if _is_coarse(case) and case.max_context > 2048:
        # Half a unit of `out` is more than one token's share. A whole kv block shows at any length.
        del passes[f"{case.route}: dropped_last_token"]
    assert not [name for name, passed in passes.items() if passed]


@pytest.mark.parametrize(
    "case", [c for c in [*_LISTED, *_LONG] if c.route == "limbs" and c.max_context > 100], ids=str
)
def test_a_lost_limb_fails(case: DecodeCase):
    one = _one(make_inputs(case), int(np.argmax(case.context_lens)))
    expected = expect(one)
    # The first limb has 8 bits, as many as a coarse output.
    for operand in ("query",) if _is_coarse(case) else ("query", "probs"):
        assert not check(*decode_sequence(one, 0, "limbs", 128, operand), expected).ok, operand


def _sink_ratio(inputs: DecodeInputs, lose: str = "") -> float:
    """The worst of all sequences."""
    results = [decode_sequence(inputs, seq, "limbs", 128, lose) for seq in range(len(SHAPES))]
    out, lse = (np.concatenate(arrays) for arrays in zip(*results, strict=True))
    return check(out, lse, inputs).worst.ratio


@pytest.mark.parametrize("one_value", [False, True])
@pytest.mark.parametrize("scheme", _SCHEMES)
@pytest.mark.parametrize("dtype", ["f16", "bf16"])
def test_limbs_pass_with_room_below_a_sink(dtype: str, scheme: str, one_value: bool):
    inputs = sink_inputs(512, dtype, scheme, "limbs", one_value=one_value)
    assert _sink_ratio(inputs) < _MARGIN / 2


def test_a_lost_dither_shows_below_a_sink():
    inputs = sink_inputs(512, "f16", "kvint8-channel", "limbs", one_value=True)
    assert _sink_ratio(inputs, "dither") > 1.5 * _sink_ratio(inputs)


def test_all_kinds_of_defects_are_tried():
    names = set()
    for case in _LISTED:
        one = _one(make_inputs(case), int(np.argmax(case.context_lens)))
        names |= wrong_inputs(one, 0).keys()
    sides = {
        f"{side}{what}"
        for side in ("key", "value")
        for what in ("_scales_of_another_head", "_scales_shifted", "_offset_dropped")
    }
    stale = {f"stale_{what}" for what in ("keys", "values", "key_scales", "value_scales")}
    assert names == sides | stale | {"dropped_last_token"}


@pytest.mark.parametrize("options", ["", ":outliers", ":sharp"])
@pytest.mark.parametrize("scheme", _SCHEMES)
@pytest.mark.parametrize("route", ["dequant", "limbs"])
def test_the_model_of_the_query_error_is_neither_loose_nor_tight(
    route: str, scheme: str, options: str
):
    # All else exact, only q' off by errors of the modelled size, drawn at random.
    line = f"decode:b1:h2:kv1:d128:bs64:ctx600:bf16:{scheme}:route-{route}{options}:seed4"
    inputs = make_inputs(parse_case(line))
    rng = np.random.default_rng(1)
    for part in attend(inputs):
        keys = part.int8_keys
        probs = part.weights / part.weights.sum(axis=1, keepdims=True)
        noise = int8_noise.query_noise(inputs, part, route, probs, 2.0**-8, 0.0)
        operand = to_float64(inputs.query[0]) * keys.channel_scale
        size = np.abs(operand) * 2.0**-8
        if route == "limbs":
            size = np.broadcast_to(np.abs(operand).max(axis=1, keepdims=True) / 64516, size.shape)
        squares, lse_squares, draws = 0.0, 0.0, 100
        for _ in range(draws):
            errors = rng.uniform(-1, 1, size.shape) * size
            moved = (errors @ keys.ints.T) * keys.token_scale * inputs.softmax_scale
            weights = probs * np.exp(moved)
            total = weights.sum(axis=1)
            squares += ((weights @ part.values) / total[:, None] - part.out) ** 2 / draws
            lse_squares += np.log(total) ** 2 / draws
        np.testing.assert_allclose(squares.mean(axis=1), noise.out.mean(axis=1), rtol=0.25)
        np.testing.assert_allclose(lse_squares, noise.lse, rtol=0.5)


def _relative_errors(case: DecodeCase) -> tuple[float, float]:
    """Of the simulated kernel, and allowed: rms over all rows, in units of the rms of out."""
    inputs = make_inputs(case)
    expected = expect(inputs)
    out, _ = decode_sequence(inputs, 0, case.route, 128)
    size = np.sqrt((expected.out**2).mean())
    error = np.sqrt(((to_float64(out) - expected.out) ** 2).mean())
    return float(error / size), float(np.sqrt((expected.tolerance.out_rms**2).mean()) / size)


@pytest.mark.parametrize("scheme", _SCHEMES)
@pytest.mark.parametrize("route", ["dequant", "limbs"])
@pytest.mark.parametrize("dtype", ["f16", "bf16"])
def test_the_readme_shows_these_relative_errors(scheme: str, route: str, dtype: str):
    head = f"decode:b1:h8:kv2:d128:bs128:ctx4096:{dtype}:{scheme}:route-{route}"
    numbers = []
    for options in ("", ":outliers", ":sharp"):
        numbers += _relative_errors(parse_case(f"{head}{options}:seed1"))
    start = f"| {scheme} | {route} | {dtype} | "
    rows = (_TESTDATA / "README.md").read_text().splitlines()
    row = next((row for row in rows if row.startswith(start)), "")
    shown = [float(cell) for cell in row.removeprefix(start).rstrip(" |").split(" | ")]
    # Two digits; how many roundings of a simulation go which way depends on the BLAS.
    np.testing.assert_allclose(shown, numbers, rtol=0.1)


def test_without_a_route_the_larger_bound_holds():
    line = "decode:b2:h4:kv2:d64:bs32:ctx33,200:f16:kvint8-token"
    auto, dequant, limbs = (
        expect(make_inputs(parse_case(f"{line}{route}:seed1"))).tolerance
        for route in ("", ":route-dequant", ":route-limbs")
    )
    for name in ("out", "out_rms", "lse"):
        larger = np.maximum(getattr(dequant, name), getattr(limbs, name))
        np.testing.assert_array_equal(getattr(auto, name), larger)
        assert (getattr(dequant, name) != getattr(limbs, name)).any()
