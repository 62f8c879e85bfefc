# SPDX-License-Identifier: Apache-2.0
"""Reports of timelines that are known to the picosecond: figures, text, JSON, trace, page."""

import base64
import dataclasses
import gzip
import itertools
import json
import re
import zlib

import numpy as np
import pytest
import vnpu_timelines
from ascend_attention.vnpu import findings, timeline
from ascend_attention.vnpu.report import html, page_data, perfetto, places, summary

US = vnpu_timelines.US


@pytest.fixture(scope="module")
def small() -> timeline.Timeline:
    return vnpu_timelines.two_pipes()


@pytest.fixture(scope="module")
def decode() -> timeline.Timeline:
    return vnpu_timelines.decode_like(blocks=4, tiles=6)


RACE = findings.Finding(
    checker="race",
    kind="write-after-read",
    headline="race: copy_gm_to_cbuf writes <b>L1</b> </script> that load_cbuf_to_cb reads",
    kernel="add_f16_0",
    sites=[
        findings.Site(
            block=0,
            role="AIC",
            pipe="MTE1",
            intrinsic="load_cbuf_to_cb",
            sequence=7,
            what="reads L1 [0, 512)",
            frames=findings.parse_frames("  at copy.h:12 (GmToUb)\n  in kernel.cce:40 (Body)\n"),
        )
    ],
    missing="a flag from MTE1 to MTE2",
    fix="set_flag after the read",
    count=2,
    text="race: ...\nthe text of the checker\n",
)


def report_of(
    *timelines: timeline.Timeline, found: list[findings.Finding] | None = None
) -> findings.Report:
    launches = [
        findings.Launch(t.kernel, t.num_blocks, findings=found or [], timeline=t) for t in timelines
    ]
    return findings.Report(launches, checks=("race", "memory"))


# Timelines.


def test_buffers_make_the_same_timeline(small):
    fields = {field.name: getattr(small, field.name) for field in dataclasses.fields(small)}
    buffers = {
        name: value.tobytes() if isinstance(value, np.ndarray) else value
        for name, value in fields.items()
    }
    again = timeline.Timeline.from_buffers(**buffers)
    for name, value in fields.items():
        np.testing.assert_array_equal(getattr(again, name), value)
    assert again.cores == [(0, 1)]
    assert again.lane_name(1) == "block 0 AIV0 V"


def test_records_have_the_sizes_of_the_header():
    """timeline.h: Lane 8 bytes, Span 48, Wait 32, Arrow 32, PipeTotals 88."""
    records = (timeline.LANE, timeline.SPAN, timeline.WAIT, timeline.ARROW, timeline.TOTALS)
    assert [record.itemsize for record in records] == [8, 48, 32, 32, 88]


@pytest.mark.parametrize(
    ("field", "change", "text"),
    [
        ("spans", lambda b: b[:-1], "spans has 143 bytes; expected a multiple of 48"),
        ("totals", lambda b: b[:88], "totals has 1 entries; expected 2"),
        ("core_end_ps", lambda b: b * 2, "core_end_ps has 2 entries; expected 1"),
        ("lanes", lambda b: b[:13] + b"\x07" + b[14:], "lanes.pipe holds 7; allowed: 0 to 6"),
        ("sites", lambda sites: sites[:1], "spans.site holds 2; allowed: 0 to 0"),
        ("insn_names", lambda names: names[:2], "spans.insn holds 2; allowed: 0 to 1"),
    ],
)
def test_wrong_buffers_are_refused_by_name(small, field, change, text):
    buffers = {
        f.name: value.tobytes() if isinstance(value, np.ndarray) else value
        for f in dataclasses.fields(small)
        for value in [getattr(small, f.name)]
    }
    buffers[field] = change(buffers[field])
    with pytest.raises(ValueError, match=re.escape(text)):
        timeline.Timeline.from_buffers(**buffers)


def test_frames_are_read_with_functions_that_hold_parentheses():
    frames = findings.parse_frames(
        "  at a/copy.h:12 (ns::Copy<int>(int))\n  in k.cce:3\n  at kernel.so+0x12\n"
    )
    assert frames == [
        findings.Frame("ns::Copy<int>(int)", "a/copy.h", 12),
        findings.Frame("", "k.cce", 3),
        findings.Frame("", "kernel.so+0x12", 0),
    ]


# Figures.


def test_summary_of_a_launch_that_can_be_added_up_by_hand(small):
    figures = summary.summarize([small], kv_bytes=1_000_000)
    assert figures["source"] == "model"
    assert figures["time_us"] == 10.0
    assert figures["launch_us"] == 4.0
    assert figures["kv_tb_per_s"] == 0.1
    assert figures["hbm_tb_per_s"] == 0.2
    assert figures["l2_hit_bytes"] == 500_000
    assert figures["imbalance"] == 1.0
    assert figures["roofline"]["hbm_fraction"] == pytest.approx(0.2 / 1.3, abs=1e-6)
    load = figures["pipes"]["AIV.MTE2"]
    assert load["busy"] == 0.2001
    assert load["slowed"] == load["waits"]["hbm"] == 0.1
    assert load["exposed_wait"] == 0.0
    vector = figures["pipes"]["AIV.V"]
    assert vector["busy"] == 0.1999
    assert vector["exposed_wait"] == vector["waits"]["flag"] == 0.3001
    assert vector["waits"]["launch"] == 0.3
    assert vector["idle"] == 0.5
    for row in figures["pipes"].values():
        assert row["busy"] + row["slowed"] + row["exposed_wait"] + row["idle"] == pytest.approx(1)
    assert json.loads(json.dumps(figures, allow_nan=False)) == figures


def test_summary_of_several_launches_adds_them(small):
    figures = summary.summarize([small, small], kv_bytes=None)
    assert figures["time_us"] == 20.0
    assert figures["kv_bytes"] is figures["kv_tb_per_s"] is None
    assert figures["pipes"]["AIV.V"]["exposed_wait"] == 0.3001
    assert figures["pipes"]["AIV.V"]["lanes"] == 1
    assert [launch["time_us"] for launch in figures["launches"]] == [10.0, 10.0]


def test_imbalance_is_the_slowest_block_over_the_mean():
    recorder = vnpu_timelines.Recorder()
    for block, end in enumerate((4, 4, 4, 8)):
        lane = recorder.lane(block, "AIV0", "V")
        recorder.wait(lane, 0, 2 * US, "launch", "")
        recorder.span(lane, 2 * US, (2 + end) * US, "vadd", "")
    blocks = recorder.finish(total_ps=11 * US)
    assert summary.block_working_ps(blocks) == {0: 4 * US, 1: 4 * US, 2: 4 * US, 3: 8 * US}
    assert summary.summarize([blocks])["imbalance"] == 1.6
    assert page_data.favourite_blocks(summary.block_working_ps(blocks)) == [3, 1, 0]


@pytest.mark.parametrize(
    ("fields", "bound", "line"),
    [
        (
            {"hbm_bytes": 7_800_000},
            "hbm",
            "HBM-bound: 60 % of 1.30 TB/s modelled",
        ),
        (
            {"mad_flops": 354e12 * 6e-6},
            "cube",
            "cube-bound: 60 % of 354 TFLOPS modelled",
        ),
        (
            {"launch_ps": 6 * US},
            "launch",
            "launch-bound: 60 % of 10.0 us is launch cost, modelled",
        ),
        (
            {},
            "latency",
            "latency-bound: AIV.V waits 70 % of the time, HBM at 0 % of 1.30 TB/s, modelled",
        ),
    ],
)
def test_bound_names_what_limits(fields, bound, line):
    recorder = vnpu_timelines.Recorder()
    lane = recorder.lane(0, "AIV0", "V")
    recorder.span(lane, 0, 3 * US, "vadd", "")
    recorder.wait(lane, 3 * US, 10 * US, "flag", "")
    defaults = {"hbm_bytes": 0, "launch_ps": 0, "total_ps": 10 * US}
    figures = summary.summarize([recorder.finish(**{**defaults, **fields})])
    assert figures["bound"] == bound
    assert summary.bound_line(figures) == line


def test_bound_names_a_pipe_that_always_works():
    recorder = vnpu_timelines.Recorder()
    lane = recorder.lane(0, "AIV0", "V")
    recorder.span(lane, 0, 9 * US, "vadd", "")
    figures = summary.summarize([recorder.finish(total_ps=10 * US)])
    assert (figures["bound"], figures["bound_pipe"]) == ("pipe", "AIV.V")
    assert summary.bound_line(figures).startswith("AIV.V-bound: it works 90 % of the time")


def test_summary_without_a_timeline_is_refused():
    with pytest.raises(ValueError, match="no launch has a timeline"):
        findings.Report([findings.Launch("k", 1)]).summary()


def test_places_add_up_over_cores(decode):
    busiest = places.busiest(decode, 100)
    assert sum(row["count"] for row in busiest) == len(decode.spans)
    assert sum(row["total_ps"] for row in busiest) == decode.totals["busy_ps"].sum()
    assert [row["total_ps"] for row in busiest] == sorted(
        (row["total_ps"] for row in busiest), reverse=True
    )
    waits = places.longest_waits(decode, 100)
    launch, done = (timeline.WAIT_CAUSES.index(cause) for cause in ("launch", "done"))
    waited = decode.totals["wait_ps"].sum(axis=0)
    assert sum(row["total_ps"] for row in waits) == waited.sum() - waited[launch] - waited[done]


# Text and JSON.

SMALL_TEXT = """\
clean: 1 launch of add_f16_0, checked for race, memory

timing, modelled for Ascend910B1, not measured
  kernel     blocks     time us   launch us   imbalance
  add_f16_0       1       10.00        4.00       1.000
  KV         2.0 MB, 0.200 TB/s
  GM         2.0 MB read (500.0 kB of it from L2), 0 B written
  HBM        2.0 MB, 0.200 TB/s; cube 0.00 TFLOPS
  bound      AIV.MTE2-bound: it works 30 % of the time, HBM at 15 % of 1.30 TB/s, modelled

  % of the time   working           waiting for
  pipe     lanes     busy   slowed     flag   x-core  barrier    queue    issue   scalar     idle
  AIV.MTE2     1     20.0     10.0      0.0      0.0      0.0      0.0      0.0      0.0     70.0
  AIV.V        1     20.0      0.0     30.0      0.0      0.0      0.0      0.0      0.0     50.0
"""


def test_text_says_the_verdict_first_and_that_times_are_modelled(small):
    assert report_of(small).to_text(kv_bytes=2_000_000) == SMALL_TEXT


def test_text_of_findings_and_faults_comes_before_the_timing(small):
    text = report_of(small, found=[RACE]).to_text()
    assert text.startswith("findings: 1 finding in add_f16_0\n\nrace: ...\n")
    assert text.index("the text of the checker") < text.index("timing, modelled")
    fault = findings.Report([findings.Launch("k_0", 1, fault="out of bounds")])
    assert fault.verdict == "fault"
    assert fault.to_text() == "fault: in k_0\n\nout of bounds\n"


def test_clean_without_checkers_promises_nothing():
    text = findings.Report([findings.Launch("k_0", 1)]).to_text()
    assert text == "clean: 1 launch of k_0, no checks\n"


def test_dict_has_the_documented_keys_and_is_json(small):
    result = report_of(small, found=[RACE]).to_dict(kv_bytes=5)
    assert json.loads(json.dumps(result, allow_nan=False)) == result
    assert result.keys() == {"verdict", "checks", "launches", "usage", "timing"}
    assert result["verdict"] == "findings"
    (launch,) = result["launches"]
    assert launch.keys() == {"kernel", "num_blocks", "verdict", "fault", "notes", "findings"}
    (finding,) = launch["findings"]
    assert finding["sites"][0]["frames"][0] == {
        "function": "GmToUb",
        "file": "copy.h",
        "line": 12,
    }
    timing = result["timing"]
    documented = set(re.findall(r"^ {4}([a-z_0-9]+(?:, [a-z_0-9]+)*)  ", summary.__doc__, re.M))
    assert timing.keys() == {key for keys in documented for key in keys.split(", ")}
    assert findings.Report([]).to_dict()["timing"] is None


@pytest.mark.parametrize("ending", ["html", "json", "json.gz", "txt"])
def test_write_follows_the_ending(small, tmp_path, ending):
    report, path = report_of(small), tmp_path / f"report.{ending}"
    report.write(path, title="a title", kv_bytes=7)
    content = path.read_bytes()
    expected = {
        "html": report.to_html(title="a title", kv_bytes=7),
        "json": report.to_trace(),
        "json.gz": report.to_trace(),
        "txt": report.to_text(kv_bytes=7),
    }[ending]
    assert (gzip.decompress(content) if ending == "json.gz" else content).decode() == expected


def test_write_refuses_other_endings(small, tmp_path):
    with pytest.raises(ValueError, match=r"report\.pdf'; its ending must be \.html, \.json"):
        report_of(small).write(tmp_path / "report.pdf")


# Chrome trace.


def test_trace_of_two_pipes(small):
    trace = json.loads(perfetto.render([small]))
    assert trace["otherData"]["source"] == "modelled by the virtual NPU, not measured"
    events = trace["traceEvents"]
    names = {
        (event["pid"], event.get("tid")): event["args"]["name"]
        for event in events
        if event["name"] in ("process_name", "thread_name")
    }
    assert names == {(2, None): "block 0 AIV0", (2, 2): "V", (2, 5): "MTE2"}
    assert [event for event in events if event["ph"] != "M"] == [
        {
            "ph": "X",
            "name": "wait: flag",
            "cat": "wait",
            "pid": 2,
            "tid": 2,
            "ts": 3.0,
            "dur": 3.001,
            "args": {
                "cause": "flag",
                "source": "sync.h:9",
                "site": 3,
                "ended_by": "block 0 AIV0 MTE2",
            },
        },
        {
            "ph": "X",
            "name": "copy_gm_to_ubuf",
            "cat": "instruction",
            "pid": 2,
            "tid": 5,
            "ts": 3.0,
            "dur": 2.0,
            "args": {
                "source": "copy.h:12 < kernel.cce:40",
                "site": 0,
                "result_us": 5.5,
                "bytes": 2000000,
            },
        },
        {
            "ph": "X",
            "name": "wait: hbm",
            "cat": "wait",
            "pid": 2,
            "tid": 5,
            "ts": 5.0,
            "dur": 1.0,
            "args": {"cause": "hbm", "source": "copy.h:12 < kernel.cce:40", "site": 0},
        },
        {
            "ph": "X",
            "name": "set_flag",
            "cat": "instruction",
            "pid": 2,
            "tid": 5,
            "ts": 6.0,
            "dur": 0.001,
            "args": {"source": "sync.h:3", "site": 2, "result_us": 6.001},
        },
        {"ph": "s", "name": "flag 3", "cat": "flag", "id": 0, "pid": 2, "tid": 5, "ts": 6.0},
        {
            "ph": "X",
            "name": "vadd",
            "cat": "instruction",
            "pid": 2,
            "tid": 2,
            "ts": 6.001,
            "dur": 1.999,
            "args": {"source": "math.h:7", "site": 1, "result_us": 8.0},
        },
        {
            "ph": "f",
            "bp": "e",
            "name": "flag 3",
            "cat": "flag",
            "id": 0,
            "pid": 2,
            "tid": 2,
            "ts": 6.001,
        },
    ]


def test_trace_keeps_the_rules_of_the_format(decode, small):
    """Sorted; slices of a thread nest or follow; each flow has both ends inside slices."""
    events = [
        event
        for event in json.loads(perfetto.render([decode, small]))["traceEvents"]
        if event["ph"] != "M"
    ]
    times = [event["ts"] for event in events]
    assert times == sorted(times)
    assert {event["ph"] for event in events} == {"X", "s", "f"}
    assert len([e for e in events if e["ph"] == "X" and e["cat"] == "instruction"]) == len(
        decode.spans
    ) + len(small.spans)
    slices: dict[tuple, list[tuple[int, int]]] = {}
    for event in events:
        if event["ph"] == "X":
            begin = round(event["ts"] * US)
            slices.setdefault((event["pid"], event["tid"]), []).append(
                (begin, begin + round(event["dur"] * US))
            )
    for intervals in slices.values():
        for (_, end), (begin, _) in itertools.pairwise(intervals):
            assert begin >= end
    flows: dict[int, list[dict]] = {}
    for event in events:
        if event["ph"] in "sf":
            flows.setdefault(event["id"], []).append(event)
            inside = slices[event["pid"], event["tid"]]
            at = round(event["ts"] * US)
            assert any(begin <= at < end for begin, end in inside), event
    assert len(flows) >= 0.98 * (len(decode.arrows) + len(small.arrows))
    assert all([end["ph"] for end in ends] == ["s", "f"] for ends in flows.values())


def test_trace_puts_launches_one_after_the_other(small):
    trace = json.loads(perfetto.render([small, small]))
    events = trace["traceEvents"]
    adds = [event for event in events if event["name"] == "vadd"]
    assert [event["ts"] for event in adds] == [6.001, 16.001]
    assert [trace["otherData"]["sites"][event["args"]["site"]] for event in adds] == [
        "  at math.h:7 (Add)\n"
    ] * 2
    assert len([event for event in events if event["name"] == "process_name"]) == 1


# Page.


def page_header(page: str) -> tuple[dict, bytes]:
    data = re.search(r'<script id="data" type="text/plain">([^<]*)</script>', page)
    raw = zlib.decompress(base64.b64decode(data[1]))
    size = int.from_bytes(raw[:4], "little")
    return json.loads(raw[4 : 4 + size]), raw[4 + size :]


def column(columns: bytes, place: list[int]) -> list[int]:
    offset, count, width = place
    planes = np.frombuffer(columns, np.uint8, count * width, offset).reshape(width, count)
    return sum(planes[i].astype(np.int64) << (8 * i) for i in range(width)).tolist()


def test_page_is_self_contained_and_says_modelled(decode):
    page = report_of(decode).to_html(title="decode & <more>")
    assert "<title>decode &amp; &lt;more&gt; · virtual NPU report</title>" in page
    assert "Modelled, not measured." in page
    addresses = set(re.findall(r"[a-z]+://[^\s\"'<>)]+", page))
    assert addresses == {"http://www.w3.org/2000/svg"}  # a name, which nobody fetches
    assert not re.search(r"<(?:link|img|iframe|script)\b[^>]*\b(?:src|href)=", page)
    assert "@import" not in page
    assert not re.search(r"\burl\(", page)
    assert "default-src 'none'" in page
    assert "{{" not in page.replace("`{{", "")


def test_page_holds_every_span_of_a_small_launch(small):
    header, columns = page_header(report_of(small).to_html())
    (launch,) = header["launches"]
    spans = {name: column(columns, place) for name, place in launch["spans"].items()}
    assert spans["per_lane"] == [2, 1]
    assert spans["begin"] == [3 * US, 3 * US, 6 * US + 1000]
    assert spans["length"] == [2 * US, 1000, 2 * US - 1000]
    assert spans["tail"] == [US // 2, 0, 0]
    assert spans["bytes"] == [2_000_000, 0, 0]
    assert launch["shown_until_ps"] is None
    assert launch["heat"] == {}
    arrows = {name: column(columns, place) for name, place in launch["arrows"].items()}
    assert (arrows["begin"], arrows["length"]) == ([6 * US], [1000])
    assert (arrows["from"], arrows["to"], arrows["id"]) == ([0], [1], [3])


def test_two_pages_of_a_report_are_the_same(decode):
    assert report_of(decode).to_html() == report_of(decode).to_html()


def test_text_of_findings_cannot_become_markup(small):
    page = report_of(small, found=[RACE]).to_html()
    assert RACE.headline not in page
    assert page_header(page)[0]["findings"][0]["headline"] == RACE.headline


def test_page_too_small_for_all_keeps_the_telling_blocks_and_says_so(decode):
    items = len(decode.spans) + len(decode.waits)
    page = html.render(report_of(decode), max_items=items // 2)
    (launch,) = page_header(page)[0]["launches"]
    shown = launch["shown_blocks"]
    assert launch["favourites"][0] in shown
    assert 0 < len(shown) < 4
    hidden = [i for i, lane in enumerate(decode.lanes) if lane["block"] not in shown]
    assert sorted(map(int, launch["heat"])) == hidden
    assert launch["num_spans"] == len(decode.spans)


def test_page_too_small_for_one_block_cuts_time(decode):
    page = html.render(report_of(decode), max_items=200)
    header, columns = page_header(page)
    (launch,) = header["launches"]
    assert launch["shown_blocks"] == launch["favourites"][:1]
    assert 0 < launch["shown_until_ps"] < decode.total_ps
    assert sum(column(columns, launch["spans"]["per_lane"])) <= 200
    assert len(launch["heat"]) == len(decode.lanes)  # behind the cut, the load


def test_heat_is_the_load_over_time():
    recorder = vnpu_timelines.Recorder()
    for block, end in enumerate((10, 5)):
        lane = recorder.lane(block, "AIV0", "V")
        recorder.span(lane, 0, end * US, "vadd", "")
    header, columns = page_header(
        html.render(report_of(recorder.finish(total_ps=10 * US)), max_items=1)
    )
    (launch,) = header["launches"]
    assert launch["shown_blocks"] == [0]
    load = column(columns, launch["heat"]["1"])
    assert load == [255] * (len(load) // 2) + [0] * (len(load) // 2)
