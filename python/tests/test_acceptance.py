# SPDX-License-Identifier: Apache-2.0
"""What users of paged attention have been bitten by, one test each, on the virtual NPU.

The numbers are those of testdata/README.md. A3 is missing: it is about graph capture, which is not
there yet.
"""

import dataclasses
import inspect

import ascend_attention_reference as reference
import numpy as np
import pytest
from ascend_attention import (
    DecodeAttention,
    DeviceArray,
    _core,
    merge_states,
    paged_attention,
    planning,
    reshape_and_cache,
    vnpu,
)
from ascend_attention.cli import mutate, support
from ascend_attention.cli.case_problem import (
    core_shape,
    decode,
    on_device,
    run_arguments,
    shape_arguments,
)

CANARY = 0x5A


def make_inputs(text: str, **changes) -> reference.DecodeInputs:
    return dataclasses.replace(reference.make_inputs(reference.parse_case(text)), **changes)


def attend(inputs: reference.DecodeInputs, **options) -> tuple[np.ndarray, np.ndarray]:
    return paged_attention(
        **run_arguments(inputs),
        context_lens=inputs.context_lens,
        q_lens=inputs.q_lens,
        softmax_scale=inputs.softmax_scale,
        kv_layout=inputs.kv_layout,
        kv_quant=inputs.kv_quant,
        kv_route=inputs.route,
        return_lse=True,
        **options,
    )


def assert_right(inputs: reference.DecodeInputs, **options) -> tuple[np.ndarray, np.ndarray]:
    out, lse = attend(inputs, **options)
    report = reference.check(out, lse, inputs)
    assert report.ok, str(report)
    return out, lse


def make_op(case: reference.DecodeCase, inputs: reference.DecodeInputs) -> DecodeAttention:
    return DecodeAttention(
        **shape_arguments(case, len(inputs.key_cache)),
        softmax_scale=inputs.softmax_scale,
        num_cores=case.num_cores,
    )


def plan_lengths(lens, *, cores=24, heads=32, kv_heads=8, **shape) -> planning.DecodePlan:
    lens = np.array(lens, np.int32)
    case = reference.DecodeCase(
        batch=len(lens),
        num_heads=heads,
        num_kv_heads=kv_heads,
        head_dim=128,
        kv_block_size=128,
        context_lens=tuple(lens.tolist()),
        dtype="f16",
        seed=0,
        **shape,
    )
    num_kv_blocks = max(1, int((-(-lens // 128)).sum()))
    platform = _core.platform_for("Ascend910B1", cores)
    plan = _core.plan_decode(core_shape(case, num_kv_blocks), platform, lens, 0.1)
    return planning.view(plan, lens)


def small_pool(lens: list[int], seed: int) -> reference.DecodeInputs:
    """Long sequences over few kv blocks, which they share: little to generate, all to read."""
    rng = np.random.default_rng(seed)
    query, keys, values = (
        rng.uniform(-1, 1, shape).astype(np.float16)
        for shape in ((len(lens), 2, 64), (40, 128, 1, 64), (40, 128, 1, 64))
    )
    table = rng.integers(0, 40, (len(lens), -(-max(lens) // 128)), dtype=np.int32)
    return reference.DecodeInputs(query, keys, values, table, np.array(lens, np.int32), 0.125)


@pytest.mark.parametrize("dtype", ["f16", "bf16"])
def test_a01_block_sizes_give_equal_results(dtype):
    """Guards the page arithmetic: the same tokens in pages of any size, one tolerance for all."""
    text = "decode:b4:h8:kv2:d128:bs{}:ctx1,255,1000,2000:{}:seed2"
    expected = reference.expect(make_inputs(text.format(16, dtype)))
    for block in (16, 32, 64, 128, 256, 512):
        out, lse = attend(make_inputs(text.format(block, dtype)))
        report = reference.check(out, lse, expected)
        assert report.ok, f"kv_block_size {block}: {report}"


def test_a02_permuted_shared_and_repeated_blocks_and_no_padding_read():
    """Guards against tables taken for sorted or distinct, and against reads past a length."""
    inputs = make_inputs("decode:b3:h8:kv2:d64:bs32:ctx320,96,200:f16:seed3")
    used = [inputs.block_table[0, i] for i in range(10)] + [inputs.block_table[1, 0]]
    rng = np.random.default_rng(3)
    table = rng.choice(used, inputs.block_table.shape).astype(np.int32)
    table[1, :3] = used[4]  # one block three times
    table[2, :5] = table[0, 1:6]  # shared, at other places
    assert_right(dataclasses.replace(inputs, block_table=table))
    for junk in (-1, 10**9):
        past = np.arange(table.shape[1]) >= -(-inputs.context_lens // 32)[:, np.newaxis]
        padded = dataclasses.replace(inputs, block_table=np.where(past, junk, table))
        on_npu = DeviceArray(padded.block_table)  # where only the kernel could look at it
        out, lse = attend(dataclasses.replace(padded, block_table=on_npu))
        report = reference.check(out, lse, dataclasses.replace(inputs, block_table=table))
        assert report.ok, str(report)


def test_a04_workspace_is_enough_for_any_length_and_nothing_behind_it_is_touched():
    """Guards the scratch size: sampled over all lengths, with canaries behind it."""
    case = reference.parse_case("decode:b3:h8:kv2:d64:bs16:ctx3000:f16:cores7:seed5")
    inputs = reference.make_inputs(case)
    op = make_op(case, inputs)
    needed = op.workspace_bytes
    op._workspace = guarded = _core.DeviceBuffer(op._runtime, needed + 4096)
    rng = np.random.default_rng(4)
    for longest in (1, 15, 16, 17, 700, 2999, 3000):
        guarded.fill(CANARY)
        lens = np.array([longest, rng.integers(0, longest + 1), 0], np.int32)
        plan = op.plan(lens)
        assert plan.workspace_bytes <= needed
        op.run(**run_arguments(inputs))
        tail = np.zeros(4096, np.uint8)
        guarded.download(tail, needed)
        assert (tail == CANARY).all(), longest
    for length in [*range(1, 200), *rng.integers(200, 131072, 200).tolist()]:
        lens = [length, int(rng.integers(0, length + 1))]
        shape = core_shape(reference.parse_case(case_of(131072, batch=2)), 1024)
        bound = _core.workspace_bytes(shape, _core.platform_for("Ascend910B1", 24))
        assert plan_lengths(lens).workspace_bytes <= bound


def case_of(ctx: int, *, batch: int) -> str:
    return f"decode:b{batch}:h32:kv8:d128:bs128:ctx{ctx}:f16:seed0"


@pytest.mark.parametrize("split", [512, None, 1 << 20], ids=["cut", "balanced", "whole"])
@pytest.mark.parametrize(("batch", "longest"), [(19, 16384), (29, 4096), (64, 4096)])
def test_a05_batches_of_19_to_64_with_splits_forced_on_and_off(batch, longest, split):
    """Guards the scratch of partial results, which some size by the cores and fill by the batch."""
    lens = np.random.default_rng(batch).integers(1, longest, batch).tolist()
    inputs = small_pool([longest, *lens[1:]], seed=batch)
    assert_right(inputs, fixed_split_tokens=split)


def test_a05_a_batch_of_256_with_long_caches_has_room_for_every_partial():
    """Guards the same at 256 sequences of 8192 tokens, by the plan."""
    for split in (256, 4096, None):
        plan = plan_lengths([8192] * 256, heads=16, kv_heads=1, fixed_split_tokens=split)
        header = planning.read_header(plan.to_bytes())
        rows = int(header["kv_heads_per_group"]) * int(header["q_tokens_per_item"]) * 16
        assert header["partial_out"]["size"] >= plan.num_partials * rows * 128 * 4
        assert split is None or plan.num_partials == 256 * (8192 // split)
        assert header["partial_out"]["begin"] + header["partial_out"]["size"] <= (
            plan.workspace_bytes
        )


@pytest.mark.parametrize(("field", "value"), [("dtype", 7), ("abi_version", 1), ("magic", 0)])
def test_a06_a_forged_plan_stops_the_kernel(field, value):
    """Guards against a kernel that meets a configuration it does not know and returns silently."""
    case = reference.parse_case("decode:b2:h8:kv2:d64:bs16:ctx20,33:f16:seed6")
    inputs = reference.make_inputs(case)
    op = make_op(case, inputs)
    op.plan(inputs.context_lens)
    expected = op.run(**run_arguments(inputs))
    offset = planning.PLAN_HEADER.fields[field][1]
    op._workspace.upload(np.array([value], "<u4").view(np.uint8), offset)
    out = np.full_like(inputs.query, -7)
    with pytest.raises(RuntimeError):
        op.run(**run_arguments(inputs), out=out)
    assert (out == -7).all()
    op.plan(inputs.context_lens)
    assert op.run(**run_arguments(inputs)).tobytes() == expected.tobytes()


def test_a06_a_shape_without_a_kernel_is_refused_with_the_nearest_one():
    """Guards against dispatch that falls through for a shape outside the support table."""
    rows = {row["kernel"]: row for row in support.rows()}
    good = shape_arguments(reference.parse_case(case_of(128, batch=1)), 1)
    heads = [head["head_dim"] for head in rows["decode"]["heads"]]
    for head_dim in (1, 63, 65, max(heads) + 1):
        with pytest.raises(NotImplementedError, match=r"head_dim = .* nearest supported: [0-9]"):
            DecodeAttention(**{**good, "head_dim": head_dim})
    with pytest.raises(NotImplementedError, match=r"kv_route = limbs .* nearest supported: direct"):
        DecodeAttention(**{**good, "kv_route": "limbs"})
    too_many = rows["decode"]["max_q_len"] + 1
    with pytest.raises(NotImplementedError, match=r"max_q_len = .* nearest supported: [0-9]"):
        DecodeAttention(**{**good, "max_q_len": too_many})


def test_a07_head_dim_256_is_right_and_72_and_200_are_refused():
    """Guards head sizes that are listed but not handled."""
    assert_right(make_inputs("decode:b2:h8:kv2:d256:bs128:ctx200,700:f16:seed7"))
    for head_dim in (72, 200):
        with pytest.raises(NotImplementedError, match=f"head_dim = {head_dim} has no kernel"):
            attend(make_inputs(f"decode:b1:h8:kv2:d{head_dim}:bs128:ctx200:f16:seed7"))


@pytest.mark.parametrize("lens", ["0,40,300", "40,300,0", "0", "7,0,0,0"])
def test_a08_empty_sequences_and_padded_rows_give_zero_not_what_was_there(lens):
    """Guards rows that no core visits: out held NaN before."""
    batch = lens.count(",") + 1
    inputs = make_inputs(f"decode:b{batch}:h8:kv2:d64:bs32:ctx{lens}:f16:seed8")
    out = np.full_like(inputs.query, np.nan)
    _, lse = assert_right(inputs, out=out)
    empty = inputs.context_lens == 0
    assert (out[empty] == 0).all()
    assert (lse[empty] == -np.inf).all()


def test_a09_an_empty_shard_adds_nothing_and_all_empty_gives_zero():
    """Guards merges of shards of a context: lse -inf weighs nothing, and never makes NaN."""
    inputs = make_inputs("decode:b3:h8:kv2:d64:bs64:ctx640,0,128:f16:seed9")
    shards = [(0, 256), (256, 576), (576, 640)]  # tokens; the last sequence has none in two
    outs, lses = [], []
    for begin, end in shards:
        part = dataclasses.replace(
            inputs,
            block_table=np.ascontiguousarray(inputs.block_table[:, begin // 64 :]),
            context_lens=np.clip(inputs.context_lens - begin, 0, end - begin).astype(np.int32),
        )
        out, lse = attend(part)
        assert (lse[part.context_lens == 0] == -np.inf).all()
        outs.append(out)
        lses.append(lse)
    merged = merge_states(outs, lses)
    report = reference.check(*merged, inputs)
    assert report.ok, str(report)
    empty = [np.full_like(outs[0], np.nan)] * 3, [np.full_like(lses[0], -np.inf)] * 3
    out, lse = merge_states(*empty)
    assert (out == 0).all() and (lse == -np.inf).all()


def test_a10_two_tokens_in_a_page_of_128_and_no_window_that_is_ignored():
    """Guards tails much shorter than a page; sliding windows are refused by name, not dropped."""
    for dtype in ("f16", "bf16"):
        assert_right(make_inputs(f"decode:b3:h8:kv2:d128:bs128:ctx2,130,1:{dtype}:seed9"))
    inputs = make_inputs("decode:b1:h8:kv2:d128:bs128:ctx2:f16:seed9")
    with pytest.raises(TypeError, match="window_size"):
        attend(inputs, window_size=1)
    for function in (paged_attention, DecodeAttention.__init__, DecodeAttention.run):
        kinds = {p.kind for p in inspect.signature(function).parameters.values()}
        assert inspect.Parameter.VAR_KEYWORD not in kinds  # nothing is swallowed


@pytest.mark.parametrize("cores", [1, 7, 20, 24, 25])
def test_a11_any_number_of_cores(cores):
    """Guards against the core count of one product: 20, 24, 25 and odd ones."""
    inputs = make_inputs("decode:b5:h8:kv2:d128:bs64:ctx0,1,300,64,2500:f16:seed11")
    assert_right(inputs, num_cores=cores)


def test_a12_two_lengths_back_to_back_on_one_stream_and_workspace():
    """Guards the workspace between launches: nothing waits between the two."""
    case = reference.parse_case("decode:b2:h8:kv2:d64:bs32:ctx900,300:f16:cores6:seed12")
    inputs = reference.make_inputs(case)
    shorter = dataclasses.replace(inputs, context_lens=np.array([33, 299], np.int32))
    op = make_op(case, inputs)
    tensors = on_device(inputs, 0)
    addresses = {name: array.address if array else 0 for name, array in tensors.items()}
    results, kept = [], []
    for lens in (inputs.context_lens, shorter.context_lens):
        out = DeviceArray(np.full_like(inputs.query, np.nan))
        lse = DeviceArray(np.full(inputs.query.shape[:2], np.nan, np.float32))
        prepared = op._op.plan(
            lens, op._workspace.address, op._workspace.size, op._stream.handle, None
        )
        op._op.run(
            prepared, **addresses, out=out.address, lse=lse.address, stream=op._stream.handle
        )
        results.append((out, lse))
        kept.append(prepared)
    op._runtime.synchronize(op._stream.handle)
    for (out, lse), problem in zip(results, (inputs, shorter), strict=True):
        report = reference.check(out.numpy(), lse.numpy(), problem)
        assert report.ok, str(report)


def test_a13_a_thousand_runs_on_many_threads_give_the_same_bytes_and_no_race():
    """Guards the order of everything: the race detector judges all orders that flags allow, and a
    thousand launches, whose cores run on several host threads, show some of them. Orders drawn at
    random: ascend_kernels/decode_schedules_test.cc."""
    case = reference.parse_case("decode:b2:h2:kv1:d64:bs16:ctx70,150:f16:cores4:split64:seed13")
    inputs = reference.make_inputs(case)
    with vnpu.session(checks="all") as session:
        checked = decode(case, inputs, device=0, repeat=1)
    assert session.report.verdict == "clean", session.report.to_text()
    op, tensors = make_op(case, inputs), on_device(inputs, 0)
    assert op.plan(inputs.context_lens).num_partials > 1  # cores wait for each other
    assert {op.run(**tensors).tobytes() for _ in range(1000)} == {checked.out.tobytes()}


def test_a14_every_kernel_is_mutated():
    """Guards the claim that a lost fence, wait or credit is noticed: test_mutate.py removes each of
    every kernel, and this says that no kernel is left out."""
    assert set(mutate.KERNELS) == {row["kernel"] for row in support.rows()}


@pytest.mark.parametrize("flags", ["outliers", "onehot", "outliers:onehot"])
@pytest.mark.parametrize("dtype", ["f16", "bf16"])
def test_a15_outlier_keys_and_one_hot_values(flags, dtype):
    """Guards QK, PV and index errors separately: uniform data hides a swapped channel or token."""
    assert_right(make_inputs(f"decode:b2:h8:kv4:d128:bs64:ctx65,500:{dtype}:{flags}:seed15"))


@pytest.mark.parametrize("split", [None, 64, 256, 1024, 1 << 20])
def test_a16_split_or_not_the_merged_result_is_within_tolerance(split):
    """Guards the merge: one tolerance, whatever the parts."""
    inputs = make_inputs("decode:b3:h8:kv2:d64:bs64:ctx2600,700,1:f16:seed16")
    assert_right(inputs, fixed_split_tokens=split)


BATCHES = [  # of (sequence, query tokens): the first sequence is the one that is compared
    [(0, 4)],
    [(0, 4), (1, 1)],
    [(1, 3), (2, 1), (0, 4)],
    [(3, 1), (0, 4), (2, 4), (1, 2), (3, 2)],
    [(0, 4), (2, 16)],
]


def fixed_split_bits(
    batch: list[tuple[int, int]],
    cores: int,
    inputs: reference.DecodeInputs,
    query: np.ndarray,
) -> tuple[bytes, bytes]:
    """Returns out and lse of sequence 0 decoded in a batch of (sequence, query tokens)."""
    order = [sequence for sequence, _ in batch]
    q_lens = [tokens for _, tokens in batch]
    out, lse = paged_attention(
        np.concatenate([query[sequence, :tokens] for sequence, tokens in batch]),
        inputs.key_cache,
        inputs.value_cache,
        inputs.block_table[order],
        inputs.context_lens[order],
        q_lens=q_lens,
        fixed_split_tokens=512,
        num_cores=cores,
        return_lse=True,
    )
    begin = sum(q_lens[: order.index(0)])
    rows = slice(begin, begin + q_lens[order.index(0)])
    return out[rows].tobytes(), lse[rows].tobytes()


def test_a16_with_a_fixed_split_the_bits_of_a_row_do_not_depend_on_its_batch():
    """Guards batch invariance: alone, first, last, between longer and empty ones, any cores."""
    inputs = make_inputs("decode:b4:h8:kv2:d64:bs64:ctx2000,31,5000,0:f16:seed17")
    query = np.random.default_rng(16).uniform(-1, 1, (4, 16, 8, 64)).astype(np.float16)
    runs = [*((batch, 24) for batch in BATCHES), (BATCHES[2], 20), (BATCHES[3], 7), (BATCHES[0], 1)]
    results = {fixed_split_bits(batch, cores, inputs, query) for batch, cores in runs}
    assert len(results) == 1


def test_a16_with_a_fixed_split_other_query_tokens_do_not_change_the_bits_of_a_row():
    """Guards tiles that follow from the most query tokens of the batch: many heads, wide ones."""
    inputs = make_inputs("decode:b2:h32:kv2:d128:bs64:ctx700,90:f16:seed16")
    query = np.random.default_rng(16).uniform(-1, 1, (2, 16, 32, 128)).astype(np.float16)
    batches = [[(0, 1)], [(0, 1), (1, 1)], [(0, 1), (1, 3)], [(1, 16), (0, 1)]]
    assert len({fixed_split_bits(batch, 8, inputs, query) for batch in batches}) == 1


@pytest.mark.parametrize("route", ["dequant", "limbs"])
@pytest.mark.parametrize("dtype", ["f16", "bf16"])
def test_a17_int8_with_offsets_from_writer_to_reader(dtype, route):
    """Guards offsets that one side forgets: written by reshape_and_cache, read by either route."""
    case = reference.parse_case(f"decode:b2:h8:kv2:d128:bs64:ctx150,64:{dtype}:seed17")
    inputs = reference.make_inputs(case)
    rng = np.random.default_rng(17)
    blocks = len(inputs.key_cache)
    scale, offset = (
        {
            f"{side}_{name}": rng.uniform(low, high, (2, 128)).astype(np.float32)
            for side in ("key", "value")
        }
        for name, low, high in (("scale", 0.008, 0.012), ("offset", 5.0, 30.0))
    )
    slots = np.concatenate(
        [
            inputs.block_table[row, np.arange(length) // 64] * 64 + np.arange(length) % 64
            for row, length in enumerate(inputs.context_lens)
        ]
    )
    tokens = {
        side: np.ascontiguousarray(getattr(inputs, f"{side}_cache").reshape(-1, 2, 128)[slots])
        for side in ("key", "value")
    }
    caches = [np.full((blocks, 64, 2, 128), -128, np.int8) for _ in range(2)]
    reshape_and_cache(
        tokens["key"],
        tokens["value"],
        *caches,
        slots,
        kv_quant="int8_channel_asym",
        **scale,
        **offset,
    )
    for side, cache in zip(("key", "value"), caches, strict=True):
        stored = cache.reshape(-1, 2, 128)[slots].astype(np.float64)
        restored = (stored + offset[f"{side}_offset"]) * scale[f"{side}_scale"]
        exact = np.clip(
            tokens[side].astype(np.float64),
            (-128 + offset[f"{side}_offset"]) * scale[f"{side}_scale"],
            (127 + offset[f"{side}_offset"]) * scale[f"{side}_scale"],
        )
        assert (np.abs(restored - exact) <= 0.501 * scale[f"{side}_scale"]).all()
        assert (np.delete(cache.reshape(-1, 2, 128), slots, axis=0) == -128).all()
    assert_right(
        dataclasses.replace(
            inputs,
            key_cache=caches[0],
            value_cache=caches[1],
            kv_quant="int8_channel_asym",
            route=route,
            **scale,
            **offset,
        )
    )


@pytest.mark.parametrize("batch", [257, 512, 1000])
def test_a18_large_batches(batch):
    """Guards batches larger than any table of fixed size, and plans that grow with their square."""
    lens = np.random.default_rng(batch).integers(0, 70, batch)
    inputs = make_inputs(
        f"decode:b{batch}:h2:kv1:d64:bs16:ctx{','.join(map(str, lens))}:f16:seed18"
    )
    assert_right(inputs)
    plan = plan_lengths(np.random.default_rng(batch).integers(1, 4096, batch))
    assert plan.predicted_balance <= 1.05
    assert plan.num_items <= batch + 2 * plan.num_cores


def test_a19_offsets_beyond_2_31_elements_and_2_32_bytes():
    """Guards 32-bit offsets: the last blocks of the last layer in a pool of 10 GiB, of which little
    is touched."""
    inputs = make_inputs("decode:b2:h8:kv8:d128:bs128:ctx130,300:f16:seed19")
    layers, blocks = 2, 10_000
    pool = DeviceArray.empty((layers, blocks, 2, 128, 8, 128), np.float16)
    layer = pool[layers - 1]
    far = {old: blocks - 1 - i for i, old in enumerate(np.unique(inputs.block_table)) if old >= 0}
    for old, new in far.items():
        layer[new, 0].copy_from(inputs.key_cache[old])
        layer[new, 1].copy_from(inputs.value_cache[old])
    table = inputs.block_table.copy()
    for old, new in far.items():
        table[inputs.block_table == old] = new
    key_cache, value_cache = layer[:, 0], layer[:, 1]
    farthest = int(table.max()) * key_cache.strides[0]  # bytes from the first block
    assert farthest > 1 << 32 and farthest // 2 > 1 << 31
    assert key_cache.address - pool.address > 1 << 32
    arguments = {**run_arguments(inputs), "key_cache": key_cache, "value_cache": value_cache}
    out, lse = paged_attention(
        **{**arguments, "block_table": table},
        context_lens=inputs.context_lens,
        softmax_scale=inputs.softmax_scale,
        return_lse=True,
    )
    report = reference.check(out, lse, inputs)
    assert report.ok, str(report)


def test_a20_a_wrong_block_id_or_length_is_named_by_row_and_index():
    """Guards against garbage in tables: named before the launch, or by the kernel that met it."""
    inputs = make_inputs("decode:b3:h8:kv2:d64:bs16:ctx20,33,1:f16:seed20")
    blocks = len(inputs.key_cache)
    for value in (blocks, -1, 2**31 - 1):
        table = inputs.block_table.copy()
        table[1, 2] = value
        for given in (table, DeviceArray(table)):
            with pytest.raises(IndexError, match=rf"^block_table\[1\]\[2\] = {value} is outside"):
                attend(dataclasses.replace(inputs, block_table=given))
    width = inputs.block_table.shape[1] * 16
    for length, error in ((width + 1, IndexError), (-1, ValueError)):
        lens = np.array([20, 33, length], np.int32)
        with pytest.raises(error, match=rf"^context_lens\[2\] = {length} "):
            attend(dataclasses.replace(inputs, context_lens=lens))


@pytest.mark.parametrize("heads", [(12, 4), (20, 4), (40, 8), (1, 1), (5, 1), (14, 2), (12, 1)])
def test_a21_head_counts_that_fill_no_tile(heads):
    """Guards remainders: 12, 20, 40 heads in groups of 1, 3, 5, 7 and 12."""
    h, kv = heads
    assert_right(make_inputs(f"decode:b2:h{h}:kv{kv}:d128:bs64:ctx63,700:f16:seed21"))


YARDSTICKS = {
    "uniform 24 x 2048": [2048] * 24,
    "25 x 2048, one more than cores": [2048] * 25,
    "64 of 64..4000": np.random.default_rng(22).integers(64, 4001, 64).tolist(),
    "32 powers of two": [128 << (i % 8) for i in range(32)],
    "4 x 3968": [3968] * 4,
    "4096 alone": [4096],
    "3968 alone": [3968],
    "23 x 128 and 32768": [128] * 23 + [32768],
    "7 x 1024 and 3500": [1024] * 7 + [3500],
    "15 x 4096 and 32768": [4096] * 15 + [32768],
    "64 log-normal": np.random.default_rng(23).lognormal(7.5, 1.2, 64).clip(1, 65536).astype(int),
}


@pytest.mark.parametrize("name", YARDSTICKS)
def test_a22_planned_makespan_is_close_to_ideal(name):
    """Guards balance: cost of the busiest core over the even share, by the planner's model."""
    lens = YARDSTICKS[name]
    # A lone sequence is cut into parts of some 165 tokens, of which a granule of 16 is a tenth.
    assert plan_lengths(lens).predicted_balance <= (1.10 if len(lens) == 1 else 1.05)


def test_a22_planned_makespan_with_40_heads_is_close_to_ideal():
    """Guards the same for 16 x 4096 with 40 query heads."""
    assert plan_lengths([4096] * 16, heads=40).predicted_balance <= 1.05


@pytest.mark.parametrize("name", ["7 x 1024 and 3500", "23 x 128 and 32768"])
def test_a22_modelled_makespan_is_close_to_ideal(name):
    """Guards the same by the clock: working time of the slowest block over their mean."""
    lens = np.array(YARDSTICKS[name], np.int32)
    used = -(-lens // 128)
    op = DecodeAttention(
        batch=len(lens),
        num_heads=32,
        num_kv_heads=8,
        head_dim=128,
        kv_block_size=128,
        num_kv_blocks=int(used.sum()),
        max_kv_blocks=int(used.max()),
        num_cores=24,
    )
    op.plan(lens)
    table = np.zeros((len(lens), used.max()), np.int32)
    table[np.arange(used.max()) < used[:, np.newaxis]] = np.arange(used.sum())
    caches = [DeviceArray.empty((used.sum(), 128, 8, 128), np.float16) for _ in range(2)]
    with vnpu.session(checks="none", timing=True) as session:
        op.run(np.zeros((len(lens), 32, 128), np.float16), *caches, table)
    assert session.report.summary()["imbalance"] <= 1.10


LEAVES_A_FLAG = """
extern "C" __global__ __aicore__ void leaves_a_flag(__gm__ float* dst) {
  __ubuf__ float* ub = reinterpret_cast<__ubuf__ float*>((uintptr_t)0);
  set_vector_mask((uint64_t)-1, (uint64_t)-1);
  vector_dup(ub, 1.0f, 1, 1, 1, 8, 0);
  set_flag(PIPE_V, PIPE_MTE3, EVENT_ID0);
  wait_flag(PIPE_V, PIPE_MTE3, EVENT_ID0);
  copy_ubuf_to_gm(dst, ub, 0, 1, 8, 0, 0);
  set_flag(PIPE_MTE3, PIPE_V, EVENT_ID3);
}
"""


def test_a23_no_flag_is_left_for_the_next_kernel(tmp_path):
    """Guards what the next kernel starts with: a flag or counter left over is a fault, our launches
    are clean."""
    source = tmp_path / "leaves_a_flag.cce"
    source.write_text(LEAVES_A_FLAG)
    kernel = vnpu.compile(source, entry="leaves_a_flag", cores=("aiv",))
    report = kernel.launch(1, vnpu.output((64,), np.float32)).report
    assert report.verdict == "fault"
    assert "EVENT_ID3" in report.to_text()
    case = reference.parse_case("decode:b3:h8:kv2:d64:bs64:ctx0,70,1500:f16:cores3:qlen2:seed23")
    inputs = reference.make_inputs(case)
    with vnpu.session(checks="all") as session:
        decode(case, inputs, device=0, repeat=2)
    assert session.report.verdict == "clean", session.report.to_text()


@pytest.mark.parametrize("lens", ["4096,20000", "1,17"])
def test_a24_scores_of_6e4_in_fp16_give_no_inf_or_nan(lens):
    """Guards the range of fp16: scores up to 6e4 of both signs, short and long."""
    inputs = make_inputs(f"decode:b2:h4:kv1:d128:bs128:ctx{lens}:f16:bigscores:seed24")
    out, lse = assert_right(inputs)
    assert np.isfinite(out).all() and np.isfinite(lse).all()
