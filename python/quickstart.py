# SPDX-License-Identifier: Apache-2.0
"""Quickstart: decode a ragged batch with a paged KV cache and compare with float64.

    ./bazelw run //python:quickstart

Next: python/ascend_attention/decode.py - the calls used here.
"""

import time

import ascend_attention_reference as reference
import numpy as np
from ascend_attention import DecodeAttention

CONTEXT_LENS = [0, 1, 127, 128, 129, 1000, 4096, 777]  # tokens in the cache, per sequence
NUM_HEADS, NUM_KV_HEADS, HEAD_DIM, KV_BLOCK_SIZE = 32, 8, 128, 128
MAX_KV_BLOCKS, NUM_KV_BLOCKS = 32, 64
SCALE = HEAD_DIM**-0.5


def make_inputs() -> reference.DecodeInputs:
    """Random tensors; the kv blocks of the sequences lie anywhere in the cache."""
    rng = np.random.default_rng(seed=7)
    cache_shape = (NUM_KV_BLOCKS, KV_BLOCK_SIZE, NUM_KV_HEADS, HEAD_DIM)
    block_table = np.full((len(CONTEXT_LENS), MAX_KV_BLOCKS), -1, np.int32)  # -1: no kv block
    pages = iter(rng.permutation(NUM_KV_BLOCKS))
    for row, length in enumerate(CONTEXT_LENS):
        for column in range(-(-length // KV_BLOCK_SIZE)):
            block_table[row, column] = next(pages)
    return reference.DecodeInputs(
        query=rng.standard_normal((len(CONTEXT_LENS), NUM_HEADS, HEAD_DIM)).astype(np.float16),
        key_cache=rng.standard_normal(cache_shape).astype(np.float16),
        value_cache=rng.standard_normal(cache_shape).astype(np.float16),
        block_table=block_table,
        context_lens=np.array(CONTEXT_LENS, np.int32),
        softmax_scale=SCALE,
    )


def main() -> None:
    x = make_inputs()
    op = DecodeAttention(
        batch=len(CONTEXT_LENS),
        num_heads=NUM_HEADS,
        num_kv_heads=NUM_KV_HEADS,
        head_dim=HEAD_DIM,
        kv_block_size=KV_BLOCK_SIZE,
        num_kv_blocks=NUM_KV_BLOCKS,
        max_kv_blocks=MAX_KV_BLOCKS,
        dtype="float16",
        softmax_scale=SCALE,
    )
    print(f"device       {op.device_name}")

    begin = time.perf_counter()
    plan = op.plan(x.context_lens)  # once per step
    out, lse = op.run(x.query, x.key_cache, x.value_cache, x.block_table, return_lse=True)
    seconds = time.perf_counter() - begin
    print(plan.summary(), end="")
    print(f"  per core   {' '.join(map(str, plan.items_per_core))} work items")

    report = reference.check(out, lse, x)  # against float64
    for worst in report.rules:
        print(f"{worst.rule:<13}max error {worst.error:.2e}, tolerance {worst.bound:.2e}")
    print(f"host time    {seconds:.2f} s for copies, plan and run")
    if not report.ok:
        raise SystemExit("WRONG: an error is larger than its tolerance")
    print("ok           every error is within its tolerance")


if __name__ == "__main__":
    main()
