# SPDX-License-Identifier: Apache-2.0
"""`./bazelw run //python:cli -- ARGS`: the console script `ascend-attention` from the tree."""

from ascend_attention.cli.main import run_main

if __name__ == "__main__":
    run_main()
