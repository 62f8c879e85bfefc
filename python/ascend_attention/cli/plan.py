# SPDX-License-Identifier: Apache-2.0
"""`ascend-attention plan`: show how a case is spread over the cores, without a device."""

from __future__ import annotations

import argparse
import json

import ascend_attention_reference as reference
import numpy as np

from ascend_attention import DecodePlan, _core, planning
from ascend_attention.cli.case_problem import before_anything_runs, core_shape

DEFAULT_SOC = "Ascend910B1"


def run(args: argparse.Namespace) -> int:
    """Runs the subcommand; returns the exit code."""
    with before_anything_runs():
        plan = plan_case(args.case, args.soc)
    print(f"case         {args.case}")
    print((plan.text() if args.full else plan.summary()).rstrip())
    if args.json:
        print(json.dumps(_fields(args.case, args.soc, plan)))
    return 0


def plan_case(case: reference.DecodeCase, soc: str) -> DecodePlan:
    """Plans a case for a chip by its name."""
    # The spare kv blocks of the real inputs change one header field, nothing else.
    num_kv_blocks = max(1, sum(-(-length // case.kv_block_size) for length in case.context_lens))
    lens = np.array(case.context_lens, np.int32)
    platform = _core.platform_for(soc, case.num_cores or 0)
    shape = core_shape(case, num_kv_blocks)
    q_lens = None if case.max_q_len == 1 else np.array(case.q_lens, np.int32)
    plan = _core.plan_decode(shape, platform, lens, case.softmax_scale, q_lens)
    return planning.view(plan, lens, q_lens)


def _fields(case: reference.DecodeCase, soc: str, plan: DecodePlan) -> dict[str, object]:
    return {
        "ok": True,
        "case": str(case),
        "soc": soc,
        "num_query_rows": plan.num_query_rows,
        "kv_route": plan.kv_route,
        "out_dtype": plan.out_dtype,
        "num_cores": plan.num_cores,
        "items_per_core": plan.items_per_core,
        "num_splits": plan.num_splits,
        "num_partials": plan.num_partials,
        "workspace_bytes": plan.workspace_bytes,
        "region_bytes": plan.region_bytes,
        "predicted_balance": plan.predicted_balance,
    }
