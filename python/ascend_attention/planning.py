# SPDX-License-Identifier: Apache-2.0
"""Read-only views of a plan: what each core does, and what lies where in the workspace.

The dtypes below mirror tiling/abi/decode_plan.h; tests/test_planning.py compares
every offset with the C++ structs.

Next: tiling/decode_planner.h - how lengths become work items.
"""

from __future__ import annotations

import dataclasses
import functools
import json

import numpy as np

from ascend_attention import _core

_REGION = np.dtype([("begin", "<u8"), ("size", "<u8")])

# A part of the workspace, by the name its field has in the plan header.
REGION_NAMES = (
    "error_records",
    "scores",
    "probs",
    "o_tiles",
    "partial_out",
    "partial_lse",
    "query_operands",
    "dequant_keys",
    "dequant_values",
)

NO_PARTIAL = 0xFFFFFFFF  # WorkItem.partial of a sequence that one core handles alone

WORK_ITEM = np.dtype(
    [
        (name, "<i4" if name == "visible_tokens" else "<u4")
        for name in (
            "sequence",
            "query_row",
            "q_len",
            "kv_head_begin",
            "kv_head_count",
            "token_begin",
            "token_end",
            "visible_tokens",
            "partial",
        )
    ]
)

CORE_ITEMS = np.dtype([("first_item", "<u4"), ("item_count", "<u4")])

SPLIT_RANGE = np.dtype(
    [
        (name, "<u4")
        for name in (
            "query_row",
            "q_len",
            "kv_head_begin",
            "kv_head_count",
            "first_partial",
            "num_partials",
        )
    ]
)

PLAN_HEADER = np.dtype(
    [
        ("magic", "<u4"),
        ("abi_version", "<u4"),
        ("dtype", "<u4"),
        ("kv_quant", "<u4"),
        ("kv_route", "<u4"),
        ("num_heads", "<u4"),
        ("num_kv_heads", "<u4"),
        ("head_dim", "<u4"),
        ("kv_block_size", "<u4"),
        ("max_kv_blocks", "<u4"),
        ("num_kv_blocks", "<u4"),
        ("kv_heads_per_group", "<u4"),
        ("q_tokens_per_item", "<u4"),
        ("operand_limbs", "<u4"),
        ("kv_tile_tokens", "<u4"),
        ("kv_chunk_tokens", "<u4"),
        ("kv_token_stride", "<u4"),
        ("kv_head_stride", "<u4"),
        ("kv_block_stride", "<u8"),
        ("core_items", "<u8"),
        ("items", "<u8"),
        ("softmax_scale", "<f4"),
        ("num_splits", "<u4"),
        ("num_partials", "<u4"),
        ("num_query_rows", "<u4"),
        ("splits", "<u8"),
        ("kv_head_parts", "<u4"),
        ("num_cores", "<u4"),
        ("batch", "<u4"),
        ("max_q_len", "<u4"),
        ("num_items", "<u4"),
        ("fixed_split_tokens", "<u4"),
        ("out_dtype", "<u4"),
        ("reserved", "<u4"),
        ("context_lens", "<u8"),
        ("scores_slot_size", "<u8"),
        ("probs_slot_size", "<u8"),
        ("o_tile_slot_size", "<u8"),
        ("scores", _REGION),
        ("probs", _REGION),
        ("o_tiles", _REGION),
        ("partial_out", _REGION),
        ("partial_lse", _REGION),
        ("error_records", _REGION),
        ("query_operands", _REGION),
        ("dequant_keys", _REGION),
        ("dequant_values", _REGION),
        ("query_operand_slot_size", "<u8"),
        ("dequant_slot_size", "<u8"),
        ("header_size", "<u8"),
        ("plan_size", "<u8"),
        ("workspace_size", "<u8"),
    ],
    align=True,
)


@functools.cache
def most_query_tokens(kv_quant: str, kv_route: str) -> int:
    """Returns the most query tokens of a sequence that a decode kernel takes; 1 if none does.

    With kv_route "auto" that of any route.
    """
    rows = json.loads(_core.support_table_json())
    return max(
        (
            row["max_q_len"]
            for row in rows
            if row["op"] == "decode"
            and kv_quant in row["kv_quants"]
            and kv_route in ("auto", row["kv_route"])
        ),
        default=1,
    )


@dataclasses.dataclass(frozen=True)
class WorkItem:
    """A token range of one sequence that one core handles, for some neighbouring kv heads."""

    core: int
    sequence: int
    query_row: int  # of its first query token, in query and out
    q_len: int  # query tokens
    visible_tokens: int  # of the first query token; each later one sees one more; may be < 1
    kv_head_begin: int  # with kv_head_parts > 1: kv head * kv_head_parts + part
    kv_head_count: int
    token_begin: int
    token_end: int
    partial: int | None  # slot of the partial result, None if written to `out` directly


@dataclasses.dataclass(frozen=True)
class DecodePlan:
    """How one batch of lengths is spread over the cores.

    >>> from ascend_attention import DecodeAttention
    >>> op = DecodeAttention(batch=2, num_heads=8, num_kv_heads=2, head_dim=128,
    ...                      kv_block_size=128, num_kv_blocks=16, max_kv_blocks=8, num_cores=4)
    >>> op.plan([0, 700]).num_cores
    4
    """

    context_lens: tuple[int, ...]
    q_lens: tuple[int, ...]  # query tokens of each sequence
    num_query_rows: int  # rows of query and out
    kv_route: str  # "direct", "fifo", or how the int8 cache is multiplied: "dequant", "limbs"
    out_dtype: str  # of out: that of the query, or "float32"
    fixed_split_tokens: int | None
    kv_head_parts: int  # parts of a kv head's query heads, if one item cannot hold them all; else 1
    num_cores: int
    items_per_core: tuple[int, ...]  # 0 each with "fifo": cores find their work from the lengths
    num_splits: int  # (query tokens, kv-head group) pairs that several cores share
    num_partials: int  # partial results that are merged at the end
    predicted_balance: float  # modelled: cost of the busiest core over the mean
    workspace_bytes: int
    region_bytes: dict[str, int]  # by region, in the order of the workspace; "plan" first
    _plan: _core.DecodePlan = dataclasses.field(repr=False, compare=False)

    @property
    def num_items(self) -> int:
        """Work items of all cores together."""
        return sum(self.items_per_core)

    def items(self) -> tuple[WorkItem, ...]:
        """Returns every work item, core by core in the order they are handled."""
        blob = self.to_bytes()
        rows = read_array(blob, WORK_ITEM, read_header(blob)["items"], self.num_items)
        cores = np.repeat(np.arange(self.num_cores), self.items_per_core)
        return tuple(_work_item(int(core), row) for core, row in zip(cores, rows, strict=True))

    def to_bytes(self) -> bytes:
        """Returns the plan as the kernels read it (tiling/abi/decode_plan.h)."""
        return self._plan.to_bytes()

    def summary(self) -> str:
        """Returns the plan in a few lines: cores, splits, partials, workspace by region."""
        return self._plan.text(full=False)

    def text(self) -> str:
        """Returns the whole plan for people: the summary, then every work item and split."""
        return self._plan.text(full=True)


def view(
    plan: _core.DecodePlan, context_lens: np.ndarray, q_lens: np.ndarray | None = None
) -> DecodePlan:
    """Returns the view of a plan that the C++ planner made."""
    blob = plan.to_bytes()
    header = read_header(blob)
    q_lens = np.ones_like(context_lens) if q_lens is None else q_lens
    return DecodePlan(
        context_lens=tuple(context_lens.tolist()),
        q_lens=tuple(q_lens.tolist()),
        num_query_rows=int(header["num_query_rows"]),
        kv_route=plan.kv_route,
        out_dtype=plan.out_dtype,
        fixed_split_tokens=int(header["fixed_split_tokens"]) or None,
        kv_head_parts=int(header["kv_head_parts"]),
        num_cores=int(header["num_cores"]),
        items_per_core=_items_per_core(blob, header),
        num_splits=int(header["num_splits"]),
        num_partials=int(header["num_partials"]),
        predicted_balance=plan.balance,
        workspace_bytes=int(header["workspace_size"]),
        region_bytes={
            "plan": int(header["plan_size"]),
            **{name: int(header[name]["size"]) for name in REGION_NAMES},
        },
        _plan=plan,
    )


def read_header(blob: bytes) -> np.void:
    """Returns the header at the start of a plan."""
    header: np.void = np.frombuffer(blob, PLAN_HEADER, count=1)[0]
    return header


def read_array(blob: bytes, dtype: np.dtype, begin: int, count: int) -> np.ndarray:
    """Returns `count` structs of a plan from byte `begin`."""
    return np.frombuffer(blob, dtype, count=int(count), offset=int(begin))


def _items_per_core(blob: bytes, header: np.void) -> tuple[int, ...]:
    if header["num_items"] == 0:  # and maybe no array of them
        return (0,) * int(header["num_cores"])
    cores = read_array(blob, CORE_ITEMS, header["core_items"], header["num_cores"])
    return tuple(cores["item_count"].tolist())


def _work_item(core: int, row: np.void) -> WorkItem:
    partial = int(row["partial"])
    return WorkItem(
        core=core,
        sequence=int(row["sequence"]),
        query_row=int(row["query_row"]),
        q_len=int(row["q_len"]),
        visible_tokens=int(row["visible_tokens"]),
        kv_head_begin=int(row["kv_head_begin"]),
        kv_head_count=int(row["kv_head_count"]),
        token_begin=int(row["token_begin"]),
        token_end=int(row["token_end"]),
        partial=None if partial == NO_PARTIAL else partial,
    )
