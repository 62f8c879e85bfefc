# SPDX-License-Identifier: Apache-2.0
# Offline stand-in for @rules_python.
# Bazel has these rules built in; its own files load them through this label.

py_binary = native.py_binary
py_library = native.py_library
py_runtime = native.py_runtime
py_test = native.py_test
