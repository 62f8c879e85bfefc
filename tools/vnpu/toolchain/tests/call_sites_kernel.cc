// SPDX-License-Identifier: Apache-2.0
// Calls into another library through inlined functions; test_call_sites.py names these lines.
extern "C" void Issue(int value);

namespace {

inline __attribute__((always_inline)) void Op(int value) {
  Issue(value);  // line 8
}

template <int kStep>
inline __attribute__((always_inline)) void Stage(int value) {
  Op(value + kStep);  // line 13
}

}  // namespace

extern "C" __attribute__((visibility("default"))) void Kernel(int value) {
  Stage<3>(value);  // line 19
  Op(value);        // line 20
}
