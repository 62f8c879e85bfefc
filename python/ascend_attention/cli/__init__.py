# SPDX-License-Identifier: Apache-2.0
"""The command line: one module per subcommand, each with `run(args) -> exit code`."""
