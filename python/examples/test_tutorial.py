# SPDX-License-Identifier: Apache-2.0
"""The tutorial does what it says, output by output; and its runner notices when it does not."""

import pathlib
import re

import pytest

from python.examples import run_tutorial

TUTORIAL = pathlib.Path("python/examples/vnpu_tutorial.md").read_text(encoding="utf-8")


def test_every_step_prints_what_the_tutorial_shows(tmp_path):
    steps = run_tutorial.run(TUTORIAL, tmp_path)
    assert len(steps) == len(re.findall(r"^\$ |^```text$", TUTORIAL, re.M)) >= 8
    for step in steps:
        assert step.ok, f"$ {step.command}\n{step.printed}"
    assert (tmp_path / "scale_add.html").stat().st_size > 10_000


EXAMPLE = """
```cpp hello.txt
one
two
```
```diff hello.txt
 one
-two
+2
```
```console
$ cat \\
    hello.txt
one
2
$ seq 5
1
...
5
```
"""


def test_a_small_tutorial_passes(tmp_path):
    first, second = run_tutorial.run(EXAMPLE, tmp_path)
    assert first.ok and second.ok
    assert second.printed == "1\n2\n3\n4\n5\n"


@pytest.mark.parametrize(
    ("shown", "changed"), [("one\n2\n$", "one\n3\n$"), ("1\n...\n5\n", "7\n...\n5\n")]
)
def test_a_difference_is_noticed_and_updated_where_it_is(tmp_path, shown, changed):
    text = EXAMPLE.replace(shown, changed)
    steps = run_tutorial.run(text, tmp_path)
    assert [step.ok for step in steps].count(False) == 1
    assert run_tutorial.update(text, steps) == EXAMPLE


@pytest.mark.parametrize("changed", ["1\n...\nfive\n", "1\n...\n6\n", "one\n...\n5\n"])
def test_an_update_shows_everything_where_lines_are_gone(tmp_path, changed):
    text = EXAMPLE.replace("1\n...\n5\n", changed)
    steps = run_tutorial.run(text, tmp_path)
    assert [step.ok for step in steps] == [True, False]
    assert run_tutorial.update(text, steps) == EXAMPLE.replace("...", "2\n3\n4")


def test_a_hunk_that_fits_nowhere_is_refused(tmp_path):
    with pytest.raises(ValueError, match="0 places fit this hunk"):
        run_tutorial.run(EXAMPLE.replace("-two", "-three"), tmp_path)


def test_a_program_without_its_output_is_refused(tmp_path):
    with pytest.raises(ValueError, match="not followed by a text block"):
        run_tutorial.run(EXAMPLE + "```python\nprint(1)\n```\n", tmp_path)
