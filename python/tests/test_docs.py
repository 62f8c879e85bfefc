# SPDX-License-Identifier: Apache-2.0
"""The examples in public docstrings run, and every public name has one."""

import doctest
import inspect
import pathlib

import ascend_attention
import pytest
from ascend_attention import _core, cache, decode, device_array, merge, planning

MODULES = (cache, decode, device_array, merge, planning)
LONG_SIGNATURES = (
    decode.paged_attention,
    decode.DecodeAttention.run,
    cache.reshape_and_cache,
    merge.merge_states,
)


def examples() -> list[doctest.DocTest]:
    finder = doctest.DocTestFinder()
    found = [test for module in MODULES for test in finder.find(module)]
    return [test for test in found if test.examples]


@pytest.mark.parametrize("example", examples(), ids=lambda test: test.name)
def test_example_gives_what_it_shows(example):
    report = doctest.DocTestRunner().run(example)
    assert report.attempted > 0
    assert report.failed == 0


@pytest.mark.parametrize("name", ascend_attention.__all__)
def test_public_name_says_what_it_is(name):
    public = getattr(ascend_attention, name)
    text = inspect.getdoc(public) or ""
    assert text.split("\n")[0].endswith("."), "the first line is one sentence"
    for attribute, member in vars(public).items() if inspect.isclass(public) else ():
        if not attribute.startswith("_") and callable(member):
            assert inspect.getdoc(member), f"{name}.{attribute}"


@pytest.mark.parametrize("function", LONG_SIGNATURES)
def test_long_signatures_explain_every_argument(function):
    text = inspect.getdoc(function)
    assert text is not None
    for argument in inspect.signature(function).parameters:
        assert argument == "self" or f"\n    {argument}: " in text, argument
    returns = inspect.signature(function).return_annotation != "None"
    for section in ("Args:", *(["Returns:"] if returns else []), "Raises:", ">>> "):
        assert section in text


READING_PATH = [
    "README.md",
    "python/ascend_attention/decode.py",
    "tiling/decode_planner.h",
    "tiling/abi/decode_plan.h",
    "ascend_kernels/decode/decode_cube.h",
    "ascend_kernels/decode/qk_stage.h",
    "ascend_kernels/cce/cube_copy.h",
]


@pytest.mark.parametrize("step", range(len(READING_PATH) - 1))
def test_every_file_on_the_way_to_an_intrinsic_names_the_next(step):
    here, following = READING_PATH[step : step + 2]
    text = pathlib.Path(here).read_text()
    assert f"Next: {following} - " in text or (here == "README.md" and f"]({following})" in text)
    assert pathlib.Path(following).is_file()


def test_readme_lists_the_way_to_an_intrinsic_in_order():
    text = pathlib.Path("README.md").read_text()
    places = [text.index(f"[{path}]({path})") for path in READING_PATH[1:]]
    assert places == sorted(places)


def test_the_support_table_of_the_readme_is_the_one_that_is_printed():
    text = pathlib.Path("README.md").read_text()
    begin, end = "<!-- support: begin -->\n", "<!-- support: end -->"
    assert text.count(begin) == text.count(end) == 1
    table = text[text.index(begin) + len(begin) : text.index(end)]
    assert table == _core.support_table_markdown(), "paste `ascend-attention support --markdown`"
