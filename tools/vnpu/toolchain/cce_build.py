# SPDX-License-Identifier: Apache-2.0
"""The compile driver as a program of the build."""

import sys

from tools.vnpu.toolchain.__main__ import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
