# SPDX-License-Identifier: Apache-2.0
"""The rewriter of plain accesses, on small texts; what comes out must assemble."""

import subprocess

import pytest

from tools.vnpu.toolchain import host_programs, ir_text, scalar_access

_HEAD = "@vnpu_scalar_rows = hidden constant [4 x i32] [i32 10, i32 11, i32 12, i32 13], align 16\n"
_DEBUG = """
!llvm.module.flags = !{!0}
!llvm.dbg.cu = !{!1}
!0 = !{i32 2, !"Debug Info Version", i32 3}
!1 = distinct !DICompileUnit(language: DW_LANG_C_plus_plus, file: !2, emissionKind: LineTablesOnly)
!2 = !DIFile(filename: "unit.cc", directory: ".")
!3 = !DIFile(filename: "./dir/k.cce", directory: ".")
!4 = distinct !DISubprogram(name: "k", file: !3, type: !9, spFlags: DISPFlagDefinition, unit: !1)
!5 = distinct !DISubprogram(name: "a(,b", file: !3, type: !9, spFlags: DISPFlagDefinition, unit: !1)
!6 = !DILocation(line: 12, column: 3, scope: !8, inlinedAt: !7)
!7 = distinct !DILocation(line: 40, column: 5, scope: !4)
!8 = distinct !DILexicalBlock(scope: !5, file: !3, line: 11)
!9 = !DISubroutineType(types: !10)
!10 = !{}
"""


def _module(body: str, *, parameters: str = "", head: str = "") -> str:
    debug = _DEBUG if "!dbg" in body else ""
    subprogram = " !dbg !4" if debug else ""
    return f"{_HEAD}{head}define void @k({parameters}){subprogram} {{\n{body}\n}}\n{debug}"


def _body(text: str) -> list[str]:
    lines = ir_text.functions(text)["k"].splitlines()
    return [line.strip() for line in lines]


@pytest.fixture(scope="module")
def clang() -> str:
    return host_programs.find_clang()


@pytest.fixture
def rewrite(clang, tmp_path):
    """Rewrites and assembles."""

    def run(text: str) -> list[str]:
        result, warnings = scalar_access.instrument(text)
        assert warnings == []
        (tmp_path / "k.ll").write_text(result, encoding="utf-8")
        command = [clang, "-x", "ir", "-Xclang", "-disable-llvm-passes", "-O2", "-c"]
        command += ["-Wno-override-module", str(tmp_path / "k.ll"), "-o", str(tmp_path / "k.o")]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr + result
        assert done.stderr == ""  # the assembler drops broken debug information with a warning
        return _body(result)

    return run


def test_load_of_gm_is_announced_and_kept(rewrite):
    load = "%v = load i32, ptr addrspace(1) %p, align 4, !dbg !6"
    body = rewrite(_module(f"  {load}\n  ret void", parameters="ptr addrspace(1) %p"))
    assert body == [
        "%vnpu.a1 = ptrtoint ptr addrspace(1) %p to i64, !dbg !6",
        "%vnpu.r1 = call i64 @vnpu_scalar(i32 10, i64 %vnpu.a1, i64 4) nounwind nomerge, !dbg !6",
        load,
        "ret void",
    ]


def test_store_to_ub_uses_the_host_address(rewrite):
    body = rewrite(
        _module(
            "  store volatile half 0xH3C00, ptr addrspace(2) %p, align 2\n  ret void",
            parameters="ptr addrspace(2) %p",
        )
    )
    assert body == [
        "%vnpu.a1 = ptrtoint ptr addrspace(2) %p to i64",
        "%vnpu.r1 = call i64 @vnpu_scalar(i32 13, i64 %vnpu.a1, i64 2) nounwind nomerge",
        "%vnpu.h1 = inttoptr i64 %vnpu.r1 to ptr",
        "store volatile half 0xH3C00, ptr %vnpu.h1, align 2",
        "ret void",
    ]


@pytest.mark.parametrize(
    ("operand", "alignment"),
    [
        ("inttoptr (i64 256 to ptr addrspace(2))", 256),
        ("null", 4294967296),
        ("getelementptr (i8, ptr addrspace(2) inttoptr (i64 8 to ptr addrspace(2)), i64 4)", 4),
    ],
)
def test_constant_addresses_and_their_alignment(rewrite, operand, alignment):
    """A kernel's knowledge of an offset is none of the host address."""
    body = rewrite(
        _module(f"  store i32 1, ptr addrspace(2) {operand}, align {alignment}\n  ret void")
    )
    assert body[0] == f"%vnpu.a1 = ptrtoint ptr addrspace(2) {operand} to i64"
    assert body[3] == f"store i32 1, ptr %vnpu.h1, align {min(alignment, 32)}"


@pytest.mark.parametrize(
    ("kind", "value", "size"),
    [
        ("i1", "true", "1"),
        ("i8", "1", "1"),
        ("i64", "1", "8"),
        ("bfloat", "0xR3F80", "2"),
        ("double", "0.0", "8"),
        ("ptr", "null", "8"),
        ("ptr addrspace(1)", "null", "8"),
        ("<4 x float>", "zeroinitializer", "16"),
        (
            "{ i8, i64 }",
            "zeroinitializer",
            "ptrtoint (ptr getelementptr ({ i8, i64 }, ptr null, i32 1) to i64)",
        ),
    ],
)
def test_sizes_of_types(rewrite, kind, value, size):
    body = rewrite(
        _module(
            f"  store {kind} {value}, ptr addrspace(1) %p\n"
            f"  %v = load {kind}, ptr addrspace(1) %p\n  ret void",
            parameters="ptr addrspace(1) %p",
        )
    )
    calls = [line for line in body if "@vnpu_scalar" in line]
    assert [call.split("(", 1)[1].split(",")[0] for call in calls] == ["i32 11", "i32 10"]
    assert all(f", i64 {size}) nounwind" in call for call in calls)


def test_pointer_that_is_stored_on_the_stack_is_no_access(rewrite):
    lines = [
        "%s = alloca ptr addrspace(2)",
        "store ptr addrspace(2) %p, ptr %s",
        "%q = load ptr addrspace(2), ptr %s",
        "ret void",
    ]
    module = _module("  " + "\n  ".join(lines), parameters="ptr addrspace(2) %p")
    assert rewrite(module) == lines


def test_numbered_values_phis_and_blocks_stay_valid(rewrite):
    body = rewrite(
        _module(
            """  %2 = load i32, ptr addrspace(1) %0, align 4
  %3 = icmp eq i32 %2, 0
  br i1 %3, label %4, label %6

4:
  %5 = load i32, ptr addrspace(1) %0, align 4
  br label %6

6:
  %7 = phi i32 [ %5, %4 ], [ 1, %1 ]
  store i32 %7, ptr addrspace(1) %0, align 4
  ret void""",
            parameters="ptr addrspace(1) %0",
        )
    )
    assert sum("@vnpu_scalar" in line for line in body) == 3


def test_atomics_read_and_write(rewrite):
    body = rewrite(
        _module(
            "  %a = atomicrmw add ptr addrspace(1) %p, i32 1 seq_cst, align 4\n"
            '  %b = cmpxchg ptr addrspace(2) %q, i64 1, i64 2 syncscope("singlethread") acq_rel '
            "monotonic, align 8\n"
            "  %c = load atomic i32, ptr addrspace(2) %q acquire, align 4\n"
            "  store atomic volatile i32 1, ptr addrspace(2) %q release, align 4\n  ret void",
            parameters="ptr addrspace(1) %p, ptr addrspace(2) %q",
        )
    )
    rows = [line.split("i32 ")[1].split(",")[0] for line in body if "@vnpu_scalar" in line]
    assert rows == ["10", "11", "12", "13", "12", "13"]
    accesses = [line for line in body if "seq_cst" in line or "align" in line]
    assert accesses[0] == "%a = atomicrmw add ptr addrspace(1) %p, i32 1 seq_cst, align 4"
    assert accesses[1].startswith("%b = cmpxchg ptr %vnpu.h4, i64 1, i64 2 syncscope(")
    assert accesses[2] == "%c = load atomic i32, ptr %vnpu.h5 acquire, align 4"


def test_memory_intrinsics_get_host_pointers(rewrite):
    body = rewrite(
        _module(
            "  call void @llvm.memcpy.p2.p1.i64(ptr addrspace(2) noundef nonnull align 256 "
            "dereferenceable(32) inttoptr (i64 256 to ptr addrspace(2)), ptr addrspace(1) noundef "
            "align 4 %p, i64 32, i1 false)\n"
            "  tail call void @llvm.memset.p1.i64(ptr addrspace(1) align 4 %p, i8 7, i64 %n, "
            "i1 false)\n"
            "  call void @llvm.memmove.p0.p2.i32(ptr %s, ptr addrspace(2) null, i32 %m, i1 true)\n"
            "  ret void",
            parameters="ptr addrspace(1) %p, i64 %n, ptr %s, i32 %m",
            head="declare void @llvm.memcpy.p2.p1.i64("
            "ptr addrspace(2), ptr addrspace(1), i64, i1)\n"
            "declare void @llvm.memset.p1.i64(ptr addrspace(1), i8, i64, i1)\n"
            "declare void @llvm.memmove.p0.p2.i32(ptr, ptr addrspace(2), i32, i1)\n",
        )
    )
    assert [line for line in body if "call" in line or "zext" in line] == [
        "%vnpu.r1 = call i64 @vnpu_scalar(i32 10, i64 %vnpu.a1, i64 32) nounwind nomerge",
        "%vnpu.r2 = call i64 @vnpu_scalar(i32 13, i64 %vnpu.a2, i64 32) nounwind nomerge",
        "call void @llvm.memcpy.p0.p0.i64(ptr %vnpu.h2, ptr %vnpu.h1, i64 32, i1 false)",
        "%vnpu.r3 = call i64 @vnpu_scalar(i32 11, i64 %vnpu.a3, i64 %n) nounwind nomerge",
        "call void @llvm.memset.p0.i64(ptr %vnpu.h3, i8 7, i64 %n, i1 false)",
        "%vnpu.l4 = zext i32 %m to i64",
        "%vnpu.r5 = call i64 @vnpu_scalar(i32 12, i64 %vnpu.a5, i64 %vnpu.l4) nounwind nomerge",
        "call void @llvm.memmove.p0.p0.i32(ptr %s, ptr %vnpu.h5, i32 %m, i1 true)",
    ]


def test_buffers_that_scalar_code_cannot_reach_are_named_with_their_line():
    module = _module(
        "  %a = load i32, ptr addrspace(3) %p, !dbg !6\n"
        "  store float 1.0, ptr addrspace(6) %q, !dbg !7\n  ret void",
        parameters="ptr addrspace(3) %p, ptr addrspace(6) %q",
    )
    with pytest.raises(scalar_access.AccessError) as caught:
        scalar_access.instrument(module)
    assert str(caught.value).splitlines() == [
        "dir/k.cce:12:3 (from dir/k.cce:40:5): error: scalar code reads L1 (__cbuf__): scalar code "
        "can reach GM and UB only",
        "dir/k.cce:40:5: error: scalar code writes L0C (__cc__): scalar code can reach GM and UB "
        "only",
    ]


def test_unknown_intrinsic_on_device_memory_is_refused():
    module = _module(
        "  %v = call <4 x i32> @llvm.masked.load.v4i32.p2(ptr addrspace(2) %p, i32 4, "
        "<4 x i1> %m, <4 x i32> poison)\n  ret void",
        parameters="ptr addrspace(2) %p, <4 x i1> %m",
    )
    with pytest.raises(scalar_access.AccessError, match=r"llvm\.masked\.load\.v4i32\.p2"):
        scalar_access.instrument(module)


def test_lifetimes_and_prefetches_stay(rewrite):
    line = "call void @llvm.prefetch.p1(ptr addrspace(1) %p, i32 0, i32 3, i32 1)"
    head = "declare void @llvm.prefetch.p1(ptr addrspace(1), i32, i32, i32)\n"
    module = _module(f"  {line}\n  ret void", parameters="ptr addrspace(1) %p", head=head)
    assert rewrite(module) == [line, "ret void"]


def test_divisions_by_a_variable_are_guarded(rewrite):
    body = rewrite(
        _module(
            "  %q = sdiv i32 %a, %b, !dbg !6\n  %r = urem i64 %c, %d\n  ret void",
            parameters="i32 %a, i32 %b, i64 %c, i64 %d",
        )
    )
    assert "%vnpu.q1 = sdiv i32 %a, %vnpu.d1, !dbg !6" in body
    assert "%vnpu.m1 = icmp eq i32 %a, -2147483648, !dbg !6" in body
    assert "%q = select i1 %vnpu.z1, i32 -1, i32 %vnpu.q1, !dbg !6" in body
    assert "%vnpu.d2 = select i1 %vnpu.z2, i64 1, i64 %d" in body
    assert sum("call void @vnpu_division_by_zero(i32 %vnpu.w" in line for line in body) == 2


def test_division_by_a_constant_stays(rewrite):
    line = "%q = sdiv i32 %a, 7"
    assert rewrite(_module(f"  {line}\n  ret void", parameters="i32 %a")) == [line, "ret void"]


def test_existing_declaration_is_not_repeated():
    head = "declare i64 @vnpu_scalar(i32 noundef, i64 noundef, i64 noundef) #0\n"
    module = _module("  %v = load i8, ptr addrspace(1) null\n  ret void", head=head)
    assert scalar_access.instrument(module)[0].count("declare i64 @vnpu_scalar(") == 1


def test_text_without_the_rows_is_refused():
    with pytest.raises(ValueError, match="VNPU_KERNEL_ENTRY"):
        scalar_access.instrument("define void @k() {\n  ret void\n}\n")


def test_reachable_follows_names_and_leaves_the_rest():
    text = (
        "define void @a() {\n  call void @b()\n  ret void\n}\n"
        'define linkonce_odr void @b() {\n  call void @"odd name"()\n  ret void\n}\n'
        'define void @"odd name"() {\n  call void @a()\n  ret void\n}\n'
        "define void @other() {\n  call void @secret()\n  ret void\n}\n"
    )
    found = ir_text.reachable(text, "a")
    assert "odd name" in found and "@a()" in found and "secret" not in found


_COUNTER = 'asm sideeffect "MOV $0, SYS_CNT\\0A", "=l,0,~{dirflag},~{fpsr},~{flags}"(i64 0)'


def test_reading_the_cycle_counter_becomes_the_intrinsic(rewrite):
    head = "@vnpu_sys_cnt_row = hidden constant i32 4, align 4\n"
    body = rewrite(
        _module(
            f"  %c = tail call noundef i64 {_COUNTER}, !dbg !6\n  call i64 {_COUNTER}\n"
            '  tail call void asm sideeffect "", "~{memory}"()\n  ret void',
            head=head,
        )
    )
    call = "call i64 @vnpu_issue(i32 4, i32 0, ptr null) nounwind nomerge"
    barrier = 'tail call void asm sideeffect "", "~{memory}"()'
    assert body == [f"%c = {call}, !dbg !6", call, barrier, "ret void"]


@pytest.mark.parametrize(
    "line",
    [
        '  call void asm sideeffect "NOP_BAR.V\\0A", ""(), !dbg !6',
        '  %c = call i32 asm sideeffect "MOV $0, SYS_CNT", "=l,0"(i32 0), !dbg !6',
        '  %c = call { i64, i64 } asm sideeffect "MOV $0, SYS_CNT", "=l,=l"(), !dbg !6',
        '  %c = call i64 asm sideeffect "MOV $0, COREID", "=l"(), !dbg !6',
    ],
)
def test_other_assembly_of_the_device_is_refused(line):
    head = "@vnpu_sys_cnt_row = hidden constant i32 4, align 4\n"
    message = r'^dir/k\.cce:12:3 .*inline assembly "\w.*"; it knows "MOV %0, SYS_CNT"'
    with pytest.raises(scalar_access.AccessError, match=message):
        scalar_access.instrument(_module(f"{line}\n  ret void", head=head))
