# SPDX-License-Identifier: Apache-2.0
"""`python -m ascend_attention`: the command line (cli/main.py)."""

from ascend_attention.cli.main import run_main

if __name__ == "__main__":
    run_main()
