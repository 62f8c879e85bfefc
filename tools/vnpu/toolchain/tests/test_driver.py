# SPDX-License-Identifier: Apache-2.0
"""The compile driver on kernels as users write them, and on what can be wrong with them."""

import os
import pathlib
import re
import subprocess
import time

import pytest

from tools.vnpu.toolchain import CompileError, Parameter, compile_kernel, host_programs
from tools.vnpu.toolchain.__main__ import main

_RUNTIME = os.path.abspath("tools/vnpu/core/libvnpu.so")
_ROOT = os.path.abspath(".")

_VECTOR = """\
extern "C" __global__ __aicore__ void k(__gm__ float* x, GM_ADDR y, int32_t n) {
  copy_gm_to_ubuf((__ubuf__ float*)0, x, 0, 1, 8, 0, 0);
}
"""
_CUBE = """\
extern "C" __global__ __aicore__ void k(__gm__ half* x) {
  load_cbuf_to_ca((__ca__ half*)0, (__cbuf__ half*)0, 0, 1, 1, 0, 0, false, inc);
}
"""
_PRELUDE = "using GM_ADDR = __gm__ uint8_t*;\n"


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def _compile(text: str, name: str = "k.cce", **options):
    pathlib.Path(name).write_text(text, encoding="utf-8")
    options = {"entry": "k", "output": "k.so", "isa_dir": _ROOT, "runtime": _RUNTIME, **options}
    return compile_kernel(name, **options)


def _error(text: str = _PRELUDE + _VECTOR, **options) -> str:
    with pytest.raises(CompileError) as caught:
        _compile(text, **options)
    assert not os.path.exists(str(options.get("output", "k.so")))
    return str(caught.value)


def _symbols(library: str) -> list[str]:
    command = ["nm", "-D", "--defined-only", library]
    text = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return sorted(line.split()[-1] for line in text.splitlines())


def _calls(library: str) -> str:
    command = ["objcopy", "-O", "binary", "--only-section=.vnpu.calls"]
    subprocess.run(
        [*command, "--set-section-flags=.vnpu.calls=alloc", library, "calls"], check=True
    )
    return pathlib.Path("calls").read_text(encoding="utf-8")


# Ways to write things that open kernels have: another name of half, a pad mode as a number, a
# load with two flags.
_SPELLINGS = """\
using Input = __fp16;
extern "C" __global__ __aicore__ void k(__gm__ Input* x) {
  Input one = (__fp16)1.0;
  static_assert(std::is_same<Input, half>::value, "one type, two names");
  copy_gm_to_cbuf((__cbuf__ Input*)get_imm(0), x, 0, 1, 32, 0, 0, /*pad_t*/ 0);
  set_flag(PIPE_MTE2, PIPE_MTE1, EVENT_ID0);
  wait_flag(PIPE_MTE2, PIPE_MTE1, EVENT_ID0);
  load_cbuf_to_ca((__ca__ Input*)0, (__cbuf__ __fp16*)0, 0, 1, 1, 0, 0, false, FLAG,
                  addr_cal_mode_t(0));
  load_cbuf_to_cb((__cb__ half*)0, (__cbuf__ __fp16*)0, 0, 1, 1, 0, 0, false, FLAG, inc);
  if (one != 1.0f) trap();
}
"""


def test_spellings_of_open_kernels(folder):
    assert _compile("#define FLAG false\n" + _SPELLINGS).cores == ("aic",)
    assert "only false is modelled" in _error("#define FLAG true\n" + _SPELLINGS, output="no.so")


@pytest.mark.parametrize("name", ["k.cce", "k.cpp", "k.h", "kernel"])
def test_vector_kernel_in_a_file_of_any_suffix(folder, name):
    kernel = _compile(_PRELUDE + _VECTOR, name)
    assert kernel.cores == ("aiv",)
    assert kernel.name == "k_0"
    assert kernel.parameters == (
        Parameter("gm", "f32"),
        Parameter("gm", "u8"),
        Parameter("scalar", "i32"),
    )
    assert kernel.warnings == ""
    assert {"vnpu_entry_k_0_mix_aiv", "vnpu_signature_k_0"} <= set(_symbols("k.so"))
    assert re.fullmatch(
        rf"[0-9a-f]+\tcopy_gm_to_ubuf@tools/vnpu/isa/cce_copy\.h:\d+;k@{name}:3\n", _calls("k.so")
    )


def test_two_builds_give_the_same_bytes(folder):
    for name in ("one.so", "two.so"):
        _compile(_PRELUDE + _VECTOR, output=name)
    assert pathlib.Path("one.so").read_bytes() == pathlib.Path("two.so").read_bytes()


def test_source_lines_are_those_that_the_user_wrote(folder):
    (folder / "sub").mkdir()
    (folder / "sub" / "part.h").write_text(
        "__aicore__ inline void Part(__gm__ float* x) {\n  *x = 1;\n}\n", encoding="utf-8"
    )
    text = '#include "part.h"\nextern "C" __global__ void k(__gm__ float* x) {\n  Part(x);\n}\n'
    _compile(text, "sub/k.cce")
    assert "Part@sub/part.h:2;k@sub/k.cce:3" in _calls("k.so")


@pytest.mark.parametrize(
    ("types", "expected"),
    [
        ("__gm__ half* a, __gm__ const bfloat16_t* __restrict__ b", ["gm half", "gm bf16"]),
        ("__gm__ void* a, __gm__ volatile uint64_t* const b", ["gm void", "gm u64"]),
        ("half a, float b, double c, bool d", ["s half", "s f32", "s f64", "s bool"]),
        ("int8_t a, const uint16_t b, int64_t c, pipe_t d", ["s i8", "s u16", "s i64", "s u32"]),
        ("S a, __gm__ S* b", ["s struct24a8", "gm void"]),
        ("", []),
    ],
)
def test_parameters_are_known(folder, types, expected):
    text = f'struct S {{ double a; int b[3]; }};\nextern "C" __global__ void k({types}) {{}}\n'
    shown = [f"{p.kind.replace('scalar', 's')} {p.type}" for p in _compile(text).parameters]
    assert shown == expected


_BOTH = (
    _PRELUDE
    + _VECTOR.replace(" k(", " vec(").replace('extern "C" __global__', "static inline")
    + _CUBE.replace(" k(", " cube(").replace('extern "C" __global__', "static inline")
)


@pytest.mark.parametrize(
    ("text", "cores"),
    [
        pytest.param(_CUBE, ("aic",), id="cube instructions"),
        pytest.param(
            _BOTH + "#ifdef __DAV_C220_CUBE__\n#define HALF cube(x)\n#else\n#define HALF "
            "vec((__gm__ float*)x, nullptr, 0)\n#endif\n"
            'extern "C" __global__ void k(GM_ADDR ffts, __gm__ half* x) {\n'
            "  set_ffts_base_addr((uint64_t)ffts);\n  HALF;\n}\n",
            ("aic", "aiv"),
            id="guarded halves",
        ),
        pytest.param(
            _BOTH + 'extern "C" __global__ void k(GM_ADDR ffts, __gm__ half* x) {\n'
            "  set_ffts_base_addr((uint64_t)ffts);\n  if constexpr (true) {\n"
            "#if __DAV_VEC__\n    vec((__gm__ float*)x, nullptr, 0);\n#endif\n  }\n}\n",
            ("aiv",),
            id="guarded vector code",
        ),
        pytest.param(
            "#ifdef __DAV_C220_VEC__\n" + _PRELUDE + _VECTOR + "#endif\n",
            ("aiv",),
            id="entry of one pass",
        ),
        pytest.param(
            _BOTH + 'extern "C" __global__ void k(__gm__ half* x) {\n'
            "#ifdef __DAV_C220_CUBE__\n  wait_flag_dev(3);\n#else\n"
            "  vec((__gm__ float*)x, nullptr, 0);\n  ffts_cross_core_sync(PIPE_MTE3, 0x321);\n"
            "#endif\n}\n",
            ("aic", "aiv"),
            id="half that keeps step",
        ),
        pytest.param(
            _BOTH + 'extern "C" __global__ void k(__gm__ half* x) {\n'
            "  vec((__gm__ float*)x, nullptr, 0);\n  ffts_cross_core_sync(PIPE_MTE3, 0x301);\n"
            "  wait_flag_dev(3);\n}\n",
            ("aiv",),
            id="barrier of unguarded vector code",
        ),
        pytest.param(
            'extern "C" __global__ void k(__gm__ int* x) { *x += 1; }', ("aiv",), id="scalar code"
        ),
        pytest.param(
            'extern "C" __global__ void k(__gm__ int* x) { *x = *(__ubuf__ int*)64; }',
            ("aiv",),
            id="scalar access to UB",
        ),
        pytest.param(
            _BOTH + 'extern "C" __global__ void other(__gm__ half* x) { cube(x); }\n'
            'extern "C" __global__ void k(__gm__ half* x) { vec((__gm__ float*)x, nullptr, 0); }\n',
            ("aiv",),
            id="other entries do not count",
        ),
    ],
)
def test_core_kinds_are_found_out(folder, text, cores):
    assert _compile(text).cores == cores


@pytest.mark.parametrize("cores", [("aic",), ("aiv",), ("aic", "aiv")])
def test_core_kinds_can_be_said(folder, cores):
    assert _compile(_PRELUDE + _VECTOR, cores=cores).cores == cores
    kinds = [name for name in _symbols("k.so") if name.startswith("vnpu_entry_")]
    mix = "mix_" if len(cores) > 1 else ""
    assert kinds == [f"vnpu_entry_k_0_{mix}{core}" for core in cores]


def test_defines_includes_key_and_flags_reach_the_compiler(folder):
    (folder / "inc").mkdir()
    (folder / "inc" / "size.h").write_text("#define SIZE LENGTH\n", encoding="utf-8")
    text = (
        '#include <size.h>\nextern "C" __global__ void k(__gm__ int* x) {\n'
        "  static_assert(__cplusplus > 201703L && SIZE == 5 && FLAG == 1);\n}\n"
    )
    kernel = _compile(
        text,
        key=7,
        defines=["LENGTH=5", "FLAG"],
        include_dirs=[folder / "inc"],
        extra_flags=["-std=c++20"],
    )
    assert kernel.name == "k_7"
    assert "vnpu_entry_k_7_mix_aiv" in _symbols("k.so")


def test_templates_and_mangled_entries_work(folder):
    text = (
        "template <typename T>\n__aicore__ inline void Run(__gm__ T* x, T v) { *x = v; }\n"
        "__global__ __aicore__ void k(__gm__ float* x, float v) { Run<float>(x, v); }\n"
    )
    assert [p.type for p in _compile(text).parameters] == ["f32", "f32"]


def test_entry_named_for_the_loader(folder):
    text = (
        "#ifdef __DAV_VEC__\n"
        "#define NAME(x) x##_0_mix_aiv\n"
        "#define BODY vector_dup((__ubuf__ int*)0, *x, 1, 1, 1, 8, 0)\n"
        "#else\n"
        "#define NAME(x) x##_0_mix_aic\n"
        "#define BODY pipe_barrier(PIPE_M)\n"
        "#endif\n"
        'extern "C" __global__ __aicore__ void NAME(k)(__gm__ int* x) { BODY; }\n'
    )
    assert _compile(text).cores == ("aiv",)
    assert _compile(text, cores=("aic", "aiv")).parameters == (Parameter("gm", "i32"),)


def test_aicore_attribute_in_every_place(folder):
    text = (
        "#undef __aicore__\n#define __aicore__ [aicore]\n"
        "template <typename T>\n__aicore__ inline T First(T v) { return v + 1; }\n"
        "static __aicore__ inline int Second(int v) { return v * v; }\n"
        "inline __aicore__ int Third(int v) { return ~v; }\n"
        'extern "C" __global__ __aicore__ void k(__gm__ int* x) {\n'
        "  *x = First(Second(Third(*x)));\n}\n"
    )
    flags = ["-I", str(folder), "-DUNUSED=1", "-isystem", str(folder)]
    assert _compile(text, extra_flags=flags).name == "k_0"
    assert "k@k.cce:8" in _calls("k.so")
    wrong = _error(text.replace("First(Sec", "Fist(Sec"), output="no.so")
    assert "k.cce:8:8: error: use of undeclared identifier 'Fist'" in wrong


def test_string_cast_to_gm(folder):
    text = (
        "inline __aicore__ void Version(__gm__ char*& text) {\n"
        '  text = const_cast<__gm__ char*>("1.0");\n}\n'
        'extern "C" __global__ __aicore__ void k(__gm__ int* x) { *x = 1; }\n'
    )
    assert _compile(text).name == "k_0"
    assert "k@k.cce:4" in _calls("k.so")
    wrong = text.replace('("1.0")', "(name)").replace("inline", "static const char* name;\ninline")
    assert "const_cast from 'const char *'" in _error(wrong, output="no.so")


def test_warnings_are_told_and_do_not_stop(folder):
    text = (
        'extern "C" __global__ void k(__gm__ int* x) {\n  int n = {3.5};\n  *x = n == 1 & 2;\n}\n'
    )
    kernel = _compile(text, cores=("aiv",), extra_flags=["-Wall"])
    assert "k.cce:3:" in kernel.warnings and "-Wparentheses" in kernel.warnings
    assert "vnpu_kernel_" not in kernel.warnings
    assert "error: " in _error(text, cores=("aiv",), strict=True, output="no.so")


def test_cast_that_hides_the_memory(folder):
    text = 'extern "C" __global__ void k(__gm__ int* x) {\n  *(int*)x = 1;\n}\n'
    warning = (
        "k.cce:2:3: warning: a pointer to GM is cast to one without __gm__: accesses through it "
        "are not seen"
    )
    assert _compile(text).warnings == warning
    assert warning in _error(text, strict=True, output="no.so")
    wrong = _error(
        'extern "C" __global__ void k() {\n  *(int*)(__ubuf__ int*)64 = 1;\n}\n', output="no.so"
    )
    assert "k.cce:2:" in wrong and "a pointer to UB is cast to one without __ubuf__" in wrong


def test_compile_error_shows_the_users_file_and_the_command(folder):
    text = _error('extern "C" __global__ void k(__gm__ int* x) {\n  vad(x);\n}\n', cores=("aiv",))
    first, second, *_ = text.splitlines()
    assert first == "k.cce: does not compile for aiv"
    assert second == "k.cce:2:3: error: use of undeclared identifier 'vad'"
    assert "In file included" not in text
    assert text.splitlines()[-1].startswith("command: ") and "-D__DAV_C220_VEC__=1" in text


def test_flood_of_errors_is_cut(folder):
    body = "".join(f"  bad{i}(x);\n" for i in range(300))
    text = _error(f'extern "C" __global__ void k(__gm__ int* x) {{\n{body}}}\n')
    assert len(text.splitlines()) < 30 and text.count("error: ") == 8


def test_error_in_one_pass_tells_how_to_leave_it_out(folder):
    text = "#ifdef __DAV_C220_CUBE__\n#error no cube\n#endif\n" + _PRELUDE + _VECTOR
    assert _error(text).endswith('say so: cores=("aiv",)')
    assert _compile(text, cores=("aiv",)).cores == ("aiv",)


def test_missing_entry_names_those_that_are_there(folder):
    text = _error(
        'extern "C" __global__ __aicore__ void first(__gm__ int* x) {}\n'
        "__global__ __aicore__ __attribute__((aiv)) void second() {}\n"
        "__aicore__ inline void helper() {}\n"
    )
    assert "has no entry 'k'" in text
    assert text.endswith("functions that look like entries: first, second")


def test_missing_entry_where_there_is_none(folder):
    assert "none (an entry is extern" in _error("int helper();\n")


@pytest.mark.parametrize(
    ("qualifier", "name"),
    [("__cbuf__", "L1"), ("__ca__", "L0A"), ("__cc__", "L0C"), ("__fbuf__", "FB")],
)
def test_dereference_that_the_device_does_not_have(folder, qualifier, name):
    text = _error(
        f"__aicore__ inline int Get({qualifier} int* p) {{\n  return *p;\n}}\n"
        f'extern "C" __global__ void k(__gm__ int* x) {{\n  *x = Get(({qualifier} int*)32);\n}}\n'
    )
    assert text.splitlines()[1:] == [
        f"k.cce:2:10 (from k.cce:5:8): error: scalar code reads {name} ({qualifier}): scalar code "
        "can reach GM and UB only"
    ]


def test_what_does_not_link_is_told(folder):
    text = _error('void far(int);\nextern "C" __global__ void k(int n) { far(n); }\n')
    assert text.startswith("the kernel does not link") and "far(int)" in text


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"entry": "a b"}, "entry 'a b'"),
        ({"key": -1}, "key -1"),
        ({"cores": ("aix",)}, "cores ('aix',): allowed are aic, aiv"),
        ({"cores": ()}, "cores ()"),
        ({"isa_dir": "nowhere"}, "isa_dir 'nowhere'"),
        ({"runtime": "libno.so"}, "runtime 'libno.so': no such file"),
        ({"output": "no/folder/k.so"}, "output 'no/folder/k.so'"),
        ({"timeout": 0}, "timeout 0"),
        ({"clang": "/no/clang"}, "/no/clang not found"),
    ],
)
def test_bad_arguments_are_named(folder, options, message):
    assert message in _error(**options)


def test_missing_source_is_named(folder):
    with pytest.raises(CompileError, match=r"source 'no.cce': no such file"):
        compile_kernel("no.cce", "k", "k.so", isa_dir=_ROOT, runtime=_RUNTIME)


def _program(path: pathlib.Path, text: str) -> str:
    path.write_text("#!/bin/sh\n" + text, encoding="utf-8")
    path.chmod(0o755)
    return str(path)


def test_time_limit(folder):
    clang = _program(
        folder / "clang", 'test "$1" = --version && echo clang version 19 || sleep 60\n'
    )
    start = time.monotonic()
    assert "longer than 0.5 s (timeout); stopped in clang" in _error(clang=clang, timeout=0.5)
    assert time.monotonic() - start < 30


@pytest.mark.parametrize(
    ("output", "message"),
    [
        ("echo Debian clang version 14.0.6", "is version 14; kernels for the virtual NPU need"),
        ("echo gcc 12", "is no clang (`--version` says: gcc 12)"),
        ("exit 1", "is no clang"),
    ],
)
def test_unfit_clang_is_told(folder, output, message):
    text = _error(clang=_program(folder / "clang", output))
    assert message in text


def test_missing_programs_are_named_with_their_package(folder, monkeypatch):
    monkeypatch.delenv(host_programs.CLANG_VARIABLE, raising=False)
    monkeypatch.setenv("PATH", str(folder))
    text = _error()
    assert "no clang found" in text and "apt-get install clang-19" in text
    assert host_programs.CLANG_VARIABLE in text
    _program(folder / "clang-19", "echo clang version 19\n")
    assert _error() == (
        "ld.bfd not found: install binutils (Debian, Ubuntu: apt-get install binutils)"
    )


def test_command_line(folder, capsys):
    pathlib.Path("k.cce").write_text(_PRELUDE + _VECTOR, encoding="utf-8")
    args = ["kernel", "k.cce", "--entry=k", "-o", "k.so", "--isa-dir", _ROOT, "--runtime", _RUNTIME]
    assert main(args) == 0
    assert capsys.readouterr().out == "k.so: kernel k_0(gm f32, gm u8, scalar i32) for aiv\n"
    assert main([*args, "-DGM_ADDR=5"]) == 1
    assert "k.cce:1:7: error: " in capsys.readouterr().err
