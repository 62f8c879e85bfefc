# SPDX-License-Identifier: Apache-2.0
"""merge_states against the formula in float64, its algebra, and what it refuses."""

import ascend_attention
import ascend_attention_reference as reference
import ml_dtypes
import numpy as np
import pytest
from ascend_attention import DeviceArray, _core, _runtime, merge_states, paged_attention
from hypothesis import given, settings
from hypothesis import strategies as st

FLOAT16, BFLOAT16, FLOAT32 = (np.dtype(t) for t in (np.float16, ml_dtypes.bfloat16, np.float32))
HALF_ULP = {FLOAT16: 2.0**-11, BFLOAT16: 2.0**-8, FLOAT32: 2.0**-24}
DTYPES = st.sampled_from((FLOAT16, BFLOAT16, FLOAT32))


def expected(outs: np.ndarray, lses: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The formula of merge.py, in float64."""
    lses = lses.astype(np.float64)
    top = np.max(lses, axis=0)
    with np.errstate(divide="ignore"):
        weights = np.exp(lses - np.where(np.isfinite(top), top, 0.0))
        total = weights.sum(axis=0)
        lse = np.where(total > 0, top + np.log(total), -np.inf)
    shares = weights / np.where(total > 0, total, 1.0)
    values = np.where(weights[..., None] > 0, outs.astype(np.float64), 0.0)
    return (shares[..., None] * values).sum(axis=0), lse


def assert_close(result, outs: np.ndarray, lses: np.ndarray, roundings: int = 1) -> None:
    """Within float32 arithmetic on weights and sums, and `roundings` to the dtype of out.

    float32: lse - max and exp see |lse|, sums see one rounding per halving and step.
    """
    out, lse = result
    out64, lse64 = expected(outs, lses)
    finite = np.abs(lses[np.isfinite(lses)])
    span = 4.0 * finite.max(initial=1.0)
    float32 = 2.0**-23 * (12 + span + len(outs) / 16) * roundings
    live = np.isfinite(lse64)
    np.testing.assert_array_equal(np.isfinite(lse), live)
    np.testing.assert_array_equal(lse[~live], -np.inf)
    np.testing.assert_allclose(lse[live], lse64[live], rtol=0, atol=float32)
    largest = np.nanmax(np.abs(np.where(np.isfinite(lses)[..., None], outs, 0)).astype(np.float64))
    bound = largest * (2 * float32 + roundings * HALF_ULP[outs.dtype]) + 2.0**-25 * roundings
    np.testing.assert_allclose(out.astype(np.float64), out64, rtol=0, atol=bound)
    assert not out[~live].any()


@st.composite
def parts(draw, max_parts: int = 12):
    """Parts, some of them empty for some rows or for all, with NaN in their place."""
    num_parts = draw(st.integers(1, max_parts))
    rows, heads = draw(st.integers(1, 5)), draw(st.integers(1, 9))
    head_dim = draw(st.sampled_from((16, 64, 96, 128, 192, 256)))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    spread = draw(st.sampled_from((0.1, 3.0, 60.0)))
    lses = (spread * rng.standard_normal((num_parts, rows, heads))).astype(np.float32)
    lses[rng.random(lses.shape) < draw(st.sampled_from((0.0, 0.3, 0.9)))] = -np.inf
    outs = rng.standard_normal((*lses.shape, head_dim)).astype(draw(DTYPES))
    outs[np.isinf(lses)] = np.nan
    return outs, lses


@settings(max_examples=25, deadline=None)
@given(parts())
def test_formula(problem):
    assert_close(merge_states(*problem), *problem)


@settings(max_examples=15, deadline=None)
@given(parts(), st.data())
def test_groups_merge_to_what_all_parts_merge_to(problem, data):
    outs, lses = problem
    cut = data.draw(st.integers(0, len(outs)))
    groups = [group for group in (slice(0, cut), slice(cut, None)) if len(outs[group])]
    merged = [merge_states(outs[group].copy(), lses[group].copy()) for group in groups]
    result = merge_states([out for out, _ in merged], [lse for _, lse in merged])
    assert_close(result, outs, lses, roundings=2)


@settings(max_examples=10, deadline=None)
@given(parts(), st.randoms(use_true_random=False))
def test_order_of_parts_does_not_matter(problem, random):
    outs, lses = problem
    order = random.sample(range(len(outs)), len(outs))
    assert_close(merge_states(outs[order].copy(), lses[order].copy()), outs, lses)


@settings(max_examples=10, deadline=None)
@given(parts(max_parts=1))
def test_one_part_is_the_result(problem):
    outs, lses = problem
    out, lse = merge_states(outs, lses)
    np.testing.assert_array_equal(lse, lses[0])
    live = np.isfinite(lses[0])
    np.testing.assert_array_equal(out[live].astype(np.float32), outs[0][live].astype(np.float32))


@settings(max_examples=10, deadline=None)
@given(parts(max_parts=1), st.integers(1, 3))
def test_empty_parts_behind_one_part_change_no_bit(problem, empty):
    outs, lses = problem
    no_outs = np.full((empty, *outs.shape[1:]), np.nan, outs.dtype)
    no_lses = np.full((empty, *lses.shape[1:]), -np.inf, np.float32)
    alone = merge_states(outs, lses)
    among = merge_states(np.concatenate([outs, no_outs]), np.concatenate([lses, no_lses]))
    assert [a.tobytes() for a in alone] == [a.tobytes() for a in among]


def test_a9_all_empty_parts_give_zeros_and_minus_infinity():
    for num_parts in (1, 2, 33, 100):
        outs = np.full((num_parts, 3, 5, 96), np.nan, np.float16)
        lses = np.full((num_parts, 3, 5), -np.inf, np.float32)
        out, lse = merge_states(outs, lses)
        assert not out.any()
        np.testing.assert_array_equal(lse, np.full((3, 5), -np.inf))


def test_a9_shards_of_a_context_merge_to_the_whole_one():
    """Two halves of each context and an empty third shard, by the rule for the whole context."""
    case = reference.parse_case("decode:b3:h8:kv2:d64:bs16:ctx64,23,0:f16:seed9")
    inputs = reference.make_inputs(case)
    caches = inputs.query, inputs.key_cache, inputs.value_cache
    shards = []
    for first in (0, 2):
        held = np.clip(inputs.context_lens - first * 16, 0, 2 * 16)
        table = np.ascontiguousarray(inputs.block_table[:, first : first + 2])
        shards.append(paged_attention(*caches, table, held, return_lse=True))
    nothing = paged_attention(*caches, inputs.block_table, [0, 0, 0], return_lse=True)
    assert np.isneginf(nothing[1]).all()
    out, lse = merge_states(*zip(*shards, nothing, strict=True))
    whole = reference.expect(inputs)
    report = reference.check(out, lse, whole)
    assert report.ok, report
    # One shard alone is not the whole.
    assert not reference.check(*shards[0], whole).ok
    assert not out[2].any()
    assert np.isneginf(lse[2]).all()


def test_hundreds_of_parts():
    rng = np.random.default_rng(3)
    lses = rng.standard_normal((300, 2, 3)).astype(np.float32)
    outs = rng.standard_normal((300, 2, 3, 128)).astype(BFLOAT16)
    assert_close(merge_states(outs, lses), outs, lses)


def test_bits_of_a_row_do_not_depend_on_the_others():
    rng = np.random.default_rng(4)
    lses = rng.standard_normal((40, 50, 4)).astype(np.float32)
    outs = rng.standard_normal((40, 50, 4, 128)).astype(np.float32)
    out, lse = merge_states(outs, lses)
    one, one_lse = merge_states(outs[:, 17:18].copy(), lses[:, 17:18].copy())
    assert one.tobytes() == out[17].tobytes()
    assert one_lse.tobytes() == lse[17].tobytes()


def test_device_arrays_and_results_in_place():
    rng = np.random.default_rng(5)
    lses = rng.standard_normal((2, 4, 3)).astype(np.float32)
    outs = rng.standard_normal((2, 4, 3, 64)).astype(np.float32)
    out = DeviceArray.empty((4, 3, 64), np.float32)
    lse = np.full((4, 3), np.nan, np.float32)
    results = merge_states(DeviceArray(outs), DeviceArray(lses), out=out, lse=lse)
    assert results[0] is out
    assert results[1] is lse
    assert_close((out.numpy(), lse), outs, lses)


def test_no_rows():
    out, lse = merge_states(np.empty((2, 0, 8, 64), np.float16), np.empty((2, 0, 8), np.float32))
    assert out.shape == (0, 8, 64)
    assert lse.shape == (0, 8)


def arguments() -> dict[str, object]:
    return {
        "outs": np.zeros((2, 3, 4, 64), np.float16),
        "lses": np.zeros((2, 3, 4), np.float32),
        "out": np.full((3, 4, 64), 7, np.float16),
        "lse": np.full((3, 4), 7, np.float32),
    }


def read_only(array: np.ndarray) -> np.ndarray:
    array.flags.writeable = False
    return array


BAD = [
    ({"outs": [], "lses": []}, ValueError, "outs is empty; expected at least one part"),
    ({"outs": 3}, TypeError, "outs is a int; expected numpy.ndarray or DeviceArray"),
    (
        {"outs": [np.zeros((3, 4, 64), np.float16), np.zeros((3, 4, 32), np.float16)]},
        ValueError,
        "outs[1] has dtype float16, shape (3, 4, 32); expected float16, (3, 4, 64) as outs[0]",
    ),
    ({"lses": [np.zeros((3, 4)), 1]}, TypeError, "lses[1] is a int; expected a numpy.ndarray"),
    (
        {"outs": np.zeros((2, 3, 64), np.float16)},
        ValueError,
        "outs has rank 3 (shape (2, 3, 64)); expected rank 4: "
        "[num_parts, num_query_rows, num_heads, head_dim]",
    ),
    (
        {"outs": np.zeros((2, 3, 4, 64))},
        ValueError,
        "outs has dtype float64; allowed: float16, bfloat16 (ml_dtypes.bfloat16), float32",
    ),
    (
        {"outs": np.zeros((0, 3, 4, 64), np.float16)},
        ValueError,
        "outs has num_parts 0 (shape (0, 3, 4, 64)); expected at least one part",
    ),
    (
        {"outs": np.zeros((2, 3, 4, 128), np.float16)[..., ::2]},
        ValueError,
        "outs has strides (3072, 1024, 256, 4) bytes; expected a dense (C-contiguous) array, "
        "such as numpy.ascontiguousarray(outs)",
    ),
    (
        {"lses": np.zeros((2, 3, 5), np.float32)},
        ValueError,
        "lses has num_heads 5 (shape (2, 3, 5)); expected num_heads 4: (2, 3, 4) = "
        "[num_parts, num_query_rows, num_heads]",
    ),
    (
        {"lses": np.zeros((2, 3, 4), np.float16)},
        ValueError,
        "lses has dtype float16; expected float32",
    ),
    (
        {"out": np.zeros((3, 4, 64), np.float32)},
        ValueError,
        "out has dtype float32; expected float16",
    ),
    (
        {"lse": read_only(np.zeros((3, 4), np.float32))},
        ValueError,
        "lse is read-only; expected an array that can be written",
    ),
    (
        {
            "outs": np.zeros((2, 3, 4, 72), np.float16),
            "out": np.full((3, 4, 72), 7, np.float16),
        },
        NotImplementedError,
        "head_dim = 72 has no kernel (multiples of 16 in 16..512 have); nearest supported: 64, 80",
    ),
]


@pytest.mark.parametrize(("changes", "error", "text"), BAD, ids=[text[:40] for *_, text in BAD])
def test_bad_arguments_are_named(changes, error, text):
    passed = {**arguments(), **changes}
    with pytest.raises(error) as raised:
        merge_states(**passed)
    assert str(raised.value) == text
    for name in {"out", "lse"} - {"out", "lse"}.intersection(changes):
        assert (passed[name] == 7).all()


def test_parts_of_device_arrays_are_one_device_array():
    part = DeviceArray(np.zeros((3, 4, 64), np.float16))
    with pytest.raises(TypeError) as raised:
        merge_states([part, part], [])
    assert str(raised.value) == (
        "outs[0] is a DeviceArray; expected numpy arrays, or one DeviceArray with all parts"
    )


def test_a_result_that_overlaps_the_parts_is_refused():
    pool = DeviceArray(np.zeros((3, 3, 4, 64), np.float16))
    lses = np.zeros((2, 3, 4), np.float32)
    merge_states(pool[:2], lses, out=pool[2])
    with pytest.raises(ValueError, match=r"^out = 0x\w+, 1536 bytes, overlaps outs = 0x"):
        merge_states(pool[:2], lses, out=pool[1])


def test_results_that_overlap_each_other_are_refused():
    passed = arguments()
    memory = np.full(2000, 7, np.uint8)
    passed["out"] = memory[:1536].view(np.float16).reshape(3, 4, 64)
    passed["lse"] = memory[1532:1580].view(np.float32).reshape(3, 4)
    with pytest.raises(ValueError, match=r"^lse overlaps out; expected memory of its own"):
        merge_states(**passed)
    assert (memory == 7).all()


def test_masked_parts_are_refused():
    part = np.ma.masked_array(np.zeros((3, 4, 64), np.float16))
    with pytest.raises(TypeError, match=r"^outs\[0\] is a MaskedArray; expected"):
        merge_states([part], [np.zeros((3, 4), np.float32)])


def test_the_library_names_a_dtype_it_does_not_know():
    runtime = _runtime.open_runtime(0)
    with pytest.raises(ValueError, match="dtype is int8; allowed: float16, bfloat16, float32"):
        _core.merge_states(
            runtime,
            parts_out=0,
            parts_lse=0,
            out=0,
            lse=0,
            num_parts=1,
            rows=0,
            head_dim=16,
            dtype="int8",
            stream=0,
        )


def test_is_exported():
    assert "merge_states" in ascend_attention.__all__
