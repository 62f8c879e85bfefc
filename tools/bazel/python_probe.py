# SPDX-License-Identifier: Apache-2.0
"""Describes the running interpreter as one JSON object, for python_env.bzl.

Usage: python python_probe.py [--check] LOCK_FILE [NAME...]: with names, only these packages must
match the lock. With --check (bazelw), prints only what is wrong, and exits with 1 if anything is.
Runs on any Python 3, so that a too old one gets a message and not a traceback.
"""

import json
import os
import re
import sys
import sysconfig

_LOCK_LINE = re.compile(
    r"([\w.-]+)==([\w.]+)(?:\s*;\s*python_version\s*(<|>=)\s*\"(\d+)\.(\d+)\")?\s*(?:#.*)?$"
)


def locked_versions(text):
    """Returns {package: version} of the lock's lines that hold for this interpreter."""
    versions = {}
    for line in text.splitlines():
        if not line.strip() or line.startswith("#"):
            continue
        match = _LOCK_LINE.match(line)
        if not match:
            raise ValueError("requirements.lock has a line that is not NAME==VERSION: " + line)
        name, version, relation, major, minor = match.groups()
        if relation:
            older = sys.version_info[:2] < (int(major), int(minor))
            if older != (relation == "<"):
                continue
        versions[name] = version
    return versions


def mismatches(versions):
    """Returns one phrase per package that is missing or has another version; at most four."""
    import importlib.metadata  # not in the Pythons that describe() refuses

    found = []
    for name, version in sorted(versions.items()):
        try:
            installed = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            installed = "missing"
        if installed != version:
            found.append("%s is %s (lock: %s)" % (name, installed, version))
    if len(found) > 3:
        found[3:] = ["%d more" % (len(found) - 3)]
    return found


def license_file(name):
    """Returns the path of the license text of an installed package."""
    import importlib.metadata

    for file in importlib.metadata.distribution(name).files or []:
        if file.name == "LICENSE":
            return str(file.locate())
    raise RuntimeError("package %s has no file LICENSE" % name)


# The oldest PyTorch whose stable ABI the torch operators use.
_OLDEST_TORCH = (2, 10)


def torch_packages():
    """Returns {"torch": folder, "torch_version": ..., "torch_npu": bool}; empty strings without."""
    import importlib.metadata
    import importlib.util

    found = {"torch": "", "torch_version": "", "torch_npu": False}
    spec = importlib.util.find_spec("torch")  # does not import it
    if spec is None or not spec.origin:
        return found
    version = importlib.metadata.version("torch").split("+")[0]
    if tuple(int(part) for part in version.split(".")[:2]) < _OLDEST_TORCH:
        return found
    found["torch"] = os.path.dirname(spec.origin)
    found["torch_version"] = version
    found["torch_npu"] = importlib.util.find_spec("torch_npu") is not None
    return found


def describe(lock_path, only):
    """Returns what python_env.bzl needs, or {"error": why not}."""
    if sys.version_info < (3, 10):
        return {"error": "Python %s is too old, 3.10 or newer is needed" % sys.version.split()[0]}
    with open(lock_path, encoding="utf-8") as lock:
        versions = locked_versions(lock.read())
    if only:
        versions = {name: versions[name] for name in only}
    wrong = mismatches(versions)
    if wrong:
        return {"error": "; ".join(wrong)}
    import importlib.util

    include = sysconfig.get_paths()["include"]
    if not os.path.exists(os.path.join(include, "Python.h")):
        return {"error": "Python.h is not in %s (Debian: apt-get install python3-dev)" % include}
    # The stable ABI that nanobind can use starts with 3.12; free-threaded builds have none.
    stable_abi = sys.version_info >= (3, 12) and not sysconfig.get_config_var("Py_GIL_DISABLED")
    tag = "cp%d%d" % sys.version_info[:2]
    platform = re.sub(r"[-.]", "_", sysconfig.get_platform())
    return {
        "version": "%d.%d" % sys.version_info[:2],
        "include": include,
        "nanobind": os.path.dirname(importlib.util.find_spec("nanobind").origin),
        "nanobind_license": license_file("nanobind"),
        "stable_abi": stable_abi,
        "ext_suffix": ".abi3.so" if stable_abi else sysconfig.get_config_var("EXT_SUFFIX"),
        "wheel_tag": "%s-%s" % ("cp312-abi3" if stable_abi else "%s-%s" % (tag, tag), platform),
        "versions": versions,
        **torch_packages(),
    }


def main(argv):
    check = argv[:1] == ["--check"]
    lock, *only = argv[1:] if check else argv
    env = describe(lock, only)
    if not check:
        print(json.dumps(env))
    elif "error" in env:
        print(env["error"])
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
