# SPDX-License-Identifier: Apache-2.0
"""The two toolchains of cce_kernel: `vnpu` (clang for this host) and `bisheng` (CANN, Atlas A2)."""

load("@vnpu_tools//:defs.bzl", "TOOLS")

def _vnpu_toolchain_impl(ctx):
    return [platform_common.ToolchainInfo(
        kind = "vnpu",
        call_sites = ctx.attr.call_sites[DefaultInfo].files_to_run,
        isa = ctx.attr.isa[CcInfo].compilation_context,
        prelude = ctx.attr.prelude,
        entry_header = ctx.attr.entry_header,
        runtime = ctx.file.runtime,
        **TOOLS
    )]

vnpu_cce_toolchain = rule(
    implementation = _vnpu_toolchain_impl,
    attrs = {
        "call_sites": attr.label(cfg = "exec", executable = True, mandatory = True),
        "entry_header": attr.string(doc = "declares VNPU_KERNEL_ENTRY(entry, key, kind)"),
        "isa": attr.label(providers = [CcInfo], mandatory = True),
        "prelude": attr.string(doc = "header that every kernel gets, as the device compiler's own"),
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
