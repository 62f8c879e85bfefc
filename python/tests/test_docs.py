# SPDX-License-Identifier: Apache-2.0
"""The examples in public docstrings run, and every public name has one."""

import doctest
import inspect

import ascend_attention
import pytest
from ascend_attention import decode, device_array, planning


def examples() -> list[doctest.DocTest]:
    finder = doctest.DocTestFinder()
    found = [t for module in (decode, device_array, planning) for t in finder.find(module)]
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


@pytest.mark.parametrize("function", [decode.paged_attention, decode.DecodeAttention.run])
def test_long_signatures_explain_every_argument(function):
    text = inspect.getdoc(function)
    assert text is not None
    for argument in inspect.signature(function).parameters:
        assert argument == "self" or f"\n    {argument}: " in text, argument
    for section in ("Args:", "Returns:", "Raises:", ">>> "):
        assert section in text
