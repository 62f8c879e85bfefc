# SPDX-License-Identifier: Apache-2.0
"""Repository rule that describes one Python interpreter and its packages to Bazel.

The interpreter is $ASCEND_ATTENTION_PYTHON, else .venv/bin/python (bazelw makes it), else python3.
Packages are no Bazel targets: the interpreter finds its own; the lock pins their versions. If it has
PyTorch, HAS_TORCH says so and @python_env//:torch is what the torch operators are compiled with.
$ASCEND_ATTENTION_LOCKED names the packages that must match (space separated); default: all.
"""

_BUILD = """\
# Written by tools/bazel/python_env.bzl.
load("@bazel_tools//tools/python:toolchain.bzl", "py_runtime_pair")
load("@rules_cc//cc:defs.bzl", "cc_library")
load("@rules_python//python:defs.bzl", "py_runtime")

package(default_visibility = ["//visibility:public"])

py_runtime(
    name = "runtime",
    interpreter_path = "{interpreter}",
    python_version = "PY3",
    stub_shebang = "{shebang}",
)

py_runtime_pair(
    name = "runtime_pair",
    py3_runtime = ":runtime",
)

toolchain(
    name = "toolchain",
    toolchain = ":runtime_pair",
    toolchain_type = "@bazel_tools//tools/python:toolchain_type",
)

cc_library(
    name = "python_headers",
    hdrs = glob(["python/**/*.h"]),
    includes = ["python"],
)

cc_library(
    name = "nanobind",
    srcs = ["nanobind/src/nb_combined.cpp"],
    hdrs = glob([
        "nanobind/ext/robin_map/include/**/*.h",
        "nanobind/include/**/*.h",
    ]),
    copts = [
        "-Os",
        "-fno-strict-aliasing",
        "-fvisibility=hidden",
    ],
    defines = {defines},
    includes = [
        "nanobind/ext/robin_map/include",
        "nanobind/include",
    ],
    textual_hdrs = glob(
        ["nanobind/src/*"],
        exclude = ["nanobind/src/nb_combined.cpp"],
    ),
    deps = [":python_headers"],
)

# Texts that go with binaries made of it.
exports_files([
    "nanobind/LICENSE",
    "nanobind/ext/robin_map/include/tsl/robin_map.h",
])
"""

# The headers of the stable ABI. Nothing of PyTorch is linked as a library of Bazel's, which would
# drag it into runfiles and wheels: who links names libtorch_cpu.so on the command line.
_TORCH_BUILD = """
cc_library(
    name = "torch",
    hdrs = glob([
        "torch/include/torch/csrc/inductor/aoti_torch/**/*.h",
        "torch/include/torch/csrc/stable/**/*.h",
        "torch/include/torch/headeronly/**/*.h",
    ]),
    includes = ["torch/include"],
)

exports_files(["torch/libtorch_cpu.so"])
"""

_DEFS = """\
# Written by tools/bazel/python_env.bzl.
INTERPRETER = "{interpreter}"
PYTHON_VERSION = "{version}"
EXT_SUFFIX = "{ext_suffix}"
HAS_TORCH = {has_torch}
HAS_TORCH_NPU = {has_torch_npu}
SITE_PACKAGES = "{site_packages}"
TORCH_VERSION = "{torch_version}"
WHEEL_TAG = "{wheel_tag}"
VERSIONS = {versions}
"""

def _find_interpreter(rctx):
    named = rctx.os.environ.get("ASCEND_ATTENTION_PYTHON", "")
    if named:
        found = rctx.path(named) if named.startswith("/") else rctx.which(named)
        if not found or not found.exists:
            fail("ASCEND_ATTENTION_PYTHON=%s is no program; unset it or name a Python >= 3.10." % named)
        return found
    venv = rctx.path(Label("//:WORKSPACE")).dirname.get_child(".venv")
    if venv.get_child("bin").get_child("python").exists:
        rctx.path(Label("//:.venv/pyvenv.cfg"))  # so that a new .venv is looked at again

        # Likewise when PyTorch comes; a .venv that bazelw has not made has no such file.
        if venv.get_child("requirements-torch.lock").exists:
            rctx.path(Label("//:.venv/requirements-torch.lock"))
        return venv.get_child("bin").get_child("python")
    return rctx.which("python3") or fail("No Python found; run ./bazelw, which makes .venv.")

def _python_env_impl(rctx):
    interpreter = _find_interpreter(rctx)
    only = [name for name in rctx.os.environ.get("ASCEND_ATTENTION_LOCKED", "").split(" ") if name]
    probe = rctx.execute(
        [interpreter, rctx.path(rctx.attr.probe), rctx.path(rctx.attr.lock)] + only,
        environment = {"TORCH_DEVICE_BACKEND_AUTOLOAD": "0"},
    )
    if probe.return_code:
        fail("%s cannot run python_probe.py: %s" % (interpreter, probe.stderr))
    env = json.decode(probe.stdout)
    if "error" in env:
        remedy = "run ./bazelw (it fills .venv)"
        if rctx.os.environ.get("ASCEND_ATTENTION_PYTHON"):
            remedy = "unset ASCEND_ATTENTION_PYTHON or run `%s -m pip install -r requirements.lock`" % interpreter
        fail("%s: %s; %s" % (interpreter, env["error"], remedy))

    # The shebang has a length limit in the kernel and cannot hold spaces.
    shebang = "#!%s" % interpreter
    if len(shebang) > 120 or " " in shebang:
        shebang = "#!/usr/bin/env python3"
    rctx.symlink(env["include"], "python")
    rctx.symlink(env["nanobind"] + "/include", "nanobind/include")
    rctx.symlink(env["nanobind"] + "/src", "nanobind/src")
    rctx.symlink(env["nanobind"] + "/ext", "nanobind/ext")
    rctx.symlink(env["nanobind_license"], "nanobind/LICENSE")
    if env["torch"]:
        rctx.symlink(env["torch"] + "/include", "torch/include")
        rctx.symlink(env["torch"] + "/lib/libtorch_cpu.so", "torch/libtorch_cpu.so")
    rctx.file("BUILD", _BUILD.format(
        defines = '["Py_LIMITED_API=0x030C0000"]' if env["stable_abi"] else "[]",
        interpreter = interpreter,
        shebang = shebang,
    ) + (_TORCH_BUILD if env["torch"] else ""), executable = False)
    rctx.file("defs.bzl", _DEFS.format(
        ext_suffix = env["ext_suffix"],
        has_torch = bool(env["torch"]),
        has_torch_npu = env["torch_npu"],
        interpreter = interpreter,
        site_packages = rctx.path(env["nanobind"]).dirname,
        torch_version = env["torch_version"],
        version = env["version"],
        versions = repr(env["versions"]),
        wheel_tag = env["wheel_tag"],
    ), executable = False)

python_env = repository_rule(
    implementation = _python_env_impl,
    attrs = {
        "lock": attr.label(allow_single_file = True, mandatory = True),
        "probe": attr.label(allow_single_file = True, default = "//tools/bazel:python_probe.py"),
    },
    environ = ["ASCEND_ATTENTION_LOCKED", "ASCEND_ATTENTION_PYTHON", "PATH", "PYTHONPATH"],
    local = True,
)
