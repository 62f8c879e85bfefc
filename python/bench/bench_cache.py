# SPDX-License-Identifier: Apache-2.0
"""Models the time of reshape_and_cache on 910B1 for every scheme: the table of its README.

    ./bazelw run //python/bench:bench_cache

kv8 d128 bs128 fp16. 64 tokens are a decode step of 64 sequences, each in a block of its own; 8192
are a prefill into consecutive slots. L2 is empty at the start. All figures are modelled.
"""

from __future__ import annotations

import dataclasses
import os

import numpy as np

# Before the package is imported: it reads them once.
os.environ.setdefault("ASCEND_ATTENTION_ACL_LIBRARY", "vnpu")
os.environ["ASCEND_ATTENTION_VNPU_SOC"] = "Ascend910B1"

from ascend_attention import DeviceArray, reshape_and_cache, vnpu

QUANTS = ("none", "int8_channel", "int8_channel_asym", "int8_token")
TOKENS = (64, 8192)
_HEADS, _HEAD_DIM, _BLOCK_SIZE = 8, 128, 128


@dataclasses.dataclass(frozen=True)
class Row:
    """A problem and its modelled figures; bytes are those of rows and scales, in and out."""

    tokens: int
    kv_quant: str
    modelled_us: float
    bytes: int

    @property
    def gb_per_s(self) -> float:
        """Bytes in and out over the whole modelled time, launch included."""
        return self.bytes / self.modelled_us * 1e-3

    def to_text(self) -> str:
        """One line of the table."""
        figures = f"{self.modelled_us:.1f} | {self.gb_per_s:.0f}"
        return f"| {self.tokens} | {self.kv_quant} | {figures} |"


def model(tokens: int, kv_quant: str, kv_layout: str = "token_major") -> Row:
    """Writes once under the clock."""
    decode_step = tokens <= 64
    blocks = tokens if decode_step else tokens // _BLOCK_SIZE
    slots = np.arange(tokens, dtype=np.int64) * (_BLOCK_SIZE if decode_step else 1)
    axes = (_BLOCK_SIZE, _HEADS) if kv_layout == "token_major" else (_HEADS, _BLOCK_SIZE)
    dtype = np.dtype(np.float16 if kv_quant == "none" else np.int8)
    key, value = (DeviceArray(np.ones((tokens, _HEADS, _HEAD_DIM), np.float16)) for _ in range(2))
    caches = [DeviceArray.empty((blocks, *axes, _HEAD_DIM), dtype) for _ in range(2)]
    names = [] if kv_quant == "none" else ["key_scale", "value_scale"]
    if kv_quant == "int8_channel_asym":
        names += ["key_offset", "value_offset"]
    shape = (_HEADS, _HEAD_DIM)
    if kv_quant == "int8_token":
        shape = (blocks, _HEADS, _BLOCK_SIZE)
    parameters = {name: DeviceArray(np.ones(shape, np.float32)) for name in names}
    with vnpu.session(checks="none", timing=True) as session:
        reshape_and_cache(
            key,
            value,
            *caches,
            DeviceArray(slots),
            kv_quant=kv_quant,
            kv_layout=kv_layout,
            **parameters,
        )
    (launch,) = session.report.launches
    elements = 2 * tokens * _HEADS * _HEAD_DIM
    scales = 2 * tokens * _HEADS * 4 if kv_quant == "int8_token" else 0
    size = elements * (2 + dtype.itemsize) + scales
    return Row(tokens, kv_quant, launch.timeline.total_ps * 1e-6, size)


def rows() -> list[Row]:
    """The table, in its order."""
    return [model(tokens, kv_quant) for tokens in TOKENS for kv_quant in QUANTS]


def main() -> None:
    """Prints the table."""
    print("| tokens | kv_quant | modelled us | GB/s |\n|---|---|---|---|")
    for row in rows():
        print(row.to_text())


if __name__ == "__main__":
    main()
