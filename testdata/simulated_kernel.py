# SPDX-License-Identifier: Apache-2.0
"""A kernel's algorithm in numpy, and what it computes when one thing is wrong with it.

Follows the decode and combine kernels' arithmetic, not their schedule: float32 scores, online
softmax over tiles, probabilities rounded to the dtype, row sums of the rounded ones, float32
accumulators, parts of a split sequence merged by their lse, `out` rounded to its dtype. With a kv
block per tile and no cuts that is the FIFO kernel: page by page, against the running maximum. The
mutations are the defects that the tolerance must not let through. For tests only; not in the wheel.

Next: test_tolerance.py - who passes and who must not.
"""

import dataclasses
import itertools

import numpy as np
from ascend_attention_reference import DecodeInputs
from numpy.typing import NDArray

Float32 = NDArray[np.float32]
Int64 = NDArray[np.int64]


@dataclasses.dataclass(frozen=True)
class Mutation:
    """One defect.

    Attributes:
      table: kv block ids of the sequence, in place of its row of the block table.
      keys: [tokens] positions whose key is read in place of each token's own.
      values: like keys.
      drop_last: the last token is not read.
      keep_out: the accumulator is not rescaled when the running maximum rises.
      keep_sum: nor is the row sum.
      lse_base_2: lse is a base-2 logarithm.
      interleaved_heads: query head h uses kv head h % num_kv_heads.
      probs: pairs (tile, other tile): the other's probabilities are multiplied with the tile's
        values, while the row sum has the right ones. A slot of a FIFO, read too early or too late.
      o_tiles: pairs (tile, other tile): the other's product is added in place of the tile's.
      plain_mean: parts of a split sequence are averaged, not weighted by their lse.
      mask: of several query tokens; "one_more" and "one_less" token is seen by each, "none" is
        hidden, "first_row" of the sequence decides for all.
    """

    table: Int64 | None = None
    keys: Int64 | None = None
    values: Int64 | None = None
    drop_last: bool = False
    keep_out: bool = False
    keep_sum: bool = False
    lse_base_2: bool = False
    interleaved_heads: bool = False
    probs: tuple[tuple[int, int], ...] = ()
    o_tiles: tuple[tuple[int, int], ...] = ()
    plain_mean: bool = False
    mask: str = ""


NONE = Mutation()


def decode_sequence(
    inputs: DecodeInputs,
    seq: int,
    tile: int,
    cuts: tuple[int, ...] = (),
    mutation: Mutation = NONE,
) -> tuple[NDArray, Float32]:
    """One sequence as a kernel would decode it.

    Args:
      tile: tokens per softmax step.
      cuts: positions where the sequence is split into parts.

    Returns:
      out [q_len, num_heads, head_dim] in its dtype and lse [q_len, num_heads].
    """
    length = int(inputs.context_lens[seq]) - mutation.drop_last
    rows = range(*inputs.row_begins[[seq, seq + 1]])
    num_heads = inputs.query.shape[1]
    out_dtype = np.dtype(np.float32) if inputs.out_float32 else inputs.query.dtype
    out = np.zeros((len(rows), *inputs.query.shape[1:]), out_dtype)
    lse = np.full((len(rows), num_heads), -np.inf, np.float32)
    if length <= 0:
        return out, lse
    keys, values = _tokens(inputs, seq, mutation)
    for token, row in enumerate(rows):
        visible = _visible(length, len(rows), token, mutation)
        if visible <= 0:
            continue
        bounds = [0, *sorted({cut for cut in cuts if 0 < cut < visible}), visible]
        for kv_head in range(keys.shape[1]):
            heads = _heads(num_heads, keys.shape[1], kv_head, mutation)
            query = inputs.query[row, heads].astype(np.float32)
            parts = [
                _part(inputs, query, keys[a:b, kv_head], values[a:b, kv_head], tile, mutation)
                for a, b in itertools.pairwise(bounds)
            ]
            merged, lse[token, heads] = _merge(parts, mutation)
            out[token, heads] = merged.astype(out_dtype)
    if mutation.lse_base_2:
        lse *= np.float32(np.log2(np.e))
    return out, lse


def one_sequence(inputs: DecodeInputs, seq: int) -> DecodeInputs:
    """The problem of one sequence of a batch."""
    part = slice(seq, seq + 1)
    assert inputs.q_lens is not None
    rows = slice(*inputs.row_begins[[seq, seq + 1]])
    return dataclasses.replace(
        inputs,
        query=inputs.query[rows],
        q_lens=inputs.q_lens[part],
        block_table=inputs.block_table[part],
        context_lens=inputs.context_lens[part],
    )


def mutations(inputs: DecodeInputs, seq: int, tile: int) -> dict[str, Mutation]:
    """The defects that can show in a sequence, by name.

    Left out is what changes nothing: keys or values of another kv block where all blocks are the
    same one, a missing rescale where all tokens fit a tile, another head order where there is one.
    """
    length = int(inputs.context_lens[seq])
    num_heads, num_kv_heads = inputs.query.shape[1], inputs.keys.shape[2]
    q_len = int(np.diff(inputs.row_begins[[seq, seq + 1]])[0])
    if length == 0:
        return {}
    found = {
        "dropped_last_token": Mutation(drop_last=True),
        "lse_in_base_2": Mutation(lse_base_2=True),
        **_wrong_tables(inputs, seq),
        **_wrong_blocks(inputs, seq),
    }
    if length > tile:
        found["out_not_rescaled"] = Mutation(keep_out=True)
        found["sum_not_rescaled"] = Mutation(keep_sum=True)
    if q_len > 1:
        found |= {f"mask_{mask}": Mutation(mask=mask) for mask in ("one_more", "one_less", "none")}
        found["mask_first_row"] = Mutation(mask="first_row")
    if 1 < num_kv_heads < num_heads:
        found["interleaved_heads"] = Mutation(interleaved_heads=True)
    return found


def slot_mutations(inputs: DecodeInputs, seq: int, depth: int) -> dict[str, Mutation]:
    """What a FIFO of `depth` slots, one kv block each, can do to one tile of a sequence, by name.

    A tile's probabilities, values or their product are stale, those of the tile before it or of the
    one that was last in its slot; or its probabilities are exchanged with theirs. At the beginning,
    in the middle and at the end. Left out is what changes nothing: two places of one kv block.
    """
    row, size = _row(inputs, seq), inputs.keys.shape[1]
    length = int(inputs.context_lens[seq])
    found = {}
    for tile in sorted({1, depth, len(row) // 2, len(row) - 1}):
        for back in sorted({1, depth}):
            other = tile - back
            if not 0 <= other < tile < len(row) or row[other] == row[tile]:
                continue
            name = f"of_{tile}_by_{other}"
            values = np.arange(length)
            count = min(size, length - tile * size)
            values[tile * size : tile * size + count] -= back * size
            found[f"stale_probs_{name}"] = Mutation(probs=((tile, other),))
            found[f"stale_o_tile_{name}"] = Mutation(o_tiles=((tile, other),))
            found[f"stale_values_{name}"] = Mutation(values=values)
            if count == size:
                found[f"swapped_probs_{name}"] = Mutation(probs=((tile, other), (other, tile)))
    return found


def _row(inputs: DecodeInputs, seq: int) -> Int64:
    """Kv block ids of a sequence."""
    used = -(-int(inputs.context_lens[seq]) // inputs.keys.shape[1])
    return inputs.block_table[seq, :used].astype(np.int64)


def _wrong_tables(inputs: DecodeInputs, seq: int) -> dict[str, Mutation]:
    row = _row(inputs, seq)
    middle = len(row) // 2
    # The next block of the pool that is another one; NaN if it is a spare block.
    wrong = row.copy()
    wrong[middle] = (row[middle] + 1) % len(inputs.keys)
    found = {"wrong_page": Mutation(table=wrong)}
    in_order = np.arange(len(row)) % len(inputs.keys)
    if not np.array_equal(in_order, row):
        found["ignored_block_table"] = Mutation(table=in_order)
    return found


def _wrong_blocks(inputs: DecodeInputs, seq: int) -> dict[str, Mutation]:
    """One kv block's keys or values are those of its predecessor, or the two are exchanged."""
    row = _row(inputs, seq)
    length, size = int(inputs.context_lens[seq]), inputs.keys.shape[1]
    changes = np.flatnonzero(row[1:] != row[:-1]) + 1
    if not len(changes):
        return {}
    begin = int(changes[len(changes) // 2]) * size
    count = min(size, length - begin)
    stale, swapped = np.arange(length), np.arange(length)
    stale[begin : begin + count] -= size
    swapped[begin : begin + count] -= size
    swapped[begin - size : begin - size + count] += size
    return {
        "stale_keys": Mutation(keys=stale),
        "stale_values": Mutation(values=stale),
        "swapped_values": Mutation(values=swapped),  # and keys: the sum is the same
    }


def _tokens(inputs: DecodeInputs, seq: int, mutation: Mutation) -> tuple[Float32, Float32]:
    """Keys and values, each [tokens, num_kv_heads, head_dim]."""
    length = int(inputs.context_lens[seq]) - mutation.drop_last
    row = _row(inputs, seq) if mutation.table is None else mutation.table
    both = []
    for cache, edit in (
        (inputs.keys, mutation.keys),
        (inputs.values, mutation.values),
    ):
        tokens = cache[row].reshape(-1, *cache.shape[2:]).astype(np.float32)
        both.append((tokens if edit is None else tokens[edit])[:length])
    return both[0], both[1]


def _visible(length: int, q_len: int, token: int, mutation: Mutation) -> int:
    """Tokens that a query token sees."""
    if mutation.mask == "none":
        return length
    if mutation.mask == "first_row":
        token = 0
    change = {"one_more": 1, "one_less": -1}.get(mutation.mask, 0)
    return min(length, length - q_len + token + 1 + change)


def _heads(num_heads: int, num_kv_heads: int, kv_head: int, mutation: Mutation) -> slice:
    if mutation.interleaved_heads:
        return slice(kv_head, num_heads, num_kv_heads)
    group = num_heads // num_kv_heads
    return slice(kv_head * group, (kv_head + 1) * group)


def _part(
    inputs: DecodeInputs,
    query: Float32,
    keys: Float32,
    values: Float32,
    tile: int,
    mutation: Mutation,
) -> tuple[Float32, Float32]:
    """Normalised out [heads, head_dim] and lse [heads] of one part."""
    scale = np.float32(inputs.softmax_scale)
    row_max = np.full((len(query), 1), -np.inf, np.float32)
    row_sum = np.zeros((len(query), 1), np.float32)
    acc = np.zeros((len(query), values.shape[1]), np.float32)
    begins = range(0, len(keys), tile)
    all_probs, rescales = [], []
    for begin in begins:
        scores = (query @ keys[begin : begin + tile].T) * scale
        new_max = np.maximum(row_max, scores.max(axis=1, keepdims=True))
        probs = np.exp(scores - new_max).astype(inputs.query.dtype).astype(np.float32)
        rescale = np.exp(row_max - new_max)
        kept_sum = row_sum if mutation.keep_sum else row_sum * rescale
        row_sum = kept_sum + probs.sum(axis=1, keepdims=True)
        row_max = new_max
        all_probs.append(probs)
        rescales.append(rescale)
    taken, added = dict(mutation.probs), dict(mutation.o_tiles)
    products = []
    for i, begin in enumerate(begins):
        tokens = values[begin : begin + tile]
        products.append(all_probs[taken.get(i, i)][:, : len(tokens)] @ tokens)
    for i, rescale in enumerate(rescales):
        kept_acc = acc if mutation.keep_out else acc * rescale
        acc = kept_acc + products[added.get(i, i)]
    return acc / row_sum, (row_max + np.log(row_sum))[:, 0]


def _merge(parts: list[tuple[Float32, Float32]], mutation: Mutation) -> tuple[Float32, Float32]:
    outs = np.stack([out for out, _ in parts])
    lses = np.stack([lse for _, lse in parts])
    if len(parts) == 1:
        return outs[0], lses[0]
    top = lses.max(axis=0)
    lse = top + np.log(np.exp(lses - top).sum(axis=0))
    weights = np.exp(lses - lse)
    if mutation.plain_mean:
        weights = np.full_like(weights, 1 / len(parts))
    return (weights[..., None] * outs).sum(axis=0), lse
