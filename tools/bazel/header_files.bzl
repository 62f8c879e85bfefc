# SPDX-License-Identifier: Apache-2.0
"""header_files: the headers of cc_library targets as files, to ship or to open at run time."""

def _header_files_impl(ctx):
    headers = depset(transitive = [
        dep[CcInfo].compilation_context.headers
        for dep in ctx.attr.deps
    ])
    return [DefaultInfo(files = headers, runfiles = ctx.runfiles(transitive_files = headers))]

header_files = rule(
    implementation = _header_files_impl,
    attrs = {"deps": attr.label_list(mandatory = True, providers = [CcInfo])},
)
