# SPDX-License-Identifier: Apache-2.0
"""Tables, JSON and comparison of decode figures; published and modelled never share a column."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from typing import Any

import decode_suites as suites
from decode_figures import Figures, Result

# A modelled time may grow by this much before the comparison with a baseline fails.
TOLERANCE = 0.01

BASELINE_NOTE = (
    "Modelled times of decode on the virtual NPU (Ascend910B1, 24 cores), none of them measured. "
    "Written by ./bazelw run //python/bench:bench_decode -- --update"
)

# column, width, text of a result
_COLUMNS = (
    ("KV MB", 9, lambda r: f"{r.kv_bytes / 1e6:.1f}"),
    ("modelled us", 11, lambda r: f"{r.figures.modelled_us:.1f}"),
    ("KV TB/s", 7, lambda r: f"{r.tb_per_s:.3f}"),
    ("net TB/s", 8, lambda r: f"{r.net_tb_per_s:.3f}"),
    ("imbalance", 9, lambda r: f"{r.figures.imbalance:.3f}"),
    ("launch share", 12, lambda r: f"{suites.LAUNCH_US / r.figures.modelled_us * 100:.0f} %"),
    ("targets", 26, lambda r: ", ".join(map(target_text, r.targets()))),
    ("published us", 12, lambda r: "" if r.row.published_us is None else f"{r.row.published_us:g}"),
    ("ratio", 6, lambda r: "" if r.speedup is None else f"{r.speedup:.2f}"),
    ("source of the published time", 0, lambda r: r.row.source),
)


def target_text(target: Any) -> str:
    """ "rate 1.240" or, if it is missed, "rate 1.180 MISSED (1.2 to inf)"."""
    missed = "" if target.met else f" MISSED ({target.low:g} to {target.high:g})"
    return f"{target.name} {target.value:.3f}{missed}"


def text_table(results: Sequence[Result]) -> str:
    """Returns the table for people."""
    width = min(60, max(len(r.row.title) for r in results))
    lines = [
        "Times, rates and ratios are MODELLED (virtual NPU, Ascend910B1, 24 cores, L2 cold unless "
        "said);",
        "the column `published us` holds what others measured on hardware; ratio = published / "
        "modelled.",
        f"KV TB/s: over the whole modelled time; net: without the {suites.FIXED_US:g} us of a "
        "launch in which no kernel can load.",
        "",
        "  ".join([f"{'case':<{width}}", *(f"{name:>{size}}" for name, size, _ in _COLUMNS)]),
    ]
    for result in results:
        title = result.row.title
        cells = [title if len(title) <= width else title[: width - 3] + "..."]
        cells[0] = f"{cells[0]:<{width}}"
        if result.figures is None:
            lines.append("  ".join([*cells, f"no figures: {result.error}"]))
            continue
        cells += [f"{cell(result):>{size}}" for _, size, cell in _COLUMNS]
        lines.append("  ".join(cells).rstrip())
    return "\n".join(lines)


def markdown_table(results: Sequence[Result]) -> str:
    """Returns the README's table."""
    lines = [
        "| decode case | KV | ours, modelled | KV, modelled | published by others, on hardware | "
        "published / modelled | beside our own, modelled |",
        "|---|---|---|---|---|---|---|",
    ]
    for result in results:
        if result.figures is None:
            continue
        row = result.row
        published = "" if row.published_us is None else f"{row.published_us:g} us ({row.source})"
        ratio = "" if result.speedup is None else f"{result.speedup:.2f}"
        lines.append(
            f"| {_plain_title(row)} | {result.kv_bytes / 1e6:.0f} MB "
            f"| {result.figures.modelled_us:.0f} us | {result.tb_per_s:.2f} TB/s "
            f"| {published} | {ratio} | {_beside(result)} |"
        )
    return "\n".join(lines) + "\n"


def _beside(result: Result) -> str:
    if result.relative is None:
        return ""
    if result.row.suite == "int8":
        return f"{1 / result.relative:.2f} times the tokens/s of f16"
    if result.row.suite in ("fifo", "routes"):
        return f"{result.relative:.2f} times the row before"
    return f"{result.relative:.2f} times the even batch"


def _plain_title(row: suites.Row) -> str:
    """A case as people say it: "b8 h32 kv8 ctx8192 f16"."""
    parts = row.case.split(":")[1:-1]
    hidden = ("d128", "bs128")
    title = row.label or " ".join(part for part in parts if part not in hidden)
    return title + (", L2 warm" if row.warm else "")


def to_json(results: Sequence[Result]) -> dict[str, Any]:
    """Returns the table for programs."""
    return {
        "source": "model",
        "soc": "Ascend910B1",
        "num_cores": 24,
        "empty_launch_us": suites.LAUNCH_US,
        "missed": sum(not target.met for r in results for target in r.targets()),
        "rows": [_row_json(result) for result in results],
    }


def _row_json(result: Result) -> dict[str, Any]:
    row, figures = result.row, result.figures
    fields: dict[str, Any] = {
        "case": row.case,
        "suite": row.suite,
        "label": row.label,
        "l2": "warm" if row.warm else "cold",
        "kv_bytes": result.kv_bytes,
        "error": result.error or None,
        "modelled": None,
        "published": None,
        "published_over_modelled": result.speedup,
        "targets": [
            {
                "name": t.name,
                "value": t.value,
                "low": t.low,
                "high": t.high if math.isfinite(t.high) else None,
                "met": t.met,
            }
            for t in (result.targets() if figures is not None else [])
        ],
    }
    if row.published_us is not None:
        fields["published"] = {"us": row.published_us, "source": row.source}
    if figures is not None:
        fields["modelled"] = {
            "us": figures.modelled_us,
            "kv_tb_per_s": result.tb_per_s,
            "net_kv_tb_per_s": result.net_tb_per_s,
            "imbalance": figures.imbalance,
            "launch_share": suites.LAUNCH_US / figures.modelled_us,
            "bound": figures.bound,
            "kernels": list(figures.kernels),
            "over_other_case": result.relative,
        }
    return fields


# ---- baselines: {"note": ..., "modelled_us": {row: us}, "imbalance": {row: ratio}} ------------


def baseline_text(figures: dict[str, Figures]) -> str:
    """Returns the contents of a baseline file."""
    keys = sorted(figures)
    content = {
        "note": BASELINE_NOTE,
        "modelled_us": {key: figures[key].modelled_us for key in keys},
        "imbalance": {key: figures[key].imbalance for key in keys},
    }
    return json.dumps(content, indent=0) + "\n"


def read_baseline(text: str) -> dict[str, Figures]:
    """Returns the figures of a baseline file.

    Raises:
        ValueError: it is none.
    """
    try:
        content = json.loads(text)
        imbalance = content["imbalance"]
        return {key: Figures(us, imbalance[key]) for key, us in content["modelled_us"].items()}
    except (json.JSONDecodeError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"no baseline of bench_decode: {error!r}") from error


def from_baseline(rows: Sequence[suites.Row], baseline: dict[str, Figures]) -> list[Result]:
    """Returns rows with the figures of a baseline instead of fresh ones."""
    return [
        Result(row, baseline.get(row.key), baseline.get(row.other), "not in the baseline")
        for row in rows
    ]


def compare(results: Sequence[Result], baseline: dict[str, Figures]) -> list[str]:
    """Returns a line for each row that is slower than the baseline, or that is not in it."""
    problems = []
    for result in results:
        key = result.row.key
        if result.figures is None:
            problems.append(f"{key}: no figures: {result.error}")
            continue
        if key not in baseline:
            problems.append(f"{key}: not in the baseline")
            continue
        was, now = baseline[key].modelled_us, result.figures.modelled_us
        if now > was * (1 + TOLERANCE):
            problems.append(
                f"{key}: modelled {now:.1f} us, baseline {was:.1f} us: "
                f"{(now / was - 1) * 100:.1f} % slower"
            )
    return problems


def missed_targets(results: Sequence[Result]) -> list[str]:
    """Returns a line for each target that is missed."""
    return [
        f"{result.row.key}: {result.error or target_text(target)}"
        for result in results
        for target in result.targets()
        if not target.met
    ]
