# SPDX-License-Identifier: Apache-2.0
"""What wheel and install tree have in common: where a file of the tree goes, files for a platform."""

def shipped_path(path, prefixes):
    """The path in the package: the longest matching prefix is replaced.

    Args:
      path: of a file in the tree.
      prefixes: path in the tree -> path in the package. {npu} in the latter is the kind of NPU that
        a kernel binary is for: device ELFs are a2/*.o, those of the virtual NPU are vnpu/*.so.

    Returns:
      The path, or None if no prefix fits.
    """
    best = None
    for prefix in prefixes:
        if path.startswith(prefix) and (best == None or len(prefix) > len(best)):
            best = prefix
    if best == None:
        return None
    folder = prefixes[best].replace("{npu}", "a2" if path.endswith(".o") else "vnpu")
    return folder + path[len(best):]

def _platform_transition_impl(settings, attr):
    return {"//command_line_option:platforms": [attr.platform]}

_platform_transition = transition(
    implementation = _platform_transition_impl,
    inputs = [],
    outputs = ["//command_line_option:platforms"],
)

def _on_platform_impl(ctx):
    if ctx.attr.output_group:
        files = [target[OutputGroupInfo][ctx.attr.output_group] for target in ctx.attr.targets]
    else:
        files = [target[DefaultInfo].files for target in ctx.attr.targets]
    files = depset(transitive = files)
    return [DefaultInfo(files = files, runfiles = ctx.runfiles(transitive_files = files))]

on_platform = rule(
    doc = "The files of targets as they are for a platform, whatever the platform of the build is.",
    implementation = _on_platform_impl,
    attrs = {
        "output_group": attr.string(doc = "of the targets, instead of their default files"),
        "platform": attr.string(mandatory = True),
        "targets": attr.label_list(cfg = _platform_transition, mandatory = True),
        "_allowlist_function_transition": attr.label(
            default = "@bazel_tools//tools/allowlists/function_transition_allowlist",
        ),
    },
)
