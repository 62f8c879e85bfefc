# SPDX-License-Identifier: Apache-2.0
"""Timelines for the tests of reports: small ones by hand, and a pipeline that looks like decode.

The figures are made up for the picture; the timing model has nothing to do with them.
"""

from __future__ import annotations

import dataclasses

import numpy as np
from ascend_attention.vnpu import timeline as tl

US = 1_000_000  # picoseconds


class Recorder:
    """Collects lanes, spans, waits and arrows, and closes the books of each lane."""

    def __init__(self) -> None:
        self.lanes: list[tuple[int, int, int]] = []
        self.sites: list[str] = []
        self.insns: list[str] = []
        self.spans: list[tuple] = []
        self.waits: list[tuple] = []
        self.arrows: list[tuple] = []

    def lane(self, block: int, role: str, pipe: str) -> int:
        key = (block, tl.ROLES.index(role), tl.PIPES.index(pipe))
        if key not in self.lanes:
            self.lanes.append(key)
        return self.lanes.index(key)

    def site(self, text: str) -> int:
        if text not in self.sites:
            self.sites.append(text)
        return self.sites.index(text)

    def insn(self, name: str) -> int:
        if name not in self.insns:
            self.insns.append(name)
        return self.insns.index(name)

    def span(
        self, lane: int, begin: int, end: int, name: str, site: str, *, size: int = 0, tail: int = 0
    ) -> None:
        row = (begin, end, end + tail, size, lane, self.site(site), self.insn(name), 0)
        self.spans.append(row)

    def wait(
        self, lane: int, begin: int, end: int, cause: str, site: str, source: int | None = None
    ) -> None:
        if end > begin:
            source = lane if source is None else source
            cause_number = tl.WAIT_CAUSES.index(cause)
            self.waits.append((begin, end, lane, cause_number, self.site(site), source))

    def arrow(
        self, source: int, begin: int, target: int, end: int, flag: int, cross: bool = False
    ) -> None:
        self.arrows.append((begin, end, source, target, flag, int(cross)))

    def finish(self, *, total_ps: int, **fields) -> tl.Timeline:
        lanes = np.array([(*lane, 0) for lane in self.lanes], tl.LANE)
        spans = np.array(self.spans, tl.SPAN)
        waits = np.array(self.waits, tl.WAIT)
        spans = spans[np.lexsort((spans["begin_ps"], spans["lane"]))]
        waits = waits[np.lexsort((waits["begin_ps"], waits["lane"]))]
        arrows = np.array(sorted(self.arrows), tl.ARROW)
        totals = np.zeros(len(lanes), tl.TOTALS)
        np.add.at(totals["busy_ps"], spans["lane"], spans["end_ps"] - spans["begin_ps"])
        np.add.at(
            totals["wait_ps"], (waits["lane"], waits["cause"]), waits["end_ps"] - waits["begin_ps"]
        )
        cores = list(dict.fromkeys((block, role) for block, role, _ in self.lanes))
        ends = np.zeros(len(cores), "<i8")
        core_of = np.array([cores.index(lane[:2]) for lane in self.lanes])
        np.maximum.at(ends, core_of[spans["lane"]], spans["end_ps"])
        books = totals["busy_ps"] + totals["wait_ps"].sum(axis=1)
        done = tl.WAIT_CAUSES.index("done")
        totals["wait_ps"][:, done] += total_ps - books
        defaults = {
            "kernel": "decode_f16_0",
            "soc": "Ascend910B1",
            "num_blocks": len({lane[0] for lane in self.lanes}),
            "launch_ps": 0,
            "gm_read_bytes": int(spans["bytes"].sum()),
            "gm_write_bytes": 0,
            "hbm_bytes": int(spans["bytes"].sum()),
            "l2_hit_bytes": 0,
            "mad_flops": 0.0,
            "peak_hbm_bytes_per_s": 1.30e12,
            "peak_flops": 354e12,
        }
        return tl.Timeline.from_buffers(
            total_ps=total_ps,
            lanes=lanes.tobytes(),
            sites=self.sites,
            spans=spans.tobytes(),
            waits=waits.tobytes(),
            arrows=arrows.tobytes(),
            totals=totals.tobytes(),
            core_end_ps=ends.tobytes(),
            insn_names=self.insns,
            **{**defaults, **fields},
        )


def two_pipes() -> tl.Timeline:
    """One core, two pipes, one flag: small enough to check by hand. 10 us, 4 of them launch."""
    r = Recorder()
    load, vector = r.lane(0, "AIV0", "MTE2"), r.lane(0, "AIV0", "V")
    copy_site = "  at copy.h:12 (GmToUb)\n  in kernel.cce:40 (Body)\n"
    add_site = "  at math.h:7 (Add)\n"
    r.wait(load, 0, 3 * US, "launch", copy_site)
    r.wait(vector, 0, 3 * US, "launch", add_site)
    r.span(load, 3 * US, 5 * US, "copy_gm_to_ubuf", copy_site, size=2_000_000, tail=US // 2)
    r.wait(load, 5 * US, 6 * US, "hbm", copy_site)
    r.span(load, 6 * US, 6 * US + 1000, "set_flag", "  at sync.h:3 (Set)\n")
    r.wait(vector, 3 * US, 6 * US + 1000, "flag", "  at sync.h:9 (Wait)\n", load)
    r.arrow(load, 6 * US, vector, 6 * US + 1000, 3)
    r.span(vector, 6 * US + 1000, 8 * US, "vadd", add_site)
    return r.finish(
        total_ps=10 * US, launch_ps=4 * US, kernel="add_f16_0", mad_flops=0.0, l2_hit_bytes=500_000
    )


@dataclasses.dataclass
class _Pipe:
    """One lane of the generator: in order, waits are booked when it must stand still."""

    recorder: Recorder
    number: int
    free: int

    def run(
        self, name: str, site: str, length: int, *, size: int = 0, slowed: int = 0, issued: int = 0
    ) -> int:
        self.recorder.wait(self.number, self.free, issued, "issue", site)
        begin = max(self.free, issued)
        tail = 90_000 if size else 15_000
        self.recorder.span(
            self.number, begin, begin + length, name, site, size=size, tail=tail + slowed
        )
        self.recorder.wait(self.number, begin + length, begin + length + slowed, "hbm", site)
        self.free = begin + length + slowed
        return self.free

    def wait_for(
        self, ready: int, source: _Pipe, flag: int, site: str, *, cross: bool = False
    ) -> None:
        cause, name = ("cross_core", "wait_flag_dev") if cross else ("flag", "wait_flag")
        self.recorder.wait(self.number, self.free, ready, cause, site, source.number)
        self.free = max(self.free, ready)
        self.recorder.arrow(source.number, ready - 8_000, self.number, self.free, flag, cross)
        self.recorder.span(self.number, self.free, self.free + 540, name, site)
        self.free += 540


_STACK = (
    "  in decode_cube.h:{} (DecodeCube<DecodeConfig<128, half>>)\n  in decode.cce:61 (decode_f16)\n"
)
_AIV_STACK = "  in decode_vector.h:{} (DecodeVector)\n  in decode.cce:66 (decode_f16)\n"


def _site(place: str, line: int, *, aiv: bool = False) -> str:
    return f"  at {place}\n" + (_AIV_STACK if aiv else _STACK).format(line)


class _Block:
    """One AIC and two AIVs that decode `tiles` KV tiles, softmax in between."""

    def __init__(self, recorder: Recorder, block: int, start: int) -> None:
        self.r = recorder
        self.cube = {
            pipe: self._pipe(block, "AIC", pipe, start)
            for pipe in ("S", "MTE2", "MTE1", "M", "FIX")
        }
        self.vectors = [
            {
                pipe: self._pipe(block, role, pipe, start + 1_500_000)
                for pipe in ("S", "V", "MTE2", "MTE3")
            }
            for role in ("AIV0", "AIV1")
        ]
        self.free_slots = [start, start]
        self.scalar_hops = 0

    def _pipe(self, block: int, role: str, pipe: str, start: int) -> _Pipe:
        number = self.r.lane(block, role, pipe)
        self.r.wait(number, 0, start, "launch", "  at decode.cce:55 (decode_f16)\n")
        return _Pipe(self.r, number, start)

    def run(self, tiles: int, jitter: np.random.Generator) -> int:
        for tile in range(tiles):
            scores = self._matmul(tile, "qk_stage.h:41 (QueryTimesKey)", 88, jitter)
            probs = self._softmax(tile, scores, jitter)
            self.cube["MTE2"].wait_for(
                probs, self.vectors[0]["MTE3"], 2, _site("signals.h:30 (WaitProbs)", 97), cross=True
            )
            self._matmul(tile, "pv_stage.h:52 (ProbsTimesValue)", 104, jitter)
        return max(pipe.free for core in (self.cube, *self.vectors) for pipe in core.values())

    def _matmul(self, tile: int, stage: str, line: int, jitter: np.random.Generator) -> int:
        c, slot = self.cube, tile % 2
        scalar = c["S"].run("scalar_load", _site("work_cursor.h:33 (NextBlockId)", line), 120_000)
        c["MTE2"].wait_for(
            self.free_slots[slot], c["MTE1"], slot, _site("ring.h:71 (AcquireFree)", line)
        )
        loaded = c["MTE2"].run(
            "copy_gm_to_cbuf_multi_nd2nz_b16",
            _site("cube_copy.h:24 (GmToL1Nz)", line),
            1_130_000,
            size=131_072,
            slowed=int(jitter.integers(900_000, 1_250_000)),
            issued=scalar,
        )
        c["MTE1"].wait_for(loaded, c["MTE2"], 2 + slot, _site("ring.h:83 (AcquireFilled)", line))
        move_site = _site("cube_copy.h:61 (L1ToL0b)", line)
        filled_site = _site("ring.h:83 (AcquireFilled)", line)
        for piece in range(8):
            moved = c["MTE1"].run("load_cbuf_to_cb", move_site, 70_000)
            c["M"].wait_for(moved, c["MTE1"], 4 + piece % 2, filled_site)
            product = c["M"].run("mad", _site(stage, line), 19_000)
        self.free_slots[slot] = c["MTE1"].free
        c["FIX"].wait_for(product, c["M"], 6, _site("ring.h:83 (AcquireFilled)", line))
        stored = c["FIX"].run(
            "copy_matrix_cc_to_gm", _site("cube_copy.h:90 (L0cToGm)", line), 110_000, size=16_384
        )
        c["FIX"].run("ffts_cross_core_sync", _site("signals.h:18 (SignalScores)", line), 540)
        return stored

    def _softmax(self, tile: int, scores: int, jitter: np.random.Generator) -> int:
        done = 0
        for core in self.vectors:
            core["S"].run("scalar", _site("softmax_stage.h:20 (Softmax)", 70, aiv=True), 60_000)
            core["MTE2"].wait_for(
                scores + 250_000,
                self.cube["FIX"],
                1,
                _site("signals.h:30 (WaitScores)", 70, aiv=True),
                cross=True,
            )
            here = core["MTE2"].run(
                "copy_gm_to_ubuf",
                _site("vector_copy.h:15 (GmToUb)", 71, aiv=True),
                140_000,
                size=8192,
            )
            core["V"].wait_for(
                here, core["MTE2"], 0, _site("ring.h:83 (AcquireFilled)", 72, aiv=True)
            )
            for name, line in _SOFTMAX:
                core["V"].run(
                    name,
                    _site(f"softmax_stage.h:{line} (Softmax)", 73, aiv=True),
                    int(jitter.integers(18_000, 60_000)),
                )
            core["MTE3"].wait_for(
                core["V"].free, core["V"], 1, _site("ring.h:83 (AcquireFilled)", 80, aiv=True)
            )
            done = core["MTE3"].run(
                "copy_ubuf_to_gm",
                _site("vector_copy.h:33 (UbToGm)", 81, aiv=True),
                95_000,
                size=4096,
            )
        return done + 250_000


_SOFTMAX = (
    ("vmuls", 28),
    ("vcmax", 31),
    ("vmax", 33),
    ("vsub", 35),
    ("vexp", 36),
    ("vcadd", 38),
    ("vmul", 41),
    ("vadd", 42),
    ("vconv_f322f16", 44),
)


def decode_like(*, blocks: int = 24, tiles: int = 40, seed: int = 1) -> tl.Timeline:
    """A launch whose blocks have up to a quarter more tiles than `tiles`."""
    jitter = np.random.default_rng(seed)
    recorder = Recorder()
    ends = [
        _Block(recorder, block, 6_000_000 + 250_000 * block).run(
            tiles + int(jitter.integers(0, max(1, tiles // 4))), jitter
        )
        for block in range(blocks)
    ]
    read = sum(row[3] for row in recorder.spans)
    return recorder.finish(
        total_ps=max(ends) + 3_000_000,
        launch_ps=9_000_000,
        gm_write_bytes=read // 20,
        l2_hit_bytes=read // 12,
        hbm_bytes=read - read // 12,
        mad_flops=read * 4.0,
    )
