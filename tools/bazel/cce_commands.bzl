# SPDX-License-Identifier: Apache-2.0
"""cce_commands: the command lines that build a kernel on another platform, as a text file.

For tests: nothing is run, so it works on machines without CANN.
"""

_CommandsInfo = provider(fields = {"lines": "one command line per action"})

def _platform_transition_impl(settings, attr):
    return {"//command_line_option:platforms": [attr.platform]}

_platform_transition = transition(
    implementation = _platform_transition_impl,
    inputs = [],
    outputs = ["//command_line_option:platforms"],
)

def _commands_aspect_impl(target, ctx):
    return [_CommandsInfo(lines = [
        " ".join(action.argv)
        for action in target.actions
        if action.mnemonic in ["CceCompile", "CceLink"]
    ])]

_commands_aspect = aspect(implementation = _commands_aspect_impl)

def _cce_commands_impl(ctx):
    output = ctx.actions.declare_file(ctx.label.name + ".txt")
    lines = [line for kernel in ctx.attr.kernels for line in kernel[_CommandsInfo].lines]
    ctx.actions.write(output, "\n".join(lines) + "\n")
    return [DefaultInfo(files = depset([output]), runfiles = ctx.runfiles([output]))]

cce_commands = rule(
    implementation = _cce_commands_impl,
    attrs = {
        "kernels": attr.label_list(aspects = [_commands_aspect], cfg = _platform_transition),
        "platform": attr.string(mandatory = True),
        "_allowlist_function_transition": attr.label(
            default = "@bazel_tools//tools/allowlists/function_transition_allowlist",
        ),
    },
)
