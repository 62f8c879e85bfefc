# SPDX-License-Identifier: Apache-2.0
"""The case grammar: one line that names a decode problem everywhere.

    decode:b<batch>:h<num_heads>:kv<num_kv_heads>:d<head_dim>:bs<kv_block_size>:ctx<lengths>
          :<f16|bf16>[:option...]:seed<n>

The order is fixed. `lengths` is one number for all sequences, or one each by commas, and counts the
query tokens too. Options, in canonical order:

    cores<N>             plan for N cores
    qlen<a>[,<b>...]     query tokens: one number for all sequences, or one each; without: 1
    headmajor            caches [num_kv_blocks, num_kv_heads, kv_block_size, head_dim]
    interleaved          key and value are [:, 0] and [:, 1] of one pool [num_kv_blocks, 2, ...]
    kvint8-channel       int8 cache: x = int8 * scale, scale [num_kv_heads, head_dim]
    kvint8-channel-asym  int8 cache: x = (int8 + offset) * scale, both [num_kv_heads, head_dim]
    kvint8-token         int8 cache: scale [num_kv_blocks, num_kv_heads, kv_block_size]
    route-dequant        int8 only: the vector cores convert tiles to the dtype
    route-limbs          int8 only: query and probs as two int8 limbs
    route-direct         not int8: the planned kernel
    route-fifo           not int8: page by page, a sequence on one core
                         without a route-: the planner chooses, by the capacity of the block table
    outf32               out is float32; without: the dtype
    split<N>             cut every sequence at multiples of N tokens (batch-invariant results)
    fulltable            no spare column: the longest sequence fills its row of the block table
    shared               block ids are drawn with replacement, so sequences share kv blocks
    outliers             every 32nd key channel is 64 times larger
    onehot               a value row is 1 (int8: 127) in one channel and 0 elsewhere
    sharp                scores spread widely: a few tokens take most of the weight
    bigscores            scores of about +-6e4, both signs

The grammar admits shapes that the product refuses (head_dim 72, kv_block_size 20, qlen17; with
route-fifo head_dim 64 or split512; outf32 on another route): refusing them is a test too.
Contradictions and anything it does not know are ValueErrors that name the field, its value and what
is allowed.

Next: inputs.py - the arrays of a case.
"""

import dataclasses
import hashlib
import math
import re
from typing import Any

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
_DTYPES = {"f16": "float16", "bf16": "bfloat16"}
_MAX_CORES = 256
_MAX_Q_LEN = 1024

# Option -> value of DecodeCase.kv_quant, .route; the names of the Python API.
_KV_QUANTS = {
    "kvint8-channel": "int8_channel",
    "kvint8-channel-asym": "int8_channel_asym",
    "kvint8-token": "int8_token",
}
_ROUTES = {
    "route-dequant": "dequant",
    "route-limbs": "limbs",
    "route-direct": "direct",
    "route-fifo": "fifo",
}
_INT8_ROUTES = ("route-dequant", "route-limbs")
_OUT_FLOAT32 = "outf32"
_LAYOUT_FLAGS = ("headmajor", "interleaved")

# Flags in canonical order, each with the later flags that it excludes.
_FLAGS: dict[str, tuple[str, ...]] = {
    "fulltable": (),
    "shared": (),
    "outliers": ("bigscores",),
    "onehot": (),
    "sharp": ("bigscores",),
    "bigscores": (),
}
_OPTIONS = (
    "cores<N>",
    "qlen<a>[,<b>...]",
    *_LAYOUT_FLAGS,
    *_KV_QUANTS,
    *_ROUTES,
    _OUT_FLOAT32,
    "split<N>",
    *_FLAGS,
)


@dataclasses.dataclass(frozen=True)
class DecodeCase:
    """One decode problem; `str()` gives its canonical line.

    Attributes:
      q_lens: query tokens of each sequence; () stands for one each.
      kv_quant: "none", "int8_channel", "int8_channel_asym" or "int8_token".
      route: "auto", "dequant", "limbs", "direct" or "fifo".
      out_float32: out is float32, whatever the dtype.
    """

    batch: int
    num_heads: int
    num_kv_heads: int
    head_dim: int
    kv_block_size: int
    context_lens: tuple[int, ...]
    dtype: str
    seed: int
    num_cores: int | None = None
    q_lens: tuple[int, ...] = ()
    headmajor: bool = False
    interleaved: bool = False
    kv_quant: str = "none"
    route: str = "auto"
    out_float32: bool = False
    fixed_split_tokens: int | None = None
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
        self._check_q_lens()
        if self.fixed_split_tokens is not None:
            _check_range("option split", self.fixed_split_tokens, 1, _MAX_CONTEXT)
        self._check_cache()
        for flag, excluded in _FLAGS.items():
            for other in excluded:
                if getattr(self, flag) and getattr(self, other):
                    raise ValueError(f"option {flag}: not allowed together with {other}")

    def _check_q_lens(self) -> None:
        if not self.q_lens:
            object.__setattr__(self, "q_lens", (1,) * self.batch)
        if len(self.q_lens) != self.batch:
            raise ValueError(
                f"qlen = {len(self.q_lens)} lengths: allowed is one for all, or one for each "
                f"of the {self.batch} sequences"
            )
        for row, length in enumerate(self.q_lens):
            _check_range(f"qlen[{row}]", length, 1, _MAX_Q_LEN)

    def _check_cache(self) -> None:
        for field, allowed in (
            ("kv_quant", ("none", *_KV_QUANTS.values())),
            ("route", ("auto", *_ROUTES.values())),
        ):
            if getattr(self, field) not in allowed:
                value = getattr(self, field)
                raise ValueError(f"{field} = {value!r}: allowed are {', '.join(allowed)}")
        if self.kv_quant == "none":
            if f"route-{self.route}" in _INT8_ROUTES:
                raise ValueError(
                    f"option route-{self.route}: allowed only together with one of "
                    f"{', '.join(_KV_QUANTS)}"
                )
            return
        option = _option_of(_KV_QUANTS, self.kv_quant)
        if self.route in ("direct", "fifo"):
            raise ValueError(f"option route-{self.route}: not allowed together with {option}")
        if self.bigscores:
            raise ValueError(f"option {option}: not allowed together with bigscores")

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
    def num_query_rows(self) -> int:
        """Query tokens of all sequences: rows of query and out."""
        return sum(self.q_lens)

    @property
    def max_q_len(self) -> int:
        """Most query tokens of a sequence."""
        return max(self.q_lens)

    @property
    def kv_layout(self) -> str:
        """ "token_major" or "head_major", as in the Python API."""
        return "head_major" if self.headmajor else "token_major"

    @property
    def out_dtype(self) -> str:
        """The name of out's dtype: "float32", or "float16" or "bfloat16" as the dtype says."""
        return "float32" if self.out_float32 else _DTYPES[self.dtype]

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
        context_lens=_parse_lengths("ctx", parts[fixed - 2], numbers["batch"], 0, _MAX_CONTEXT),
        dtype=parts[fixed - 1],
        seed=_parse_number("seed", parts[-1], "seed", 0, _MAX_SEED),
        **_parse_options(parts[fixed:-1], numbers["batch"]),
    )


def format_case(case: DecodeCase) -> str:
    """The canonical line of a case: parse_case(format_case(c)) == c."""
    parts = ["decode"]
    parts += [f"{prefix}{getattr(case, field)}" for field, (prefix, _, _) in _NUMBERS.items()]
    parts += ["ctx" + _lengths_text(case.context_lens), case.dtype]
    parts += [] if case.num_cores is None else [f"cores{case.num_cores}"]
    parts += [] if case.max_q_len == 1 else ["qlen" + _lengths_text(case.q_lens)]
    parts += [flag for flag in _LAYOUT_FLAGS if getattr(case, flag)]
    parts += [option for option, value in _KV_QUANTS.items() if case.kv_quant == value]
    parts += [option for option, value in _ROUTES.items() if case.route == value]
    parts += [_OUT_FLOAT32] if case.out_float32 else []
    parts += [] if case.fixed_split_tokens is None else [f"split{case.fixed_split_tokens}"]
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


def _parse_lengths(name: str, part: str, batch: int, low: int, high: int) -> tuple[int, ...]:
    if not part.startswith(name):
        raise ValueError(f"{name} = {part!r}: allowed is {name}<length>[,<length>...]")
    fields = part[len(name) :].split(",")
    lengths = tuple(
        _parse_int(f"{name}[{row}]", digits, low, high) for row, digits in enumerate(fields)
    )
    return lengths * batch if len(lengths) == 1 else lengths


def _lengths_text(lengths: tuple[int, ...]) -> str:
    return ",".join(map(str, lengths[:1] if len(set(lengths)) == 1 else lengths))


def _option_of(options: dict[str, str], value: str) -> str:
    return next(option for option, other in options.items() if other == value)


def _parse_option(part: str, batch: int) -> tuple[str, Any]:
    """Field and value that an option sets."""
    if part in _FLAGS or part in _LAYOUT_FLAGS:
        return part, True
    if part in _KV_QUANTS:
        return "kv_quant", _KV_QUANTS[part]
    if part in _ROUTES:
        return "route", _ROUTES[part]
    if part == _OUT_FLOAT32:
        return "out_float32", True
    if part.startswith("cores"):
        return "num_cores", _parse_number("option cores", part, "cores", 1, _MAX_CORES)
    if part.startswith("qlen"):
        return "q_lens", _parse_lengths("qlen", part, batch, 1, _MAX_Q_LEN)
    if part.startswith("split"):
        return "fixed_split_tokens", _parse_number("option split", part, "split", 1, _MAX_CONTEXT)
    raise ValueError(f"option = {part!r}: allowed are {', '.join(_OPTIONS)}")


def _parse_options(parts: list[str], batch: int) -> dict[str, Any]:
    options: dict[str, Any] = {}
    given: dict[str, str] = {}  # field -> the option that set it
    for part in parts:
        name, value = _parse_option(part, batch)
        if name in options and options[name] != value and name in ("kv_quant", "route"):
            raise ValueError(f"option = {part!r}: not allowed together with {given[name]}")
        if name in options:
            raise ValueError(f"option = {part!r}: given twice; allowed is once")
        options[name] = value
        given[name] = part
    return options
