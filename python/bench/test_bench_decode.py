# SPDX-License-Identifier: Apache-2.0
"""Holds modelled figures: no slower than the baseline, no target missed, README up to date."""

from __future__ import annotations

import dataclasses
import math
import pathlib
import re
import xml.etree.ElementTree

import ascend_attention_reference as reference
import bench_decode
import decode_figures as figures
import decode_suites as suites
import decode_table as table
import draw_fifo
import draw_timeline
import fifo_variants
import pytest

_BASELINE = pathlib.Path("python/bench/baseline.json")
_HOW = "After a change that is meant: ./bazelw run //python/bench:bench_decode -- --update"


@pytest.fixture(scope="module")
def modelled() -> list[figures.Result]:
    """The CI rows, modelled once."""
    return figures.model(suites.rows("ci"))


@pytest.fixture(scope="module")
def baseline() -> dict[str, figures.Figures]:
    """The committed one."""
    return table.read_baseline(_BASELINE.read_text())


def test_no_row_is_slower_than_the_baseline(modelled, baseline):
    assert not table.compare(modelled, baseline), _HOW


def test_every_target_is_met(modelled):
    assert not table.missed_targets(modelled)


def test_every_target_is_met_in_the_committed_figures(baseline):
    every = table.from_baseline(suites.rows("all"), baseline)
    assert not table.missed_targets(every)


def test_a_row_two_percent_slower_fails(modelled, baseline):
    slow = modelled[0].row.key
    doctored = dict(baseline)
    doctored[slow] = dataclasses.replace(
        baseline[slow], modelled_us=modelled[0].figures.modelled_us / 1.02
    )
    (problem,) = table.compare(modelled, doctored)
    assert problem.startswith(slow) and "2.0 % slower" in problem


def test_half_a_percent_is_allowed(modelled):
    near = {
        r.row.key: dataclasses.replace(r.figures, modelled_us=r.figures.modelled_us / 1.005)
        for r in modelled
    }
    assert not table.compare(modelled, near)


def test_a_row_without_baseline_fails(modelled, baseline):
    doctored = dict(baseline)
    del doctored[modelled[0].row.key]
    assert table.compare(modelled, doctored) == [f"{modelled[0].row.key}: not in the baseline"]


# 1 GB of keys and values; an even batch of 1000 us.
_CASE = suites.case_line(8192, batch=32)


@pytest.mark.parametrize(
    ("target", "good_us", "bad_us"),
    [
        # Limits by hand: 1073.7 MB at 1.2 TB/s are 894.8 us, with 12 us before and after 906.8.
        ("rate", 906.7, 906.9),
        ("small", 1.3 * (19.25 + 894.7), 1.3 * (19.25 + 894.9)),
        ("published", 899.9, 900.1),
        ("makespan", 1049.9, 1050.1),
        ("int8", 555.5, 555.6),
        ("near", 1079.9, 1080.1),
        ("near", 720.1, 719.9),
        ("gain1", 919.9, 920.1),
        ("gain1", 830.1, 829.9),
        ("gain2", 959.9, 960.1),
        ("gain2", 880.1, 879.9),
        ("order", 999.9, 1000.1),
        ("direct", 1009.9, 1010.1),
        ("fifo", 1029.9, 1030.1),
    ],
)
def test_targets_are_missed_from_their_limits_on(target, good_us, bad_us):
    row = suites.Row(_CASE, "peers", published_us=900.0, other="even", targets=(target,))
    even = figures.Figures(1000.0, 1.0)
    for us, met in ((good_us, True), (bad_us, False)):
        result = figures.Result(row, figures.Figures(us, 1.0), even)
        assert [one.met for one in result.targets()] == [met]
        assert bool(table.missed_targets([result])) is not met


def test_a_row_without_figures_misses_its_targets():
    row = suites.Row(_CASE, "peers", targets=("rate",))
    result = figures.Result(row, None, error="refused")
    assert table.missed_targets([result]) == [f"{_CASE}: refused"]
    assert table.compare([result], {row.key: figures.Figures(1.0, 1.0)})


def test_a_refused_problem_has_no_figures():
    (result,) = figures.model([suites.Row(suites.case_line([64], head_dim=72), "shapes")])
    assert result.figures is None and "head_dim" in result.error


@pytest.mark.parametrize("text", ["", "[]", '{"modelled_us": {"a": 1}}', '{"imbalance": {}}'])
def test_another_file_is_no_baseline(text):
    with pytest.raises(ValueError, match="no baseline"):
        table.read_baseline(text)


def test_rows_are_cases_and_keys_are_unique():
    every = suites.rows("all")
    names = [(row.key, row.suite, row.label) for row in every]
    assert len(set(names)) == len(names)
    for row in every:
        for key in filter(None, (row.key, row.other)):
            case, *how = key.split()
            assert str(reference.parse_case(case)) == case
            assert set(how) <= {"warm", "drawn", "direct", *fifo_variants.VARIANTS}


def test_an_even_batch_has_as_many_tokens_and_no_long_sequence():
    for lengths in suites.ragged_batches().values():
        even = suites.even_batch(lengths)
        assert sum(even) == sum(lengths)
        assert len(even) == min(len(lengths), 24)
        assert max(even) - min(even) <= 1


def test_figures_do_not_depend_on_how_often_they_are_modelled(modelled):
    row = min(modelled, key=lambda r: r.kv_bytes).row
    (again,) = figures.model([row])
    (first,) = [r for r in modelled if r.row == row]
    assert again.figures == first.figures


def test_a_warm_cache_is_faster(modelled):
    by_key = {r.row.key: r.figures for r in modelled}
    case = suites.case_line(8192, batch=1)
    (cold,) = figures.model([suites.Row(case, "peers")])
    assert by_key[case + " warm"].modelled_us < cold.figures.modelled_us


def test_loading_a_page_ahead_gains_less_where_l2_is_warm(modelled):
    gains = {
        target.name: target.value
        for result in modelled
        for target in result.targets()
        if target.name.startswith("gain")
    }
    assert 0 < gains["gain2"] < gains["gain1"]


def test_the_older_forms_of_the_fifo_kernel_are_what_ran(modelled):
    entries = ["decode_fifo_baseline_bf16_0", "decode_fifo_prefetch_bf16_0", "decode_fifo_bf16_0"]
    for case in ("Case1", "Case2"):
        ran = [r.figures.kernels for r in modelled if r.row.label.startswith(case)]
        assert ran == [(f"{entry} x 24",) for entry in [*entries, "decode_bf16_0"]]


def test_both_kernels_are_chosen_for_some_small_problems(modelled):
    """So each of the targets "direct" and "fifo" would miss a route that is always the same."""
    chosen = [r.figures.kernels for r in modelled if r.row.targets == ("fifo",)]
    fifo = sum(kernels[0].startswith("decode_fifo") for kernels in chosen)
    assert 10 <= fifo <= len(chosen) - 10
    always_direct = [r.other for r in modelled if r.row.targets == ("direct",)]
    always_fifo = [r.other for r in modelled if r.row.targets == ("fifo",)]
    pairs = list(zip(always_direct, always_fifo, strict=True))
    assert any(d.modelled_us > suites.MAX_OF_FIFO * f.modelled_us for d, f in pairs)
    assert any(f.modelled_us > suites.MAX_OF_DIRECT * d.modelled_us for d, f in pairs)


def test_a_third_of_the_drawn_blocks_is_never_drawn():
    drawn = figures._drawn(16384)
    assert drawn.min() >= 0 and drawn.max() < 16384
    assert len(set(drawn.tolist())) == pytest.approx(16384 * (1 - math.exp(-1)), rel=0.02)


def test_the_clock_says_what_the_launch_constants_say():
    calibration = pathlib.Path("tools/vnpu/timing/calibration/baseline.txt").read_text()
    (empty_us,) = re.findall(r"^launch/empty_mix (\S+)", calibration, re.MULTILINE)
    assert float(empty_us) == suites.LAUNCH_US
    constants = pathlib.Path("tools/vnpu/timing/parameters.inc").read_text()
    fixed = sum(
        float(re.search(rf"VNPU_PARAM\(launch_{name}_us, *([0-9.]+)", constants).group(1))
        for name in ("head", "cold_core", "tail")
    )
    assert fixed == suites.FIXED_US


def test_the_readme_shows_the_committed_figures():
    readme = pathlib.Path("README.md").read_text()
    begin, end = "<!-- bench_decode: begin -->\n", "<!-- bench_decode: end -->\n"
    assert begin in readme and end in readme
    shown = readme.partition(begin)[2].partition(end)[0]
    wanted = bench_decode.readme_table(_BASELINE.read_text())
    assert shown.strip() == wanted.strip(), (
        "paste the output of ./bazelw run //python/bench:bench_decode -- --markdown"
    )


def test_the_page_of_the_fifo_kernel_shows_the_committed_figures(baseline):
    page = pathlib.Path("ascend_kernels/decode_fifo/README.md").read_text()
    for row in suites.rows("fifo"):
        assert f"{baseline[row.key].modelled_us:.1f} us" in page, row.label
        assert row.published_us is None or f"{row.published_us} us" in page


def test_published_and_modelled_times_have_columns_of_their_own(baseline):
    rows = [row for row in suites.rows("peers") if row.published_us is not None]
    head, _, *lines = table.markdown_table(table.from_baseline(rows, baseline)).splitlines()
    columns = [column.strip() for column in head.split("|")]
    assert columns.index("ours, modelled") != columns.index("published by others, on hardware")
    assert len(lines) == len(rows)
    for row, line in zip(rows, lines, strict=True):
        cells = [cell.strip() for cell in line.split("|")]
        assert (
            f"{row.published_us:g} us" in cells[columns.index("published by others, on hardware")]
        )


def test_the_picture_shows_every_phase_of_a_core():
    case = suites.case_line([2048])
    (timeline,) = figures.timelines(reference.parse_case(case))
    svg = xml.etree.ElementTree.fromstring(draw_timeline.draw(timeline, 3, case))
    text = [node.text for node in svg.iter("{http://www.w3.org/2000/svg}text")]
    assert any("modelled, not measured" in line and case in line for line in text)
    drawn = {node.get("fill") for node in svg.iter("{http://www.w3.org/2000/svg}rect")}
    assert drawn >= {
        colour for phase, colour in draw_timeline._COLOURS.items() if phase != "signal"
    }


def test_the_steps_of_the_fifo_kernel_get_shorter_and_are_drawn():
    forms = draw_fifo.model_forms()
    baseline, prefetch, slot_events = (form.step_ps for form in forms)
    assert baseline > 1.1 * prefetch and prefetch > slot_events
    waits = [draw_fifo.budget(form)["cube: scalar"].get("flag", 0) for form in forms]
    assert waits[0] > waits[1] > 0 == waits[2]  # for FIX: not in the form that ships
    svg = xml.etree.ElementTree.fromstring(draw_fifo.draw(forms))
    text = " ".join(filter(None, (node.text for node in svg.iter())))
    assert "modelled, not measured" in text and draw_fifo.CASE in text
    # The last of the legend is inside, in a font as wide as 7 units a letter.
    (last,) = [node for node in svg.iter() if node.text == "on its way"]
    assert int(last.get("x")) + 7 * len(last.text) < int(svg.get("viewBox").split()[2])
    drawn = {node.get("fill") for node in svg.iter("{http://www.w3.org/2000/svg}rect")}
    assert drawn >= {colour for colour, name in draw_fifo._LEGEND if name != "signal, not credits"}
