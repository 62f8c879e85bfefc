# SPDX-License-Identifier: Apache-2.0
"""The main program of every aa_py_test: runs pytest on the files it is given, as Bazel expects.

Each case goes into Bazel's JUnit file, so that the test summary counts cases and not targets.
"""

import os
import sys

import pytest


class _SameExamples:
    """pytest plugin: hypothesis tries the same examples on every run, and stores none."""

    def pytest_configure(self) -> None:
        import hypothesis  # here, so that pytest has its own hooks into it already

        hypothesis.settings.register_profile(
            "bazel", derandomize=True, deadline=None, database=None
        )
        hypothesis.settings.load_profile("bazel")


def _pytest_args(argv: list[str]) -> list[str]:
    args = ["-p", "no:cacheprovider", "--import-mode=importlib", "-ra", "--strict-markers"]
    args += ["--rootdir=" + os.getcwd(), "-c", os.devnull, "-o", "verbosity_assertions=2"]
    if "XML_OUTPUT_FILE" in os.environ:
        args.append("--junitxml=" + os.environ["XML_OUTPUT_FILE"])
    if "TESTBRIDGE_TEST_ONLY" in os.environ:  # bazel test --test_filter=EXPRESSION
        args += ["-k", os.environ["TESTBRIDGE_TEST_ONLY"]]
    return args + argv


def main() -> int:
    # pytest's own code 5 (nothing collected) is a failure to Bazel, as it should be.
    return int(pytest.main(_pytest_args(sys.argv[1:]), plugins=[_SameExamples()]))


if __name__ == "__main__":
    sys.exit(main())
