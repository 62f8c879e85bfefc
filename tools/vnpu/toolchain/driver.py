# SPDX-License-Identifier: Apache-2.0
"""Compiles a raw CCE kernel source to a library for the virtual NPU.

The one implementation for the build rule cce_kernel, the Python API and the command line:

    pass (per core kind)   unit = the source + VNPU_KERNEL_ENTRY(entry, key, kind)
                           clang -O2 -emit-llvm     -> text
                           scalar_access            -> text with plain accesses announced
                           clang -c                 -> object
                           ld -r, objcopy           -> object whose inline functions are its own
    link                   clang -shared, libvnpu.so
    table                  call_sites: return address -> source line, section .vnpu.calls

Nothing here depends on where it is installed: `isa_dir` is the folder in which
tools/vnpu/isa/cce.h lies, `runtime` is libvnpu.so.

Which core kinds a kernel has, if `cores` does not say: the source is compiled for both. A kind is
there if the code that its pass reaches from the entry has an instruction of that kind only (cube
or cube buffers: AIC, vector unit or UB: AIV), or waits for or sets cross-core flags and has no
instruction of the other kind (a guarded half that only keeps step). If nothing decides, the kernel
is scalar code and runs on AIV. A pass that does not declare the entry is no half.
"""

import concurrent.futures
import dataclasses
import os
import re
import subprocess
import tempfile
from collections.abc import Iterable, Sequence

from . import call_sites, ir_text, messages, scalar_access
from .host_programs import CompileError, Runner, Tools, find_tools

CORES = ("aic", "aiv")
TIMEOUT_SECONDS = 300.0
_ISA = "tools/vnpu/isa/"
PRELUDE = _ISA + "cce.h"
ENTRY_HEADER = _ISA + "entry.h"
_ARCH = {"aic": "CUBE", "aiv": "VEC"}

# Options of both compiler runs.
_CODE = (
    "-O2",
    "-fPIC",
    "-ffp-contract=off",
    "-fasynchronous-unwind-tables",
    "-fno-addrsig",
)
FLAGS = (
    *_CODE,
    "-std=c++17",
    "-gline-tables-only",
    "-gdwarf-4",  # addr2line of binutils loses inlined frames in DWARF 5
    "-ffile-compilation-dir=.",  # relative paths in the line tables, the same on every machine
    "-fvisibility=hidden",
    "-fno-exceptions",
    "-fno-rtti",
    # Every intrinsic must be a call with a return address of its own: it names the source line.
    "-fno-optimize-sibling-calls",
    # The device's scalar unit has no vectors, and its loops stay loops: one access each.
    "-fno-vectorize",
    "-fno-slp-vectorize",
    "-mllvm",
    "-disable-loop-idiom-all",
    # A frame larger than the core's stack meets the guard page instead of jumping over it. The
    # text carries it to the code generator: an attribute of each function.
    "-fstack-clash-protection",
)
STRICT = ("-Wall", "-Wextra", "-Werror")
# Kernels narrow in braces, which the device compiler accepts.
LENIENT = ("-Wno-c++11-narrowing",)


@dataclasses.dataclass(frozen=True)
class Parameter:
    """One parameter of an entry: kind "gm" or "scalar".

    `type` is half, bf16, f32, f64, bool, i8 .. i64, u8 .. u64, or for a GM pointer "void", for a
    scalar "struct<bytes>a<alignment>". u8 is also what untyped GM pointers (GM_ADDR) are declared
    as.
    """

    kind: str
    type: str


@dataclasses.dataclass(frozen=True)
class CompiledKernel:
    path: str
    entry: str
    key: int
    cores: tuple[str, ...]
    parameters: tuple[Parameter, ...]
    warnings: str  # the compiler's text, or empty

    @property
    def name(self) -> str:
        """As KernelModule::Find and the ACL binary registration know it."""
        return f"{self.entry}_{self.key}"


@dataclasses.dataclass(frozen=True)
class Job:
    """What all steps of one kernel share."""

    source: str
    entry: str
    key: int
    isa_dir: str
    tools: Tools
    runner: Runner
    flags: tuple[str, ...] = ()  # the user's: -I, -D and more
    strict: bool = False

    def __post_init__(self) -> None:
        if not os.path.isfile(self.source):
            raise CompileError(f"source {self.source!r}: no such file")
        if not re.fullmatch(r"[A-Za-z_]\w*", self.entry):
            raise CompileError(f"entry {self.entry!r}: must be the name of a function")
        if self.key < 0:
            raise CompileError(f"key {self.key}: must be 0 or more")
        if not os.path.isfile(os.path.join(self.isa_dir, PRELUDE)):
            raise CompileError(f"isa_dir {self.isa_dir!r}: does not hold {PRELUDE}")


@dataclasses.dataclass
class Pass:
    """One core kind of a kernel, compiled to text."""

    core: str
    ir: str
    warnings: str


# What clang says of code that only the device's compiler takes, and a cast of a string to GM.
_DEVICE_ONLY = r"\[aicore\]|const_cast from 'const char \*' to '__gm__ "
_GM_STRING = re.compile(
    r"const_cast\s*<\s*(__attribute__\(\(address_space\(1\)\)\)[\w\s]*\*)\s*>\s*\((?=\s*\")"
)


class EntryMissingError(CompileError):
    """The pass does not declare the entry."""


def front_end(job: Job, core: str, kind: str, folder: str) -> Pass:
    """Compiles one pass to LLVM's text form.

    Habits of foreign sources get a second try: an entry that is named as the device's loader wants
    it, <entry>_<key>_mix_<core>; `#define __aicore__ [aicore]` without a condition; a string that
    is cast to GM, where the device has its strings.
    """
    result, ir = _attempt(job, core, kind, folder)
    rewrite = result.returncode != 0 and re.search(_DEVICE_ONLY, result.stderr) is not None
    if rewrite:
        result, ir = _attempt(job, core, kind, folder, rewrite=True)
    if _misses_entry(job, result.stderr):
        second, ir = _attempt(job, core, kind, folder, rewrite=rewrite, suffix=True)
        result = result if _misses_entry(job, second.stderr) else second
    if result.returncode != 0:
        raise _compile_error(job, core, result.stderr, result.args)
    warnings = messages.shorten(result.stderr, ("warning",), messages.folder_names(job.source))
    return Pass(core, ir, warnings)


def _attempt(
    job: Job, core: str, kind: str, folder: str, rewrite: bool = False, suffix: bool = False
) -> tuple[subprocess.CompletedProcess, str]:
    """Runs clang once; the text is empty if it fails."""
    base = os.path.join(folder, kind)
    with open(base + ".cc", "w", encoding="utf-8") as file:
        file.write(f'#include "{os.path.abspath(job.source)}"\n#include "{ENTRY_HEADER}"\n')
        if suffix:
            file.write(f"constexpr auto& {job.entry} = {job.entry}_{job.key}_mix_{core};\n")
        file.write(f"VNPU_KERNEL_ENTRY({job.entry}, {job.key}, {kind})\n")
    # The same bytes from every build: no names of folders of this host.
    prefixes = {**messages.folder_names(job.source), folder + "/": "vnpu_unit/"}
    prefixes[os.path.join(job.isa_dir, _ISA)] = _ISA
    clang = [job.tools.clang, *FLAGS, *(STRICT if job.strict else LENIENT)]
    clang += [f"-ffile-prefix-map={seen}={given}" for seen, given in prefixes.items()]
    clang += [f"-D__DAV_C220_{_ARCH[core]}__=1", f"-D__DAV_{_ARCH[core]}__=1", f"-I{job.isa_dir}"]
    clang += [*job.flags, "-include", os.path.join(job.isa_dir, PRELUDE)]
    source = ["-x", "c++", base + ".cc"]
    if rewrite:
        result = job.runner.run([*clang, *source, "-E", "-o", base + ".ii"])
        if result.returncode != 0:
            return result, ""
        _rewrite(base + ".ii")
        clang = _without_preprocessing(clang)
        source = ["-x", "c++-cpp-output", base + ".ii"]
    result = job.runner.run([*clang, *source, "-S", "-emit-llvm", "-o", base + ".ll"])
    if result.returncode != 0:
        return result, ""
    with open(base + ".ll", encoding="utf-8", errors="surrogateescape") as file:
        return result, file.read()


def _rewrite(path: str) -> None:
    """In preprocessed text: no [aicore], which only the device's compiler knows, and casts of
    strings to GM in the form that a host's compiler takes."""
    with open(path, encoding="utf-8", errors="surrogateescape") as file:
        text = file.read()
    with open(path, "w", encoding="utf-8", errors="surrogateescape") as file:
        file.write(_GM_STRING.sub(r"(\1)(", re.sub(r"\[\s*aicore\s*\]", "", text)))


def _without_preprocessing(command: list[str]) -> list[str]:
    """The command without what has had its effect in the preprocessed text."""
    kept: list[str] = []
    options = ("-I", "-D", "-U", "-isystem", "-iquote", "-include")
    words = iter(command)
    for word in words:
        if word in options:
            next(words, None)
        elif not word.startswith(options):
            kept.append(word)
    return kept


def _misses_entry(job: Job, stderr: str) -> bool:
    name = rf"'{job.entry}(_{job.key}_mix_ai[cv])?'"
    return re.search(rf"error: use of undeclared identifier {name}", stderr) is not None


def _compile_error(job: Job, core: str, stderr: str, command: list[str]) -> CompileError:
    if _misses_entry(job, stderr):
        with open(job.source, encoding="utf-8", errors="replace") as file:
            found = messages.entries(file.read())
        names = ", ".join(found) if found else 'none (an entry is extern "C" __global__)'
        return EntryMissingError(
            f"{job.source}: the {core} pass has no entry {job.entry!r}; functions that look like "
            f"entries: {names}"
        )
    text = messages.shorten(stderr, ("error", "fatal error"), messages.folder_names(job.source))
    hint = ""
    if "'type_traits' file not found" in stderr:
        hint = "\nthe C++ standard library's headers are missing: install g++ or libstdc++-12-dev"
    return CompileError(
        f"{job.source}: does not compile for {core}\n{text or stderr.strip()}{hint}", command
    )


def back_end(job: Job, part: Pass, folder: str) -> str:
    """Announces the scalar accesses and compiles on; returns the path of the object."""
    try:
        ir, warnings = scalar_access.instrument(part.ir)
        if warnings and job.strict:
            raise scalar_access.AccessError("\n".join(warnings))
    except scalar_access.AccessError as error:
        raise CompileError(f"{job.source}: does not compile for {part.core}\n{error}") from None
    part.warnings = "\n".join(filter(None, [part.warnings, *warnings]))
    base = os.path.join(folder, part.core)
    with open(base + ".scalar.ll", "w", encoding="utf-8", errors="surrogateescape") as file:
        file.write(ir)
    what = f"{job.source}: cannot be compiled on"
    # The text is optimized already: only instruction selection is left.
    compiled = [job.tools.clang, "-x", "ir", *_CODE, "-Xclang", "-disable-llvm-passes", "-c"]
    job.runner.check([*compiled, base + ".scalar.ll", "-o", base + ".compiled.o"], what)
    # Both core kinds may define one inline function in two ways. So that the final link keeps them
    # apart, resolve the COMDAT groups of each pass and make all but the entry local.
    merge = [job.tools.ld, "-r", "--force-group-allocation", "-o", base + ".merged.o"]
    job.runner.check([*merge, base + ".compiled.o"], what)
    job.runner.check(
        [job.tools.objcopy, "--localize-hidden", base + ".merged.o", base + ".o"], what
    )
    return base + ".o"


def link(objects: Iterable[str], output: str, runtime: str, tools: Tools, runner: Runner) -> None:
    """Links the passes to the library `output` with its call table."""
    if not os.path.isfile(runtime):
        raise CompileError(f"runtime {runtime!r}: no such file (it is libvnpu.so)")
    if not os.path.isdir(os.path.dirname(output) or "."):
        raise CompileError(f"output {output!r}: its folder does not exist")
    with tempfile.TemporaryDirectory(prefix="vnpu_link_") as folder:
        linked = os.path.join(folder, "linked.so")
        flags = ["-shared", "-Wl,--no-undefined", "-Wl,--build-id=none"]
        command = [tools.clang, *flags, "-o", linked, *objects, runtime, "-lm"]
        runner.check(command, "the kernel does not link")
        listing = runner.check([tools.objdump, "-d", "-w", linked], "objdump fails")
        try:
            table = call_sites.call_table(linked, listing, tools.addr2line)
            call_sites.add_section(linked, table, tools.objcopy, output)
        except (OSError, subprocess.CalledProcessError) as error:
            raise CompileError(f"the call table of {output!r} cannot be written: {error}") from None


def _parameters(ir: str) -> tuple[Parameter, ...]:
    match = re.search(r"^@vnpu_signature_\w+ = .*$", ir, re.M)
    chars = re.search(r'c"([^"\\]+)"', match[0]) if match else None
    # A short text is written as numbers.
    codes = re.findall(r"\bi8 (\d+)", match[0]) if match else []
    text = chars[1] if chars else "".join(chr(int(code)) for code in codes)
    kinds = {"gm": "gm", "s": "scalar"}
    pairs = (part.split(":") for part in filter(None, text.split(",")))
    return tuple(Parameter(kinds[kind], type_name) for kind, type_name in pairs)


def _evidence(job: Job, part: Pass) -> set[str]:
    """The kinds of instructions that the entry reaches: letters of vnpu_row_kinds."""
    kinds = re.search(r'^@vnpu_row_kinds = .* c"(\w+)', part.ir, re.M)
    if not kinds:
        raise CompileError(f"isa_dir {job.isa_dir!r}: entry.h does not fit this compile driver")
    symbol = f"vnpu_entry_{job.entry}_{job.key}_mix_{part.core}"
    code = ir_text.reachable(part.ir, symbol)
    rows = {int(row) for row in re.findall(r"@vnpu_issue\(i32 (?:noundef )?(\d+)", code)}
    found = {kinds[1][row] for row in rows}
    if re.search(r"^  [^\n]*\b(?:load|store) [^\n]*ptr addrspace\(2\)", code, re.M):
        found.add("v")
    return found


def detect(job: Job, parts: Sequence[Pass]) -> list[Pass]:
    """The passes that are halves of the kernel; the rule is in the text at the top."""
    own, other = {"aic": "c", "aiv": "v"}, {"aic": "v", "aiv": "c"}
    kept = []
    for part in parts:
        found = _evidence(job, part)
        if own[part.core] in found or ("x" in found and other[part.core] not in found):
            kept.append(part)
    return kept or [parts[-1]]


def _front_ends(job: Job, cores: tuple[str, ...] | None, folder: str) -> list[Pass]:
    names = cores or CORES
    kinds = [f"mix_{core}" if cores is None or len(cores) > 1 else core for core in names]
    with concurrent.futures.ThreadPoolExecutor(len(names)) as pool:
        futures = [
            pool.submit(front_end, job, core, kind, folder)
            for core, kind in zip(names, kinds, strict=True)
        ]
    if cores is not None:
        return [future.result() for future in futures]
    errors = [future.exception() for future in futures]
    if all(isinstance(error, EntryMissingError) for error in errors):
        raise errors[0]
    for error, core in zip(errors, reversed(names), strict=True):
        if isinstance(error, CompileError) and not isinstance(error, EntryMissingError):
            hint = f'\nif the kernel has code for one core kind only, say so: cores=("{core}",)'
            detailed = CompileError(str(error) + ("" if all(errors) else hint))
            detailed.command = error.command
            raise detailed
    return detect(
        job,
        [
            future.result()
            for future, error in zip(futures, errors, strict=True)
            if not isinstance(error, EntryMissingError)
        ],
    )


def compile_kernel(
    source: str | os.PathLike,
    entry: str,
    output: str | os.PathLike,
    *,
    isa_dir: str | os.PathLike,
    runtime: str | os.PathLike,
    key: int = 0,
    cores: tuple[str, ...] | None = None,
    defines: Iterable[str] = (),
    include_dirs: Iterable[str | os.PathLike] = (),
    extra_flags: Iterable[str] = (),
    clang: str | None = None,
    strict: bool = False,
    timeout: float = TIMEOUT_SECONDS,
) -> CompiledKernel:
    """Compiles `source` (any suffix) to the library `output`, registered as "<entry>_<key>".

    cores: ("aic", "aiv"), ("aic",) or ("aiv",); None finds out (see the top of this file).
    defines: "NAME" or "NAME=VALUE". extra_flags go to clang last. strict: warnings are errors.
    timeout: seconds for all steps. Raises CompileError.
    """
    if cores is not None and (not cores or len(set(cores)) != len(cores) or set(cores) - {*CORES}):
        raise CompileError(f"cores {cores!r}: allowed are aic, aiv or both, or None")
    if timeout <= 0:
        raise CompileError(f"timeout {timeout}: must be above 0 seconds")
    flags = [f"-I{os.fspath(path)}" for path in include_dirs]
    flags += [f"-D{define}" for define in defines] + list(extra_flags)
    tools, runner = find_tools(clang), Runner(timeout)
    job = Job(
        os.fspath(source), entry, key, os.fspath(isa_dir), tools, runner, tuple(flags), strict
    )
    with tempfile.TemporaryDirectory(prefix="vnpu_kernel_") as folder:
        parts = _front_ends(job, tuple(cores) if cores else None, folder)
        with concurrent.futures.ThreadPoolExecutor(len(parts)) as pool:
            objects = list(pool.map(lambda part: back_end(job, part, folder), parts))
        link(objects, os.fspath(output), os.fspath(runtime), tools, runner)
    return CompiledKernel(
        path=os.fspath(output),
        entry=entry,
        key=key,
        cores=tuple(part.core for part in parts),
        parameters=_parameters(parts[0].ir),
        warnings="\n".join(dict.fromkeys(part.warnings for part in parts if part.warnings)),
    )
