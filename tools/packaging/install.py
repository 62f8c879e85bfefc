# SPDX-License-Identifier: Apache-2.0
"""Unpacks the archive of an install tree: ./bazelw run //host_cc:install -- PREFIX."""

import os
import pathlib
import sys
import tarfile


def main(argv: list[str]) -> int:
    if len(argv) != 2:
        print("usage: install PREFIX, the folder that include/ and lib/ go into", file=sys.stderr)
        return 2
    archive, prefix = argv
    # `bazel run` starts programs elsewhere and says where the user stands.
    where = pathlib.Path(os.environ.get("BUILD_WORKING_DIRECTORY", ".")) / prefix
    try:
        with tarfile.open(archive) as packed:
            for entry in packed:
                target = where / entry.name
                target.parent.mkdir(parents=True, exist_ok=True)
                # A library that a process has mapped is replaced, not overwritten.
                target.unlink(missing_ok=True)
                packed.extract(entry, where)
    except OSError as error:
        print(f"cannot install into {where}: {error.strerror}: {error.filename}", file=sys.stderr)
        return 1
    print(f"installed into {where}; find_package(ascend_attention) with CMAKE_PREFIX_PATH={where}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
