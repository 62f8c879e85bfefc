# SPDX-License-Identifier: Apache-2.0
"""The tolerance against the FIFO kernel's arithmetic, page by page, and against its own defects.

A slot that is read one tile too early or too late corrupts one kv block of a sequence. With a
published shape (16 heads, 64 kv blocks of 128 tokens) that moves `out` by less than 1e-2, the
tolerance that such kernels were once tested with; true errors are below 1e-4.
"""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from ascend_attention_reference import (
    CheckReport,
    DecodeCase,
    DecodeInputs,
    Expected,
    check,
    expect,
    make_inputs,
    parse_case,
    read_cases,
)
from simulated_kernel import NONE, Mutation, decode_sequence, one_sequence, slot_mutations

_FOLDER = Path(__file__).parent
_LISTED = [
    case
    for name in ("fifo", "fifo_wide")
    for case in read_cases((_FOLDER / "cases" / f"decode_{name}.txt").read_text())
]
# One sequence of each published shape.
_LONG = [
    parse_case(f"decode:b1:{shape}:ctx8192:{dtype}:route-fifo{out}:seed1")
    for shape in ("h16:kv1:d128:bs128", "h64:kv1:d128:bs64")
    for dtype in ("f16", "bf16")
    for out in ("", ":outf32")
]
_MARGIN = 0.8  # as in test_tolerance.py
_DEPTH = 4  # slots of a FIFO


def _simulate(inputs: DecodeInputs, expected: Expected, mutation: Mutation = NONE) -> CheckReport:
    """The verdict on a simulated kernel; `inputs` has one sequence."""
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        out, lse = decode_sequence(inputs, 0, inputs.keys.shape[1], (), mutation)
    assert out.dtype == (np.float32 if inputs.out_float32 else inputs.query.dtype)
    return check(out, lse, expected)


def _longest(case: DecodeCase) -> int:
    return int(np.argmax(case.context_lens))


@pytest.mark.parametrize("case", [*_LISTED, *_LONG], ids=str)
def test_a_faithful_kernel_passes_with_room(case: DecodeCase):
    inputs = make_inputs(case)
    for seq in range(case.batch):
        one = one_sequence(inputs, seq)
        report = _simulate(one, expect(one))
        assert report.worst.ratio < _MARGIN, (seq, str(report))


@pytest.mark.parametrize("case", [*_LISTED, *_LONG], ids=str)
def test_each_wrong_slot_fails(case: DecodeCase):
    one = one_sequence(make_inputs(case), _longest(case))
    expected = expect(one)
    defects = slot_mutations(one, 0, _DEPTH)
    assert len(defects) >= 3 or case.max_context <= case.kv_block_size
    reports = {name: _simulate(one, expected, defect) for name, defect in defects.items()}
    # The weakest of all is far beyond the bound, not just past it.
    assert not {name: str(r) for name, r in reports.items() if r.worst.ratio < 5}


def test_all_kinds_of_wrong_slots_are_tried():
    kinds = {"stale_probs", "stale_o_tile", "stale_values", "swapped_probs"}
    for case in _LONG:
        defects = slot_mutations(make_inputs(case), 0, _DEPTH)
        assert {name.partition("_of_")[0] for name in defects} == kinds
        assert (
            len(defects) == 28
        )  # tiles 1, 4, the middle, the last; by 1 and, but for tile 1, by 4


@pytest.mark.parametrize("name", ["stale_probs", "swapped_probs", "stale_values"])
@pytest.mark.parametrize("case", [case for case in _LONG if case.out_float32], ids=str)
def test_a_hundredth_lets_a_wrong_slot_through(case: DecodeCase, name: str):
    inputs = make_inputs(case)
    expected = expect(inputs)
    true_error = _largest_error(inputs, expected, NONE)
    wrong = slot_mutations(inputs, 0, _DEPTH)[_in_the_middle(name, inputs)]
    error = _largest_error(inputs, expected, wrong)
    assert true_error < 1e-4 < 1e-3 < error < 1e-2
    assert _simulate(inputs, expected, NONE).ok
    assert not _simulate(inputs, expected, wrong).ok


def _in_the_middle(name: str, inputs: DecodeInputs) -> str:
    """The name of a defect of the middle tile of a long sequence, by its predecessor."""
    tile = -(-int(inputs.context_lens[0]) // inputs.keys.shape[1]) // 2
    return f"{name}_of_{tile}_by_{tile - 1}"


def _largest_error(inputs: DecodeInputs, expected: Expected, mutation: Mutation) -> float:
    out, _ = decode_sequence(inputs, 0, inputs.keys.shape[1], (), mutation)
    return float(np.abs(out.astype(np.float64) - expected.out).max())


@pytest.mark.parametrize("case", [case for case in _LISTED if case.out_float32], ids=str)
def test_a_float32_out_only_tightens_the_bounds(case: DecodeCase):
    one = one_sequence(make_inputs(case), _longest(case))
    exact, rounded = expect(one), expect(dataclasses.replace(one, out_float32=False))
    np.testing.assert_array_equal(exact.out, rounded.out)
    np.testing.assert_array_equal(exact.tolerance.lse, rounded.tolerance.lse)
    for name in ("out", "out_rms"):
        tight, wide = getattr(exact.tolerance, name), getattr(rounded.tolerance, name)
        assert (tight <= wide).all() and (tight < wide).any() == (case.max_context > 0)


@pytest.mark.parametrize("dtype", ["f16", "bf16"])
def test_a_single_token_is_right_to_a_few_units_of_float32(dtype: str):
    # exp(0) = 1 is rounded to no other number, so nothing is left but float32 arithmetic.
    line = f"decode:b1:h16:kv1:d128:bs128:ctx1:{dtype}:route-fifo:outf32:seed1"
    expected = expect(make_inputs(parse_case(line)))
    largest = np.abs(expected.out).max()
    assert 4 < expected.tolerance.out.max() / (2.0**-24 * largest) < 12


@pytest.mark.parametrize("dtype", ["f16", "bf16"])
def test_a_float32_out_that_was_rounded_to_16_bits_fails(dtype: str):
    # Where few tokens take the weight, rounding P does little, rounding out as much as ever.
    line = f"decode:b1:h16:kv1:d128:bs128:ctx300:{dtype}:route-fifo:outf32:sharp:seed1"
    inputs = make_inputs(parse_case(line))
    expected = expect(inputs)
    out, lse = decode_sequence(inputs, 0, 128)
    assert check(out, lse, expected).worst.ratio < _MARGIN
    assert not check(out.astype(inputs.query.dtype), lse, expected).ok


@pytest.mark.parametrize("dtype", ["f16", "bf16"])
def test_the_noise_model_of_a_float32_out_is_neither_loose_nor_tight(dtype: str):
    line = f"decode:b1:h16:kv1:d128:bs128:ctx8192:{dtype}:route-fifo:outf32:seed1"
    inputs = make_inputs(parse_case(line))
    expected = expect(inputs)
    out, _ = decode_sequence(inputs, 0, 128)
    rms = np.sqrt(((out - expected.out) ** 2).mean(axis=-1))
    terms = 1 / (1 / 128 + np.exp(0.667**2) / 8192)
    sigma = expected.tolerance.out_rms[0] / (1 + 5 / np.sqrt(2 * terms))
    assert 0.6 < (rms / sigma).mean() < 0.9


@pytest.mark.parametrize("case", [case for case in _LONG if case.out_float32], ids=str)
def test_the_readme_shows_these_errors(case: DecodeCase):
    inputs = make_inputs(case)
    expected = expect(inputs)
    defects = slot_mutations(inputs, 0, _DEPTH)
    numbers = [
        np.sqrt((expected.out**2).mean()),
        expected.tolerance.out.max(),
        _largest_error(inputs, expected, NONE),
        *(
            _largest_error(inputs, expected, defects[_in_the_middle(name, inputs)])
            for name in ("stale_probs", "stale_values")
        ),
    ]
    begin = f"| {case.num_heads} | {case.kv_block_size} | {case.dtype} | "
    lines = (_FOLDER / "README.md").read_text().splitlines()
    (shown,) = [line for line in lines if line.startswith(begin)]
    # Which probabilities are rounded up depends on the last bit of exp and of the scores.
    assert [float(x) for x in shown[len(begin) : -2].split(" | ")] == pytest.approx(
        numbers, rel=0.1
    )
