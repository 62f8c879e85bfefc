# SPDX-License-Identifier: Apache-2.0
"""What an int8 cache costs in accuracy: attention over it against float64 attention over the
keys and values as they were before quantisation.

    ./bazelw run //python/bench:bench_accuracy

Keys and values are written by reshape_and_cache and read by DecodeAttention, both our kernels on
the virtual NPU. Scales by channel come from the data itself, as from a perfect calibration. Two
kinds of keys, each standard normal but for 4 of 128 channels of `outliers`, which have a mean of
+-16, as channels of trained models' keys do. Queries are standard normal times 2: some tokens
stand out.

The error of a row is |out - exact| / |exact| in the 2-norm over head_dim; the table has the root
mean square over all rows, and the largest, of the routes dequant / limbs.
"""

from __future__ import annotations

import dataclasses
import os

import ml_dtypes
import numpy as np

# Before the package is imported: it reads them once.
os.environ.setdefault("ASCEND_ATTENTION_ACL_LIBRARY", "vnpu")

from ascend_attention import DecodeAttention, DeviceArray, reshape_and_cache

KEYS = ("plain", "outliers")
DTYPES = {"float16": np.dtype(np.float16), "bfloat16": np.dtype(ml_dtypes.bfloat16)}
ROUTES = {
    "none": ("direct",),
    "int8_channel": ("dequant", "limbs"),
    "int8_channel_asym": ("dequant", "limbs"),
    "int8_token": ("dequant", "limbs"),
}
_HEADS, _KV_HEADS, _HEAD_DIM, _BLOCK_SIZE = 8, 2, 128, 64
_LENGTHS = (130, 1000, 2048)
_OUTLIER_CHANNELS = (5, 37, 69, 101)
_OUTLIER_MEAN = 16.0


@dataclasses.dataclass(frozen=True)
class Row:
    """Errors of one kind of keys, dtype and scheme, by route."""

    keys: str
    dtype: str
    kv_quant: str
    rms_error: dict[str, float]
    max_error: dict[str, float]

    def to_text(self) -> str:
        """One line of the table."""
        rms, largest = (
            " / ".join(f"{error:.2e}" for error in errors.values())
            for errors in (self.rms_error, self.max_error)
        )
        return f"| {self.keys} | {self.dtype} | {self.kv_quant} | {rms} | {largest} |"


@dataclasses.dataclass(frozen=True)
class _Problem:
    query: np.ndarray  # [sequences, heads, head_dim]
    keys: np.ndarray  # [tokens of all sequences, kv heads, head_dim]
    values: np.ndarray
    exact: np.ndarray  # like query, float64


def rows() -> list[Row]:
    """The table, in its order."""
    table = []
    for keys in KEYS:
        for dtype in DTYPES:
            problem = _make_problem(keys, DTYPES[dtype])
            for kv_quant, routes in ROUTES.items():
                errors = {r: _errors(problem, _attend(problem, kv_quant, r)) for r in routes}
                rms = {route: error[0] for route, error in errors.items()}
                largest = {route: error[1] for route, error in errors.items()}
                table.append(Row(keys, dtype, kv_quant, rms, largest))
    return table


def _make_problem(kind: str, dtype: np.dtype) -> _Problem:
    rng = np.random.default_rng(17)
    tokens = sum(_LENGTHS)
    keys, values = rng.standard_normal((2, tokens, _KV_HEADS, _HEAD_DIM))
    if kind == "outliers":
        signs = rng.choice([-1.0, 1.0], (_KV_HEADS, len(_OUTLIER_CHANNELS)))
        keys[:, :, list(_OUTLIER_CHANNELS)] += _OUTLIER_MEAN * signs
    query = 2 * rng.standard_normal((len(_LENGTHS), _HEADS, _HEAD_DIM))
    query, keys, values = (array.astype(dtype) for array in (query, keys, values))
    return _Problem(query, keys, values, _exact(query, keys, values))


def _exact(query: np.ndarray, keys: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Attention of each sequence in float64."""
    out = np.empty(query.shape, np.float64)
    end = np.cumsum(_LENGTHS)
    for row, length in enumerate(_LENGTHS):
        own = slice(end[row] - length, end[row])
        for head in range(_HEADS):
            kv_head = head // (_HEADS // _KV_HEADS)
            k, v = (x[own, kv_head].astype(np.float64) for x in (keys, values))
            scores = k @ query[row, head].astype(np.float64) / np.sqrt(_HEAD_DIM)
            weights = np.exp(scores - scores.max())
            out[row, head] = weights @ v / weights.sum()
    return out


def _errors(problem: _Problem, out: np.ndarray) -> tuple[float, float]:
    difference = np.linalg.norm(out.astype(np.float64) - problem.exact, axis=-1)
    relative = difference / np.linalg.norm(problem.exact, axis=-1)
    return float(np.sqrt(np.mean(relative**2))), float(relative.max())


def _attend(problem: _Problem, kv_quant: str, route: str) -> np.ndarray:
    blocks = [-(-length // _BLOCK_SIZE) for length in _LENGTHS]
    first = np.cumsum([0, *blocks[:-1]])
    table = np.full((len(_LENGTHS), max(blocks)), -1, np.int32)
    for row, count in enumerate(blocks):
        table[row, :count] = first[row] + np.arange(count)
    slots = np.concatenate(
        [begin * _BLOCK_SIZE + np.arange(n) for begin, n in zip(first, _LENGTHS, strict=True)]
    )
    shape = (sum(blocks), _BLOCK_SIZE, _KV_HEADS, _HEAD_DIM)
    dtype = problem.query.dtype if kv_quant == "none" else np.dtype(np.int8)
    caches = [DeviceArray(np.zeros(shape, dtype)) for _ in range(2)]
    parameters = _parameters(problem, kv_quant, sum(blocks))
    reshape_and_cache(problem.keys, problem.values, *caches, slots, kv_quant=kv_quant, **parameters)
    op = DecodeAttention(
        batch=len(_LENGTHS),
        num_heads=_HEADS,
        num_kv_heads=_KV_HEADS,
        head_dim=_HEAD_DIM,
        kv_block_size=_BLOCK_SIZE,
        num_kv_blocks=sum(blocks),
        max_kv_blocks=max(blocks),
        dtype=problem.query.dtype,
        kv_quant=kv_quant,
        kv_route=route,
    )
    op.plan(np.array(_LENGTHS, np.int32))
    return op.run(problem.query, *caches, table, **parameters)


def _parameters(problem: _Problem, kv_quant: str, num_kv_blocks: int) -> dict[str, DeviceArray]:
    parameters = {}
    for name, x in (("key", problem.keys), ("value", problem.values)):
        x = x.astype(np.float32)
        if kv_quant == "int8_channel":
            parameters[f"{name}_scale"] = np.abs(x).max(axis=0) / np.float32(127)
        elif kv_quant == "int8_channel_asym":
            low, high = x.min(axis=0), x.max(axis=0)
            scale = (high - low) / np.float32(255)
            parameters[f"{name}_scale"] = scale
            parameters[f"{name}_offset"] = low / scale + np.float32(128)
        elif kv_quant == "int8_token":
            shape = (num_kv_blocks, _KV_HEADS, _BLOCK_SIZE)
            parameters[f"{name}_scale"] = np.zeros(shape, np.float32)
    return {name: DeviceArray(array) for name, array in parameters.items()}


def main() -> None:
    """Prints the table."""
    print("| keys | dtype | kv_quant | rms error, dequant / limbs | max error |")
    print("|---|---|---|---|---|")
    for row in rows():
        print(row.to_text())


if __name__ == "__main__":
    main()
