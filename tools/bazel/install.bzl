# SPDX-License-Identifier: Apache-2.0
"""install_tree: headers, libraries and what belongs to them as one archive, to unpack anywhere.

The work is done by //tools/packaging:install_builder.
"""

load("@python_env//:defs.bzl", "SITE_PACKAGES")
load("//tools/bazel:shipped.bzl", "shipped_path")

def _install_tree_impl(ctx):
    contents = {}
    headers = {}
    public = []
    files = depset(transitive = [target[DefaultInfo].files for target in ctx.attr.files])
    contexts = [target[CcInfo].compilation_context for target in ctx.attr.headers]
    all_headers = depset(transitive = [context.headers for context in contexts])
    for context in contexts:
        public += [file.short_path for file in context.direct_headers]
    for file in all_headers.to_list():
        # Headers that have no place are an error only if a public one includes them.
        name = shipped_path(file.short_path, ctx.attr.prefixes)
        if name != None:
            headers[file.short_path] = {"file": file.path, "name": name}
    for file in files.to_list():
        name = shipped_path(file.short_path, ctx.attr.prefixes)
        if name == None:
            fail("no entry of `prefixes` says where %s is installed" % file.short_path)
        if name in contents:
            fail("%s and %s are both installed as %s" % (contents[name], file.path, name))
        contents[name] = file.path

    listing = ctx.actions.declare_file(ctx.label.name + ".files.json")
    ctx.actions.write(listing, json.encode({
        "files": contents,
        "headers": headers,
        "public_headers": public,
    }))
    archive = ctx.actions.declare_file(ctx.label.name + ".tar.gz")
    args = ctx.actions.args()
    args.add("--listing", listing)
    args.add("--pyproject", ctx.file.pyproject)
    args.add("--output", archive)
    ctx.actions.run(
        executable = ctx.executable._builder,
        arguments = [args],
        env = {"PYTHONPATH": SITE_PACKAGES},  # tomli, where Python has no tomllib
        inputs = depset([listing, ctx.file.pyproject], transitive = [files, all_headers]),
        outputs = [archive],
        mnemonic = "InstallTree",
        progress_message = "Writing %s" % archive.short_path,
    )
    return [
        DefaultInfo(files = depset([archive]), runfiles = ctx.runfiles([archive])),
        OutputGroupInfo(listing = depset([listing])),
    ]

install_tree = rule(
    implementation = _install_tree_impl,
    attrs = {
        "files": attr.label_list(
            allow_files = True,
            doc = "@VERSION@ in *.cmake files becomes the version",
        ),
        "headers": attr.label_list(
            doc = "libraries whose own headers are installed, with what these include",
            providers = [CcInfo],
        ),
        "prefixes": attr.string_dict(
            doc = "path in the tree -> path below the prefix; see shipped_path",
            mandatory = True,
        ),
        "pyproject": attr.label(allow_single_file = True, default = "//:pyproject.toml"),
        "_builder": attr.label(
            cfg = "exec",
            default = "//tools/packaging:install_builder",
            executable = True,
        ),
    },
)
