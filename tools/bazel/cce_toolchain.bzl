# SPDX-License-Identifier: Apache-2.0
"""The two toolchains of cce_kernel: `vnpu` (clang for this host) and `bisheng` (CANN, Atlas A2)."""

load("@vnpu_tools//:defs.bzl", "TOOLS")

# The programs that the driver is told by path.
VNPU_TOOLS = ["clang", "ld", "objcopy", "objdump", "addr2line"]

def _vnpu_toolchain_impl(ctx):
    return [platform_common.ToolchainInfo(
        kind = "vnpu",
        driver = ctx.attr.driver[DefaultInfo].files_to_run,
        isa = ctx.attr.isa[CcInfo].compilation_context,
        runtime = ctx.file.runtime,
        **TOOLS
    )]

vnpu_cce_toolchain = rule(
    implementation = _vnpu_toolchain_impl,
    attrs = {
        "driver": attr.label(cfg = "exec", executable = True, mandatory = True),
        "isa": attr.label(providers = [CcInfo], mandatory = True, doc = "headers of the dialect"),
        "runtime": attr.label(allow_single_file = True, mandatory = True, doc = "libvnpu.so"),
    },
)

def _bisheng_toolchain_impl(ctx):
    return [platform_common.ToolchainInfo(
        kind = "bisheng",
        ccec = ctx.executable.ccec,
        ld_lld = ctx.executable.ld_lld,
    )]

bisheng_cce_toolchain = rule(
    implementation = _bisheng_toolchain_impl,
    attrs = {
        "ccec": attr.label(
            allow_single_file = True,
            cfg = "exec",
            default = "@cann_toolkit//:ccec",
            executable = True,
        ),
        "ld_lld": attr.label(
            allow_single_file = True,
            cfg = "exec",
            default = "@cann_toolkit//:ld.lld",
            executable = True,
        ),
    },
)
