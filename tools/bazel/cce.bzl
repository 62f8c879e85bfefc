# SPDX-License-Identifier: Apache-2.0
"""cce_kernel: one .cce file to one kernel binary.

The file is compiled once per core kind, as on the device. With the vnpu toolchain the result is
<name>.so, which needs libvnpu.so (//tools/vnpu/toolchain does the work); with bisheng it is <name>.o, the device ELF that ACL loads.
Both register the kernel as "<entry>_<key>".
"""

load("//tools/bazel:cce_toolchain.bzl", "VNPU_TOOLS")

_ARCH = {"aic": "CUBE", "aiv": "VEC"}

def _kind(cores, core):
    """The suffix by which the runtime tells the halves of a mixed kernel apart."""
    return "mix_" + core if len(cores) > 1 else core

def _include_args(context):
    folders = ["."] + context.quote_includes.to_list() + context.includes.to_list()
    return (
        ["-I" + path for path in depset(folders).to_list()] +
        ["-isystem" + path for path in context.system_includes.to_list()] +
        ["-D" + define for define in context.defines.to_list()]
    )

def _bisheng_compile_args(core, cores, entry, key):
    # Facts: ascend-boost-comm scripts/compile_ascendc.py, hw-native-sys/simpler toolchain.
    symbol = "%s_%d" % (entry, key)
    if len(cores) > 1:
        symbol += "_mix_" + core
    args = ["-x", "cce", "-std=c++17", "-O3", "-c", "--cce-aicore-only"]
    args.append("--cce-aicore-arch=dav-c220-" + _ARCH[core].lower())
    for option in [
        "-cce-aicore-stack-size=0x8000",
        "-cce-aicore-function-stack-size=0x8000",
        "-cce-aicore-record-overflow=false",
        "-cce-aicore-addr-transform",
        "-cce-aicore-dcci-insert-for-scalar=false",
    ]:
        args += ["-mllvm", option]
    return args + ["-D%s=%s" % (entry, symbol), "-DTILING_KEY_VAR=%d" % key]

def _build_bisheng(ctx, tools, headers):
    objects = []
    for core in ctx.attr.cores:
        obj = ctx.actions.declare_file("_objs/%s/%s.o" % (ctx.label.name, core))
        ctx.actions.run(
            executable = tools.ccec,
            arguments = _bisheng_compile_args(core, ctx.attr.cores, ctx.attr.entry, ctx.attr.key) +
                        _include_args(headers) + [ctx.file.src.path, "-o", obj.path],
            inputs = depset([ctx.file.src], transitive = [headers.headers]),
            outputs = [obj],
            mnemonic = "CceCompile",
            progress_message = "Compiling %s for %s" % (ctx.file.src.short_path, core),
            use_default_shell_env = True,
        )
        objects.append(obj)
    binary = ctx.actions.declare_file(ctx.label.name + ".o")
    ctx.actions.run(
        executable = tools.ld_lld,
        arguments = ["-m", "aicorelinux", "-Ttext=0"] + [obj.path for obj in objects] +
                    ["-static", "-o", binary.path],
        inputs = objects,
        outputs = [binary],
        mnemonic = "CceLink",
        progress_message = "Linking kernel %s" % binary.short_path,
        use_default_shell_env = True,
    )
    return binary

def _vnpu_tools(tools):
    return ["--%s=%s" % (name, getattr(tools, name)) for name in VNPU_TOOLS]

def _vnpu_object(ctx, tools, headers, core):
    output = ctx.actions.declare_file("_objs/%s/%s.o" % (ctx.label.name, core))
    ctx.actions.run(
        executable = tools.driver,
        arguments = [
            "pass",
            ctx.file.src.path,
            "--core=" + core,
            "--kind=" + _kind(ctx.attr.cores, core),
            "--entry=" + ctx.attr.entry,
            "--key=%d" % ctx.attr.key,
            "--strict",
            "-o",
            output.path,
        ] + _vnpu_tools(tools) + _include_args(headers),
        inputs = depset([ctx.file.src], transitive = [headers.headers]),
        outputs = [output],
        mnemonic = "CceCompile",
        progress_message = "Compiling %s for %s (vnpu)" % (ctx.file.src.short_path, core),
        use_default_shell_env = True,
    )
    return output

def _build_vnpu(ctx, tools, headers):
    objects = [_vnpu_object(ctx, tools, headers, core) for core in ctx.attr.cores]
    binary = ctx.actions.declare_file(ctx.label.name + ".so")
    ctx.actions.run(
        executable = tools.driver,
        arguments = ["link"] + [obj.path for obj in objects] +
                    ["--runtime=" + tools.runtime.path, "-o", binary.path] + _vnpu_tools(tools),
        inputs = objects + [tools.runtime],
        outputs = [binary],
        mnemonic = "CceLink",
        progress_message = "Linking kernel %s (vnpu)" % binary.short_path,
        use_default_shell_env = True,
    )
    return binary

def _cce_kernel_impl(ctx):
    tools = ctx.toolchains["//tools/bazel:cce_toolchain_type"]
    for core in ctx.attr.cores:
        if core not in _ARCH:
            fail("cores has '%s', allowed: aic, aiv" % core)
    contexts = [dep[CcInfo].compilation_context for dep in ctx.attr.deps]
    if tools.kind == "vnpu":
        contexts.append(tools.isa)
        binary = _build_vnpu(ctx, tools, _merge(contexts))
    else:
        binary = _build_bisheng(ctx, tools, _merge(contexts))
    return [DefaultInfo(files = depset([binary]), runfiles = ctx.runfiles([binary]))]

def _merge(contexts):
    infos = [CcInfo(compilation_context = context) for context in contexts]
    return cc_common.merge_cc_infos(cc_infos = infos).compilation_context

cce_kernel = rule(
    implementation = _cce_kernel_impl,
    attrs = {
        "cores": attr.string_list(default = ["aic", "aiv"], doc = "core kinds with code in src"),
        "deps": attr.label_list(providers = [CcInfo], doc = "cc_library targets with headers"),
        "entry": attr.string(mandatory = True, doc = "the extern \"C\" __global__ function"),
        "key": attr.int(doc = "tiling key, part of the registered name"),
        "src": attr.label(allow_single_file = [".cce"], mandatory = True),
    },
    fragments = ["cpp"],
    incompatible_use_toolchain_transition = True,
    toolchains = ["//tools/bazel:cce_toolchain_type"],
)
