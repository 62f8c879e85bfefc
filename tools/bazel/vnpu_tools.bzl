# SPDX-License-Identifier: Apache-2.0
"""Repository rule that finds the programs which build kernels for the virtual NPU.

Kernels always go through clang, whatever compiles the host code: the address spaces of the kernel
language are attributes that only clang checks. $ASCEND_ATTENTION_CLANG names another clang.
"""

_CLANGS = ["clang-19", "clang-20", "clang-21", "clang-22", "clang-18", "clang-17", "clang"]

_MISSING = """\
#!/bin/sh
echo "{text}" >&2
exit 1
"""

def _which(rctx, names):
    for name in names:
        found = rctx.which(name)
        if found:
            return found
    return None

def _vnpu_tools_impl(rctx):
    named = rctx.os.environ.get("ASCEND_ATTENTION_CLANG", "")
    tools = {
        "addr2line": (["addr2line"], "binutils"),
        "clang": ([named] if named else _CLANGS, "clang-19"),
        "ld": (["ld.bfd", "ld"], "binutils"),
        "objcopy": (["objcopy"], "binutils"),
        "objdump": (["objdump"], "binutils"),
    }
    paths = {}
    for tool, (names, package) in tools.items():
        found = rctx.path(names[0]) if names[0].startswith("/") else _which(rctx, names)
        if not found or not found.exists:
            text = "%s not found: run ./bazelw, or install %s (Debian) yourself" % (names[0], package)
            rctx.file(tool, _MISSING.format(text = text), executable = True)
            found = rctx.path(tool)
        paths[tool] = str(found)
    rctx.file("defs.bzl", "# Written by tools/bazel/vnpu_tools.bzl.\nTOOLS = %r\n" % paths)
    rctx.file("BUILD", "")

vnpu_tools = repository_rule(
    implementation = _vnpu_tools_impl,
    environ = ["ASCEND_ATTENTION_CLANG", "PATH"],
    local = True,
)
