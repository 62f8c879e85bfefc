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

def nanobind_extension(
        name,
        srcs,
        deps = [],
        data = [],
        shared_libraries = [],
        visibility = None,
        **kwargs):
    """Builds <name><EXT_SUFFIX> and <name>.pyi; depend on <name>, a py_library of both.

    Args:
      name: path of the module below this package, for example "ascend_attention/_core".
      srcs: C++ files; one of them has NB_MODULE with the last part of `name`.
      deps: cc_library targets.
      data: files the module opens at run time.
      shared_libraries: .so targets of this tree that `deps` link, so that its stub can be written.
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
        srcs = [":" + shared] + shared_libraries,
        outs = [name + ".pyi"],
        # The stub generator imports the module. -B: no __pycache__ beside it.
        cmd = "".join(["LD_LIBRARY_PATH=$$(dirname $(execpath %s)) " % s for s in shared_libraries]) +
              "PYTHONPATH='%s' '%s' -B -m nanobind.stubgen -q -m %s -i $$(dirname %s) -o $@" % (
                  SITE_PACKAGES,
                  INTERPRETER,
                  module,
                  "$(execpath :%s)" % shared,
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
