# SPDX-License-Identifier: Apache-2.0
"""The cc_* and py_* macros of this project: the only place with warning options and test defaults.

Attributes are those of the native rules, and `copts` adds to ours.
"""

load("@rules_cc//cc:defs.bzl", "cc_binary", "cc_library", "cc_test")
load("@rules_python//python:defs.bzl", "py_binary", "py_library", "py_test")

# Contraction into fused multiply-adds would make results differ between x86-64 and arm64.
AA_COPTS = [
    "-Wall",
    "-Wextra",
    "-ffp-contract=off",
] + select({
    "//tools/bazel:gcc": [],
    "//conditions:default": ["-Werror"],
})

_PY_ENV = {
    "OMP_NUM_THREADS": "1",
    "PYTHONDONTWRITEBYTECODE": "1",
    "TORCH_DEVICE_BACKEND_AUTOLOAD": "0",
}

def aa_cc_library(name, copts = [], **kwargs):
    cc_library(name = name, copts = AA_COPTS + copts, **kwargs)

def aa_cc_binary(name, copts = [], **kwargs):
    cc_binary(name = name, copts = AA_COPTS + copts, **kwargs)

def aa_cc_test(name, copts = [], deps = [], size = "small", **kwargs):
    """A GoogleTest program; its main comes with it."""
    cc_test(
        name = name,
        copts = AA_COPTS + copts,
        size = size,
        deps = deps + ["@googletest//:gtest_main"],
        **kwargs
    )

def aa_py_library(name, **kwargs):
    py_library(name = name, srcs_version = "PY3", **kwargs)

def aa_py_binary(name, env = {}, **kwargs):
    py_binary(
        name = name,
        env = dict(_PY_ENV, **env),
        python_version = "PY3",
        **kwargs
    )

def aa_py_test(name, srcs, deps = [], env = {}, args = [], size = "small", **kwargs):
    """Runs pytest on `srcs` (conftest.py is only loaded); no test found is a failure.

    `args` go to pytest; the working folder is the workspace root of the runfiles.
    """
    py_test(
        name = name,
        srcs = srcs + ["//tools/testing:pytest_main.py"],
        args = ["$(rootpath %s)" % src for src in srcs if not src.endswith("conftest.py")] + args,
        env = dict(_PY_ENV, **env),
        main = "//tools/testing:pytest_main.py",
        python_version = "PY3",
        size = size,
        deps = deps,
        **kwargs
    )
