# SPDX-License-Identifier: Apache-2.0
"""`ascend-attention support`: what every kernel can do; needs no device.

The table is the one that the library checks shapes with (tiling/support.inc).
"""

from __future__ import annotations

import argparse
import json
from typing import Any

from ascend_attention import _core


def run(args: argparse.Namespace) -> int:
    """Runs the subcommand; returns the exit code."""
    if args.markdown:
        print(_core.support_table_markdown(), end="")
    else:
        print("\n".join(text for row in rows() for text in _lines(row)))
    if args.json:
        print(json.dumps({"ok": True, "rows": rows()}))
    return 0


def rows() -> list[dict[str, Any]]:
    """Returns the table, one object per kernel."""
    table: list[dict[str, Any]] = json.loads(_core.support_table_json())
    return table


def _lines(row: dict[str, Any]) -> list[str]:
    block = row["kv_block_size"]
    sizes = f"{block['least']} to {block['most']}, multiples of {block['multiple']}"
    heads = [f"{head['head_dim']} (to {head['max_q_per_kv']})" for head in row["heads"]]
    knows_query_heads = any(head["max_q_per_kv"] for head in row["heads"])
    facts = {
        "dtypes": ", ".join(row["dtypes"]),
        "out": ", ".join(row["out_dtypes"]),
        "kv_quant": ", ".join(row["kv_quants"]),
        "head_dim (query heads per kv head)": ", ".join(heads) if knows_query_heads else "",
        "head_dim": "" if knows_query_heads else row["head_dims"],
        "kv_block_size": sizes if block["most"] else "",
        "query tokens per sequence": _query_tokens(row["max_q_len"]),
        "cache layouts": ", ".join(row["layouts"]),
    }
    return [row["kernel"], *(f"  {name:<35}{value}" for name, value in facts.items() if value)]


def _query_tokens(most: int) -> str:
    return "" if most == 0 else "1" if most == 1 else f"1 to {most}"
