# SPDX-License-Identifier: Apache-2.0
"""The planner seen from Python: properties that hold for every batch, and the ABI mirror."""

import functools

import numpy as np
import pytest
from ascend_attention import _core, planning
from ascend_attention.cli import support
from hypothesis import given, settings
from hypothesis import strategies as st

MAX_CONTEXT = 131072
GRANULE = 16
SLOTS_PER_CORE = 2
CORES = (1, 7, 20, 24, 25)
# (num_heads, num_kv_heads): MHA, GQA, MQA, a group that fills no tile, many kv heads.
HEADS = ((32, 8), (8, 8), (16, 1), (12, 4), (5, 5), (40, 8), (64, 64), (128, 1))

settings.register_profile("fixed", deadline=None, derandomize=True, database=None)
settings.load_profile("fixed")


def make_shape(*, batch: int, heads=(32, 8), head_dim=128, block=128, context=MAX_CONTEXT, **more):
    max_kv_blocks = -(-context // block)
    more = {name: value for name, value in more.items() if value is not None}
    layout = more.pop("layout", "dense")
    return _core.DecodeShape(
        batch=batch,
        kv_strides=strides(layout, heads[1], head_dim, block),
        num_heads=heads[0],
        num_kv_heads=heads[1],
        head_dim=head_dim,
        kv_block_size=block,
        num_kv_blocks=max_kv_blocks,
        max_kv_blocks=max_kv_blocks,
        **{"dtype": "float16", **more},
    )


def strides(layout: str, heads: int, head_dim: int, block: int) -> tuple[int, int, int]:
    """Elements from one block, token and head to the next."""
    if layout == "dense":
        return 0, 0, 0
    size = block * heads * head_dim * (2 if "pool" in layout else 1)
    if "head_major" in layout:
        return size, head_dim, block * head_dim
    return size, heads * head_dim, head_dim


def make_plan(shape, lens: np.ndarray, cores: int, q_lens=None) -> planning.DecodePlan:
    platform = _core.platform_for("Ascend910B1", cores)
    return planning.view(_core.plan_decode(shape, platform, lens, 0.1, q_lens), lens, q_lens)


@st.composite
def lengths(draw) -> np.ndarray:
    """A few lengths chosen one by one, or up to 1000 with a chosen kind of spread."""
    if draw(st.booleans()):
        edges = st.sampled_from([0, 1, 15, 16, 17, 127, 128, 129, 4096, MAX_CONTEXT])
        rows = draw(st.lists(edges | st.integers(0, MAX_CONTEXT), min_size=1, max_size=40))
        return np.array(rows, np.int32)
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    batch = draw(st.integers(1, 1000))
    longest = draw(st.sampled_from([1, 16, 300, 4096, MAX_CONTEXT]))
    lens = rng.integers(0, longest + 1, batch, dtype=np.int32)
    lens[rng.random(batch) < draw(st.sampled_from([0.0, 0.5, 1.0]))] = 0
    if draw(st.booleans()):
        lens[rng.integers(batch)] = MAX_CONTEXT  # one much longer than the others
    return lens


LAYOUTS = ("dense", "head_major", "pool", "head_major pool")


@functools.cache
def query_heads(kv_quant: str, head_dim: int) -> int:
    """Most query heads per kv head, by the support table."""
    return max(
        head["max_q_per_kv"]
        for row in support.rows()
        if row["op"] == "decode" and kv_quant in row["kv_quants"]
        for head in row["heads"]
        if head["head_dim"] == head_dim
    )


@st.composite
def problems(draw) -> dict:
    """Lengths, query tokens and a shape that has a kernel."""
    lens = draw(lengths())
    kv_quant = draw(st.sampled_from(["none", "none", "int8_channel", "int8_token"]))
    head_dim = draw(st.sampled_from([64, 96, 128, 192, 256]))
    most = query_heads(kv_quant, head_dim)
    heads = draw(st.sampled_from([pair for pair in HEADS if pair[0] // pair[1] <= most]))
    q_lens = None
    if kv_quant == "none" and draw(st.booleans()):
        longest = draw(st.sampled_from([1, 2, 5, 16]))
        rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
        q_lens = rng.integers(1, longest + 1, len(lens), dtype=np.int32)
    return {
        "lens": lens,
        "q_lens": q_lens,
        "cores": draw(st.sampled_from(CORES)),
        "heads": heads,
        "head_dim": head_dim,
        "block": draw(st.sampled_from([16, 48, 128, 256, 512])),
        "dtype": draw(st.sampled_from(["float16", "bfloat16"])),
        "layout": draw(st.sampled_from(LAYOUTS)),
        "kv_quant": kv_quant,
        "max_q_len": 1 if q_lens is None else int(q_lens.max()),
        "fixed_split_tokens": draw(st.sampled_from([None, None, 64, 512, 4096])),
    }


def plan_problem(lens, cores, q_lens=None, **shape):
    return make_plan(make_shape(batch=len(lens), **shape), lens, cores, q_lens)


def capacity_of(problem: dict, **changes):
    """The shape of a problem without its lengths."""
    shape = {k: v for k, v in problem.items() if k not in ("lens", "q_lens", "cores")}
    return make_shape(**{"batch": len(problem["lens"]), **shape, **changes})


def q_lens_of(problem: dict) -> np.ndarray:
    lens = problem["lens"]
    return np.ones(len(lens), np.int32) if problem["q_lens"] is None else problem["q_lens"]


def item_rows(plan: planning.DecodePlan) -> np.ndarray:
    blob = plan.to_bytes()
    header = planning.read_header(blob)
    return planning.read_array(blob, planning.WORK_ITEM, header["items"], header["num_items"])


@settings(max_examples=150)
@given(problems())
def test_every_token_that_a_query_token_sees_is_handled_once_for_every_head(problem):
    plan = plan_problem(**problem)
    items = item_rows(plan)
    lens, q_lens, num_kv_heads = problem["lens"], q_lens_of(problem), problem["heads"][1]
    header = planning.read_header(plan.to_bytes())
    begins = np.concatenate([[0], np.cumsum(q_lens)])
    assert plan.num_query_rows == begins[-1]
    # The query tokens of an item are the sequence's own, and so is what they see.
    token = items["query_row"] - begins[items["sequence"]]
    assert (items["q_len"] >= 1).all() and (items["q_len"] <= header["q_tokens_per_item"]).all()
    assert (token >= 0).all() and (token + items["q_len"] <= q_lens[items["sequence"]]).all()
    visible = lens[items["sequence"]].astype(int) - q_lens[items["sequence"]] + token + 1
    assert (items["visible_tokens"] == visible).all()
    # Parts of the same query tokens and heads: one after the other, from 0 to the last token seen.
    rows = items[np.lexsort((items["token_begin"], items["kv_head_begin"], items["query_row"]))]
    pair = rows["query_row"].astype(int) * 1024 + rows["kv_head_begin"]
    first = np.append(True, np.diff(pair) != 0)
    last = np.append(first[1:], True)
    assert (rows["token_begin"][first] == 0).all()
    assert (rows["token_end"][:-1][~last[:-1]] == rows["token_begin"][1:][~first[1:]]).all()
    seen = np.maximum(0, rows["visible_tokens"] + rows["q_len"].astype(int) - 1)
    assert (rows["token_end"][last] == seen[last]).all()
    for name in ("q_len", "kv_head_count"):
        assert (rows[name][~first] == rows[name][:-1][~first[1:]]).all()
    # Every query row and kv head is in exactly one of those.
    parts = num_kv_heads * int(header["kv_head_parts"])
    covered = np.zeros((plan.num_query_rows + 1, parts + 1), int)
    groups = rows[first]
    top, left = groups["query_row"], groups["kv_head_begin"]
    bottom, right = top + groups["q_len"], left + groups["kv_head_count"]
    for row, column, sign in (
        (top, left, 1),
        (bottom, right, 1),
        (top, right, -1),
        (bottom, left, -1),
    ):
        np.add.at(covered, (row, column), sign)
    assert (covered.cumsum(0).cumsum(1)[:-1, :-1] == 1).all()


@settings(max_examples=100)
@given(problems())
def test_cuts_lie_on_granules_and_no_item_is_empty_by_accident(problem):
    plan = plan_problem(**problem)
    items = item_rows(plan)
    ends = np.maximum(0, items["visible_tokens"] + items["q_len"].astype(int) - 1)
    grain = problem["fixed_split_tokens"] or GRANULE
    assert (items["token_begin"] % grain == 0).all()
    assert ((items["token_end"] % grain == 0) | (items["token_end"] == ends)).all()
    assert ((items["token_begin"] < items["token_end"]) | (ends == 0)).all()
    assert len(plan.items_per_core) == plan.num_cores == problem["cores"]
    assert plan.num_items == len(items)


def parts_of(plan: planning.DecodePlan, sequence: int) -> set[tuple]:
    """What is computed for a sequence, without where: no core, no row, no slot."""
    first_row = sum(plan.q_lens[:sequence])
    return {
        (
            item.query_row - first_row,
            item.q_len,
            item.visible_tokens,
            item.kv_head_begin,
            item.kv_head_count,
            item.token_begin,
            item.token_end,
            item.partial is None,
        )
        for item in plan.items()
        if item.sequence == sequence
    }


@settings(max_examples=80)
@given(problems(), st.data())
def test_with_a_fixed_split_the_parts_of_a_sequence_do_not_depend_on_its_batch(problem, data):
    problem["fixed_split_tokens"] = data.draw(st.sampled_from([64, 512, 4096]))
    lens, q_lens = np.minimum(problem["lens"][:40], 9000), q_lens_of(problem)[:40]
    row = data.draw(st.integers(0, len(lens) - 1))
    plan = make_plan(capacity_of(problem, batch=len(lens)), lens, problem["cores"], q_lens)
    cores = data.draw(st.sampled_from(CORES))
    shape = capacity_of(problem, batch=1)
    alone = make_plan(shape, lens[[row]], cores, q_lens[[row]])
    assert parts_of(plan, row) == parts_of(alone, 0)


@settings(max_examples=100)
@given(problems())
def test_partials_belong_to_one_split_each(problem):
    plan = plan_problem(**problem)
    items = item_rows(plan)
    header = planning.read_header(plan.to_bytes())
    splits = planning.read_array(
        plan.to_bytes(), planning.SPLIT_RANGE, header["splits"], header["num_splits"]
    )
    partial_items = items[items["partial"] != planning.NO_PARTIAL]
    assert sorted(partial_items["partial"]) == list(range(plan.num_partials))
    assert splits["num_partials"].sum() == plan.num_partials
    by_partial = partial_items[np.argsort(partial_items["partial"])]
    for split in splits:
        parts = by_partial[split["first_partial"] :][: split["num_partials"]]
        assert len(parts) >= 2
        assert (parts["query_row"] == split["query_row"]).all()
        assert (parts["q_len"] == split["q_len"]).all()
        assert (parts["kv_head_begin"] == split["kv_head_begin"]).all()
        assert (parts["kv_head_count"] == split["kv_head_count"]).all()
        assert (parts["token_end"][:-1] == parts["token_begin"][1:]).all()
    if problem["fixed_split_tokens"] is None:
        assert plan.num_partials <= 2 * (problem["cores"] - 1)


@settings(max_examples=100)
@given(problems())
def test_regions_are_disjoint_and_inside_the_booked_workspace(problem):
    plan = plan_problem(**problem)
    header = planning.read_header(plan.to_bytes())
    capacity = capacity_of(problem)
    platform = _core.platform_for("Ascend910B1", problem["cores"])
    ends = int(header["plan_size"])
    assert ends == len(plan.to_bytes())
    for name in planning.REGION_NAMES:
        begin, size = int(header[name]["begin"]), int(header[name]["size"])
        assert begin % 512 == 0
        if size > 0:
            assert begin >= ends, name
            ends = begin + size
    assert ends <= plan.workspace_bytes <= _core.workspace_bytes(capacity, platform)


@settings(max_examples=60)
@given(problems())
def test_regions_hold_what_the_kernels_put_there(problem):
    plan = plan_problem(**problem)
    header = planning.read_header(plan.to_bytes())
    slots = problem["cores"] * SLOTS_PER_CORE
    limbs = int(header["operand_limbs"])
    assert limbs == (2 if plan.kv_route == "limbs" else 1)
    parts = int(header["kv_head_parts"])
    assert problem["heads"][0] % (problem["heads"][1] * parts) == 0
    q_per_kv = problem["heads"][0] // (problem["heads"][1] * parts)
    rows = int(header["kv_heads_per_group"]) * int(header["q_tokens_per_item"]) * q_per_kv
    tile, head_dim = int(header["kv_tile_tokens"]), problem["head_dim"]
    operand_bytes = 1 if plan.kv_route == "limbs" else 2
    partials = int(header["num_partials"])
    assert header["error_records"]["size"] >= 64 * problem["cores"]
    assert header["scores_slot_size"] >= limbs * rows * tile * 4
    assert header["probs_slot_size"] >= limbs * rows * tile * operand_bytes
    assert header["o_tile_slot_size"] >= limbs * rows * head_dim * 4
    assert header["scores"]["size"] >= slots * header["scores_slot_size"]
    assert header["probs"]["size"] >= slots * header["probs_slot_size"]
    assert header["o_tiles"]["size"] >= slots * header["o_tile_slot_size"]
    assert header["partial_out"]["size"] >= partials * rows * head_dim * 4
    assert header["partial_lse"]["size"] >= partials * -(-rows // 8) * 8 * 4
    is_int8 = problem["kv_quant"] != "none"
    assert plan.kv_route in (("dequant", "limbs") if is_int8 else ("direct",))
    assert (header["query_operands"]["size"] > 0) == is_int8
    converted = int(header["kv_heads_per_group"]) * tile * head_dim * 2
    for name in ("dequant_keys", "dequant_values"):
        assert (header[name]["size"] > 0) == (plan.kv_route == "dequant")
        assert plan.kv_route != "dequant" or header["dequant_slot_size"] >= converted


@settings(max_examples=60)
@given(problems())
def test_strides_are_those_of_the_layout(problem):
    header = planning.read_header(plan_problem(**problem).to_bytes())
    heads, head_dim = problem["heads"][1], problem["head_dim"]
    layout = "token_major" if problem["layout"] == "dense" else problem["layout"]
    block, token, head = strides(layout, heads, head_dim, problem["block"])
    assert (header["kv_block_stride"], header["kv_token_stride"]) == (block, token)
    assert heads == 1 or header["kv_head_stride"] == head


@settings(max_examples=60)
@given(problems(), st.integers(0, 200), st.integers(0, 70000))
def test_workspace_bound_grows_with_every_capacity(problem, more_batch, more_context):
    lens, cores = problem["lens"], problem["cores"]
    platform = _core.platform_for("Ascend910B1", cores)
    context = max(1, int(lens.max()))
    small = _core.workspace_bytes(capacity_of(problem, context=context), platform)
    batch = len(lens) + more_batch
    for changes in (
        {"batch": batch, "context": context},
        {"context": context + more_context},
    ):
        assert small <= _core.workspace_bytes(capacity_of(problem, **changes), platform)
    larger = capacity_of(problem, batch=batch, context=context + more_context)
    plan = make_plan(larger, lens, cores, problem["q_lens"])
    assert plan.workspace_bytes <= _core.workspace_bytes(larger, platform)


@settings(max_examples=30)
@given(problems())
def test_same_lengths_give_the_same_bytes(problem):
    assert plan_problem(**problem).to_bytes() == plan_problem(**problem).to_bytes()


@pytest.mark.parametrize("cores", CORES)
def test_one_long_sequence_among_short_ones_is_spread(cores):
    lens = np.array([MAX_CONTEXT] + [128] * 31, np.int32)
    plan = plan_problem(lens, cores)
    assert sum(n > 0 for n in plan.items_per_core) == cores
    assert plan.num_splits == (1 if cores > 1 else 0)
    assert 1.0 <= plan.predicted_balance < 1.1


def test_more_cores_never_need_a_smaller_bound():
    bounds = [
        _core.workspace_bytes(make_shape(batch=64), _core.platform_for("Ascend910B1", cores))
        for cores in sorted(CORES)
    ]
    assert bounds == sorted(bounds)


@settings(max_examples=60)
@given(lengths(), st.sampled_from(CORES), st.sampled_from(HEADS), st.sampled_from([64, 128]))
def test_a_plan_of_the_fifo_route_is_the_lengths(lens, cores, heads, block):
    changes = {"kv_route": "fifo", "out_float32": cores > 7, "heads": heads, "block": block}
    plan = plan_problem(lens, cores, **changes)
    blob = plan.to_bytes()
    header = planning.read_header(blob)
    read = planning.read_array(blob, np.dtype("<i4"), header["context_lens"], len(lens))
    assert (read == lens).all() and plan.context_lens == tuple(lens)
    assert plan.items_per_core == (0,) * cores
    assert plan.out_dtype == ("float32" if cores > 7 else "float16")
    q_tile = 64 if heads[0] // heads[1] >= 64 else 16
    assert plan.kv_head_parts == -(-heads[0] // heads[1] // q_tile)
    ends = int(header["plan_size"])
    assert int(header["context_lens"]) + 4 * len(lens) <= ends
    for name in planning.REGION_NAMES:
        begin, size = int(header[name]["begin"]), int(header[name]["size"])
        assert size == 0 or (begin % 512 == 0 and begin >= ends), name
        ends = max(ends, begin + size)
    platform = _core.platform_for("Ascend910B1", cores)
    capacity = make_shape(batch=len(lens) + 3, **changes)
    assert ends <= plan.workspace_bytes <= _core.workspace_bytes(capacity, platform)


def mirror_layout() -> set[tuple[str, str, int]]:
    structs = {
        "DecodePlanHeader": planning.PLAN_HEADER,
        "WorkItem": planning.WORK_ITEM,
        "CoreItems": planning.CORE_ITEMS,
        "SplitRange": planning.SPLIT_RANGE,
    }
    layout = {(name, "", dtype.itemsize) for name, dtype in structs.items()}
    for name, dtype in structs.items():
        assert dtype.fields is not None
        layout |= {(name, field, offset) for field, (_, offset) in dtype.fields.items()}
    return layout


def test_numpy_mirror_has_the_offsets_of_the_c_structs():
    assert mirror_layout() == set(_core.plan_layout())


def test_view_shows_what_the_header_says():
    lens = np.array([5, 0, 70000], np.int32)
    plan = plan_problem(lens, 24)
    header = planning.read_header(plan.to_bytes())
    assert plan.context_lens == (5, 0, 70000)
    assert (header["batch"], header["num_heads"], header["head_dim"]) == (3, 32, 128)
    assert header["kv_block_size"] == 128
    assert plan.num_partials == header["num_partials"] > 1
    assert sum(plan.region_bytes.values()) <= plan.workspace_bytes
    items = plan.items()
    assert len(items) == plan.num_items
    assert [item.core for item in items] == sorted(item.core for item in items)
    assert {item.sequence for item in items} == {0, 1, 2}
    assert all(item.partial is None for item in items if item.sequence < 2)


def test_text_names_every_item_and_region():
    lens = np.array([5, 0, 70000], np.int32)
    plan = plan_problem(lens, 24)
    assert plan.text().startswith(plan.summary())
    assert plan.text().count("    sequence ") == plan.num_items
    for name, size in plan.region_bytes.items():
        assert size == 0 or name in plan.summary()
    assert "modelled" in plan.summary()
