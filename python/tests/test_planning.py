# SPDX-License-Identifier: Apache-2.0
"""The planner seen from Python: properties that hold for every batch, and the ABI mirror."""

import numpy as np
import pytest
from ascend_attention import _core, planning
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
    return _core.DecodeShape(
        batch=batch,
        num_heads=heads[0],
        num_kv_heads=heads[1],
        head_dim=head_dim,
        kv_block_size=block,
        num_kv_blocks=max_kv_blocks,
        max_kv_blocks=max_kv_blocks,
        dtype=more.get("dtype", "float16"),
    )


def make_plan(shape, lens: np.ndarray, cores: int) -> planning.DecodePlan:
    platform = _core.platform_for("Ascend910B1", cores)
    return planning.view(_core.plan_decode(shape, platform, lens, 0.1), lens)


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


problems = st.fixed_dictionaries(
    {
        "lens": lengths(),
        "cores": st.sampled_from(CORES),
        "heads": st.sampled_from(HEADS),
        "head_dim": st.sampled_from([64, 128]),
        "block": st.sampled_from([16, 48, 128, 256]),
        "dtype": st.sampled_from(["float16", "bfloat16"]),
    }
)


def plan_problem(lens, cores, **shape):
    return make_plan(make_shape(batch=len(lens), **shape), lens, cores)


def item_rows(plan: planning.DecodePlan) -> np.ndarray:
    blob = plan.to_bytes()
    header = planning.read_header(blob)
    return planning.read_array(blob, planning.WORK_ITEM, header["items"], header["num_items"])


@settings(max_examples=150)
@given(problems)
def test_every_token_of_every_head_is_handled_once(problem):
    plan = plan_problem(**problem)
    items = item_rows(plan)
    lens, num_kv_heads = problem["lens"], problem["heads"][1]
    assert (items["query_row"] == items["sequence"]).all()
    assert (items["q_len"] == 1).all()
    order = np.lexsort((items["token_begin"], items["kv_head_begin"], items["sequence"]))
    rows = items[order]
    first = np.ones(len(rows), bool)  # of its (sequence, kv-head group)
    first[1:] = (np.diff(rows["sequence"].astype(int)) != 0) | (
        np.diff(rows["kv_head_begin"].astype(int)) != 0
    )
    last = np.append(first[1:], True)
    assert (rows["token_begin"][first] == 0).all()
    assert (rows["token_end"][:-1][~last[:-1]] == rows["token_begin"][1:][~first[1:]]).all()
    assert (rows["token_end"][last] == lens[rows["sequence"][last]]).all()
    assert (rows["kv_head_count"][~first] == rows["kv_head_count"][:-1][~first[1:]]).all()
    # Groups of a sequence: neighbouring kv heads, from 0 to the last.
    groups = rows[first]
    heads_done = np.zeros(len(lens), int)
    for row in groups:
        assert row["kv_head_begin"] == heads_done[row["sequence"]]
        heads_done[row["sequence"]] += row["kv_head_count"]
    assert (heads_done == num_kv_heads).all()


@settings(max_examples=100)
@given(problems)
def test_cuts_lie_on_granules_and_no_item_is_empty_by_accident(problem):
    plan = plan_problem(**problem)
    items = item_rows(plan)
    ends = problem["lens"][items["sequence"]]
    assert (items["token_begin"] % GRANULE == 0).all()
    assert ((items["token_end"] % GRANULE == 0) | (items["token_end"] == ends)).all()
    assert ((items["token_begin"] < items["token_end"]) | (ends == 0)).all()
    assert len(plan.items_per_core) == plan.num_cores == problem["cores"]
    assert plan.num_items == len(items)


@settings(max_examples=100)
@given(problems)
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
        assert (parts["sequence"] == split["query_row"]).all()
        assert (parts["kv_head_begin"] == split["kv_head_begin"]).all()
        assert (parts["kv_head_count"] == split["kv_head_count"]).all()
        assert (parts["token_end"][:-1] == parts["token_begin"][1:]).all()
    assert plan.num_partials <= problem["cores"] + len(problem["lens"]) * problem["heads"][1]


@settings(max_examples=100)
@given(problems)
def test_regions_are_disjoint_and_inside_the_booked_workspace(problem):
    plan = plan_problem(**problem)
    header = planning.read_header(plan.to_bytes())
    shape = {k: v for k, v in problem.items() if k not in ("lens", "cores")}
    capacity = make_shape(batch=len(problem["lens"]), **shape)
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
@given(problems)
def test_regions_hold_what_the_kernels_put_there(problem):
    header = planning.read_header(plan_problem(**problem).to_bytes())
    slots = problem["cores"] * SLOTS_PER_CORE
    rows = int(header["kv_heads_per_group"]) * problem["heads"][0] // problem["heads"][1]
    tile, head_dim = int(header["kv_tile_tokens"]), problem["head_dim"]
    partials = int(header["num_partials"])
    assert header["error_records"]["size"] >= 64 * problem["cores"]
    assert header["scores_slot_size"] >= rows * tile * 4
    assert header["probs_slot_size"] >= rows * tile * 2
    assert header["o_tile_slot_size"] >= rows * head_dim * 4
    assert header["scores"]["size"] >= slots * header["scores_slot_size"]
    assert header["probs"]["size"] >= slots * header["probs_slot_size"]
    assert header["o_tiles"]["size"] >= slots * header["o_tile_slot_size"]
    assert header["partial_out"]["size"] >= partials * rows * head_dim * 4
    assert header["partial_lse"]["size"] >= partials * -(-rows // 8) * 8 * 4


@settings(max_examples=60)
@given(problems, st.integers(0, 200), st.integers(0, 70000))
def test_workspace_bound_grows_with_every_capacity(problem, more_batch, more_context):
    lens, cores = problem.pop("lens"), problem.pop("cores")
    platform = _core.platform_for("Ascend910B1", cores)

    def bound(batch: int, context: int) -> int:
        shape = make_shape(batch=batch, context=context, **problem)
        return _core.workspace_bytes(shape, platform)

    context = max(1, int(lens.max()))
    small = bound(len(lens), context)
    assert small <= bound(len(lens) + more_batch, context)
    assert small <= bound(len(lens), context + more_context)
    larger = make_shape(batch=len(lens) + more_batch, context=context + more_context, **problem)
    assert make_plan(larger, lens, cores).workspace_bytes <= _core.workspace_bytes(larger, platform)


@settings(max_examples=30)
@given(problems)
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
