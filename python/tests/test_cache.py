# SPDX-License-Identifier: Apache-2.0
"""reshape_and_cache: every scheme, layout and dtype bit for bit, its errors, and the round trip."""

import concurrent.futures
import dataclasses
import threading

import ascend_attention_reference as reference
import ml_dtypes
import numpy as np
import pytest
from ascend_attention import DecodeAttention, DeviceArray, reshape_and_cache

QUANTS = ("none", "int8_channel", "int8_channel_asym", "int8_token")
LAYOUTS = ("token_major", "head_major", "interleaved", "padded")
DTYPES = {"f16": np.dtype(np.float16), "bf16": np.dtype(ml_dtypes.bfloat16)}
BLOCKS, BLOCK_SIZE = 5, 16


def random_bytes(shape: tuple[int, ...], dtype: np.dtype, seed: int) -> np.ndarray:
    data = np.random.default_rng(seed).bytes(int(np.prod(shape)) * dtype.itemsize)
    return np.frombuffer(data, dtype).reshape(shape).copy()


@dataclasses.dataclass
class Problem:
    """Arguments of one call; `pool` is the memory that both caches are views of."""

    key: np.ndarray
    value: np.ndarray
    pool: np.ndarray
    key_cache: np.ndarray
    value_cache: np.ndarray
    slots: np.ndarray
    options: dict[str, object]

    def call(self, **changes: object) -> None:
        arguments = [self.key, self.value, self.key_cache, self.value_cache, self.slots]
        reshape_and_cache(*arguments, **{**self.options, **changes})


def make_caches(layout: str, heads: int, head_dim: int, dtype: np.dtype, blocks: int = BLOCKS):
    token_major = (blocks, BLOCK_SIZE, heads, head_dim)
    if layout == "interleaved":
        pool = random_bytes((blocks, 2, *token_major[1:]), dtype, 3)
        return pool, pool[:, 0], pool[:, 1]
    if layout == "padded":
        pool = random_bytes((2, blocks, BLOCK_SIZE + 1, heads + 1, head_dim + 32), dtype, 3)
        return pool, *(part[:, :BLOCK_SIZE, :heads, :head_dim] for part in pool)
    shape = token_major if layout == "token_major" else (blocks, heads, BLOCK_SIZE, head_dim)
    pool = random_bytes((2, *shape), dtype, 3)
    return pool, *pool


def make_problem(
    quant: str = "none",
    layout: str = "token_major",
    dtype: str = "f16",
    tokens: int = 11,
    heads: int = 3,
    head_dim: int = 64,
) -> Problem:
    random = np.random.default_rng(5)
    key, value = (
        random.standard_normal((tokens, heads, head_dim)).astype(DTYPES[dtype]) for _ in range(2)
    )
    cache_dtype = DTYPES[dtype] if quant == "none" else np.dtype(np.int8)
    pool, key_cache, value_cache = make_caches(layout, heads, head_dim, cache_dtype)
    slots = random.permutation(BLOCKS * BLOCK_SIZE)[:tokens].astype(np.int64)
    slots[4::5] = -1
    options: dict[str, object] = {"kv_quant": quant}
    if layout == "head_major":
        options["kv_layout"] = "head_major"
    shape = (BLOCKS, heads, BLOCK_SIZE) if quant == "int8_token" else (heads, head_dim)
    if quant != "none":
        for name in ("key_scale", "value_scale"):
            options[name] = random.uniform(0.01, 0.03, shape).astype(np.float32)
    if quant == "int8_channel_asym":
        for name in ("key_offset", "value_offset"):
            options[name] = random.uniform(-20, 20, shape).astype(np.float32)
    return Problem(key, value, pool, key_cache, value_cache, slots, options)


def expect(problem: Problem) -> Problem:
    """What the call must make of a copy of the problem's memory, by the reference."""
    begin = problem.pool.__array_interface__["data"][0]
    pool = problem.pool.copy()

    def twin(view: np.ndarray) -> np.ndarray:
        offset = view.__array_interface__["data"][0] - begin
        return np.ndarray(view.shape, view.dtype, pool, offset, view.strides)

    options = {
        name: option.copy() if isinstance(option, np.ndarray) else option
        for name, option in problem.options.items()
    }
    key_cache, value_cache = twin(problem.key_cache), twin(problem.value_cache)
    for name, x, cache in (
        ("key", problem.key, key_cache),
        ("value", problem.value, value_cache),
    ):
        reference.write_cache(
            x,
            np.asarray(problem.slots),
            cache,
            kv_layout=options.get("kv_layout", "token_major"),
            kv_quant=options["kv_quant"],
            scale=options.get(f"{name}_scale"),
            offset=options.get(f"{name}_offset"),
        )
    return Problem(problem.key, problem.value, pool, key_cache, value_cache, problem.slots, options)


def check(problem: Problem) -> None:
    expected = expect(problem)
    problem.call()
    assert problem.pool.tobytes() == expected.pool.tobytes()
    for name in ("key_scale", "value_scale"):
        np.testing.assert_array_equal(problem.options.get(name), expected.options.get(name))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("quant", QUANTS)
def test_writes_the_rows_and_nothing_else(quant, layout, dtype):
    check(make_problem(quant, layout, dtype))


@pytest.mark.parametrize("head_dim", [64, 96, 128, 192, 256])
@pytest.mark.parametrize("heads", [1, 5, 8, 32])
@pytest.mark.parametrize("quant", QUANTS)
def test_heads_and_head_dims(quant, heads, head_dim):
    check(make_problem(quant, heads=heads, head_dim=head_dim))


@pytest.mark.parametrize("quant", QUANTS)
def test_no_tokens(quant):
    check(make_problem(quant, tokens=0))


@pytest.mark.parametrize("quant", QUANTS)
def test_all_tokens_skipped(quant):
    problem = make_problem(quant)
    problem.slots[:] = -7
    check(problem)


@pytest.mark.parametrize("quant", QUANTS)
def test_first_and_last_slots_of_blocks(quant):
    problem = make_problem(quant, tokens=5)
    problem.slots[:] = [0, 15, 16, 79, 64]
    check(problem)


@pytest.mark.parametrize("quant", QUANTS)
def test_special_values(quant):
    problem = make_problem(quant)
    problem.key[0] = 0
    problem.value[0, :, :5] = [6e4, -6e4, 1e-7, 127, 63.5]
    problem.key[1, 0, 3] = np.inf
    problem.value[2, 1, 4] = np.nan
    problem.value[3, 0, 5] = -np.inf
    check(problem)


def test_slots_of_other_integer_types_and_lists():
    problem = make_problem()
    for slots in (problem.slots.astype(np.int32), problem.slots.tolist()):
        problem.slots = slots
        check(problem)


def test_numpy_views_of_qkv():
    problem = make_problem("int8_token")
    qkv = np.concatenate([problem.key, problem.value], axis=1)
    problem.key, problem.value = qkv[:, :3], qkv[:, 3:]
    check(problem)


@pytest.mark.parametrize("quant", QUANTS)
def test_device_arrays_are_used_where_they_are(quant):
    problem = make_problem(quant, "interleaved")
    expected = expect(problem)
    qkv = DeviceArray(np.concatenate([problem.key, problem.key, problem.value], axis=1))
    pool = DeviceArray(problem.pool)
    options = {
        name: DeviceArray(option) if isinstance(option, np.ndarray) else option
        for name, option in problem.options.items()
    }
    slots = DeviceArray(problem.slots)
    key, value = qkv[:, 3:6], qkv[:, 6:]
    reshape_and_cache(key, value, pool[:, 0], pool[:, 1], slots, check_slots=True, **options)
    assert pool.numpy().tobytes() == expected.pool.tobytes()
    if quant == "int8_token":
        np.testing.assert_array_equal(options["key_scale"].numpy(), expected.options["key_scale"])


@pytest.mark.parametrize("quant", ["none", "int8_token"])
def test_a_layer_of_a_pool_beyond_4_gib(quant):
    problem = make_problem(quant, heads=8, head_dim=128)
    itemsize = problem.key_cache.itemsize
    blocks = (5 << 30) // (2 * BLOCK_SIZE * 8 * 128 * itemsize)
    pool = DeviceArray.empty((2, blocks, 2, BLOCK_SIZE, 8, 128), problem.key_cache.dtype)
    layer = pool[1]
    options = dict(problem.options)
    if quant == "int8_token":
        for name in ("key_scale", "value_scale"):
            options[name] = DeviceArray.empty((blocks, 8, BLOCK_SIZE), np.float32)
    problem.slots += np.where(problem.slots < 0, 0, (blocks - BLOCKS) * BLOCK_SIZE)
    reshape_and_cache(
        problem.key, problem.value, layer[:, 0], layer[:, 1], problem.slots, **options
    )
    problem.slots -= np.where(problem.slots < 0, 0, (blocks - BLOCKS) * BLOCK_SIZE)
    expected = expect(problem)
    key_rows, value_rows = layer[blocks - BLOCKS :, 0].numpy(), layer[blocks - BLOCKS :, 1].numpy()
    for slot in problem.slots[problem.slots >= 0]:
        at = divmod(int(slot), BLOCK_SIZE)
        assert key_rows[at].tobytes() == expected.key_cache[at].tobytes()
        assert value_rows[at].tobytes() == expected.value_cache[at].tobytes()


# ---- errors ---------------------------------------------------------------------


def refuses(problem: Problem, error: type[Exception], message: str, **changes: object) -> None:
    before = problem.pool.tobytes()
    with pytest.raises(error) as raised:
        problem.call(**changes)
    assert message in str(raised.value)
    assert problem.pool.tobytes() == before


def test_a_slot_twice_is_refused_by_both_tokens():
    problem = make_problem()
    problem.slots[[2, 7]] = 12
    refuses(
        problem,
        ValueError,
        "slot_mapping[2] and slot_mapping[7] are both 12; expected a slot once",
    )


def test_a_uint64_slot_outside_is_named_as_it_is():
    problem = make_problem()
    problem.slots = np.where(problem.slots < 0, 79, problem.slots).astype(np.uint64)
    problem.slots[3] = 2**64 - 1
    refuses(problem, IndexError, "slot_mapping[3] = 18446744073709551615 is outside [0, 80), ")


@pytest.mark.parametrize("slot", [80, np.iinfo(np.int64).max])
def test_a_slot_outside_is_refused_by_token(slot):
    problem = make_problem("int8_token")
    problem.slots[3] = slot
    refuses(problem, IndexError, f"slot_mapping[3] = {slot} is outside [0, 80)")


def test_a_slot_outside_that_only_the_device_sees():
    problem = make_problem()
    problem.slots[3] = 80
    problem.slots = DeviceArray(problem.slots)
    refuses(problem, IndexError, "slot_mapping[3] = 80 is outside [0, 80); found on the device")
    refuses(problem, IndexError, "slot_mapping[3] = 80 is outside [0, 80), ", check_slots=True)
    problem.slots = make_problem().slots
    check(problem)  # the device goes on


def test_an_error_of_the_device_is_raised_in_its_own_thread():
    """Each thread has a stream and error records of its own."""
    good, bad = make_problem(), make_problem()
    bad.slots[3] = 80
    devices = {}
    for name, problem in (("good", good), ("bad", bad)):
        arrays = (problem.key, problem.value, problem.key_cache, problem.value_cache, problem.slots)
        devices[name] = [DeviceArray(array) for array in arrays]
    start = threading.Barrier(2)

    def call(name: str) -> list[str]:
        errors = []
        for _ in range(40):
            start.wait()
            try:
                reshape_and_cache(*devices[name])
                errors.append("")
            except IndexError as error:
                errors.append(str(error)[:45])
        return errors

    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        errors = dict(zip(devices, pool.map(call, devices), strict=True))
    assert errors["good"] == [""] * 40
    assert errors["bad"] == ["slot_mapping[3] = 80 is outside [0, 80); found"[:45]] * 40


def test_a_slot_twice_on_the_device_is_found_on_request():
    problem = make_problem()
    problem.slots[[2, 7]] = 12
    problem.slots = DeviceArray(problem.slots)
    refuses(problem, ValueError, "slot_mapping[2] and slot_mapping[7] are both", check_slots=True)


def spoiled(attribute: str, change) -> Problem:
    problem = make_problem("int8_channel")
    if attribute in problem.options:
        problem.options[attribute] = change(problem.options[attribute])
    else:
        setattr(problem, attribute, change(getattr(problem, attribute)))
    return problem


@pytest.mark.parametrize(
    ("attribute", "change", "error", "message"),
    [
        ("key", lambda a: a.tolist(), TypeError, "key is a list; expected numpy.ndarray"),
        ("key", lambda a: a.astype(np.float32), ValueError, "key dtype is float32; allowed"),
        ("key", lambda a: a[0], ValueError, "key has rank 2"),
        ("value", lambda a: a[:-1], ValueError, "value has num_tokens 10"),
        ("value", lambda a: a[:, :2], ValueError, "value has num_kv_heads 2"),
        ("value", lambda a: a.astype(DTYPES["bf16"]), ValueError, "value has dtype bfloat16"),
        ("key_cache", lambda a: a.astype(np.float16), ValueError, "expected int8"),
        ("value_cache", lambda a: a[:, ::-1], ValueError, "value_cache has strides"),
        ("value_cache", lambda a: a[:-1], ValueError, "value_cache has num_kv_blocks 4"),
        ("slots", lambda a: a[:-1], ValueError, "slot_mapping has shape (10,); expected (11,)"),
        ("slots", lambda a: a + 0.5, ValueError, "slot_mapping has dtype float64"),
        ("key_scale", lambda _: None, ValueError, "key_scale is None; kv_quant int8_channel"),
        ("key_scale", lambda a: a[:2], ValueError, "key_scale has num_kv_heads 2"),
        ("kv_quant", lambda _: "int4", ValueError, "kv_quant is 'int4'; allowed: none"),
        ("kv_quant", lambda _: "int8_channel_asym", ValueError, "key_offset is None"),
    ],
)
def test_bad_arguments_are_named(attribute, change, error, message):
    refuses(spoiled(attribute, change), error, message)


def test_unsupported_shapes_name_the_nearest():
    message = "head_dim = 80 has no kernel; nearest supported: 64, 96"
    refuses(make_problem(head_dim=80), NotImplementedError, message)


def test_read_only_memory_is_refused():
    problem = make_problem()
    problem.value_cache.flags.writeable = False
    refuses(problem, ValueError, "value_cache is read-only")


def test_one_cache_for_both_is_refused():
    problem = make_problem()
    problem.value_cache = problem.key_cache
    refuses(problem, ValueError, "value_cache is key_cache; expected memory of its own")
    problem = make_problem("int8_token")
    problem.options["value_scale"] = problem.options["key_scale"]
    refuses(problem, ValueError, "value_scale is key_scale; expected memory of its own")


@pytest.mark.parametrize("name", ["key", "value"])
def test_rows_of_the_caches_themselves_are_refused(name):
    problem = make_problem(tokens=BLOCK_SIZE)
    problem.slots[:] = np.arange(16, 32)
    caches = {"key": DeviceArray(problem.key_cache), "value": DeviceArray(problem.value_cache)}
    problem.key_cache, problem.value_cache = caches.values()
    setattr(problem, name, caches[name][0])
    before = caches[name].numpy()
    text = rf"^{name}_cache = 0x\w+, \d+ bytes, overlaps {name} = 0x\w+, \d+ bytes; expected"
    with pytest.raises(ValueError, match=text):
        problem.call()
    assert caches[name].numpy().tobytes() == before.tobytes()


@pytest.mark.parametrize("place", [np.array, DeviceArray])
def test_caches_and_scales_that_overlap_partly_are_refused(place):
    problem = make_problem()
    big = place(random_bytes((8, BLOCK_SIZE, 3, 64), np.dtype(np.float16), 1))
    problem.key_cache, problem.value_cache = big[:5], big[2:7]
    text = r"^value_cache = 0x\w+, 30720 bytes, overlaps key_cache = 0x\w+, 30720 bytes; "
    with pytest.raises(ValueError, match=text):
        problem.call()
    problem = make_problem("int8_token")
    scales = place(np.ones((8, 3, BLOCK_SIZE), np.float32))
    problem.options |= {"key_scale": scales[:5], "value_scale": scales[2:7]}
    with pytest.raises(ValueError, match=r"^value_scale .*overlaps key_scale.* memory of its own"):
        problem.call()


def test_strides_of_a_cache_are_named_as_its_own():
    problem = make_problem()
    for name in ("key_cache", "value_cache"):
        setattr(problem, name, np.zeros((5, BLOCK_SIZE, 3, 72), np.float16)[..., :64])
    text = "key_cache's head stride = 72 elements is not a multiple of 16 (32 bytes); nearest"
    refuses(problem, NotImplementedError, text)


def test_masked_arrays_are_refused():
    for name in ("key", "value_cache", "slots"):
        problem = make_problem()
        setattr(problem, name, np.ma.masked_array(getattr(problem, name)))
        refuses(problem, TypeError, " is a MaskedArray; expected an array without a mask")


def test_a_device_key_with_scattered_heads_is_refused():
    problem = make_problem()
    problem.key = DeviceArray(np.zeros((11, 64, 3), np.float16)).transpose(0, 2, 1)
    refuses(problem, ValueError, "key has strides (384, 2, 6) bytes; expected (128, 2)")


# ---- round trip -------------------------------------------------------------------

ROUND_TRIP = "decode:b3:h8:kv2:d128:bs32:ctx33,1,200:{dtype}:seed3"
ROUTES = {"none": ("direct",), **dict.fromkeys(QUANTS[1:], ("dequant", "limbs"))}


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("kv_layout", ["token_major", "head_major"])
@pytest.mark.parametrize(
    ("quant", "route"), [(quant, route) for quant, routes in ROUTES.items() for route in routes]
)
def test_decode_reads_what_was_written(quant, route, kv_layout, dtype):
    given = reference.make_inputs(reference.parse_case(ROUND_TRIP.format(dtype=dtype)))
    inputs = rewritten(given, quant, kv_layout)
    op = DecodeAttention(
        batch=len(inputs.context_lens),
        num_heads=8,
        num_kv_heads=2,
        head_dim=128,
        kv_block_size=32,
        num_kv_blocks=len(inputs.key_cache),
        max_kv_blocks=inputs.block_table.shape[1],
        dtype=inputs.query.dtype,
        softmax_scale=inputs.softmax_scale,
        kv_quant=quant,
        kv_route=route,
        kv_layout=kv_layout,
    )
    op.plan(inputs.context_lens)
    parameters = {name: getattr(inputs, name) for name in PARAMETERS}
    out, lse = op.run(
        inputs.query,
        inputs.key_cache,
        inputs.value_cache,
        inputs.block_table,
        **parameters,
        return_lse=True,
    )
    # Of what the cache holds, to the bounds of its route; and of what it was made of.
    report = reference.check(out, lse, dataclasses.replace(inputs, route=route))
    assert report.ok, str(report)
    exact = reference.expect(given).out
    error = np.linalg.norm(out.astype(np.float64) - exact) / np.linalg.norm(exact)
    assert error < (0.005 if quant == "none" else 0.02)


PARAMETERS = ("key_scale", "key_offset", "value_scale", "value_offset")


def rewritten(given: reference.DecodeInputs, quant: str, kv_layout: str) -> reference.DecodeInputs:
    """The same tokens, in caches that reshape_and_cache wrote, full of -128 or NaN elsewhere."""
    blocks, size, heads, head_dim = given.key_cache.shape
    slots = np.concatenate(
        [
            given.block_table[row, np.arange(n) // size].astype(np.int64) * size
            + np.arange(n) % size
            for row, n in enumerate(given.context_lens)
        ]
    )
    at = slots // size, slots % size
    keys, values = given.key_cache[at], given.value_cache[at]
    axes = (size, heads) if kv_layout == "token_major" else (heads, size)
    kind, empty = (keys.dtype, np.nan) if quant == "none" else (np.int8, -128)
    caches = [np.full((blocks, *axes, head_dim), empty, kind) for _ in range(2)]
    parameters = {}
    for name, x in (("key", keys.astype(np.float32)), ("value", values.astype(np.float32))):
        low, high = x.min(axis=0), x.max(axis=0)
        if quant == "int8_channel":
            parameters[f"{name}_scale"] = np.maximum(-low, high) / np.float32(127)
        elif quant == "int8_channel_asym":
            scale = (high - low) / np.float32(255)
            parameters |= {f"{name}_scale": scale, f"{name}_offset": low / scale + np.float32(128)}
        elif quant == "int8_token":
            parameters[f"{name}_scale"] = np.full((blocks, heads, size), np.nan, np.float32)
    reshape_and_cache(
        keys, values, *caches, slots, kv_quant=quant, kv_layout=kv_layout, **parameters
    )
    return dataclasses.replace(
        given,
        key_cache=caches[0],
        value_cache=caches[1],
        kv_quant=quant,
        kv_layout=kv_layout,
        **parameters,
    )
