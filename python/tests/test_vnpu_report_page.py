# SPDX-License-Identifier: Apache-2.0
"""The report page as a person uses it, in headless Chromium; see chromium.py for what it needs.

Under Bazel the screenshots are among the test's undeclared outputs: look at them after a change.
"""

import pathlib

import chromium
import pytest
import vnpu_timelines
from ascend_attention.vnpu import findings, timeline
from ascend_attention.vnpu.report import html

US = vnpu_timelines.US
FRAMES = findings.parse_frames("  at copy.h:12 (GmToUb)\n  in kernel.cce:40 (Body)\n")
RACE = findings.Finding(
    checker="race",
    kind="write-after-read",
    headline="copy_gm_to_cbuf writes L1 <img src=x onerror=alert(1)> that load_cbuf_to_cb reads",
    kernel="decode_f16_0",
    sites=[
        findings.Site(0, "AIC", "MTE1", "load_cbuf_to_cb", 7, "reads L1 [0, 512)", FRAMES),
        findings.Site(0, "AIC", "MTE2", "copy_gm_to_cbuf", 9, "writes L1 [0, 64)", FRAMES),
    ],
    missing="a flag from MTE1 to MTE2",
    fix="set_flag(PIPE_MTE1, PIPE_MTE2, EVENT_ID1) after the read",
    count=212,
    text="race: the text of the checker\n",
)


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    with chromium.Browser(tmp_path_factory.mktemp("chromium")) as browser:
        yield browser


def write(folder: pathlib.Path, name: str, report: findings.Report, **options) -> pathlib.Path:
    path = folder / f"{name}.html"
    path.write_text(html.render(report, **options), encoding="utf-8")
    return path


def launch(t: timeline.Timeline, **fields) -> findings.Launch:
    return findings.Launch(t.kernel, t.num_blocks, timeline=t, **fields)


@pytest.fixture(scope="module")
def pages(tmp_path_factory) -> dict[str, pathlib.Path]:
    """Pages by name: two pipes known to the picosecond, a decode, one with findings and a fault."""
    folder = tmp_path_factory.mktemp("pages")
    small, decode = vnpu_timelines.two_pipes(), vnpu_timelines.decode_like()
    case = "decode:b16:h32:kv8:d128:bs128:ctx8192:f16:seed1"
    reports = {
        "small": findings.Report([launch(small)], checks=["race"]),
        "decode": findings.Report([launch(decode)], checks=["race", "memory", "sync"]),
        "findings": findings.Report(
            [launch(decode, findings=[RACE]), launch(small)],
            usage=[findings.RegionUsage("workspace", 1 << 20, 512, 1024)],
        ),
        "fault": findings.Report([findings.Launch("k_0", 24, fault="deadlock\n  block 0 waits")]),
    }
    return {
        name: write(folder, name, report, title=case if name == "decode" else "", kv_bytes=10**8)
        for name, report in reports.items()
    }


def show(browser, path, *, width=1280, height=1000, dark=False) -> None:
    browser.open(path, width=width, height=height, dark=dark)
    assert browser.problems() == []


def text(browser, selector: str) -> str:
    return browser.evaluate(f"document.querySelector({selector!r}).innerText")


def point(browser, lane: str, time_us: float) -> tuple[float, float]:
    """Where a moment of a lane is on the screen; the lane must be in an open block."""
    found = browser.evaluate(
        f"""(() => {{
          const view = vnpuReport.view;
          const row = view.rows.find((r) => r.lane?.name === {lane!r});
          const box = view.stage.getBoundingClientRect();
          const {{begin, end}} = view.range;
          const x = box.left + (({time_us} * 1e6 - begin) / (end - begin)) * box.width;
          return [x, box.top + row.y + row.h / 2];
        }})()"""
    )
    return found[0], found[1]


def view_range(browser) -> tuple[float, float]:
    """Shown part of the launch in microseconds."""
    begin, end = browser.evaluate("[vnpuReport.view.range.begin, vnpuReport.view.range.end]")
    return begin / US, end / US


def pixel(browser, lane: str, time_us: float) -> str:
    """Colour of the lanes' canvas there, as #rrggbb."""
    x, y = point(browser, lane, time_us)
    return browser.evaluate(
        f"""(() => {{
          const canvas = document.getElementById("lanes");
          const box = canvas.getBoundingClientRect();
          const ctx = canvas.getContext("2d");
          const data = ctx.getImageData({x} - box.left, {y} - box.top, 1, 1).data;
          return "#" + [...data.slice(0, 3)].map((c) => c.toString(16).padStart(2, "0")).join("");
        }})()"""
    )


def colour(browser, name: str) -> str:
    return browser.evaluate(f"vnpuReport.view.palette.value({name!r})")


def test_page_loads_without_errors_or_network(browser, pages):
    show(browser, pages["decode"])
    assert browser.requests() == [pages["decode"].as_uri()]
    assert text(browser, "h1") == "decode:b16:h32:kv8:d128:bs128:ctx8192:f16:seed1"
    assert (
        text(browser, "#verdict")
        == "clean: 1 launch of decode_f16_0, checked for race, memory, sync"
    )
    assert "Modelled, not measured." in text(browser, "#modelled")
    assert "HBM-bound" in text(browser, "#figures")
    assert text(browser, "#trouble") == ""
    browser.screenshot("desktop_light")


def test_lanes_show_work_and_waits_where_they_are(browser, pages):
    show(browser, pages["small"])
    load, vector = "block 0 AIV0 MTE2", "block 0 AIV0 V"
    assert pixel(browser, load, 4.9) == colour(browser, "MTE2")
    assert pixel(browser, vector, 7.9) == colour(browser, "V")
    assert pixel(browser, vector, 4.5) == colour(browser, "flag")
    for lane, time_us in ((load, 1.5), (load, 8.5), (vector, 1.5), (vector, 9.5)):
        assert pixel(browser, lane, time_us) == colour(browser, "card"), (lane, time_us)


@pytest.mark.parametrize(("width", "height"), [(1280, 1000), (390, 844)])
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_canvases_are_drawn_and_nothing_overflows(browser, pages, width, height, dark):
    show(browser, pages["decode"], width=width, height=height, dark=dark)
    colours = browser.evaluate(
        """["lanes", "minimap", "axis"].map((id) => {
          const canvas = document.getElementById(id);
          const data = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data;
          const words = new Uint32Array(data.buffer);
          return new Set(words).size;
        })"""
    )
    assert all(count >= 5 for count in colours), colours
    assert browser.evaluate("document.documentElement.scrollWidth") <= width
    page = browser.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (page == "rgb(15, 19, 25)") == dark
    name = f"{'narrow' if width < 600 else 'desktop'}_{'dark' if dark else 'light'}"
    browser.screenshot(name)
    browser.evaluate("document.getElementById('timeline').scrollIntoView()")
    browser.settle()
    browser.screenshot(f"{name}_timeline")


def test_hover_shows_a_tooltip_with_the_source(browser, pages):
    show(browser, pages["small"])
    browser.mouse("Moved", *point(browser, "block 0 AIV0 MTE2", 4.0))
    tip = text(browser, "#tooltip")
    for part in (
        "copy_gm_to_ubuf",
        "3.000 µs \u2013 5.000 µs",
        "bytes: 2000000 B at 666.7 GB/s",
        "slowed: 1.00 µs more",
        "copy.h:12 GmToUb",
        "kernel.cce:40 Body",
    ):
        assert part in " ".join(tip.split()), tip
    browser.mouse("Moved", *point(browser, "block 0 AIV0 V", 4.0))
    tip = text(browser, "#tooltip")
    assert tip.startswith("waits: flag")
    assert "ended by: block 0 AIV0 MTE2" in tip
    browser.mouse("Moved", 5, 5)
    assert browser.evaluate("document.getElementById('tooltip').hidden") is True


def test_wheel_zooms_once_the_lanes_are_clicked(browser, pages):
    show(browser, pages["small"])
    x, y = point(browser, "block 0 AIV0 V", 5.0)
    browser.mouse("Wheel", x, y, deltaX=0, deltaY=-240)
    assert view_range(browser) == (0.0, 10.0)  # the page may scroll
    browser.click(*point(browser, "block 0 AIV0 V", 5.0))
    browser.mouse("Wheel", *point(browser, "block 0 AIV0 V", 5.0), deltaX=0, deltaY=-240)
    begin, end = view_range(browser)
    assert 0.5 < begin < 5.0 < end < 9.5
    assert (begin + end) / 2 == pytest.approx(5.0, abs=0.1)


def test_wheel_with_control_zooms_without_a_click(browser, pages):
    show(browser, pages["small"])
    x, y = point(browser, "block 0 AIV0 V", 5.0)
    browser.mouse("Wheel", x, y, deltaX=0, deltaY=-240, modifiers=2)
    assert view_range(browser) != (0.0, 10.0)


def test_keys_zoom_and_move(browser, pages):
    show(browser, pages["small"])
    browser.key("+")
    begin, end = view_range(browser)
    assert (begin, end) == (pytest.approx(2.0), pytest.approx(8.0))
    browser.evaluate("document.getElementById('lanes').focus()")
    browser.key("ArrowRight")
    assert view_range(browser)[0] == pytest.approx(2.9)
    browser.key("0")
    assert view_range(browser) == (0.0, 10.0)


def test_drag_moves_and_shift_drag_zooms(browser, pages):
    show(browser, pages["small"])
    browser.evaluate("vnpuReport.view.setRange(2e6, 6e6)")
    lane = "block 0 AIV0 V"
    browser.drag(point(browser, lane, 4.0), point(browser, lane, 3.0))
    assert view_range(browser) == (pytest.approx(3.0, abs=0.02), pytest.approx(7.0, abs=0.02))
    browser.drag(point(browser, lane, 4.0), point(browser, lane, 5.0), modifiers=8)
    assert view_range(browser) == (pytest.approx(4.0, abs=0.02), pytest.approx(5.0, abs=0.02))


def test_two_fingers_zoom(browser, pages):
    show(browser, pages["small"], width=390, height=844)
    browser.evaluate("vnpuReport.view.reveal(0)")
    lane = "block 0 AIV0 V"

    def touch(kind: str, *times_us: float) -> None:
        points = [point(browser, lane, time_us) for time_us in times_us]
        fingers = [{"x": x, "y": y, "id": i} for i, (x, y) in enumerate(points)]
        browser.command("Input.dispatchTouchEvent", type=f"touch{kind}", touchPoints=fingers)
        browser.settle()

    touch("Start", 4.0)
    touch("Start", 4.0, 6.0)
    touch("Move", 3.0, 7.0)
    begin, end = view_range(browser)
    touch("End")
    assert end - begin == pytest.approx(5.0, rel=0.05)
    assert (begin + end) / 2 == pytest.approx(5.0, abs=0.1)


def test_minimap_chooses_the_part_that_is_shown(browser, pages):
    show(browser, pages["small"])
    left, top, width = browser.evaluate(
        "(() => { const b = document.getElementById('minimap').getBoundingClientRect();"
        " return [b.left, b.top, b.width]; })()"
    )
    browser.drag((left + 0.25 * width, top + 20), (left + 0.75 * width, top + 20))
    assert view_range(browser) == (pytest.approx(2.5, abs=0.05), pytest.approx(7.5, abs=0.05))
    browser.drag((left + 0.5 * width, top + 20), (left + 0.6 * width, top + 20))
    assert view_range(browser) == (pytest.approx(3.5, abs=0.05), pytest.approx(8.5, abs=0.05))


def test_click_shows_details_with_the_flag_that_let_it_begin(browser, pages):
    show(browser, pages["small"])
    browser.click(*point(browser, "block 0 AIV0 V", 7.0))
    details = text(browser, "#details")
    assert details.startswith("vadd")
    assert "flag 3 from block 0 AIV0 MTE2, 1.00 ns" in details
    assert "math.h:7" in details
    x, y = point(browser, "block 0 AIV0 MTE2", 6.0)
    assert pixel(browser, "block 0 AIV0 MTE2", 6.0) != colour(browser, "card"), (x, y)
    browser.key("[")
    assert text(browser, "#details").startswith("vadd")  # the first of its lane
    browser.evaluate("document.getElementById('lanes').focus()")
    browser.key("ArrowUp")
    assert text(browser, "#details").startswith("set_flag")
    browser.key("Escape")
    assert browser.evaluate("document.getElementById('details').hidden") is True


def test_arrows_are_drawn_between_lanes_and_can_be_hidden(browser, pages):
    show(browser, pages["small"])
    browser.evaluate("vnpuReport.view.setRange(5.9e6, 6.1e6)")

    def ink() -> int:
        """Pixels of the arrows' colour."""
        browser.settle()
        return browser.evaluate(
            """(() => {
              const canvas = document.getElementById("lanes");
              const { width, height } = canvas;
              const data = canvas.getContext("2d").getImageData(0, 0, width, height).data;
              const hex = vnpuReport.view.palette.ink;
              const ink = [1, 3, 5].map((i) => parseInt(hex.slice(i, i + 2), 16));
              let count = 0;
              for (let i = 0; i < data.length; i += 4) {
                count += Math.abs(data[i] - ink[0]) + Math.abs(data[i + 1] - ink[1])
                  + Math.abs(data[i + 2] - ink[2]) < 40;
              }
              return count;
            })()"""
        )

    assert ink() == 0
    browser.evaluate(
        "vnpuReport.view.select({lane: vnpuReport.view.launch.lanes[1], kind: 'stalls', index: 0})"
    )
    with_arrow = ink()
    browser.evaluate("vnpuReport.setArrows('none')")
    assert with_arrow > ink() + 10


def test_search_counts_and_steps_through_matches(browser, pages):
    show(browser, pages["decode"])
    expected = browser.evaluate(
        "vnpuReport.view.launch.lanes.reduce((sum, lane) => sum + lane.spans.insn.filter("
        "(insn) => vnpuReport.view.launch.insns[insn] === 'vexp').length, 0)"
    )
    browser.evaluate("vnpuReport.search.set('VEXP softmax_stage')")
    assert text(browser, "#matches") == f"{expected:,} found"
    browser.key("n")
    assert text(browser, "#matches").startswith("1 of ")
    assert text(browser, "#details").startswith("vexp")
    browser.evaluate("vnpuReport.search.set('no such thing')")
    assert text(browser, "#matches") == "0 found"
    browser.evaluate("vnpuReport.search.set('vexp')")
    browser.screenshot("search")


def test_blocks_open_close_and_sort(browser, pages):
    show(browser, pages["decode"])
    opened = "document.querySelectorAll('.row.block[aria-expanded=true]').length"
    assert browser.evaluate(opened) == 3
    browser.evaluate("document.getElementById('collapse').click()")
    assert browser.evaluate(opened) == 0
    assert browser.evaluate("document.querySelectorAll('.row.lane').length") == 0
    browser.evaluate("document.getElementById('expand').click()")
    assert browser.evaluate(opened) == 24
    browser.evaluate("document.getElementById('order').value = 'time'")
    browser.evaluate("document.getElementById('order').dispatchEvent(new Event('change'))")
    slowest = browser.evaluate("vnpuReport.view.launch.favourites[0]")
    assert text(browser, ".row.block").startswith(f"Block {slowest}\nslowest")
    browser.evaluate("document.getElementById('slowest').click()")
    browser.settle()
    browser.screenshot("all_open")


def test_findings_are_text_with_their_source(browser, pages):
    show(browser, pages["findings"])
    section = text(browser, "#findings")
    for part in (RACE.headline, "met 212 times", "copy.h:12", RACE.missing, RACE.fix):
        assert part in section, section
    assert browser.evaluate("document.querySelectorAll('#findings img').length") == 0
    assert text(browser, "#verdict") == "findings: 1 finding in decode_f16_0"
    tabs = browser.evaluate(
        "[...document.querySelectorAll('#launches button')].map((b) => b.innerText)"
    )
    assert [tab.split(" ")[0] for tab in tabs] == ["decode_f16_0", "add_f16_0"]
    browser.evaluate("document.querySelectorAll('#launches button')[1].click()")
    browser.settle()
    assert "10.0" in text(browser, "#figures")
    assert pixel(browser, "block 0 AIV0 V", 7.0) == colour(browser, "V")
    browser.evaluate("document.getElementById('usage-details').open = true")
    assert "1 048 576" in text(browser, "#usage")
    assert browser.problems() == []
    browser.screenshot("findings")


def test_many_findings_fold_away(browser, pages, tmp_path):
    report = findings.Report([findings.Launch("k_0", 1, findings=[RACE] * 5)])
    show(browser, write(tmp_path, "many", report))
    assert browser.evaluate("document.querySelectorAll('#findings > .finding').length") == 3
    assert text(browser, "#findings > details > summary") == "2 more findings"


def test_first_view_of_a_short_kernel_is_where_it_works(browser, tmp_path):
    recorder = vnpu_timelines.Recorder()
    lane = recorder.lane(0, "AIV0", "V")
    recorder.wait(lane, 0, 8 * US, "launch", "")
    recorder.span(lane, 8 * US, 10 * US, "vadd", "")
    report = findings.Report([launch(recorder.finish(total_ps=13 * US))])
    show(browser, write(tmp_path, "short", report))
    assert view_range(browser) == (pytest.approx(7.92), pytest.approx(10.08))
    browser.key("0")
    assert view_range(browser) == (0.0, 13.0)


def test_fault_without_a_timeline_has_no_lanes(browser, pages):
    show(browser, pages["fault"])
    assert text(browser, "#verdict") == "fault: in k_0"
    assert "block 0 waits" in text(browser, "#findings")
    for part in ("timeline", "charts", "tables", "figures"):
        assert browser.evaluate(f"document.getElementById('{part}').hidden") is True


def test_lane_table_has_every_lane(browser, pages):
    show(browser, pages["small"])
    browser.evaluate("document.getElementById('lane-details').open = true")
    browser.settle()
    rows = browser.evaluate(
        "[...document.querySelectorAll('#lane-table tbody tr')].map("
        "(row) => row.innerText.split('\\t'))"
    )
    assert [row[:2] for row in rows] == [["block 0 AIV0 MTE2", "2.00"], ["block 0 AIV0 V", "2.00"]]


def test_busiest_place_leads_to_its_instructions(browser, pages):
    show(browser, pages["decode"])
    browser.evaluate("document.querySelector('#busiest button').click()")
    browser.settle()
    name = text(browser, "#busiest button").replace("\n", "")
    assert text(browser, "#details").startswith(name)
    assert text(browser, "#matches").startswith("1 of ")


def test_drawing_costs_pixels_not_instructions(browser, tmp_path):
    """Many times the instructions, at most as many rectangles: that is what keeps it fluid."""
    counts = {}
    for tiles in (40, 800):
        big = vnpu_timelines.decode_like(blocks=4, tiles=tiles)
        path = write(tmp_path, f"tiles{tiles}", findings.Report([launch(big)]))
        show(browser, path)
        counts[tiles] = browser.evaluate(
            """(() => {
              let count = 0;
              const rect = CanvasRenderingContext2D.prototype.fillRect;
              CanvasRenderingContext2D.prototype.fillRect = function (...args) {
                ++count;
                rect.apply(this, args);
              };
              vnpuReport.view.openAll(true);
              vnpuReport.view.draw();
              CanvasRenderingContext2D.prototype.fillRect = rect;
              return count;
            })()"""
        )
        assert len(big.spans) > 350 * tiles
    # Two sequences of at most 1.5 intervals a pixel in each of 52 lanes, some in view.
    assert counts[800] < 52 * 2 * 1.5 * 1100, counts
    assert counts[800] < 3 * counts[40], counts


def test_cut_page_says_what_it_leaves_out(browser, tmp_path):
    decode = vnpu_timelines.decode_like(blocks=6, tiles=10)
    items = len(decode.spans) + len(decode.waits)
    report = findings.Report([launch(decode)])
    show(browser, write(tmp_path, "blocks", report, max_items=items // 2))
    assert "of 6 blocks come with every instruction" in text(browser, "#cut")
    browser.evaluate("vnpuReport.view.openAll(true)")
    browser.settle()
    shown = browser.evaluate("vnpuReport.view.launch.shown_blocks")
    hidden = next(block for block in range(6) if block not in shown)
    browser.evaluate(f"vnpuReport.view.reveal({hidden})")
    browser.settle()
    browser.mouse("Moved", *point(browser, f"block {hidden} AIC MTE2", 30.0))
    assert "the load alone" in text(browser, "#tooltip")
    browser.screenshot("cut_blocks")
    show(browser, write(tmp_path, "time", report, max_items=300))
    assert "the first " in text(browser, "#cut")
    browser.screenshot("cut_time")
