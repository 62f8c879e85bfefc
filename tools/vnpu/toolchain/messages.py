# SPDX-License-Identifier: Apache-2.0
"""Compiler output in the words of the user's file: no paths of temporary files, no floods."""

import os
import re

_HEAD = re.compile(
    r"^(?:(?P<place>\S[^\n]*?:\d+:\d+): )?(?P<kind>fatal error|error|warning|note): "
)
_MAX_BLOCKS = 8
_MAX_NOTES = 3
_ENTRY = re.compile(r"__global__\s[^;{}()]*?(\w+)\s*\(")


def _blocks(text: str):
    """(kind, place, text) of each diagnostic with its lines of source."""
    block: list[str] = []
    kind = place = ""
    for line in text.splitlines():
        head = _HEAD.match(line)
        if head or line.startswith(("In file included from", "<built-in>")):
            if block:
                yield kind, place, "\n".join(block)
            block = []
            kind, place = (head["kind"], head["place"] or "") if head else ("", "")
        if head or (kind and not re.match(r"^\d+ (errors?|warnings?)\b", line)):
            block.append(line)
    if block:
        yield kind, place, "\n".join(block)


def shorten(stderr: str, kinds: tuple[str, ...], renamed: dict[str, str]) -> str:
    """The diagnostics of these kinds with their first notes.

    `renamed` maps the starts of paths as the compiler saw them to what the user wrote.
    """
    kept: list[str] = []
    shown = dropped = notes = 0
    keep = False
    for kind, place, block in _blocks(stderr):
        if kind == "note":
            # Notes on the dialect's own headers say nothing about the kernel.
            if keep and notes < _MAX_NOTES and "vnpu/isa/" not in place:
                notes += 1
                kept.append(block)
            continue
        keep = kind in kinds and shown < _MAX_BLOCKS
        dropped += kind in kinds and not keep
        notes = 0
        if keep:
            shown += 1
            kept.append(block)
    text = "\n".join(kept)
    for seen, given in renamed.items():
        text = text.replace(seen, given)
    return text + (f"\nand {dropped} more" if dropped else "")


def entries(source_text: str) -> list[str]:
    """Names of the functions that look like kernel entries."""
    plain = re.sub(r"__attribute__\s*\(\(.*?\)\)|\[\[.*?\]\]|__mix__\(.*?\)", " ", source_text)
    return sorted(set(_ENTRY.findall(plain)))


def folder_names(source: str) -> dict[str, str]:
    """The source's folder: as the compiler sees it, and as the user wrote it."""
    given = os.path.dirname(source)
    return {os.path.dirname(os.path.abspath(source)) + "/": given + "/" if given else ""}
