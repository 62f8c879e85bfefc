# SPDX-License-Identifier: Apache-2.0
"""A report as one self-contained page: no network, no fonts, no scripts but its own.

The parts lie in the folder assets and are put together here; the data is encoded by page_data.
"""

from __future__ import annotations

import functools
import html
import importlib.resources
import re
from typing import TYPE_CHECKING

from ascend_attention.vnpu.report import page_data

if TYPE_CHECKING:
    from ascend_attention.vnpu.findings import Report

# In the order in which the page runs them; they share one scope.
SCRIPTS = (
    "data.js",
    "format.js",
    "tracks.js",
    "arrows.js",
    "view.js",
    "overview.js",
    "details.js",
    "input.js",
    "charts.js",
    "panels.js",
    "main.js",
)


def render(
    report: Report,
    *,
    title: str = "",
    kv_bytes: int | None = None,
    max_items: int = page_data.DEFAULT_MAX_ITEMS,
) -> str:
    """Returns the page.

    Args:
        report: findings and timelines; pages without timelines have no lanes.
        title: heading; default: the kernels.
        kv_bytes: for the bandwidth of keys and values.
        max_items: instructions and waits to hold in the page; beyond that only the most telling
            blocks come with theirs, the others with their load over time, and the page says so.
    """
    title = title or ", ".join(dict.fromkeys(launch.kernel for launch in report.launches))
    data = page_data.encode(report, title=title, kv_bytes=kv_bytes, max_items=max_items)
    parts = {
        "title": html.escape(title),
        "style": _asset("page.css"),
        "script": "\n".join(_asset(name) for name in SCRIPTS),
        "data": data,
    }
    return re.sub(r"\{\{(\w+)\}\}", lambda mark: parts[mark[1]], _asset("page.html"))


@functools.cache
def _asset(name: str) -> str:
    folder = importlib.resources.files("ascend_attention.vnpu.report") / "assets"
    return (folder / name).read_text(encoding="utf-8")
