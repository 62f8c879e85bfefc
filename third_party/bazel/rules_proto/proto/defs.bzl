# SPDX-License-Identifier: Apache-2.0
# Offline stand-in for @rules_proto.
# Bazel has these rules built in; its own files load them through this label.

proto_lang_toolchain = native.proto_lang_toolchain
proto_library = native.proto_library
