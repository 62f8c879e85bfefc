# SPDX-License-Identifier: Apache-2.0
"""The stub of the extension module is what we reviewed, and is typed throughout."""

import ast
import pathlib

import pytest
from ascend_attention import _core

BUILT = pathlib.Path("python/ascend_attention/_core.pyi")
REVIEWED = pathlib.Path("python/tests/core_stub.pyi.golden")


def test_stub_is_the_reviewed_one():
    """After a change of the bindings: review the new stub and copy it over the golden."""
    assert BUILT.read_text() == REVIEWED.read_text()


def functions() -> list[tuple[str, ast.FunctionDef]]:
    tree = ast.parse(BUILT.read_text())
    found = [(node.name, node) for node in tree.body if isinstance(node, ast.FunctionDef)]
    for cls in (node for node in tree.body if isinstance(node, ast.ClassDef)):
        found += [(f"{cls.name}.{f.name}", f) for f in cls.body if isinstance(f, ast.FunctionDef)]
    return found


@pytest.mark.parametrize(("name", "node"), functions(), ids=lambda v: v if type(v) is str else "")
def test_every_function_is_typed_and_exists(name, node):
    arguments = [*node.args.args, *node.args.kwonlyargs]
    untyped = [a.arg for a in arguments if a.annotation is None and a.arg != "self"]
    assert untyped == []
    assert node.returns is not None
    assert not {"Any", "object"} & {n.id for n in ast.walk(node) if isinstance(n, ast.Name)}
    target = _core
    for part in name.split("."):
        target = getattr(target, part)


def test_package_is_marked_as_typed():
    assert (BUILT.parent / "py.typed").is_file()
