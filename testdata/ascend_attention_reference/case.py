# SPDX-License-Identifier: Apache-2.0
"""The case grammar: one line that names a decode problem everywhere.

    decode:b<batch>:h<num_heads>:kv<num_kv_heads>:d<head_dim>:bs<kv_block_size>:ctx<lengths>
          :<f16|bf16>[:option...]:seed<n>

The order is fixed. `lengths` is one number for all sequences, or one each by commas. Options:

    cores<N>   plan for N cores
    fulltable  no spare column: the longest sequence fills its row of the block table
    shared     block ids are drawn with replacement, so sequences share kv blocks
    outliers   every 32nd key channel is 64 times larger
    onehot     a value row is 1 in one channel and 0 elsewhere
    sharp      scores spread widely: a few tokens take most of the weight
    bigscores  scores of about +-6e4, both signs

The grammar admits shapes that the product refuses (head_dim 72, kv_block_size 20): refusing them is
a test too. Contradictions and anything it does not know are ValueErrors that name the field, its
value and what is allowed.

Next: inputs.py - the arrays of a case.
"""

import dataclasses
import hashlib
import math
import re

import numpy as np

_MAX_CONTEXT = 1 << 24
_MAX_SEED = (1 << 32) - 1

# Field -> (prefix, smallest, largest); the order of the grammar.
_NUMBERS: dict[str, tuple[str, int, int]] = {
    "batch": ("b", 1, 65536),
    "num_heads": ("h", 1, 1024),
    "num_kv_heads": ("kv", 1, 1024),
    "head_dim": ("d", 1, 1024),
    "kv_block_size": ("bs", 1, 65536),
}
_DTYPES = ("f16", "bf16")
_MAX_CORES = 256

# Flags in canonical order, each with the later flags that it excludes.
_FLAGS: dict[str, tuple[str, ...]] = {
    "fulltable": (),
    "shared": (),
    "outliers": ("bigscores",),
    "onehot": (),
    "sharp": ("bigscores",),
    "bigscores": (),
}


@dataclasses.dataclass(frozen=True)
class DecodeCase:
    """One decode problem; `str()` gives its canonical line."""

    batch: int
    num_heads: int
    num_kv_heads: int
    head_dim: int
    kv_block_size: int
    context_lens: tuple[int, ...]
    dtype: str
    seed: int
    num_cores: int | None = None
    fulltable: bool = False
    shared: bool = False
    outliers: bool = False
    onehot: bool = False
    sharp: bool = False
    bigscores: bool = False

    def __post_init__(self) -> None:
        for field, (_, low, high) in _NUMBERS.items():
            _check_range(field, getattr(self, field), low, high)
        _check_range("seed", self.seed, 0, _MAX_SEED)
        if self.num_cores is not None:
            _check_range("option cores", self.num_cores, 1, _MAX_CORES)
        if self.dtype not in _DTYPES:
            raise ValueError(f"dtype = {self.dtype!r}: allowed are {' and '.join(_DTYPES)}")
        if len(self.context_lens) != self.batch:
            raise ValueError(
                f"ctx = {len(self.context_lens)} lengths: allowed is one for all, or one for each "
                f"of the {self.batch} sequences"
            )
        for row, length in enumerate(self.context_lens):
            _check_range(f"ctx[{row}]", length, 0, _MAX_CONTEXT)
        for flag, excluded in _FLAGS.items():
            for other in excluded:
                if getattr(self, flag) and getattr(self, other):
                    raise ValueError(f"option {flag}: not allowed together with {other}")

    def __str__(self) -> str:
        return format_case(self)

    @property
    def q_per_kv(self) -> int:
        """Query heads per kv head; ValueError if that is no whole number."""
        if self.num_heads % self.num_kv_heads:
            raise ValueError(
                f"num_heads = {self.num_heads}: must be a multiple of "
                f"num_kv_heads = {self.num_kv_heads}"
            )
        return self.num_heads // self.num_kv_heads

    @property
    def max_context(self) -> int:
        """Tokens of the longest sequence."""
        return max(self.context_lens)

    @property
    def max_kv_blocks(self) -> int:
        """Columns of the block table."""
        used = -(-self.max_context // self.kv_block_size)
        return max(1, used if self.fulltable else used + 1)

    @property
    def softmax_scale(self) -> float:
        """1 / sqrt(head_dim), rounded to float32: the number the kernel is given."""
        return float(np.float32(1.0 / math.sqrt(self.head_dim)))

    @property
    def name(self) -> str:
        """Folder of the golden: eight hex digits of the line's sha256 and a readable prefix."""
        digest = hashlib.sha256(str(self).encode()).hexdigest()[:8]
        heads = f"h{self.num_heads}-kv{self.num_kv_heads}-d{self.head_dim}"
        return f"{digest}-b{self.batch}-{heads}-bs{self.kv_block_size}-{self.dtype}"


def parse_case(text: str) -> DecodeCase:
    """The case that a line of the grammar names.

    Args:
      text: e.g. "decode:b2:h8:kv2:d128:bs128:ctx1,300:f16:cores20:seed7".

    Raises:
      ValueError: names the field, its value and what is allowed.
    """
    parts = text.strip().split(":")
    fixed = len(_NUMBERS) + 3  # decode, the numbers, ctx, dtype
    if parts[0] != "decode":
        raise ValueError(f"kind = {parts[0]!r}: allowed is decode")
    if len(parts) < fixed + 1:
        raise ValueError(
            f"case = {text.strip()!r}: has {len(parts)} parts; allowed is decode:b<batch>:"
            "h<num_heads>:kv<num_kv_heads>:d<head_dim>:bs<kv_block_size>:ctx<lengths>:<f16|bf16>"
            "[:option...]:seed<n>"
        )
    numbers = {
        field: _parse_number(field, part, prefix, low, high)
        for part, (field, (prefix, low, high)) in zip(parts[1:], _NUMBERS.items(), strict=False)
    }
    return DecodeCase(
        **numbers,
        context_lens=_parse_lengths(parts[fixed - 2], numbers["batch"]),
        dtype=parts[fixed - 1],
        seed=_parse_number("seed", parts[-1], "seed", 0, _MAX_SEED),
        **_parse_options(parts[fixed:-1]),
    )


def format_case(case: DecodeCase) -> str:
    """The canonical line of a case: parse_case(format_case(c)) == c."""
    lengths = case.context_lens
    if len(set(lengths)) == 1:
        lengths = lengths[:1]
    parts = ["decode"]
    parts += [f"{prefix}{getattr(case, field)}" for field, (prefix, _, _) in _NUMBERS.items()]
    parts += ["ctx" + ",".join(map(str, lengths)), case.dtype]
    parts += [] if case.num_cores is None else [f"cores{case.num_cores}"]
    parts += [flag for flag in _FLAGS if getattr(case, flag)]
    return ":".join([*parts, f"seed{case.seed}"])


def read_cases(text: str) -> list[DecodeCase]:
    """The cases of a list: one per line, `#` starts a comment, empty lines are skipped."""
    lines = (line.partition("#")[0].strip() for line in text.splitlines())
    return [parse_case(line) for line in lines if line]


def _check_range(field: str, value: int, low: int, high: int) -> None:
    if not low <= value <= high:
        raise ValueError(f"{field} = {value}: allowed is {low}..{high}")


def _parse_int(field: str, digits: str, low: int, high: int) -> int:
    # No sign, no leading zero, ASCII digits only: one spelling per case.
    if not re.fullmatch(r"0|[1-9][0-9]{0,17}", digits):
        raise ValueError(f"{field} = {digits!r}: allowed is a number {low}..{high}")
    value = int(digits)
    _check_range(field, value, low, high)
    return value


def _parse_number(field: str, part: str, prefix: str, low: int, high: int) -> int:
    if not part.startswith(prefix):
        raise ValueError(f"{field} = {part!r}: allowed is {prefix}<{low}..{high}>")
    return _parse_int(field, part[len(prefix) :], low, high)


def _parse_lengths(part: str, batch: int) -> tuple[int, ...]:
    if not part.startswith("ctx"):
        raise ValueError(f"ctx = {part!r}: allowed is ctx<length>[,<length>...]")
    fields = part[len("ctx") :].split(",")
    lengths = tuple(
        _parse_int(f"ctx[{row}]", digits, 0, _MAX_CONTEXT) for row, digits in enumerate(fields)
    )
    return lengths * batch if len(lengths) == 1 else lengths


def _parse_options(parts: list[str]) -> dict[str, int | bool]:
    options: dict[str, int | bool] = {}
    for part in parts:
        value: int | bool
        if part in _FLAGS:
            name, value = part, True
        elif part.startswith("cores"):
            name, value = "num_cores", _parse_number("option cores", part, "cores", 1, _MAX_CORES)
        else:
            allowed = ", ".join(["cores<N>", *_FLAGS])
            raise ValueError(f"option = {part!r}: allowed are {allowed}")
        if name in options:
            raise ValueError(f"option = {part!r}: given twice; allowed is once")
        options[name] = value
    return options
