# SPDX-License-Identifier: Apache-2.0
"""Repository rule that finds the device compiler and linker of the CANN toolkit.

They are looked for below $ASCEND_HOME_PATH (set by CANN's set_env.sh). On a machine without CANN
each tool is a script that says what is missing, so that only builds for the NPU fail.
"""

_FOUND = """\
#!/bin/sh
export ASCEND_HOME_PATH='{home}'
exec '{tool}' "$@"
"""

_MISSING = """\
#!/bin/sh
echo "No {tool} for Atlas A2: {why}; install the CANN toolkit and source its set_env.sh." >&2
exit 1
"""

def _find(rctx, home, names):
    arch = rctx.execute(["uname", "-m"]).stdout.strip()
    for folder in [
        "bin",
        "tools/ccec_compiler/bin",
        "compiler/ccec_compiler/bin",
        arch + "-linux/ccec_compiler/bin",
    ]:
        for name in names:
            tool = rctx.path("%s/%s/%s" % (home, folder, name))
            if tool.exists:
                return tool
    return None

def _cann_toolkit_impl(rctx):
    home = rctx.os.environ.get("ASCEND_HOME_PATH", "")
    for tool, names in {"ccec": ["ccec", "bisheng"], "ld.lld": ["ld.lld"]}.items():
        found = _find(rctx, home, names) if home else None
        if found:
            script = _FOUND.format(home = home, tool = found)
        else:
            why = "none below ASCEND_HOME_PATH=" + home if home else "ASCEND_HOME_PATH is not set"
            script = _MISSING.format(tool = " or ".join(names), why = why)
        rctx.file(tool, script, executable = True)
    rctx.file("BUILD", "exports_files([\"ccec\", \"ld.lld\"])\n")

cann_toolkit = repository_rule(
    implementation = _cann_toolkit_impl,
    environ = ["ASCEND_HOME_PATH"],
    local = True,
)
