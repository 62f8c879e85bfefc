# SPDX-License-Identifier: Apache-2.0
"""Makes plain loads and stores of kernel code visible to the virtual NPU.

A kernel pass is compiled to LLVM's text form (opaque pointers, clang 15 or later), rewritten here,
and then compiled on to an object. In that text GM is `ptr addrspace(1)` and UB `ptr addrspace(2)`
(isa/cce_lang.h). In front of each access of these memories comes a call

    vnpu_scalar(row, address, bytes) -> host address

with the source place of the access. GM addresses are host addresses already; a UB access uses the
address that the call returns, which is how UB pointers work at all. Scalar code cannot reach the
other buffers (addrspace 3..8): such an access is an AccessError with its source line.

A cast to a plain pointer hides what memory it leads to: of GM that is a warning (such accesses
work, unseen), of other memories an AccessError.

Integer divisions by a variable get a guard: the device goes on where a host may stop (a divisor of
zero, the most negative number divided by -1). `vnpu_division_by_zero` hears of the first kind.

Inline assembly is the device's: reading the cycle counter (`MOV %0, SYS_CNT`, as AscendC does)
becomes the intrinsic get_sys_cnt, anything else is an AccessError.

Row numbers come from the constants `vnpu_scalar_rows` and `vnpu_sys_cnt_row` that isa/entry.h puts
into every pass.
"""

import re
from collections.abc import Iterator

from . import ir_text

GM, UB = 1, 2
# Name of the memory, and its qualifier.
_BUFFERS = {
    1: ("GM", "__gm__"),
    2: ("UB", "__ubuf__"),
    3: ("L1", "__cbuf__"),
    4: ("L0A", "__ca__"),
    5: ("L0B", "__cb__"),
    6: ("L0C", "__cc__"),
    7: ("BT", "__biasbuf__"),
    8: ("FB", "__fbuf__"),
}

_ROWS = re.compile(
    r"^@vnpu_scalar_rows = .*\[4 x i32\] \[i32 (\d+), i32 (\d+), i32 (\d+), i32 (\d+)\]", re.M
)
_SYS_CNT_ROW = re.compile(r"^@vnpu_sys_cnt_row = .*\bi32 (\d+)", re.M)
# A call of `asm "text", "constraints"(operands)`.
_ASSEMBLY = re.compile(
    r"^  (?P<result>%\S+ = )?(?:(?:tail|notail) )?call (?P<type>[^@]+?) asm (?:\w+ )*"
    r'"(?P<text>[^"]*)", "(?P<constraints>[^"]*)"'
)
_READS_SYS_CNT = re.compile(r"\s*MOV \$0, SYS_CNT\s*", re.I)
_INSTRUCTION = re.compile(
    r"^  (?P<result>%\S+ = )?(?P<tail>(?:tail|notail) )?"
    r"(?P<op>load|store|cmpxchg|atomicrmw|call)\b(?P<rest>.*)$"
)
_DIVISION = re.compile(
    r"^  (?P<result>%\S+) = (?P<op>[su]div|[su]rem) (?P<flags>exact )?"
    r"(?P<type>i\d+) (?P<a>[^,]+), (?P<b>%[^,]+)(?P<suffix>.*)$"
)
_POINTER = re.compile(r"ptr addrspace\((?P<space>\d+)\) (?P<value>.+)$")
_ORDERING = re.compile(
    r'( syncscope\("[^"]*"\))?'
    r"( (unordered|monotonic|acquire|release|acq_rel|seq_cst))+$"
)
_CAST = re.compile(r"\baddrspacecast \(?ptr addrspace\((\d+)\) .*? to ptr(?! addrspace)")
_DBG = re.compile(r", !dbg !\d+")
_MEMORY_CALL = re.compile(
    r"@llvm\.(?P<name>memcpy|memmove|memset)(?P<inline>\.inline)?(?:\.p\d+)+\.(?P<length>i\d+)\("
)
# Intrinsics of LLVM that take pointers and touch no memory.
_HARMLESS = re.compile(
    r"@llvm\.(lifetime|assume|prefetch|invariant|launder|strip|ptrmask|objectsize|dbg|expect|"
    r"experimental\.noalias|ptr\.annotation|var\.annotation|is\.constant|ssa\.copy)\b"
)
# The host buffer is aligned to a page; a kernel may say more of an offset in it.
_MAX_UB_ALIGNMENT = 32
_ALIGN = re.compile(r", align (\d+)")


class AccessError(Exception):
    """Scalar code touches memory that it cannot reach; one line per place."""


class _Rewriter:
    def __init__(self, ir: str) -> None:
        self.ir = ir
        rows = _ROWS.search(ir)
        if not rows:
            raise ValueError(
                "no constant vnpu_scalar_rows: does the unit end in VNPU_KERNEL_ENTRY?"
            )
        load_gm, store_gm, load_ub, store_ub = (int(row) for row in rows.groups())
        self.rows = {
            (GM, False): load_gm,
            (GM, True): store_gm,
            (UB, False): load_ub,
            (UB, True): store_ub,
        }
        self.counter = 0
        self.declarations: dict[str, str] = {}
        self.errors: list[str] = []
        self.warnings: list[str] = []
        self.places: ir_text.Places | None = None

    def instrument(self) -> str:
        lines: list[str] = []
        for line in self.ir.splitlines():
            if line.startswith("  "):
                lines += self._instruction(line)
            else:
                lines.append(line)
        if self.errors:
            raise AccessError("\n".join(dict.fromkeys(self.errors)))
        text = "\n".join(lines) + "\n"
        missing = [
            declaration
            for name, declaration in self.declarations.items()
            if not re.search(rf"^declare .*{re.escape(name)}\(", self.ir, re.M)
        ]
        return text + "".join("\n" + declaration for declaration in missing) + "\n"

    def _instruction(self, line: str) -> Iterator[str]:
        if " asm " in line:
            match = _ASSEMBLY.match(line)
            if match:
                return self._assembly(line, match)
        if "addrspace(" in line:
            cast = _CAST.search(line)
            if cast:
                self._cast(int(cast[1]), line)
            match = _INSTRUCTION.match(line)
            if match:
                handler = self._call if match["op"] == "call" else self._access
                return handler(line, match)
        elif "div " in line or "rem " in line:
            match = _DIVISION.match(line)
            if match:
                return self._division(match)
        return iter([line])

    def _access(self, line: str, match: re.Match) -> Iterator[str]:
        """load, store, cmpxchg, atomicrmw: one pointer operand, which is found by its position."""
        op = match["op"]
        pieces = ir_text.split_operands(match["rest"])
        at = 1 if op in ("load", "store") else 0
        if op == "load":
            type_text = re.sub(r"^(\s|atomic\b|volatile\b)+", "", pieces[0])
        elif op == "store":
            type_text = ir_text.leading_type(re.sub(r"^(\s|atomic\b|volatile\b)+", "", pieces[0]))
        else:
            type_text = ir_text.leading_type(pieces[1].strip())
        pointer = _POINTER.search(_ORDERING.sub("", pieces[at]))
        if not pointer:  # the value or the result is such a pointer, the memory is the stack
            yield line
            return
        space, value = int(pointer["space"]), pointer["value"]
        writes = {"load": (False,), "store": (True,)}.get(op, (False, True))
        dbg = _DBG.search(line)
        host = None
        for write in writes:
            size = ir_text.size_expression(type_text)
            host = yield from self._announce(space, value, size, write, dbg[0] if dbg else "")
        if space == UB:
            old = f"ptr addrspace({space}) {value}"
            line = line.replace(old, f"ptr {host}", 1)
            line = _ALIGN.sub(lambda m: f", align {min(int(m[1]), _MAX_UB_ALIGNMENT)}", line)
        yield line

    def _announce(
        self, space: int, value: str, size: str, write: bool, dbg: str, translate: bool = False
    ):
        """The call in front of one access; the generator's value is the host pointer."""
        if (space, write) not in self.rows:
            if space in _BUFFERS:
                self._refuse(space, write, dbg)
            return value
        self.counter += 1
        address, result, host = (f"%vnpu.{part}{self.counter}" for part in ("a", "r", "h"))
        self.declarations["@vnpu_scalar"] = "declare i64 @vnpu_scalar(i32, i64, i64)"
        row = self.rows[space, write]
        yield f"  {address} = ptrtoint ptr addrspace({space}) {value} to i64{dbg}"
        yield (
            f"  {result} = call i64 @vnpu_scalar(i32 {row}, i64 {address}, i64 {size})"
            f" nounwind nomerge{dbg}"
        )
        if translate or space == UB:
            yield f"  {host} = inttoptr i64 {result} to ptr{dbg}"
        return host

    def _cast(self, space: int, line: str) -> None:
        dbg = _DBG.search(line)
        if space not in _BUFFERS:
            return
        self.places = self.places or ir_text.Places(self.ir)
        place = self.places.describe(dbg[0] if dbg else "")
        name, qualifier = _BUFFERS[space]
        what = f"a pointer to {name} is cast to one without {qualifier}"
        if space == GM:
            self.warnings.append(f"{place}: warning: {what}: accesses through it are not seen")
        else:
            self.errors.append(f"{place}: error: {what}: it leads nowhere")

    def _refuse(self, space: int, write: bool, dbg: str) -> None:
        self.places = self.places or ir_text.Places(self.ir)
        name, qualifier = _BUFFERS[space]
        self.errors.append(
            f"{self.places.describe(dbg)}: error: scalar code {'writes' if write else 'reads'} "
            f"{name} ({qualifier}): scalar code can reach GM and UB only"
        )

    def _call(self, line: str, match: re.Match) -> Iterator[str]:
        if "@llvm." not in line or _HARMLESS.search(line):
            yield line
            return
        dbg = _DBG.search(line)
        suffix = dbg[0] if dbg else ""
        memory = _MEMORY_CALL.search(line)
        if not memory:
            self.places = self.places or ir_text.Places(self.ir)
            name = line[line.index("@llvm.") :].split("(")[0]
            self.errors.append(
                f"{self.places.describe(suffix)}: error: the virtual NPU does not know {name} on "
                "device memory"
            )
            return
        end = ir_text.closing(line, memory.end() - 1)
        args = [arg.strip() for arg in ir_text.split_operands(line[memory.end() : end])]
        pointers = 1 if memory["name"] == "memset" else 2
        length = args[2].split()[-1]
        if memory["length"] != "i64" and length.startswith("%"):
            self.counter += 1
            wide = f"%vnpu.l{self.counter}"
            yield f"  {wide} = zext {memory['length']} {length} to i64{suffix}"
            length = wide
        # The source is read before the destination is written.
        for index in reversed(range(pointers)):
            operand = re.match(r"ptr addrspace\((\d+)\) (.*)$", args[index])
            if operand:
                value = ir_text.operand_value(operand[2])
                args[index] = "ptr " + (
                    yield from self._announce(
                        int(operand[1]), value, length, index == 0, suffix, True
                    )
                )
        name = f"@llvm.{memory['name']}{memory['inline'] or ''}" + ".p0" * pointers
        name += "." + memory["length"]
        second = "ptr" if pointers == 2 else "i8"
        self.declarations[name] = f"declare void {name}(ptr, {second}, {memory['length']}, i1)"
        yield f"  call void {name}({', '.join(args)}){suffix}"

    def _assembly(self, line: str, match: re.Match) -> Iterator[str]:
        text = match["text"].replace("\\0A", "\n").replace("\\09", "\t")
        if not text.strip():  # a barrier for the compiler
            yield line
            return
        dbg = _DBG.search(line)
        suffix = dbg[0] if dbg else ""
        row = _SYS_CNT_ROW.search(self.ir)
        if not row or match["type"].split()[-1] != "i64" or not _READS_SYS_CNT.fullmatch(text):
            self.places = self.places or ir_text.Places(self.ir)
            self.errors.append(
                f"{self.places.describe(suffix)}: error: the virtual NPU does not run inline "
                f'assembly "{text.strip()}"; it knows "MOV %0, SYS_CNT" of a 64-bit counter'
            )
            return
        self.declarations["@vnpu_issue"] = "declare i64 @vnpu_issue(i32, i32, ptr)"
        yield (
            f"  {match['result'] or ''}call i64 @vnpu_issue(i32 {row[1]}, i32 0, ptr null) "
            f"nounwind nomerge{suffix}"
        )

    def _division(self, match: re.Match) -> Iterator[str]:
        self.counter += 1
        n, kind, a, b = self.counter, match["type"], match["a"], match["b"]
        dbg = _DBG.search(match["suffix"])
        suffix = dbg[0] if dbg else ""
        zero, safe, quotient = f"%vnpu.z{n}", f"%vnpu.d{n}", f"%vnpu.q{n}"
        unsafe = zero
        self.declarations["@vnpu_division_by_zero"] = "declare void @vnpu_division_by_zero(i32)"
        yield f"  {zero} = icmp eq {kind} {b}, 0{suffix}"
        yield f"  %vnpu.w{n} = zext i1 {zero} to i32{suffix}"
        yield f"  call void @vnpu_division_by_zero(i32 %vnpu.w{n}) nounwind nomerge{suffix}"
        if match["op"].startswith("s"):
            unsafe = f"%vnpu.u{n}"
            least = -(1 << (int(kind[1:]) - 1))
            yield f"  %vnpu.m{n} = icmp eq {kind} {a}, {least}{suffix}"
            yield f"  %vnpu.n{n} = icmp eq {kind} {b}, -1{suffix}"
            yield f"  %vnpu.o{n} = and i1 %vnpu.m{n}, %vnpu.n{n}{suffix}"
            yield f"  {unsafe} = or i1 {zero}, %vnpu.o{n}{suffix}"
        yield f"  {safe} = select i1 {unsafe}, {kind} 1, {kind} {b}{suffix}"
        yield f"  {quotient} = {match['op']} {kind} {a}, {safe}{suffix}"
        yield f"  {match['result']} = select i1 {zero}, {kind} -1, {kind} {quotient}{suffix}"


def instrument(ir: str) -> tuple[str, list[str]]:
    """Returns the text of one pass with every access and division announced, and warnings."""
    rewriter = _Rewriter(ir)
    return rewriter.instrument(), list(dict.fromkeys(rewriter.warnings))
