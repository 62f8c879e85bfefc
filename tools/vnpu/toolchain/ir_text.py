# SPDX-License-Identifier: Apache-2.0
"""Reading LLVM's text form: operands, sizes of types, source places, what a function reaches."""

import os
import re

_OPEN, _CLOSE = "([{<", ")]}>"
_SCALARS = {"half": 2, "bfloat": 2, "float": 4, "double": 8, "ptr": 8}


def _top_level(text: str):
    """Yields (index, character) outside of brackets and quotes; the brackets themselves too."""
    depth, quoted = 0, False
    for index, char in enumerate(text):
        if char == '"':
            quoted = not quoted
        elif quoted:
            continue
        elif char in _OPEN:
            depth += 1
        elif char in _CLOSE:
            depth -= 1
            if depth == 0:
                yield index, char
            continue
        if depth == 0:
            yield index, char


def split_operands(text: str) -> list[str]:
    """Splits at commas outside of brackets and quotes."""
    pieces, start = [], 0
    for index, char in _top_level(text):
        if char == ",":
            pieces.append(text[start:index])
            start = index + 1
    return [*pieces, text[start:]]


def closing(text: str, start: int) -> int:
    """The index of the bracket that closes the one at `start`."""
    for index, char in _top_level(text[start:]):
        if char in _CLOSE:
            return start + index
    raise ValueError("brackets do not match: " + text)


def leading_type(text: str) -> str:
    """The type of "type value"."""
    for index, char in _top_level(text):
        if char == " " and not text[index + 1 :].startswith("addrspace("):
            return text[:index]
    raise ValueError("no type in front of a value: " + text)


def operand_value(text: str) -> str:
    """The value of an argument without the attributes in front of it."""
    match = re.search(r"(?:^| )((?:inttoptr|getelementptr|addrspacecast|bitcast)\b.*\))$", text)
    return match[1] if match else text.split()[-1]


def size_expression(type_text: str) -> str:
    """Bytes that a value of this type takes in memory: a number, or a constant expression."""
    if type_text.startswith("ptr"):
        return "8"
    if type_text in _SCALARS:
        return str(_SCALARS[type_text])
    if re.fullmatch(r"i\d+", type_text):
        return str((int(type_text[1:]) + 7) // 8)
    vector = re.fullmatch(r"<(\d+) x (\w+)>", type_text)
    if vector:
        lane = re.fullmatch(r"i(\d+)", vector[2])
        bits = int(lane[1]) if lane else 8 * _SCALARS[vector[2]]
        return str((int(vector[1]) * bits + 7) // 8)
    return f"ptrtoint (ptr getelementptr ({type_text}, ptr null, i32 1) to i64)"


class Places:
    """Source places of instructions, from the debug information of a module."""

    def __init__(self, ir: str) -> None:
        self._nodes = dict(re.findall(r"^(!\d+) = (?:distinct )?(!DI\w+\(.*\))$", ir, re.M))

    def _field(self, node: str | None, name: str) -> str:
        match = re.search(rf'\b{name}: ("[^"]*"|[^,)]+)', self._nodes.get(node or "", ""))
        return match[1].strip('"') if match else ""

    def describe(self, dbg: str) -> str:
        """`, !dbg !7` -> "k.cce:12:3 (from k.cce:40)"."""
        node = re.search(r"!\d+", dbg)
        frames, at = [], node[0] if node else ""
        while at in self._nodes:
            file = self._field(self._field(at, "scope"), "file")
            path = os.path.normpath(self._field(file, "filename") or "?")
            if path.endswith("vnpu/isa/entry.h"):  # the call of the entry: no part of the kernel
                break
            column = self._field(at, "column")
            frames.append(f"{path}:{self._field(at, 'line')}" + (f":{column}" if column else ""))
            at = self._field(at, "inlinedAt")
        if not frames:
            return "unknown place"
        return frames[0] + "".join(f" (from {frame})" for frame in frames[1:])


def functions(ir: str) -> dict[str, str]:
    """The text of each defined function by its name."""
    found = re.findall(r'^define [^\n]*?@("[^"\n]+"|[\w.$]+)\([^\n]*\{\n(.*?)^\}', ir, re.M | re.S)
    return {name.strip('"'): body for name, body in found}


def reachable(ir: str, entry: str) -> str:
    """The text of `entry` and of all functions that it names, and those that they name."""
    bodies = functions(ir)
    seen, waiting = [], [entry]
    while waiting:
        name = waiting.pop()
        if name in seen or name not in bodies:
            continue
        seen.append(name)
        names = re.findall(r'@(?:"([^"\n]+)"|([\w.$]+))', bodies[name])
        waiting += [quoted or plain for quoted, plain in names]
    return "".join(bodies[name] for name in seen)
