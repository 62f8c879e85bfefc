# SPDX-License-Identifier: Apache-2.0
"""The tolerance from both sides: a correct kernel passes with room, each single defect fails.

A defect that passes here would pass in every other test of this project, because they all use this
rule. So bounds are never widened to make a test green; tolerance.py says where they come from.
"""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import simulated_kernel
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
from simulated_kernel import Mutation, decode_sequence, one_sequence


def _listed(*names: str) -> list[DecodeCase]:
    folder = Path(__file__).parent / "cases"
    return [case for n in names for case in read_cases((folder / f"decode_{n}.txt").read_text())]


_GOLDEN = _listed("ci")
_ALL = [
    *_GOLDEN,
    *_listed("qlen", "shapes", "layouts", "split"),
]  # others: test_{int8,fifo}_tolerance.py

# Every tile and split leaves a third of the bound unused.
_MARGIN = 0.8

_LONG = [
    parse_case(f"decode:b1:h4:kv1:d{dim}:bs{size}:ctx{length}:{dtype}:seed{length}")
    for dim, size in ((64, 16), (128, 16), (128, 128))
    for length in (1024, 4096, 32767, 32768)
    for dtype in ("f16", "bf16")
]


def _longest(case: DecodeCase) -> int:
    return int(np.argmax(case.context_lens))


def _splits(length: int) -> list[tuple[int, ...]]:
    third = length // 3 // 16 * 16
    return [(), (third,), tuple(range(16, length, 16)) if length <= 512 else (third, 2 * third)]


def _simulate(
    inputs: DecodeInputs,
    expected: Expected,
    tile: int,
    cuts: tuple[int, ...] = (),
    mutation: Mutation = simulated_kernel.NONE,
) -> CheckReport:
    """The verdict on a simulated kernel; `inputs` has one sequence."""
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        out, lse = decode_sequence(inputs, 0, tile, cuts, mutation)
    return check(out, lse, expected)


@pytest.mark.parametrize("case", [*_ALL, *_LONG], ids=str)
def test_a_faithful_kernel_passes_with_room(case: DecodeCase):
    inputs = make_inputs(case)
    # All sequences of small batches; of large ones the first, the last and the longest.
    some = {0, case.batch - 1, _longest(case)} if case.batch > 9 else range(case.batch)
    tiles = (64, 128, 512) if case in _GOLDEN or case in _LONG else (128,)
    for seq in sorted(some):
        one = one_sequence(inputs, seq)
        expected = expect(one)
        for tile in tiles:
            for cuts in _splits(case.context_lens[seq]):
                report = _simulate(one, expected, tile, cuts)
                assert report.worst.ratio < _MARGIN, (seq, tile, cuts, str(report))


# 16 tokens per tile: the running maximum rises in as many sequences as can be.
_MUTATION_TILE = 16


@pytest.mark.parametrize("case", [c for c in [*_ALL, *_LONG] if c.max_context > 0], ids=str)
def test_each_defect_fails(case: DecodeCase):
    # In one sequence: the longest, where a single block or token matters least.
    one = one_sequence(make_inputs(case), _longest(case))
    expected = expect(one)
    defects = simulated_kernel.mutations(one, 0, _MUTATION_TILE)
    assert len(defects) >= 3
    reports = {
        name: _simulate(one, expected, _MUTATION_TILE, (), mutation)
        for name, mutation in defects.items()
    }
    assert not {name: str(report) for name, report in reports.items() if report.ok}


def test_all_kinds_of_defects_are_tried_on_most_cases():
    counts: dict[str, int] = {}
    for case in _GOLDEN:
        inputs = make_inputs(case)
        for name in simulated_kernel.mutations(inputs, _longest(case), _MUTATION_TILE):
            counts[name] = counts.get(name, 0) + 1
    always = {"dropped_last_token", "lse_in_base_2", "wrong_page"}
    mostly = {"stale_keys", "stale_values", "swapped_values"}
    mostly |= {"out_not_rescaled", "sum_not_rescaled", "ignored_block_table"}
    not_empty = sum(case.max_context > 0 for case in _GOLDEN)
    assert {counts[name] for name in always} == {not_empty}
    assert min(counts[name] for name in mostly) >= 0.85 * not_empty
    assert counts["interleaved_heads"] >= 0.4 * not_empty
    assert counts.keys() == always | mostly | {"interleaved_heads"}


def test_all_wrong_masks_are_tried():
    counts: dict[str, int] = {}
    for case in _ALL:
        one = one_sequence(make_inputs(case), _longest(case))
        for name in simulated_kernel.mutations(one, 0, _MUTATION_TILE):
            if name.startswith("mask_"):
                counts[name] = counts.get(name, 0) + 1
    assert counts.keys() == {f"mask_{m}" for m in ("one_more", "one_less", "none", "first_row")}
    assert min(counts.values()) >= 25


@pytest.mark.parametrize("dtype", ["f16", "bf16"])
@pytest.mark.parametrize("length", [600, 4096, 32768])
def test_parts_that_are_merged_without_their_lse_fail(dtype: str, length: int):
    inputs = make_inputs(parse_case(f"decode:b1:h4:kv2:d128:bs128:ctx{length}:{dtype}:seed1"))
    cuts = (length // 4 // 16 * 16,)
    assert not _simulate(inputs, expect(inputs), 128, cuts, Mutation(plain_mean=True)).ok


@pytest.mark.parametrize("case", [c for c in _GOLDEN if 0 in c.context_lens], ids=str)
def test_an_empty_row_that_is_left_alone_fails(case: DecodeCase):
    inputs = make_inputs(case)
    expected = expect(inputs)
    seq = case.context_lens.index(0)
    for left_alone in (np.nan, 1e-30):
        out = expected.out.copy()
        out[seq] = left_alone
        assert not check(out, expected.lse, expected).ok
    for wrong in (0.0, -1e30, np.nan, np.inf):
        lse = expected.lse.copy()
        lse[seq, 0] = wrong
        assert not check(expected.out, lse, expected).ok


def test_what_a_tolerance_of_a_hundredth_lets_through():
    # 16 heads on one kv head, 8192 tokens in bf16: the output's rms is 0.01. A fixed bound of 1e-2
    # accepts a whole stale block of values; this rule does not.
    case = parse_case("decode:b1:h16:kv1:d128:bs128:ctx8192:bf16:seed1")
    inputs = make_inputs(case)
    expected = expect(inputs)
    stale = simulated_kernel.mutations(inputs, 0, 128)["stale_values"]
    out, lse = decode_sequence(inputs, 0, 128, (), stale)
    assert np.abs(out.astype(np.float64) - expected.out).max() < 1e-2
    report = check(out, lse, expected)
    assert report.worst.ratio > 5


@pytest.mark.parametrize("dtype", ["f16", "bf16"])
def test_the_noise_model_is_neither_loose_nor_tight(dtype: str):
    # The rms error of a faithful kernel, in units of the modelled standard deviation.
    inputs = make_inputs(parse_case(f"decode:b1:h16:kv1:d128:bs128:ctx4096:{dtype}:seed1"))
    expected = expect(inputs)
    out, _ = decode_sequence(inputs, 0, 128)
    rms = np.sqrt(((out.astype(np.float64) - expected.out) ** 2).mean(axis=-1))
    terms = 1 / (1 / 128 + np.exp(0.667**2) / 4096)
    sigma = expected.tolerance.out_rms[0] / (1 + 5 / np.sqrt(2 * terms))
    assert 0.6 < (rms / sigma).mean() < 0.9


@pytest.mark.parametrize("dtype", ["f16", "bf16"])
def test_bounds_shrink_as_the_square_root_of_the_length(dtype: str):
    bounds = [
        expect(
            make_inputs(parse_case(f"decode:b1:h8:kv1:d128:bs128:ctx{n}:{dtype}:seed1"))
        ).tolerance
        for n in (512, 8192)
    ]
    assert bounds[0].out_rms.mean() / bounds[1].out_rms.mean() == pytest.approx(4, rel=0.15)
    assert bounds[0].out.mean() / bounds[1].out.mean() == pytest.approx(4, rel=0.25)


def test_bf16_has_eight_times_the_bound_of_f16():
    f16, bf16 = (
        expect(make_inputs(parse_case(f"decode:b1:h8:kv1:d128:bs128:ctx999:{dtype}:seed1")))
        for dtype in ("f16", "bf16")
    )
    ratio = bf16.tolerance.out_rms.mean() / f16.tolerance.out_rms.mean()
    assert ratio == pytest.approx(8, rel=0.05)


def test_bounds_have_ten_bits():
    bounds = expect(make_inputs(_GOLDEN[0])).tolerance
    for bound in (bounds.out, bounds.out_rms, bounds.lse):
        fraction, _ = np.frexp(bound)
        assert np.array_equal(fraction * 1024, np.rint(fraction * 1024))
        np.testing.assert_array_equal(bound.astype(np.float32), bound)


@pytest.mark.parametrize("dtype", ["f16", "bf16"])
@pytest.mark.parametrize("length", [1, 128, 4096, 32768])
def test_the_readme_shows_these_bounds(dtype: str, length: int):
    line = f"decode:b1:h4:kv1:d128:bs128:ctx{length}:{dtype}:seed1"
    expected = expect(make_inputs(parse_case(line)))
    bounds = expected.tolerance
    largest = [bounds.out.max(), bounds.out_rms.max(), bounds.lse.max()]
    numbers = [np.sqrt((expected.out**2).mean()), *largest]
    row = f"| {dtype} | {length} | " + " | ".join(f"{x:.1e}" for x in numbers) + " |"
    assert row in (Path(__file__).parent / "README.md").read_text().splitlines()


@pytest.fixture(name="small")
def _small() -> tuple[DecodeInputs, Expected]:
    inputs = make_inputs(parse_case("decode:b2:h4:kv2:d64:bs16:ctx0,40:f16:seed1"))
    return inputs, expect(inputs)


def test_the_report_names_the_worst_place(small: tuple[DecodeInputs, Expected]):
    _, expected = small
    out = expected.out.copy()
    out[1, 2, 7] += 3 * expected.tolerance.out[1, 2]
    report = check(out, expected.lse, expected)
    assert not report.ok
    assert (report.worst.rule, report.worst.index) == ("out", (1, 2, 7))
    assert report.max_error == pytest.approx(3 * report.tolerance)
    assert str(report).startswith("WRONG: out[1, 2, 7] error ")


def test_the_exact_result_passes_without_error(small: tuple[DecodeInputs, Expected]):
    inputs, expected = small
    for given in (expected, inputs):
        report = check(expected.out, expected.lse, given)
        assert report.ok and report.max_error == 0
        assert str(report).startswith("ok: ")
    assert check(expected.out, None, expected).ok


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_what_is_not_finite_is_an_infinite_error(
    small: tuple[DecodeInputs, Expected], value: float
):
    _, expected = small
    out, lse = expected.out.copy(), expected.lse.copy()
    out[1, 0, 0] = value
    assert check(out, expected.lse, expected).max_error == np.inf
    lse[1, 0] = value
    assert check(expected.out, lse, expected).max_error == np.inf


def test_a_wrong_shape_is_no_comparison(small: tuple[DecodeInputs, Expected]):
    _, expected = small
    with pytest.raises(ValueError, match=r"out has shape \(2, 4, 63\): allowed is \(2, 4, 64\)"):
        check(expected.out[..., :63], expected.lse, expected)
    with pytest.raises(ValueError, match=r"lse has shape \(2, 3\)"):
        check(expected.out, expected.lse[:, :3], expected)


def test_bits_are_no_numbers(small: tuple[DecodeInputs, Expected]):
    _, expected = small
    with pytest.raises(ValueError, match="out has dtype uint16: allowed are float dtypes"):
        check(np.zeros(expected.out.shape, np.uint16), expected.lse, expected)


def test_a_block_that_repeats_widens_the_bound_as_its_error_repeats():
    inputs = make_inputs(parse_case("decode:b1:h2:kv1:d64:bs16:ctx64:f16:seed1"))
    once = inputs.block_table.copy()
    four = np.where(once >= 0, once[0, 0], once)
    short = dataclasses.replace(inputs, context_lens=np.array([16], np.int32))
    repeated = dataclasses.replace(inputs, block_table=four)
    # Four equal blocks have the output of one, hence also its error and its bound on lse.
    np.testing.assert_allclose(expect(repeated).out, expect(short).out, rtol=1e-12)
    np.testing.assert_allclose(
        expect(repeated).tolerance.lse, expect(short).tolerance.lse, rtol=0.01
    )
