# SPDX-License-Identifier: Apache-2.0
"""cce_kernel: one .cce file to one kernel binary.

The file is compiled once per core kind, as on the device. With the vnpu toolchain the result is
<name>.so, which needs libvnpu.so; with bisheng it is <name>.o, the device ELF that ACL loads.
Both register the kernel as "<entry>_<key>".
"""

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

VNPU_FLAGS = [
    "-x",
    "c++",
    "-std=c++17",
    "-O2",
    "-gline-tables-only",
    # addr2line of binutils loses inlined frames in DWARF 5.
    "-gdwarf-4",
    # Relative paths in the line tables, the same on every machine.
    "-ffile-compilation-dir=.",
    "-Wall",
    "-Wextra",
    "-Werror",
    "-fPIC",
    "-fvisibility=hidden",
    "-fno-exceptions",
    "-fno-rtti",
    "-ffp-contract=off",
    # Every intrinsic must be a call with a return address of its own: it names the source line.
    "-fno-optimize-sibling-calls",
    "-fasynchronous-unwind-tables",
    "-fno-addrsig",
]

def _vnpu_object(ctx, tools, headers, core):
    kind = _kind(ctx.attr.cores, core)
    base = "_objs/%s/%s" % (ctx.label.name, core)
    unit = ctx.actions.declare_file(base + ".cc")
    ctx.actions.write(unit, '#include "%s"\n#include "%s"\nVNPU_KERNEL_ENTRY(%s, %d, %s)\n' % (
        ctx.file.src.path,
        tools.entry_header,
        ctx.attr.entry,
        ctx.attr.key,
        kind,
    ))
    compiled = ctx.actions.declare_file(base + ".compiled.o")
    arch = _ARCH[core]
    ctx.actions.run(
        executable = tools.clang,
        arguments = VNPU_FLAGS + ["-D__DAV_C220_%s__=1" % arch, "-D__DAV_%s__=1" % arch] +
                    _include_args(headers) +
                    ["-include", tools.prelude, "-c", unit.path, "-o", compiled.path],
        inputs = depset([unit, ctx.file.src], transitive = [headers.headers]),
        outputs = [compiled],
        mnemonic = "CceCompile",
        progress_message = "Compiling %s for %s (vnpu)" % (ctx.file.src.short_path, core),
        use_default_shell_env = True,
    )

    # Both core kinds may define one inline function in two ways. So that the final link keeps
    # them apart, resolve the COMDAT groups of each pass and make all but the entry local.
    merged = ctx.actions.declare_file(base + ".merged.o")
    ctx.actions.run(
        executable = tools.ld,
        arguments = ["-r", "--force-group-allocation", "-o", merged.path, compiled.path],
        inputs = [compiled],
        outputs = [merged],
        mnemonic = "CceMerge",
    )
    local = ctx.actions.declare_file(base + ".o")
    ctx.actions.run(
        executable = tools.objcopy,
        arguments = ["--localize-hidden", merged.path, local.path],
        inputs = [merged],
        outputs = [local],
        mnemonic = "CceLocalize",
    )
    return local

def _build_vnpu(ctx, tools, headers):
    objects = [_vnpu_object(ctx, tools, headers, core) for core in ctx.attr.cores]
    linked = ctx.actions.declare_file("_objs/%s/linked.so" % ctx.label.name)
    ctx.actions.run(
        executable = tools.clang,
        arguments = ["-shared", "-Wl,--no-undefined", "-Wl,--build-id=none", "-o", linked.path] +
                    [obj.path for obj in objects] + [tools.runtime.path, "-lm"],
        inputs = objects + [tools.runtime],
        outputs = [linked],
        mnemonic = "CceLink",
        progress_message = "Linking kernel %s (vnpu)" % ctx.label.name,
        use_default_shell_env = True,
    )
    binary = ctx.actions.declare_file(ctx.label.name + ".so")
    ctx.actions.run(
        executable = tools.call_sites,
        arguments = [
            "--objdump=" + tools.objdump,
            "--addr2line=" + tools.addr2line,
            "--objcopy=" + tools.objcopy,
            linked.path,
            binary.path,
        ],
        inputs = [linked],
        outputs = [binary],
        mnemonic = "CceCallSites",
        progress_message = "Writing call table of %s" % binary.short_path,
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
