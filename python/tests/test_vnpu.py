# SPDX-License-Identifier: Apache-2.0
"""ascend_attention.vnpu: kernels of one's own on numpy arrays, and what a caller may rely on."""

import os
import pathlib
import threading
import time

import ml_dtypes
import numpy as np
import pytest
from ascend_attention import vnpu

ENTRY = 'extern "C" __global__ __aicore__ void '

SCALE_ADD = (
    ENTRY
    + """
scale_add(__gm__ float* x, __gm__ float* y, /* out */ __gm__ float* z, int32_t n, float scale) {
#if defined(__DAV_C220_VEC__)
  constexpr int32_t kTile = TILE;
  __ubuf__ float* a = reinterpret_cast<__ubuf__ float*>(static_cast<uintptr_t>(0));
  __ubuf__ float* b = reinterpret_cast<__ubuf__ float*>(static_cast<uintptr_t>(kTile * 4));
  set_mask_norm();
  set_vector_mask(static_cast<uint64_t>(-1), static_cast<uint64_t>(-1));
  for (int32_t i = block_idx; i * kTile < n; i += block_num) {
    copy_gm_to_ubuf(a, x + i * kTile, 0, 1, kTile * 4 / 32, 0, 0);
    copy_gm_to_ubuf(b, y + i * kTile, 0, 1, kTile * 4 / 32, 0, 0);
    set_flag(PIPE_MTE2, PIPE_V, EVENT_ID0);
    wait_flag(PIPE_MTE2, PIPE_V, EVENT_ID0);
    vmuls(a, a, scale, kTile / 64, 1, 1, 8, 8);
    pipe_barrier(PIPE_V);
    vadd(a, a, b, kTile / 64, 1, 1, 1, 8, 8, 8);
    set_flag(PIPE_V, PIPE_MTE3, EVENT_ID0);
    wait_flag(PIPE_V, PIPE_MTE3, EVENT_ID0);
    copy_ubuf_to_gm(z + i * kTile, a, 0, 1, kTile * 4 / 32, 0, 0);
    set_flag(PIPE_MTE3, PIPE_MTE2, EVENT_ID0);
    wait_flag(PIPE_MTE3, PIPE_MTE2, EVENT_ID0);
  }
  pipe_barrier(PIPE_ALL);
#endif
}
"""
)

# One element of each type goes through the argument struct to GM, at its natural alignment.
SCALARS = (
    "struct Pair { int32_t a; uint8_t b; };\n"
    + ENTRY
    + """
scalars(__gm__ uint8_t* out, int8_t i8, uint64_t u64, bool b, half h, uint16_t u16, float f,
        Pair pair, int64_t i64, bfloat16_t bf) {
  *reinterpret_cast<__gm__ uint64_t*>(out) = u64;
  *reinterpret_cast<__gm__ int64_t*>(out + 8) = i64;
  *reinterpret_cast<__gm__ float*>(out + 16) = f;
  *reinterpret_cast<__gm__ half*>(out + 20) = h;
  *reinterpret_cast<__gm__ uint16_t*>(out + 22) = u16;
  *reinterpret_cast<__gm__ int32_t*>(out + 24) = pair.a;
  out[28] = pair.b;
  out[29] = static_cast<uint8_t>(i8);
  out[30] = b ? 7 : 9;
  *reinterpret_cast<__gm__ bfloat16_t*>(out + 32) = bf;
  dcci(out, ENTIRE_DATA_CACHE);
}
"""
)

LOOP = ENTRY + "loop(int32_t n) { volatile int32_t i = 0; while (n != 0) i = i + 1; }"

BARRIER = (
    ENTRY
    + """
barrier(uint64_t sync_address) {
#if defined(__DAV_C220_VEC__)
  set_ffts_base_addr(sync_address);
  ffts_cross_core_sync(PIPE_MTE3, 0x1 | (0 << 4) | (3 << 8));
  wait_flag_dev(3);
#endif
}
"""
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> pathlib.Path:
    return tmp_path_factory.mktemp("kernels")


def build(folder: pathlib.Path, text: str, entry: str, **options) -> vnpu.Kernel:
    source = folder / f"{entry}.cce"
    source.write_text(text)
    return vnpu.compile(source, entry=entry, **options)


@pytest.fixture(scope="module")
def scale_add(folder) -> vnpu.Kernel:
    return build(folder, SCALE_ADD, "scale_add", defines={"TILE": 256})


@pytest.fixture(scope="module")
def scalars(folder) -> vnpu.Kernel:
    return build(folder, SCALARS, "scalars")


X = np.arange(1024, dtype=np.float32)
Y = np.full(1024, 0.5, np.float32)
OUT = vnpu.output(1024, np.float32)
SCALAR_ARGUMENTS = {
    "out": np.zeros(34, np.uint8),
    "i8": -3,
    "u64": 2**63 + 5,
    "b": True,
    "h": 0.25,
    "u16": np.uint16(65535),
    "f": 1.5,
    "pair": np.array((-9, 4), np.dtype([("a", "<i4"), ("b", "u1")], align=True))[()],
    "i64": -(2**40),
    "bf": 3,
}


def scalar_arguments(**changes):
    return list({**SCALAR_ARGUMENTS, **changes}.values())


def test_a_kernel_knows_its_parameters_and_halves(scale_add):
    assert [str(p) for p in scale_add.parameters] == [
        "__gm__ f32* x",
        "__gm__ f32* y",
        "__gm__ f32* z",
        "i32 n",
        "f32 scale",
    ]
    assert scale_add.name == "scale_add_0"
    assert scale_add.cores == ("aiv",)


@pytest.mark.parametrize("blocks", [1, 2, 7, 100])
def test_outputs_are_what_the_kernel_computes(scale_add, blocks):
    result = scale_add.launch(blocks, vnpu.input(X), vnpu.input(Y), OUT, 1024, 2.0)
    assert result.report.verdict == "clean", result.report.to_text()
    assert result.outputs.keys() == {"z"}
    assert (result.outputs["z"] == 2 * X + 0.5).all()


def test_arrays_of_the_caller_never_change(scale_add):
    x, y, z = X.copy(), Y.copy(), np.zeros(1024, np.float32)
    result = scale_add.launch(1, x, y, z, 1024, 2.0)
    assert (x == X).all() and (y == Y).all() and (z == 0).all()
    assert (result.outputs["x"] == X).all()
    assert (result.outputs["z"] == 2 * X + 0.5).all()


def test_two_launches_do_not_see_each_other(scale_add):
    first = scale_add.launch(1, vnpu.input(X), vnpu.input(Y), OUT, 1024, 2.0)
    second = scale_add.launch(1, vnpu.input(X), vnpu.input(Y), OUT, 1024, 3.0)
    assert (first.outputs["z"] == 2 * X + 0.5).all()
    assert (second.outputs["z"] == 3 * X + 0.5).all()


def test_defines_and_names_reach_the_kernel(folder):
    names = ["left", "right", "sum", "count", "factor"]
    kernel = build(folder, SCALE_ADD, "scale_add", defines={"TILE": 64, "OTHER": None}, names=names)
    result = kernel.launch(3, vnpu.input(X), vnpu.input(Y), OUT, 1024, 1.0)
    assert [p.name for p in kernel.parameters] == names
    assert (result.outputs["sum"] == X + 0.5).all()


def test_include_dirs_and_the_folder_of_the_source_are_searched(folder):
    (folder / "include").mkdir()
    (folder / "include" / "far.h").write_text("constexpr int kFar = 3;")
    (folder / "near.h").write_text("constexpr int kNear = 4;")
    text = (
        '#include "far.h"\n#include "near.h"\n' + ENTRY + "f(__gm__ int* y) { *y = kFar + kNear; }"
    )
    kernel = build(folder, text, "f", include_dirs=[folder / "include"])
    assert kernel.launch(1, np.zeros(1, np.int32)).outputs["y"][0] == 7


def test_every_scalar_type_reaches_the_kernel(scalars):
    result = scalars.launch(1, *scalar_arguments())
    assert result.report.verdict == "clean", result.report.to_text()
    expected = b"".join(
        np.array(value, dtype).tobytes()
        for value, dtype in (
            (2**63 + 5, np.uint64),
            (-(2**40), np.int64),
            (1.5, np.float32),
            (0.25, np.float16),
            (65535, np.uint16),
            (-9, np.int32),
            (4, np.uint8),
            (-3, np.int8),
            (7, np.uint8),
            (0, np.uint8),
            (3, ml_dtypes.bfloat16),
        )
    )
    assert result.outputs["out"].tobytes() == expected


@pytest.mark.parametrize(
    ("changes", "error", "text"),
    [
        ({"i8": 128}, ValueError, "i8 = 128; allowed: -128 to 127 for `i8 i8`"),
        ({"u64": -1}, ValueError, "u64 = -1; allowed: 0 to 18446744073709551615"),
        ({"i64": 1.0}, TypeError, "i64 is 1.0; expected an integer for `i64 i64`"),
        ({"u16": np.int32(5)}, ValueError, "u16 has dtype int32; expected uint16"),
        ({"f": np.float64(5)}, ValueError, "f has dtype float64; expected float32"),
        ({"f": "5"}, TypeError, "f is '5'; expected a number for `f32 f`"),
        ({"f": X}, TypeError, "f is array"),
        ({"b": 1}, TypeError, "b is 1; expected True or False"),
        ({"pair": b"123"}, ValueError, "pair has 3 bytes; expected 8"),
        ({"pair": 5}, TypeError, "pair is 5; expected bytes or a numpy.void"),
        ({"out": 5}, TypeError, r"out is 5, but `__gm__ u8\* out`: expected a numpy array"),
        ({"out": X[::2]}, ValueError, r"out has strides \(8,\) bytes; expected a dense"),
        ({"out": np.array([None])}, TypeError, "out has dtype object; expected numbers"),
        ({"h": vnpu.sync_address()}, TypeError, "h is the sync address, but `half h`"),
    ],
)
def test_a_wrong_argument_is_named_with_what_is_allowed(scalars, changes, error, text):
    with pytest.raises(error, match=text):
        scalars.launch(1, *scalar_arguments(**changes))


@pytest.mark.parametrize("count", [0, 4, 6])
def test_a_wrong_number_of_arguments_shows_the_parameters(scale_add, count):
    with pytest.raises(TypeError, match=rf"{count} arguments given; expected 5: \(__gm__ f32\* x,"):
        scale_add.launch(1, *[X] * count)


def test_a_wrong_dtype_of_an_array_is_refused(scale_add, folder):
    with pytest.raises(ValueError, match="y has dtype float16; expected float32, as `__gm__ f32"):
        scale_add.launch(1, X, X.astype(np.float16), OUT, 1024, 1.0)
    kernel = build(folder, ENTRY + "g(__gm__ bfloat16_t* y) { y[0] = y[1]; }", "g")
    bits = np.arange(4, dtype=np.uint16)
    with pytest.raises(ValueError, match=r"bits in uint16: pass array.view\(ml_dtypes.bfloat16\)"):
        kernel.launch(1, bits)
    out = kernel.launch(1, bits.view(ml_dtypes.bfloat16)).outputs["y"]
    assert (out.view(np.uint16) == [1, 1, 2, 3]).all()


@pytest.mark.parametrize(
    ("options", "error", "text"),
    [
        ({"blocks": 0}, ValueError, "blocks = 0; allowed: 1 to 65535"),
        ({"blocks": 65536}, ValueError, "blocks = 65536; allowed: 1 to 65535"),
        ({"blocks": 1.0}, TypeError, "blocks is 1.0; expected an integer"),
        ({"checks": "races"}, ValueError, "checks = 'races'; allowed: 'all', 'none'"),
        ({"checks": {"race", "x"}}, ValueError, "allowed: 'all', 'none'"),
        ({"soc": "Ascend999"}, ValueError, "soc = 'Ascend999'; allowed: Ascend910B1"),
        ({"num_cores": 0}, ValueError, "num_cores = 0; allowed: 1 to 128"),
        ({"timeout": 0}, ValueError, "timeout = 0; allowed: above 0 to 86400"),
        ({"timeout": float("nan")}, ValueError, "timeout = nan; allowed"),
    ],
)
def test_a_wrong_option_is_named_with_what_is_allowed(scale_add, options, error, text):
    blocks = options.pop("blocks", 1)
    with pytest.raises(error, match=text):
        scale_add.launch(blocks, X, Y, OUT, 1024, 1.0, **options)


def test_memory_that_a_device_does_not_have_is_refused(scale_add):
    huge = vnpu.output(2**36, np.float32)
    with pytest.raises(MemoryError, match="274877906944 bytes asked for"):
        scale_add.launch(1, X, Y, huge, 1024, 1.0)


@pytest.mark.parametrize(
    ("shape", "text"), [(-1, r"shape = -1"), ((2, -3), r"shape = \(2, -3\)"), ([1.5], r"shape = ")]
)
def test_a_wrong_shape_is_refused(shape, text):
    with pytest.raises(ValueError, match=text):
        vnpu.output(shape, np.float32)


def test_an_input_must_be_an_array():
    with pytest.raises(TypeError, match=r"vnpu.input is a list; expected a numpy array"):
        vnpu.input([1, 2, 3])


def test_missing_entry_names_those_that_are_there(folder):
    with pytest.raises(vnpu.CompileError, match=r"no entry 'scale_sub'.*: scale_add"):
        vnpu.compile(folder / "scale_add.cce", entry="scale_sub")


def test_a_kernel_that_does_not_compile_shows_the_line(folder):
    with pytest.raises(vnpu.CompileError, match=r"bad.cce:2:\d+: error: .*undeclared"):
        build(folder, ENTRY + "bad(int32_t n) {\n  n = undeclared;\n}", "bad")


def test_a_compile_error_shows_file_names_and_keeps_the_whole_command(folder):
    with pytest.raises(vnpu.CompileError) as caught:
        build(folder, ENTRY + "bad(int32_t n) {\n  n = undeclared;\n}", "bad")
    last = str(caught.value).splitlines()[-1]
    assert last.startswith("command: ") and "-I.../" in last
    assert str(folder) not in last
    assert caught.value.command[0].startswith("/")
    assert any(str(folder) in word for word in caught.value.command)


@pytest.mark.parametrize(
    ("options", "error", "text"),
    [
        ({"source": 5}, TypeError, r"source is 5; expected a path"),
        ({"entry": None}, TypeError, r"entry is None; expected the name of a function"),
        ({"defines": ["A=1"]}, TypeError, r"defines is \['A=1'\]; expected a mapping"),
        ({"defines": {1: 2}}, TypeError, r"defines has the key 1; expected the name of a macro"),
        ({"defines": {"A B": 2}}, ValueError, r"defines has the key 'A B'; allowed: the name"),
        ({"include_dirs": "include"}, TypeError, r"include_dirs is 'include'; expected a list"),
        ({"include_dirs": [5]}, TypeError, r"include_dirs\[0\] is 5; expected a path"),
        ({"include_dirs": [".", "no"]}, ValueError, r"include_dirs\[1\] = 'no'; there is no such"),
        ({"cores": "aiv"}, TypeError, r"cores is 'aiv'; allowed: \('aic', 'aiv'\), \('aic',\)"),
        ({"cores": ["xyz"]}, ValueError, r"cores = \['xyz'\]; allowed: \('aic', 'aiv'\)"),
        ({"cores": ()}, ValueError, r"cores = \(\); allowed"),
        ({"key": "1"}, TypeError, r"key is '1'; expected an integer"),
        ({"key": -1}, ValueError, r"key = -1; allowed: 0 to"),
    ],
)
def test_wrong_arguments_of_compile_are_named(folder, options, error, text):
    with pytest.raises(error, match=text):
        vnpu.compile(**{"source": folder / "scale_add.cce", "entry": "scale_add", **options})


@pytest.mark.parametrize("make", [vnpu.output, vnpu.workspace])
@pytest.mark.parametrize("dtype", ["foo", object, "U0", 5])
def test_a_dtype_that_is_none_of_numbers_is_named(make, dtype):
    with pytest.raises(TypeError, match=r"dtype = .*; expected a numpy dtype of numbers"):
        make(4, dtype)


def test_a_source_that_is_not_there_is_refused(folder):
    with pytest.raises(vnpu.CompileError, match=r"nothing\.cce.*no such file"):
        vnpu.compile(folder / "nothing.cce", entry="f")


def test_names_that_do_not_fit_are_refused(folder):
    with pytest.raises(ValueError, match=r"names = \['a', 'a'\]; expected 2 different ones"):
        build(folder, ENTRY + "two(int32_t a, int32_t b) {}", "two", names=["a", "a"])


def test_without_a_compiler_the_error_says_what_to_install(folder, monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("ASCEND_ATTENTION_CLANG", raising=False)
    with pytest.raises(vnpu.CompileError, match=r"no clang found.*clang-19"):
        build(folder, SCALE_ADD, "scale_add")


def test_an_endless_scalar_loop_ends_with_a_report_and_the_process_lives_on(folder, scale_add):
    kernel = build(folder, LOOP, "loop")
    begin = time.monotonic()
    result = kernel.launch(3, 1, timeout=0.5)
    assert time.monotonic() - begin < 30
    assert result.report.verdict == "fault"
    assert "timeout: the launch has not ended after 0.5 s" in result.report.to_text()
    assert kernel.launch(3, 0).report.verdict == "clean"
    assert scale_add.launch(1, X, Y, OUT, 1024, 1.0).report.verdict == "clean"


def test_a_barrier_of_more_blocks_than_cores_is_a_fault_that_says_so(folder):
    kernel = build(folder, BARRIER, "barrier")
    assert kernel.launch(48, vnpu.sync_address()).report.verdict == "clean"
    report = kernel.launch(49, vnpu.sync_address()).report
    assert report.verdict == "fault"
    assert "mode 0 waits for all 49 blocks of the launch, but only 48 run" in report.to_text()
    assert kernel.launch(2, vnpu.sync_address(), num_cores=1).report.verdict == "clean"
    assert kernel.launch(3, vnpu.sync_address(), num_cores=1).report.verdict == "fault"


def test_an_address_for_signals_that_nobody_gave_is_a_fault(folder):
    kernel = build(folder, BARRIER, "barrier")
    assert kernel.launch(2, 0).report.verdict == "clean"
    report = kernel.launch(2, 0x123400).report
    assert report.verdict == "fault"
    assert "bad argument: set_ffts_base_addr(0x123400) is not the address" in report.to_text()


def test_an_access_outside_an_array_is_a_fault_with_its_name_and_line(scale_add):
    result = scale_add.launch(1, X, Y, vnpu.output(512, np.float32), 1024, 1.0)
    text = result.report.to_text()
    assert result.report.verdict == "fault"
    assert "z" in text and "scale_add.cce:19" in text
    assert (result.outputs["z"] == (X + Y)[:512]).all()


def test_a_store_to_an_input_is_a_finding(folder):
    text = ENTRY + "spoil(__gm__ int* x, __gm__ int* y) { x[0] = 1; y[0] = x[1]; }"
    kernel = build(folder, text, "spoil")
    x = np.array([5, 6], np.int32)
    report = kernel.launch(1, vnpu.input(x), vnpu.output(1, np.int32)).report
    assert report.verdict != "clean"
    assert "x" in report.to_text() and "spoil.cce:1" in report.to_text()
    assert kernel.launch(1, x, vnpu.output(1, np.int32)).report.verdict == "clean"


def test_a_result_that_depends_on_what_an_output_held_is_a_finding(folder):
    text = ENTRY + "add(__gm__ int* y, __gm__ int* z) { z[0] = y[0] + 1; }"
    kernel = build(folder, text, "add")
    z = vnpu.output(1, np.int32)
    report = kernel.launch(1, vnpu.output(1, np.int32), z).report
    assert report.verdict == "findings"
    assert {finding.checker for finding in report.findings} == {"memory"}
    assert kernel.launch(1, np.ones(1, np.int32), z).report.verdict == "clean"


def test_an_output_that_is_not_written_in_full_is_a_finding_and_no_zeros(folder):
    text = ENTRY + "part(__gm__ float* y, int n) { for (int i = 0; i < n; ++i) y[i] = 1; }"
    kernel = build(folder, text, "part")
    for written in (0, 5):
        result = kernel.launch(1, vnpu.output(8, np.float32), written)
        assert result.report.verdict == "findings"
        (finding,) = result.report.findings
        assert (finding.checker, finding.kind) == ("memory", "output-incomplete")
        assert finding.headline == (
            f"output not written: {32 - 4 * written} of 32 bytes of y, the first at "
            f"y + {4 * written}"
        )
        y = result.outputs["y"]
        assert (y[:written] == 1).all()
        assert (y[written:].view(np.uint32) == 0x7FFF7FFF).all() and np.isnan(y[written:]).all()
    assert kernel.launch(1, vnpu.output(8, np.float32), 8).report.verdict == "clean"
    assert kernel.launch(1, np.zeros(8, np.float32), 5).report.verdict == "clean"
    assert kernel.launch(1, vnpu.workspace(8, np.float32), 5).report.verdict == "clean"
    assert kernel.launch(1, vnpu.output((0, 3), np.float32), 0).report.verdict == "clean"
    partly = kernel.launch(1, vnpu.output(8, np.float32), 5, outputs_complete=False)
    assert partly.report.verdict == "clean"


def test_what_a_workspace_holds_at_the_start_is_no_zero(folder):
    text = ENTRY + "peek(__gm__ uint32_t* w, __gm__ uint32_t* y) { y[0] = w[1]; }"
    kernel = build(folder, text, "peek")
    arguments = (vnpu.workspace(2, np.uint32), vnpu.output(1, np.uint32))
    assert kernel.launch(1, *arguments, checks="none").outputs["y"][0] == 0x7FFF7FFF


def test_a_division_by_zero_is_a_note_and_no_fault(folder):
    source = folder / "divide.cce"
    source.write_text(
        """extern "C" __global__ __aicore__ void divide(__gm__ uint32_t* dst, uint32_t by) {
  dst[0] = 7u / by;
}
"""
    )
    kernel = vnpu.compile(source, entry="divide", cores=("aiv",))
    result = kernel.launch(1, vnpu.output((1,), np.uint32), 0)
    assert result.report.verdict == "clean"
    assert result.outputs["dst"][0] == 0xFFFFFFFF  # as hardware goes on, with all bits set
    (note,) = result.report.launches[0].notes
    assert "division by zero" in note and "divide.cce:2" in note
    assert "note: " in result.report.to_text()
    assert kernel.launch(1, vnpu.output((1,), np.uint32), 7).report.launches[0].notes == []


def test_usage_tells_how_far_each_array_was_touched(scale_add):
    report = scale_add.launch(1, vnpu.input(X), vnpu.input(Y), OUT, 512, 1.0).report
    usage = {
        row.name: (row.size_bytes, row.read_end_bytes, row.write_end_bytes) for row in report.usage
    }
    assert usage["x"] == usage["y"] == (4096, 2048, 0)
    assert usage["z"] == (4096, 0, 2048)


def test_timing_is_modelled_and_the_same_each_time(scale_add):
    arguments = (2, vnpu.input(X), vnpu.input(Y), OUT, 1024, 2.0)
    first, second = (scale_add.launch(*arguments, timing=True).report for _ in range(2))
    assert first.summary() == second.summary()
    assert first.to_trace() == second.to_trace()
    assert first.summary()["source"] == "model"
    assert scale_add.launch(*arguments).report.timelines == []
    other = scale_add.launch(*arguments, timing=True, soc="Ascend910B4").report
    assert other.summary()["soc"] == "Ascend910B4"


def test_null_is_null(folder):
    text = ENTRY + "null(__gm__ float* x, __gm__ int* y) { *y = x == nullptr ? 5 : 6; }"
    kernel = build(folder, text, "null")
    assert kernel.launch(1, None, np.zeros(1, np.int32)).outputs["y"][0] == 5
    assert kernel.launch(1, X, np.zeros(1, np.int32)).outputs["y"][0] == 6


def test_workspace_is_scratch_and_empty_arrays_are_fine(folder):
    text = ENTRY + "w(__gm__ int* a, __gm__ int* w, __gm__ int* y) { w[3] = 4; y[0] = w[3]; }"
    result = build(folder, text, "w").launch(
        1, np.zeros((0, 5), np.int32), vnpu.workspace(64, np.int32), vnpu.output((1, 1), "int32")
    )
    assert result.report.verdict == "clean", result.report.to_text()
    assert result.outputs["a"].shape == (0, 5)
    assert result.outputs["y"].tolist() == [[4]]
    assert result.outputs.keys() == {"a", "y"}


def test_kernels_run_from_several_threads_at_once(scale_add):
    results = {}

    def work(scale):
        results[scale] = scale_add.launch(2, X, Y, OUT, 1024, float(scale)).outputs["z"]

    threads = [threading.Thread(target=work, args=(scale,)) for scale in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for scale in range(6):
        assert (results[scale] == scale * X + 0.5).all()


def test_save_writes_the_library_once(scale_add, tmp_path):
    scale_add.save(tmp_path / "k.so")
    assert (tmp_path / "k.so").read_bytes()[:4] == b"\x7fELF"
    with pytest.raises(FileExistsError):
        scale_add.save(tmp_path / "k.so")


def test_a_kernel_leaves_no_files_behind(folder, tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    kernel = build(folder, LOOP, "loop")
    assert os.listdir(tmp_path) == []
    assert kernel.launch(1, 0).report.verdict == "clean"
