# SPDX-License-Identifier: Apache-2.0
"""Reports of the virtual NPU: figures, text, Chrome trace and the page to look at."""
