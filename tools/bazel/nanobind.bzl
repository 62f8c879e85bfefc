# SPDX-License-Identifier: Apache-2.0
"""nanobind_extension: a Python module written in C++, with its .pyi stub."""

load("@python_env//:defs.bzl", "EXT_SUFFIX", "INTERPRETER", "SITE_PACKAGES")
load("@rules_cc//cc:defs.bzl", "cc_binary")
load("//tools/bazel:defs.bzl", "AA_COPTS", "aa_py_library")

# Everything but the module's init is hidden.
_COPTS = AA_COPTS + [
    "-fno-strict-aliasing",
    "-fvisibility=hidden",
]

def nanobind_extension(name, srcs, deps = [], data = [], visibility = None, **kwargs):
    """Builds <name><EXT_SUFFIX> and <name>.pyi; depend on <name>, a py_library of both.

    Args:
      name: path of the module below this package, for example "ascend_attention/_core".
      srcs: C++ files; one of them has NB_MODULE with the last part of `name`.
      deps: cc_library targets.
      data: files the module opens at run time.
      visibility: of <name>.
      **kwargs: passed to cc_binary.
    """
    module = name.split("/")[-1]
    shared = name + EXT_SUFFIX
    cc_binary(
        name = shared,
        srcs = srcs,
        copts = _COPTS,
        linkshared = True,
        deps = deps + ["@python_env//:nanobind"],
        visibility = visibility,
        **kwargs
    )
    native.genrule(
        name = name + "_stub",
        srcs = [":" + shared],
        outs = [name + ".pyi"],
        # The stub generator imports the module. -B: no __pycache__ beside it.
        cmd = "PYTHONPATH='%s' '%s' -B -m nanobind.stubgen -q -m %s -i $$(dirname $<) -o $@" % (
            SITE_PACKAGES,
            INTERPRETER,
            module,
        ),
        message = "Writing stub of",
    )
    aa_py_library(
        name = name,
        data = data + [
            name + ".pyi",
            shared,
        ],
        visibility = visibility,
    )
