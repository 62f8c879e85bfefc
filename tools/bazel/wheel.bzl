# SPDX-License-Identifier: Apache-2.0
"""python_wheel: a wheel from the runfiles of py_library targets.

Name, version, dependencies and scripts come from pyproject.toml; the tag is that of the
interpreter of @python_env.
"""

load("@python_env//:defs.bzl", "SITE_PACKAGES", "WHEEL_TAG")
load("//tools/bazel:shipped.bzl", "shipped_path")

def _python_wheel_impl(ctx):
    runfiles = depset(transitive = [
        dep[DefaultInfo].default_runfiles.files
        for dep in ctx.attr.deps
    ] + [dep[DefaultInfo].files for dep in ctx.attr.deps])
    contents = {}
    for file in runfiles.to_list():
        path = file.short_path
        if path.startswith("../") or path.startswith("_solib"):
            continue  # system packages and links to libraries that are listed themselves
        name = shipped_path(path, ctx.attr.prefixes)
        if name == None:
            fail("no entry of `prefixes` says where %s goes in the wheel" % path)
        if name in contents and contents[name] != file:
            fail("%s and %s both go to %s" % (contents[name].path, file.path, name))
        contents[name] = file

    files = ctx.actions.declare_file(ctx.label.name + ".files.json")
    ctx.actions.write(files, json.encode({
        name: file.path
        for name, file in contents.items()
    }))
    wheel = ctx.actions.declare_file("%s-%s-%s.whl" % (
        ctx.attr.distribution.replace("-", "_"),
        ctx.attr.version,
        WHEEL_TAG,
    ))
    args = ctx.actions.args()
    args.add("--tag", WHEEL_TAG)
    args.add("--files", files)
    args.add("--pyproject", ctx.file.pyproject)
    args.add("--readme", ctx.file.readme)
    args.add("--license", ctx.file.license)
    for target, what in ctx.attr.third_party.items():
        args.add("--third_party", "%s %s" % (what, target.files.to_list()[0].path))
    args.add("--output", wheel)
    ctx.actions.run(
        executable = ctx.executable._builder,
        arguments = [args],
        env = {"PYTHONPATH": SITE_PACKAGES},  # tomli, where Python has no tomllib
        inputs = depset(
            [files, ctx.file.pyproject, ctx.file.readme, ctx.file.license] + ctx.files.third_party,
            transitive = [runfiles],
        ),
        outputs = [wheel],
        mnemonic = "PythonWheel",
        progress_message = "Writing wheel %s" % wheel.basename,
    )
    return [
        DefaultInfo(files = depset([wheel]), runfiles = ctx.runfiles([wheel])),
        OutputGroupInfo(listing = depset([files])),
    ]

python_wheel = rule(
    implementation = _python_wheel_impl,
    attrs = {
        "deps": attr.label_list(mandatory = True),
        "distribution": attr.string(mandatory = True),
        "license": attr.label(allow_single_file = True, default = "//:LICENSE"),
        "prefixes": attr.string_dict(
            doc = "path in the tree -> path in the wheel, see shipped_path; every file needs one",
            mandatory = True,
        ),
        "pyproject": attr.label(allow_single_file = True, default = "//:pyproject.toml"),
        "readme": attr.label(allow_single_file = True, default = "//:README.md"),
        "third_party": attr.label_keyed_string_dict(
            allow_files = True,
            doc = "license text, or header that begins with it -> name and SPDX expression of what " +
                  "is compiled into the binaries",
        ),
        "version": attr.string(mandatory = True),
        "_builder": attr.label(
            cfg = "exec",
            default = "//tools/packaging:wheel_builder",
            executable = True,
        ),
    },
)
