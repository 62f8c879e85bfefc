# SPDX-License-Identifier: Apache-2.0
"""The stubs of the extension modules are what we reviewed, and are typed throughout."""

import ast
import pathlib

import pytest
from ascend_attention import _core, _vnpu

PACKAGE = pathlib.Path("python/ascend_attention")
MODULES = {"core": _core, "vnpu": _vnpu}


@pytest.mark.parametrize("module", MODULES)
def test_stub_is_the_reviewed_one(module):
    """After a change of the bindings: review the new stub and copy it over the golden."""
    reviewed = pathlib.Path(f"python/tests/{module}_stub.pyi.golden")
    assert (PACKAGE / f"_{module}.pyi").read_text() == reviewed.read_text()


def functions() -> list[tuple[str, str, ast.FunctionDef]]:
    found = []
    for module in MODULES:
        tree = ast.parse((PACKAGE / f"_{module}.pyi").read_text())
        for node in tree.body:
            if isinstance(node, ast.FunctionDef):
                found.append((module, node.name, node))
            elif isinstance(node, ast.ClassDef):
                methods = (f for f in node.body if isinstance(f, ast.FunctionDef))
                found += [(module, f"{node.name}.{f.name}", f) for f in methods]
    return found


@pytest.mark.parametrize(
    ("module", "name", "node"), functions(), ids=lambda v: v if type(v) is str else ""
)
def test_every_function_is_typed_and_exists(module, name, node):
    arguments = [*node.args.args, *node.args.kwonlyargs]
    untyped = [a.arg for a in arguments if a.annotation is None and a.arg != "self"]
    assert untyped == []
    assert node.returns is not None
    assert not {"Any", "object"} & {n.id for n in ast.walk(node) if isinstance(n, ast.Name)}
    target = MODULES[module]
    for part in name.split("."):
        target = getattr(target, part)


def test_package_is_marked_as_typed():
    assert (PACKAGE / "py.typed").is_file()
