# SPDX-License-Identifier: Apache-2.0
"""Bad input: a named error before anything is launched, and outputs stay as they were."""

import pathlib
import re

import ascend_attention_reference as reference
import ml_dtypes
import numpy as np
import pytest
from ascend_attention import DecodeAttention, DeviceArray, _core, _runtime, paged_attention
from ascend_attention.cli.case_problem import run_arguments

SHAPE = {
    "batch": 2,
    "num_heads": 8,
    "num_kv_heads": 2,
    "head_dim": 64,
    "kv_block_size": 16,
    "num_kv_blocks": 6,
    "max_kv_blocks": 3,
}
LENS = [20, 33]
SENTINEL = -7.0


def valid_arrays() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(1)
    return {
        "query": rng.standard_normal((2, 8, 64)).astype(np.float16),
        "key_cache": rng.standard_normal((6, 16, 2, 64)).astype(np.float16),
        "value_cache": rng.standard_normal((6, 16, 2, 64)).astype(np.float16),
        "block_table": np.array([[4, 1, -1], [5, 0, 2]], np.int32),
    }


def sentinel_out() -> np.ndarray:
    return np.full((2, 8, 64), SENTINEL, np.float16)


def with_value(array: np.ndarray, index: tuple[int, ...], value: int) -> np.ndarray:
    array = array.copy()
    array[index] = value
    return array


def claim(value: object) -> str:
    """Test id: the first words of the error text."""
    return value.split(";")[0][:60] if isinstance(value, str) else ""


# Arguments of DecodeAttention -> the error and its whole text.
BAD_SHAPES = [
    ({"num_heads": 9}, ValueError, "num_heads = 9 is not a multiple of num_kv_heads = 2"),
    ({"batch": 0}, ValueError, "batch = 0; expected at least 1"),
    ({"num_heads": -8}, ValueError, "num_heads = -8; expected at least 1"),
    ({"num_kv_heads": 0}, ValueError, "num_kv_heads = 0; expected at least 1"),
    ({"num_kv_blocks": -1}, ValueError, "num_kv_blocks = -1; expected 0 or more"),
    ({"max_kv_blocks": -1}, ValueError, "max_kv_blocks = -1; expected 0 or more"),
    (
        {"head_dim": 80},
        NotImplementedError,
        "head_dim = 80 has no kernel; nearest supported: 64, 96",
    ),
    (
        {"head_dim": 512},
        NotImplementedError,
        "head_dim = 512 has no kernel; nearest supported: 256",
    ),
    (
        {"kv_block_size": 20},
        NotImplementedError,
        "kv_block_size = 20 has no kernel (multiples of 16 in 16..512 have); "
        "nearest supported: 16, 32",
    ),
    (
        {"kv_block_size": 1024},
        NotImplementedError,
        "kv_block_size = 1024 has no kernel (multiples of 16 in 16..512 have); "
        "nearest supported: 512",
    ),
    (
        {"num_heads": 258},
        NotImplementedError,
        "num_heads / num_kv_heads = 129 has no kernel; nearest supported: 128",
    ),
    ({"batch": 2.0}, TypeError, "batch is 2.0; expected an integer"),
    ({"head_dim": "64"}, TypeError, "head_dim is '64'; expected an integer"),
    (
        {"dtype": "float32"},
        ValueError,
        "dtype is float32; allowed: float16, bfloat16 (ml_dtypes.bfloat16)",
    ),
    (
        {"dtype": np.uint16},
        ValueError,
        "dtype is uint16; allowed: float16, bfloat16 (ml_dtypes.bfloat16); "
        "bfloat16 bits in uint16: pass array.view(ml_dtypes.bfloat16)",
    ),
    ({"num_cores": 0}, ValueError, "num_cores is 0; allowed: 1 up to the cores of the device"),
    (
        {"num_cores": 2**40},
        ValueError,
        "num_cores is 1099511627776; allowed: 1 up to the cores of the device, or None for all",
    ),
    ({"dtype": None}, TypeError, "dtype is None; allowed: float16, bfloat16"),
    ({"dtype": object()}, TypeError, "dtype is <object object at 0x"),
    ({"batch": 2**70}, ValueError, f"batch is {2**70}; allowed: integers of 64 bits"),
    ({"softmax_scale": np.inf}, ValueError, "softmax_scale is inf; allowed: a finite float32"),
    ({"softmax_scale": 1e300}, ValueError, "softmax_scale is 1e+300; allowed: a finite float32"),
    ({"softmax_scale": "1"}, TypeError, "softmax_scale is '1'; expected a number"),
    ({"softmax_scale": True}, TypeError, "softmax_scale is True; expected a number"),
    ({"device": "0"}, TypeError, "device is '0'; expected an integer"),
    ({"device": True}, TypeError, "device is True; expected an integer"),
    ({"device": False}, TypeError, "device is False; expected an integer"),
    ({"device": 1 << 40}, ValueError, "device is 1099511627776; allowed: integers of 32 bits"),
    ({"device": 99}, ValueError, "device = 99 is outside [0, "),
]

# Lengths -> the error and its whole text.
BAD_LENGTHS = [
    ([20, -1], ValueError, "context_lens[1] = -1 is negative; expected 0..48"),
    ([49, 1], IndexError, "context_lens[0] = 49 exceeds what a block_table row holds: 3 x 16 = 48"),
    ([1, 1, 1], ValueError, "batch = 3 exceeds the planned capacity of 2"),
    ([], ValueError, "context_lens is empty; expected one length per sequence"),
    ([[1, 2]], ValueError, "context_lens has rank 2 (shape (1, 2)); expected [batch]"),
    ([1.5, 2.0], ValueError, "context_lens has dtype float64; expected integers"),
    ([1, 2**31], ValueError, "context_lens[1] = 2147483648; allowed: 0 <= length <= 48"),
]

# An argument of run and what replaces it -> the error and its whole text.
BAD_ARRAYS = [
    (
        "query",
        lambda a: a.astype(np.float32),
        ValueError,
        "query has dtype float32; expected float16",
    ),
    (
        "key_cache",
        lambda a: a.view(ml_dtypes.bfloat16),
        ValueError,
        "key_cache has dtype bfloat16; expected float16",
    ),
    (
        "value_cache",
        lambda a: a.astype(">f2"),
        ValueError,
        "value_cache has dtype >f2; expected float16",
    ),
    (
        "block_table",
        lambda a: a.astype(np.int64),
        ValueError,
        "block_table has dtype int64; expected int32",
    ),
    (
        "query",
        lambda a: a.reshape(2, -1),
        ValueError,
        "query has rank 2 (shape (2, 512)); expected rank 3: [num_query_rows, num_heads, head_dim]",
    ),
    (
        "query",
        lambda a: a[:, :4].copy(),
        ValueError,
        "query has num_heads 4 (shape (2, 4, 64)); "
        "expected num_heads 8: (2, 8, 64) = [num_query_rows, num_heads, head_dim]",
    ),
    (
        "value_cache",
        lambda a: a[:5].copy(),
        ValueError,
        "value_cache has num_kv_blocks 5 (shape (5, 16, 2, 64)); expected num_kv_blocks 6: "
        "(6, 16, 2, 64) = [num_kv_blocks, kv_block_size, num_kv_heads, head_dim]",
    ),
    (
        "key_cache",
        lambda a: np.repeat(a, 2, axis=2).reshape(6, 16, 4, 64),
        ValueError,
        "key_cache has num_kv_heads 4 (shape (6, 16, 4, 64)); expected num_kv_heads 2: "
        "(6, 16, 2, 64) = [num_kv_blocks, kv_block_size, num_kv_heads, head_dim]",
    ),
    (
        "block_table",
        lambda a: a[:1].copy(),
        ValueError,
        "block_table has batch 1 (shape (1, 3)); expected batch 2: (2, 3) = [batch, max_kv_blocks]",
    ),
    (
        "query",
        lambda a: np.repeat(a, 2, axis=2)[:, :, ::2],
        ValueError,
        "query has strides (2048, 256, 4) bytes; expected a dense (C-contiguous) array, "
        "such as numpy.ascontiguousarray(query)",
    ),
    (
        "key_cache",
        lambda a: a.transpose(0, 1, 3, 2).copy().transpose(0, 1, 3, 2),
        ValueError,
        "key_cache has strides (2048, 128, 1, 2) elements; expected (2048, 128, 64, 1) = "
        "[num_kv_blocks, kv_block_size, num_kv_heads, head_dim]: declare others by kv_layout or "
        "kv_strides, or copy it by numpy.ascontiguousarray(key_cache)",
    ),
    (
        "query",
        lambda a: a.tolist(),
        TypeError,
        "query is a list; expected numpy.ndarray or DeviceArray",
    ),
    (
        "block_table",
        lambda a: with_value(a, (1, 2), 6),
        IndexError,
        "block_table[1][2] = 6 is outside [0, 6), the kv blocks of the caches",
    ),
    (
        "block_table",
        lambda a: with_value(a, (0, 1), -1),
        IndexError,
        "block_table[0][1] = -1 is outside [0, 6), the kv blocks of the caches",
    ),
    (
        "out",
        lambda a: a[:1],
        ValueError,
        "out has num_query_rows 1 (shape (1, 8, 64)); expected num_query_rows 2: (2, 8, 64) = "
        "[num_query_rows, num_heads, head_dim]",
    ),
    ("out", lambda a: a.astype(np.float32), ValueError, "out has dtype float32; expected float16"),
]


@pytest.mark.parametrize(("change", "error", "text"), BAD_SHAPES, ids=claim)
def test_shape_is_refused(change, error, text):
    with pytest.raises(error) as caught:
        DecodeAttention(**{**SHAPE, **change})
    assert str(caught.value).startswith(text)


@pytest.mark.parametrize(("lens", "error", "text"), BAD_LENGTHS, ids=claim)
def test_lengths_are_refused_and_the_last_plan_still_runs(lens, error, text):
    op, arrays = DecodeAttention(**SHAPE), valid_arrays()
    op.plan(LENS)
    expected = op.run(**arrays)
    with pytest.raises(error) as caught:
        op.plan(lens)
    assert str(caught.value) == text
    assert op.run(**arrays).tobytes() == expected.tobytes()


@pytest.mark.parametrize(("name", "spoil", "error", "text"), BAD_ARRAYS, ids=claim)
def test_array_is_refused_and_out_is_untouched(name, spoil, error, text):
    op, arrays = DecodeAttention(**SHAPE), valid_arrays()
    op.plan(LENS)
    arrays["out"] = out = sentinel_out()
    arrays[name] = spoil(arrays[name])
    with pytest.raises(error) as caught:
        op.run(**arrays)
    assert str(caught.value) == text
    assert (out == SENTINEL).all()
    assert np.isfinite(op.run(**valid_arrays())).all()


def test_uint16_array_is_refused_with_the_remedy():
    op, arrays = DecodeAttention(**SHAPE, dtype="bfloat16"), valid_arrays()
    op.plan(LENS)
    with pytest.raises(ValueError, match=r"uint16: pass query.view\(ml_dtypes.bfloat16\)"):
        op.run(**{name: a.view(np.uint16) if a.itemsize == 2 else a for name, a in arrays.items()})
    with pytest.raises(ValueError, match=r"pass array.view\(ml_dtypes.bfloat16\)"):
        paged_attention(arrays["query"].view(np.uint16), *list(arrays.values())[1:], LENS)


def test_device_arrays_are_checked_too():
    op, arrays = DecodeAttention(**SHAPE), valid_arrays()
    op.plan(LENS)
    out = DeviceArray(sentinel_out())
    for name, array in arrays.items():
        wrong = {**arrays, name: DeviceArray(array[:1].copy())}
        axes = "num_query_rows|batch|num_kv_blocks"
        with pytest.raises(ValueError, match=f"^{name} has ({axes}) 1 "):
            op.run(**wrong, out=out)
    assert (out.numpy() == SENTINEL).all()


def test_read_only_out_is_refused():
    op = DecodeAttention(**SHAPE)
    op.plan(LENS)
    out = sentinel_out()
    out.flags.writeable = False
    with pytest.raises(ValueError, match=r"^out is read-only"):
        op.run(**valid_arrays(), out=out)
    assert (out == SENTINEL).all()


def test_run_before_plan_is_refused():
    with pytest.raises(RuntimeError, match=r"call plan\(context_lens\) first"):
        DecodeAttention(**SHAPE).run(**valid_arrays())


@pytest.mark.parametrize(
    ("change", "error", "text"),
    [
        ({"context_lens": [20, 49]}, IndexError, "context_lens[1] = 49 exceeds"),
        ({"context_lens": [20, -3]}, ValueError, "context_lens[1] = -3 is negative"),
        ({"context_lens": [20]}, ValueError, "context_lens has 1 lengths; expected batch 2"),
        ({"query": np.zeros((2, 9, 64), np.float16)}, ValueError, "num_heads = 9 is not a"),
        ({"query": np.zeros((2, 8, 80), np.float16)}, ValueError, "query has head_dim 80"),
        ({"query": np.zeros((2, 8, 64), np.float64)}, ValueError, "query dtype is float64"),
        ({"query": np.zeros((2, 64), np.float16)}, ValueError, "query has rank 2"),
        ({"block_table": [[0, 0, 0]]}, TypeError, "block_table is a list"),
    ],
    ids=claim,
)
def test_one_shot_call_is_refused_and_out_is_untouched(change, error, text):
    out = sentinel_out()
    arguments = {**valid_arrays(), "context_lens": LENS, **change}
    with pytest.raises(error) as caught:
        paged_attention(**arguments, out=out)
    assert str(caught.value).startswith(text)
    assert (out == SENTINEL).all()


def test_workspace_that_is_too_small_is_refused():
    runtime = _runtime.open_runtime(0)
    stream = _core.Stream(runtime)
    shape = _core.DecodeShape(**SHAPE, dtype="float16")
    op = _core.DecodeAttention(runtime, shape, softmax_scale=0.125)
    needed = op.workspace_bytes
    workspace = _core.DeviceBuffer(runtime, needed)
    lens = np.array(LENS, np.int32)
    with pytest.raises(MemoryError) as caught:
        op.plan(lens, workspace.address, needed - 1, stream.handle)
    assert str(caught.value) == f"workspace of {needed - 1} bytes is too small: {needed} needed"
    with pytest.raises(ValueError, match=r"^workspace is null"):
        op.plan(lens, 0, needed, stream.handle)


def test_device_memory_that_is_not_there_is_a_memory_error():
    runtime = _runtime.open_runtime(0)
    with pytest.raises(MemoryError, match="out of memory"):
        _core.DeviceBuffer(runtime, 1 << 50)
    assert _core.DeviceBuffer(runtime, 512).size == 512


@pytest.mark.parametrize("page", [6, -1, 2**31 - 1, -(2**31)])
@pytest.mark.parametrize("place", [(0, 0), (1, 2)])
def test_page_id_that_only_the_device_sees_is_named(page, place):
    """A table on the device is not checked on the host; the kernel must not read silence."""
    op, arrays = DecodeAttention(**SHAPE), valid_arrays()
    op.plan(LENS)
    expected = op.run(**arrays)
    out = sentinel_out()
    forged = DeviceArray(with_value(arrays["block_table"], place, page))
    with pytest.raises(IndexError) as caught:
        op.run(**{**arrays, "block_table": forged}, out=out)
    row, index = place
    text = f"block_table[{row}][{index}] = {page} is outside [0, 6)"
    assert str(caught.value).startswith(text)
    assert (out == SENTINEL).all()
    # The device is usable again: the same plan, and a new object.
    assert op.run(**arrays).tobytes() == expected.tobytes()
    again = paged_attention(**arrays, context_lens=LENS)
    assert again.tobytes() == expected.tobytes()


def test_a_second_bad_page_id_of_one_plan_is_the_one_that_is_named():
    op, arrays = DecodeAttention(**SHAPE), valid_arrays()
    op.plan(LENS)
    for row, index, page in [(0, 0, 77), (1, 2, 88), (0, 0, 99)]:
        forged = DeviceArray(with_value(arrays["block_table"], (row, index), page))
        with pytest.raises(IndexError, match=rf"^block_table\[{row}\]\[{index}\] = {page} "):
            op.run(**{**arrays, "block_table": forged})
        op.run(**arrays)


def test_page_id_past_the_context_is_not_read_on_the_device():
    op, arrays = DecodeAttention(**SHAPE), valid_arrays()
    op.plan(LENS)
    expected = op.run(**arrays)
    junk = DeviceArray(with_value(arrays["block_table"], (0, 2), 10**9))
    assert op.run(**{**arrays, "block_table": junk}).tobytes() == expected.tobytes()


KINDS = {"INVALID_ARGUMENT": ValueError, "UNIMPLEMENTED": NotImplementedError}


def refused_cases() -> list[list[str]]:
    texts = [
        pathlib.Path(f"testdata/cases/{name}.txt").read_text()
        for name in ("refused", "refused_options", "refused_fifo")
    ]
    lines = (line.partition("#")[0].split() for text in texts for line in text.splitlines())
    return [line for line in lines if line]


@pytest.mark.parametrize(("case", "kind", "argument"), refused_cases())
def test_refused_case_names_the_argument_and_leaves_out_untouched(case, kind, argument):
    problem = reference.parse_case(case)
    inputs = reference.make_inputs(problem)
    out = np.full(inputs.query.shape, SENTINEL, problem.out_dtype)
    with pytest.raises(KINDS[kind]) as caught:
        paged_attention(
            **run_arguments(inputs),
            out_dtype=problem.out_dtype,
            context_lens=inputs.context_lens,
            q_lens=inputs.q_lens,
            kv_quant=problem.kv_quant,
            kv_route=problem.route,
            kv_layout=problem.kv_layout,
            fixed_split_tokens=problem.fixed_split_tokens,
            out=out,
        )
    place, value = argument, getattr(problem, argument, problem.max_q_len)
    if argument == "q_len":
        place = f"q_lens[{problem.q_lens.index(value)}]"
    assert f"{place} = {value}" in str(caught.value)
    assert (out == SENTINEL).all()


# Arguments of DecodeAttention that are new with query tokens, layouts and int8 caches.
BAD_OPTIONS = [
    ({"max_q_len": 0}, ValueError, "max_q_len = 0; expected at least 1"),
    (
        {"max_q_len": 17},
        NotImplementedError,
        "max_q_len = 17 has no kernel; nearest supported: 16",
    ),
    (
        {"max_q_len": 2, "kv_quant": "int8_token"},
        NotImplementedError,
        "max_q_len = 2 with kv_quant = int8_token has no kernel; nearest supported: 1",
    ),
    (
        {"kv_quant": "int4"},
        ValueError,
        "kv_quant is 'int4'; allowed: none, int8_channel, int8_channel_asym, int8_token",
    ),
    ({"kv_route": 1}, ValueError, "kv_route is 1; allowed: auto, direct, dequant, limbs, fifo"),
    (
        {"kv_route": "dequant"},
        NotImplementedError,
        "kv_route = dequant has no kernel for kv_quant = none; nearest supported: direct, fifo, "
        "auto",
    ),
    (
        {"kv_quant": "int8_channel", "kv_route": "direct"},
        NotImplementedError,
        "kv_route = direct has no kernel for kv_quant = int8_channel; nearest supported: dequant, "
        "limbs, auto",
    ),
    ({"kv_layout": "nhd"}, ValueError, "kv_layout is 'nhd'; allowed: token_major, head_major"),
    (
        {"kv_strides": (1, 2)},
        TypeError,
        "kv_strides is (1, 2); expected (block, token, head) in elements, or None",
    ),
    (
        {"kv_strides": (2048, 0, 64)},
        ValueError,
        "kv_strides[1] (token) is 0; allowed: 1 or more elements",
    ),
    (
        {"kv_strides": (2048, 128.0, 64)},
        TypeError,
        "kv_strides[1] (token) is 128.0; expected an integer",
    ),
    (
        {"kv_strides": (4096, 192, 72)},
        NotImplementedError,
        "kv_strides.head = 72 elements is not a multiple of 16 (32 bytes); nearest supported: "
        "64, 80",
    ),
    (
        {"kv_strides": (2048, 128, 1)},
        ValueError,
        "kv_strides.head = 1 elements makes entries of the cache overlap; expected at least 64",
    ),
    (
        {"kv_strides": (2**62, 128, 64)},
        ValueError,
        "kv_strides.block = 4611686018427387904 elements, 6 times, makes a cache of more than "
        "2^63 bytes",
    ),
    (
        {"kv_strides": (1024, 128, 64)},
        ValueError,
        "kv_strides.block = 1024 elements makes entries of the cache overlap; expected at least "
        "2048",
    ),
    *(
        (
            {"fixed_split_tokens": tokens},
            ValueError,
            f"fixed_split_tokens = {tokens}; expected 0 or a multiple of 16, at least 64 and less "
            "than 2^31",
        )
        for tokens in (-64, -1, 1, 24, 48, 1 << 31)
    ),
    ({"fixed_split_tokens": 1.5}, TypeError, "fixed_split_tokens is 1.5; expected an integer"),
]


@pytest.mark.parametrize(("change", "error", "text"), BAD_OPTIONS, ids=claim)
def test_option_is_refused(change, error, text):
    with pytest.raises(error) as caught:
        DecodeAttention(**{**SHAPE, **change})
    assert str(caught.value).startswith(text)


@pytest.mark.parametrize(
    ("q_lens", "error", "text"),
    [
        ([1], ValueError, "q_lens has 1 numbers; expected 2, one per length of context_lens"),
        ([1, 0], ValueError, "q_lens[1] = 0"),
        ([1, -1], ValueError, "q_lens[1] = -1"),
        ([5, 1], ValueError, "q_lens[0] = 5"),
        ([1.0, 2.0], ValueError, "q_lens has dtype float64; expected integers"),
        ([[1, 1]], ValueError, "q_lens has rank 2 (shape (1, 2)); expected [batch]"),
        ([1, 2**31], ValueError, "q_lens[1] = 2147483648; allowed: 1 <= query tokens <= 4"),
    ],
    ids=claim,
)
def test_numbers_of_query_tokens_are_refused_and_the_last_plan_still_runs(q_lens, error, text):
    op, arrays = DecodeAttention(**SHAPE, max_q_len=4), valid_arrays()
    op.plan(LENS)
    expected = op.run(**arrays)
    with pytest.raises(error) as caught:
        op.plan(LENS, q_lens)
    assert str(caught.value).startswith(text)
    assert op.run(**arrays).tobytes() == expected.tobytes()


def test_query_rows_are_those_of_the_plan():
    op, arrays = DecodeAttention(**SHAPE, max_q_len=4), valid_arrays()
    op.plan(LENS, [3, 1])
    with pytest.raises(
        ValueError, match=r"query has num_query_rows 2 .* expected num_query_rows 4"
    ):
        op.run(**arrays)


@pytest.mark.parametrize(
    ("kv_quant", "change", "text"),
    [
        (
            "int8_channel",
            {"key_scale": None},
            "key_scale is None; kv_quant int8_channel needs [num_kv_heads, head_dim]",
        ),
        (
            "int8_channel",
            {"value_offset": np.zeros((2, 64), np.float32)},
            "value_offset is given; kv_quant int8_channel takes key_scale, value_scale",
        ),
        (
            "int8_channel",
            {"key_scale": np.ones((64, 2), np.float32)},
            "key_scale has num_kv_heads 64 (shape (64, 2)); expected num_kv_heads 2: (2, 64) = "
            "[num_kv_heads, head_dim]",
        ),
        (
            "int8_channel",
            {"key_scale": np.ones((2, 64), np.float16)},
            "key_scale has dtype float16; expected float32",
        ),
        (
            "int8_token",
            {},
            "key_scale has rank 2 (shape (2, 64)); expected rank 3: [num_kv_blocks, "
            "num_kv_heads, kv_block_size]",
        ),
        (
            "int8_channel_asym",
            {},
            "key_offset is None; kv_quant int8_channel_asym needs [num_kv_heads, head_dim]",
        ),
        (
            "none",
            {},
            "key_scale is given; kv_quant none takes none of the scales and offsets",
        ),
    ],
    ids=claim,
)
def test_scales_and_offsets_are_those_of_the_scheme(kv_quant, change, text):
    arrays = valid_arrays()
    if kv_quant != "none":
        for name in ("key_cache", "value_cache"):
            arrays[name] = np.zeros(arrays[name].shape, np.int8)
    scales = {name: np.ones((2, 64), np.float32) for name in ("key_scale", "value_scale")}
    out = sentinel_out()
    op = DecodeAttention(**SHAPE, kv_quant=kv_quant)
    op.plan(LENS)
    with pytest.raises(ValueError, match=f"^{re.escape(text)}$"):
        op.run(**{**arrays, **scales, **change}, out=out)
    assert (out == SENTINEL).all()


# ---- memory that overlaps ---------------------------------------------------------


def view_at(memory: DeviceArray, offset: int, like: np.ndarray) -> DeviceArray:
    """An array from a byte offset of `memory` on."""
    view = DeviceArray.__new__(DeviceArray)
    view._set(memory._buffer, like.shape, like.strides, like.dtype, offset, memory.device)
    return view


@pytest.mark.parametrize("name", ["query", "key_cache", "value_cache", "block_table"])
def test_an_out_that_overlaps_an_input_is_refused(name):
    op, arrays = DecodeAttention(**SHAPE), valid_arrays()
    op.plan(LENS)
    memory = DeviceArray(np.zeros(1 << 16, np.uint8))
    source = view_at(memory, 512, arrays[name])
    source.copy_from(arrays[name])
    out = view_at(memory, 512 + (source.nbytes - 1) // 32 * 32, sentinel_out())
    with pytest.raises(ValueError, match=rf"^out = 0x\w+, 2048 bytes, overlaps {name} = 0x"):
        op.run(**{**arrays, name: source}, out=out, return_lse=True)
    assert source.numpy().tobytes() == arrays[name].tobytes()


def test_out_may_lie_between_the_blocks_of_a_cache():
    pool = DeviceArray(np.zeros((6, 2, 16, 2, 64), np.float16))
    op = DecodeAttention(**SHAPE, kv_strides=(4096, 128, 64))
    op.plan(LENS)
    out = view_at(pool, 4096, sentinel_out())
    arrays = {**valid_arrays(), "key_cache": pool[:, 0], "value_cache": pool[:, 0]}
    assert (op.run(**arrays, out=out).numpy() == 0).all()
    with pytest.raises(ValueError, match=r" overlaps value_cache = "):
        op.run(**{**arrays, "value_cache": pool[:, 1]}, out=out)


# ---- arguments that numpy would take ----------------------------------------------


def test_a_plan_keeps_no_reference_to_the_callers_lengths():
    op, arrays = DecodeAttention(**SHAPE, max_q_len=2), valid_arrays()
    lens, tokens = np.array(LENS, np.int32), np.array([1, 1], np.int32)
    plan = op.plan(lens, tokens)
    expected = op.run(**arrays)
    lens[:], tokens[:] = 48, 2
    assert plan.context_lens == tuple(LENS)
    assert op.run(**arrays).tobytes() == expected.tobytes()  # and block_table[0, 2] is -1


@pytest.mark.parametrize("name", ["query", "key_cache", "block_table", "out"])
def test_a_masked_array_is_refused_by_name(name):
    op = DecodeAttention(**SHAPE)
    op.plan(LENS)
    arrays = {**valid_arrays(), "out": sentinel_out()}
    arrays[name] = np.ma.masked_array(arrays[name])
    with pytest.raises(TypeError, match=rf"^{name} is a MaskedArray; expected"):
        op.run(**arrays)
    with pytest.raises(TypeError, match=r"^context_lens is a MaskedArray; expected"):
        op.plan(np.ma.masked_array(LENS))


def test_strides_of_an_array_are_named_as_its_own():
    arrays = valid_arrays()
    views = {
        name: np.zeros((6, 16, 2, 72), np.float16)[..., :64]
        for name in ("key_cache", "value_cache")
    }
    with pytest.raises(NotImplementedError) as caught:
        paged_attention(**{**arrays, **views}, context_lens=LENS)
    assert str(caught.value) == (
        "key_cache's head stride = 72 elements is not a multiple of 16 (32 bytes); nearest "
        "supported: 64, 80"
    )


def test_a_device_array_says_what_it_takes():
    array = DeviceArray(np.zeros(3, np.float16))
    for wrong in ([1], np.ma.masked_array([1])):
        with pytest.raises(TypeError, match=r"^array is a \w+; expected numpy.ndarray$"):
            array.copy_from(wrong)
    with pytest.raises(TypeError, match=r"use \.numpy\(\)"):
        np.asarray(array)
    with pytest.raises(TypeError, match=r"^dtype is object; expected one without"):
        DeviceArray(np.array([None]))
    with pytest.raises(TypeError, match=r"^dtype is object; expected one without"):
        DeviceArray.empty((1,), object)
    with pytest.raises(TypeError, match=r"^array is a MaskedArray"):
        DeviceArray(np.ma.masked_array([1]))
    with pytest.raises(
        MemoryError, match=r"^shape \(4611686018427387904, 4611686018427387904\) of"
    ):
        DeviceArray.empty((2**62, 2**62), np.float16)
    scalar = DeviceArray(np.float16(3))
    assert scalar.shape == scalar.numpy().shape == ()
    assert scalar.numpy() == 3


def test_a_cache_view_needs_the_strides_that_were_declared():
    pool = np.zeros((6, 2, 16, 2, 64), np.float16)
    views = {"key_cache": pool[:, 0], "value_cache": pool[:, 1]}
    for arrays in (views, {"key_cache": DeviceArray(pool)[:, 0]}):
        op = DecodeAttention(**SHAPE)
        op.plan(LENS)
        with pytest.raises(ValueError, match=r"^key_cache has strides \(4096, 128, 64, 1\) elem"):
            op.run(**{**valid_arrays(), **arrays})
    op = DecodeAttention(**SHAPE, kv_strides=(4096, 128, 64))
    op.plan(LENS)
    assert (op.run(**{**valid_arrays(), **views}) == 0).all()
    with pytest.raises(ValueError, match=r"^value_cache has strides \(2048, 128, 64, 1\) elem"):
        op.run(**{**valid_arrays(), "key_cache": views["key_cache"]})
    with pytest.raises(ValueError, match=r"^key_cache has dtype int8; expected float16"):
        op.run(**{**valid_arrays(), "key_cache": pool[:, 0].astype(np.int8)})
