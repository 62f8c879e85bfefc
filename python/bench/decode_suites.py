# SPDX-License-Identifier: Apache-2.0
"""What bench_decode models: rows of cases, the figures that others published for them, targets.

Published figures were measured on hardware by their sources; none of them is ours. Shapes are
those of Ascend 910B parts with 24 cores unless a source says otherwise.

Next: decode_figures.py - how a row becomes figures.
"""

from __future__ import annotations

import dataclasses
import math
import statistics
from collections.abc import Sequence
from typing import Any

import ascend_attention_reference as reference

# An empty kernel of cube and vector cores on all 24 cores, as a profiler shows it: the point
# launch/empty_mix of the clock's calibration (published: 20 to 21 us).
LAUNCH_US = 19.25

L2_BYTES = 192 << 20  # 910B1: from here on the cache cannot lie in L2

# Head and tail of a launch and the first steps of a cold core, in which no kernel can load: the
# clock's launch_head_us + launch_cold_core_us + launch_tail_us.
FIXED_US = 12.0

# Targets. A row must meet each one that it names.
MIN_TB_PER_S = 1.20  # "rate": of keys and values, in the modelled time without FIXED_US
MAX_SMALL = 1.30  # "small": modelled / (LAUNCH_US + bytes at MIN_TB_PER_S)
MIN_SPEEDUP = 1.00  # "published": published / modelled
MAX_MAKESPAN = 1.05  # "makespan": modelled / modelled time of the even batch
MIN_INT8_SPEEDUP = 1.80  # "int8": modelled time of the 16-bit row / modelled
MAX_OFF_PUBLISHED = 0.20  # "near": modelled / published - 1, either way
GAIN1 = (0.08, 0.17)  # "gain1": 1 - modelled / modelled time before, of Case1; published 0.123
GAIN2 = (0.04, 0.12)  # "gain2": of Case2; published 0.077
MAX_OF_LAST = 1.00  # "order": modelled / modelled time of the row before
MAX_OF_DIRECT = 1.01  # "direct": modelled, route left open / modelled with the planned kernel
MAX_OF_FIFO = 1.03  # "fifo": modelled, route left open / modelled with the FIFO kernel

_CORES = 24


@dataclasses.dataclass(frozen=True)
class Row:
    """One line of the table.

    Attributes:
        case: of the grammar of the reference package.
        suite: which suite it belongs to.
        label: what stands in the table if the case is too long for it.
        warm: L2 holds what fits: the case has run before.
        drawn: kv blocks are drawn at random with repeats; otherwise each is used once.
        kernel: in place of the one that the case asks for: "direct", the planned one, or an older
            form of decode_fifo (fifo_variants.py).
        published_us: best time published for this shape; None without one.
        source: where; with a word on what it is, if it is no kernel like ours.
        other: the key of what this row's modelled time is compared with: the even batch of a
            ragged one, the 16-bit cache of an int8 one, the kernel before a change.
        targets: names of the targets it must meet.
        in_ci: one of the rows that every test run models.
        in_readme: a row of the README's table.
    """

    case: str
    suite: str
    label: str = ""
    warm: bool = False
    drawn: bool = False
    kernel: str = ""
    published_us: float | None = None
    source: str = ""
    other: str = ""
    targets: tuple[str, ...] = ()
    in_ci: bool = False
    in_readme: bool = False

    @property
    def key(self) -> str:
        """Name of the row in baselines."""
        how = [self.warm and "warm", self.drawn and "drawn", self.kernel]
        return " ".join([self.case, *filter(None, how)])

    @property
    def title(self) -> str:
        """What stands in the table."""
        return (self.label or self.case) + (" (L2 warm)" if self.warm else "")


def case_line(
    lengths: int | Sequence[int],
    *,
    batch: int = 0,
    heads: int = 32,
    kv_heads: int = 8,
    head_dim: int = 128,
    block: int = 128,
    dtype: str = "f16",
    options: str = "",
) -> str:
    """The line of a case; `options` stand between dtype and seed."""
    if isinstance(lengths, int):
        lengths = [lengths] * batch
    ctx = ",".join(map(str, lengths if len(set(lengths)) > 1 else lengths[:1]))
    parts = [f"decode:b{len(lengths)}:h{heads}:kv{kv_heads}:d{head_dim}:bs{block}:ctx{ctx}:{dtype}"]
    parts += [options] if options else []
    return ":".join([*parts, "seed1"])


def rows(suite: str) -> list[Row]:
    """The rows of a suite: one of SUITES."""
    every = [*_grid(), *_published(), *_ragged(), *_int8(), *_shapes(), *_fifo(), *_routes()]
    if suite == "all":
        return every
    if suite == "ci":
        return [row for row in every if row.in_ci]
    return [row for row in every if row.suite == suite]


SUITES = ("peers", "int8", "shapes", "fifo", "routes", "ci", "all")


# ---- shapes of models, contexts and batches --------------------------------------------------

_MODELS = ((32, 8), (64, 8), (28, 4), (16, 1), (32, 32))
_GRID_IN_CI = {
    # Every model once above the size of L2, and what is worst among the small ones.
    (32, 8, 8, 8192),
    (64, 8, 8, 8192),
    (28, 4, 32, 4096),
    (16, 1, 64, 8192),
    (32, 32, 8, 4096),
    (32, 8, 1, 1024),
    (32, 8, 8, 1024),
    (64, 8, 1, 1024),
    (28, 4, 1, 1024),
    (16, 1, 1, 1024),
    (16, 1, 8, 4096),
    (32, 32, 1, 1024),
}
_GRID_IN_README = {
    (32, 8, 1, 1024),
    (32, 8, 8, 1024),
    (32, 8, 8, 8192),
    (32, 8, 64, 8192),
    (64, 8, 32, 8192),
    (28, 4, 32, 8192),
    (32, 32, 8, 8192),
}


def _grid() -> list[Row]:
    made = []
    for heads, kv_heads in _MODELS:
        for batch in (1, 8, 32, 64):
            for context in (1024, 4096, 8192, 32768):
                point = (heads, kv_heads, batch, context)
                case = case_line(context, batch=batch, heads=heads, kv_heads=kv_heads)
                made.append(_grid_row(case, point))
        case = case_line(8192, batch=8, heads=heads, kv_heads=kv_heads, dtype="bf16")
        made.append(_grid_row(case, None))
    return made


def _grid_row(case: str, point: tuple[int, int, int, int] | None) -> Row:
    return Row(
        case,
        "peers",
        targets=(_size_target(case),),
        in_ci=point in _GRID_IN_CI,
        in_readme=point in _GRID_IN_README,
    )


def _size_target(case: str) -> str:
    return "rate" if kv_bytes(reference.parse_case(case)) > L2_BYTES else "small"


def kv_bytes(case: reference.DecodeCase) -> int:
    """Bytes of the keys and values in context; scales of an int8 cache are not counted."""
    element = 2 if case.kv_quant == "none" else 1
    return 2 * case.num_kv_heads * case.head_dim * element * sum(case.context_lens)


# ---- shapes with published times ---------------------------------------------------------------

_PTO = "huawei-csl/pto-kernels#193"


def _published() -> list[Row]:
    mqa = {"heads": 16, "kv_heads": 1, "dtype": "bf16"}
    h40 = {"batch": 16, "heads": 40, "dtype": "bf16"}
    return [
        _peer(case_line(8192, batch=256, **mqa), 1316.5, "hw-native-sys/simpler#704"),
        _peer(
            case_line(8192, batch=64, block=64, **(mqa | {"heads": 64})),
            694.4,
            "hw-native-sys/simpler#704",
        ),
        _peer(case_line(4096, **h40), 326.0, "hw-native-sys/pypto-lib#622", "rate"),
        _peer(case_line(3584, **h40), 290.0, "hw-native-sys/pypto-lib#933", "rate"),
        # Repeated runs of a cache that fits L2; the first three stand at the floor of their host.
        _peer(case_line([4096]), 84.6, _PTO + ", host-bound", warm=True),
        _peer(case_line([8192]), 83.5, _PTO + ", host-bound", warm=True),
        _peer(case_line([16384]), 84.6, _PTO + ", host-bound", warm=True),
        _peer(case_line([32768]), 124.25, _PTO, warm=True),
        _peer(case_line([65536]), 294.83, _PTO, "rate"),
        _peer(case_line([131072]), 565.18, _PTO, "rate"),
    ]


def _peer(case: str, us: float, source: str, *targets: str, warm: bool = False) -> Row:
    return Row(
        case,
        "peers",
        warm=warm,
        published_us=us,
        source=source,
        targets=("published", *targets),
        in_ci=kv_bytes(reference.parse_case(case)) < 300_000_000,
        in_readme="host-bound" not in source,
    )


# ---- ragged batches ----------------------------------------------------------------------------


def _mixed(values: Sequence[int]) -> list[int]:
    """The values in a fixed order without trend."""
    return [values[37 * i % len(values)] for i in range(len(values))]


def ragged_batches() -> dict[str, list[int]]:
    """Lengths that planners which split all sequences alike leave 1 to 6 times off balance."""
    normal = statistics.NormalDist(math.log(2048), 1.0)
    quantiles = [(i + 0.5) / 64 for i in range(64)]
    return {
        "24 x 2048": [2048] * 24,
        "25 x 2048": [2048] * 25,
        "64 x 64..4000": _mixed([64 + 3936 * i // 63 for i in range(64)]),
        "32 x 128..16384": [128 << i % 8 for i in range(32)],
        "4 x 3968": [3968] * 4,
        "1 x 4096": [4096],
        "23 x 128 + 32768": [128] * 23 + [32768],
        "7 x 1024 + 3500": [1024] * 7 + [3500],
        "1 x 3968": [3968],
        "15 x 4096 + 32768": [4096] * 15 + [32768],
        "64 log-normal": _mixed(
            [min(32768, round(math.exp(normal.inv_cdf(q)))) for q in quantiles]
        ),
    }


def even_batch(lengths: Sequence[int]) -> list[int]:
    """As many tokens in equal sequences: one per core, or as many as there are if they are fewer.

    A batch of fewer sequences than cores has to be cut, whatever the planner; so has its even one.
    """
    count = min(len(lengths), _CORES)
    total = sum(lengths)
    return [total // count + (i < total % count) for i in range(count)]


def _ragged() -> list[Row]:
    return [
        Row(
            case_line(lengths),
            "peers",
            label=f"h32 kv8, {name}",
            other=case_line(even_batch(lengths)),
            targets=("makespan",),
            in_ci=sum(lengths) * 4096 < 600_000_000,
            in_readme=name in ("25 x 2048", "15 x 4096 + 32768", "64 log-normal"),
        )
        for name, lengths in ragged_batches().items()
    ]


# ---- int8 caches -------------------------------------------------------------------------------

_SCHEMES = ("kvint8-channel", "kvint8-channel-asym", "kvint8-token")


def _int8() -> list[Row]:
    made = []
    for heads in (32, 64):
        for batch, context in ((32, 8192), (8, 8192)):
            line = {"batch": batch, "heads": heads}
            plain = case_line(context, **line)
            made.append(Row(plain, "int8"))
            for scheme in _SCHEMES:
                for route in ("", ":route-dequant", ":route-limbs"):
                    # The 8 x 8192 rows: half the bytes of a 16-bit cache fit L2.
                    wanted = batch == 32 and route == ""
                    forced = batch == 8 and route == ":route-dequant"
                    made.append(
                        Row(
                            case_line(context, **line, options=scheme + route),
                            "int8",
                            other=plain,
                            targets=("int8",) if wanted else (),
                            in_ci=heads == 32 and (wanted or forced),
                            in_readme=wanted and scheme != "kvint8-channel-asym",
                        )
                    )
    return made


# ---- head sizes, query tokens, layouts -----------------------------------------------------------


def _shapes() -> list[Row]:
    even = {"batch": 32}
    made = [
        Row(
            case_line(4096, head_dim=head_dim, **even),
            "shapes",
            targets=("rate",),
            in_ci=head_dim in (64, 192),
        )
        for head_dim in (64, 96, 128, 192, 256)
    ]
    made += [
        Row(case_line(4096, options=options, **even), "shapes", in_ci=options == "qlen16")
        for options in ("qlen4", "qlen16", "headmajor", "interleaved", "split2048")
    ]
    made += [
        Row(case_line(4096, block=block, **even), "shapes", targets=("rate",))
        for block in (16, 32, 64, 256, 512)
    ]
    made.append(Row(case_line(4096, batch=32, heads=128, kv_heads=1), "shapes"))
    return made


# ---- the decode_fifo kernel and its history ------------------------------------------------------

_FIFO_SOURCE = "hw-native-sys/simpler#704"


def _fifo() -> list[Row]:
    """Case1 and Case2 of the published kernel, before and after #704, ours, and the planned kernel.

    Published times are means over launches of the same problem, whose kv blocks are drawn: L2 still
    holds Case2's, 170 MB, of the launch before; of Case1's, 679 MB, nothing that matters.
    """
    case1 = {"batch": 256, "heads": 16, "kv_heads": 1, "dtype": "bf16"}
    case2 = {"batch": 64, "heads": 64, "kv_heads": 1, "dtype": "bf16", "block": 64}
    return [
        *_fifo_history("Case1 (b256 h16 kv1)", case1, 1501.8, 1316.5, "gain1", warm=False),
        *_fifo_history("Case2 (b64 h64 kv1 bs64)", case2, 752.5, 694.4, "gain2", warm=True),
    ]


def _fifo_history(
    name: str, shape: dict[str, Any], before_us: float, after_us: float, gain: str, *, warm: bool
) -> list[Row]:
    fifo = case_line(8192, **shape, options="route-fifo:outf32")

    def row(label: str, **fields: Any) -> Row:
        fields = {"case": fifo, "in_ci": True, "in_readme": True} | fields
        return Row(suite="fifo", label=f"{name}, {label}", warm=warm, drawn=True, **fields)

    baseline = row(
        "fifo baseline",
        kernel="baseline",
        published_us=before_us,
        source=_FIFO_SOURCE,
        targets=("near",),
    )
    prefetch = row(
        "fifo prefetch",
        kernel="prefetch",
        published_us=after_us,
        other=baseline.key,
        source=_FIFO_SOURCE,
        targets=("near", gain),
    )
    ships = row("fifo, as it ships", other=prefetch.key, targets=("order",))
    planned = row(
        "planned kernel",
        case=case_line(8192, **shape),
        kernel="direct",
        other=ships.key,
        targets=("order",),
    )
    return [baseline, prefetch, ships, planned]


# Sequences, query heads, kv heads, tokens of a page, tokens: a price that follows only the memory,
# or takes all query rows of a tile for equal, errs by 2 to 9 % in these. First where the planned
# kernel is the faster one, contexts shorter than a page among them.
_CLOSE_ROUTES = (
    (4, 48, 3, 128, 64),
    (4, 64, 4, 128, 128),
    (3, 48, 3, 128, 65),
    (2, 256, 8, 128, 16),
    (6, 128, 2, 64, 128),
    (3, 100, 1, 64, 65),
    (2, 64, 8, 128, 256),
    (1, 40, 8, 128, 256),
)


def _routes() -> list[Row]:
    """Small problems beside both kernels that can take them: the library must choose the faster.

    It does by capacity: no column of the block table is spare.
    """
    made = []
    for heads, kv_heads in ((16, 1), (64, 1), (128, 1), (32, 8), (128, 8)):
        for batch in (1, 4, 24):
            for context in (128, 512, 1024):
                made += _both_routes(context, batch=batch, heads=heads, kv_heads=kv_heads)
    for batch, heads, kv_heads, block, context in _CLOSE_ROUTES:
        shape = {"heads": heads, "kv_heads": kv_heads, "block": block, "dtype": "bf16"}
        made += _both_routes(context, batch=batch, **shape)
    return made


def _both_routes(context: int, **shape: Any) -> list[Row]:
    auto = case_line(context, **shape, options="fulltable")
    others = {
        "direct": f"{auto} direct",
        "fifo": case_line(context, **shape, options="route-fifo:fulltable"),
    }
    return [
        Row(auto, "routes", f"{auto} / {name}", other=other, targets=(name,), in_ci=True)
        for name, other in others.items()
    ]
