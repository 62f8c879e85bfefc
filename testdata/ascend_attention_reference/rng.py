# SPDX-License-Identifier: Apache-2.0
"""Philox 4x32-10: random numbers that are a pure function of (seed, stream, unit, index).

Counter-based (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011), so an element
does not depend on the shape it sits in, on the order of generation or on a library's version.
testdata/philox.h is the C++ twin with the same values.

  key      = (seed, stream)
  counter  = (block, 0, unit, 0)      block = index // lanes per counter
  output   = four 32-bit words, or eight 16-bit lanes, low half of word 0 first

Next: inputs.py - what the streams and units are.
"""

import numpy as np
from numpy.typing import NDArray

LANES16 = 8  # 16-bit lanes per counter

_MULTIPLIER = (np.uint64(0xD2511F53), np.uint64(0xCD9E8D57))
_WEYL = (0x9E3779B9, 0xBB67AE85)
_ROUNDS = 10
_LOW = np.uint64(0xFFFFFFFF)
_SHIFT = np.uint64(32)

# Counters per step: the working arrays (64-bit numbers) stay in a core's second-level cache.
_CHUNK = 1 << 13


def philox_4x32(
    counter: tuple[NDArray[np.uint64] | int, ...], key: tuple[int, int]
) -> tuple[NDArray[np.uint64], ...]:
    """Ten rounds of Philox 4x32.

    Args:
      counter: four 32-bit words, each a number or an array (uint64); shapes broadcast.
      key: two 32-bit words.

    Returns:
      Four arrays of 32-bit words (uint64), of the common shape.
    """
    shape = np.broadcast_shapes(*(np.shape(word) for word in counter))
    # Owned, contiguous copies: the rounds below work in place.
    c0, c1, c2, c3 = (np.array(np.broadcast_to(np.uint64(word), shape)) for word in counter)
    product = np.empty(shape, np.uint64)
    k0, k1 = key
    for _ in range(_ROUNDS):
        # (c0, c1, c2, c3) <- (hi1 ^ c1 ^ k0, lo1, hi0 ^ c3 ^ k1, lo0), hi:lo the 64-bit products.
        np.multiply(c0, _MULTIPLIER[0], out=product)
        np.multiply(c2, _MULTIPLIER[1], out=c2)
        np.right_shift(c2, _SHIFT, out=c0)
        np.bitwise_xor(c0, c1, out=c0)
        np.bitwise_xor(c0, np.uint64(k0), out=c0)
        np.bitwise_and(c2, _LOW, out=c1)
        np.right_shift(product, _SHIFT, out=c2)
        np.bitwise_xor(c2, c3, out=c2)
        np.bitwise_xor(c2, np.uint64(k1), out=c2)
        np.bitwise_and(product, _LOW, out=c3)
        k0 = (k0 + _WEYL[0]) & 0xFFFFFFFF
        k1 = (k1 + _WEYL[1]) & 0xFFFFFFFF
    return c0, c1, c2, c3


def lanes16(seed: int, stream: int, unit: int, first: int, count: int) -> NDArray[np.uint16]:
    """Lanes [first, first + count) of one unit."""
    first_block, skip = divmod(first, LANES16)
    num_blocks = -(-(skip + count) // LANES16)
    packed = np.empty((num_blocks, 2), np.uint64)
    for start in range(0, num_blocks, _CHUNK):
        stop = min(start + _CHUNK, num_blocks)
        blocks = np.arange(first_block + start, first_block + stop, dtype=np.uint64)
        w0, w1, w2, w3 = philox_4x32((blocks, 0, unit, 0), (seed, stream))
        np.bitwise_or(w0, w1 << _SHIFT, out=packed[start:stop, 0])
        np.bitwise_or(w2, w3 << _SHIFT, out=packed[start:stop, 1])
    # "<u8" spells out that the low half of a word comes first, whatever the host.
    return packed.astype("<u8", copy=False).reshape(-1).view("<u2")[skip : skip + count]


def words32(seed: int, stream: int, unit: int, count: int) -> NDArray[np.uint32]:
    """The first `count` 32-bit words of one unit, four per counter."""
    blocks = np.arange(-(-count // 4), dtype=np.uint64)
    words = philox_4x32((blocks, 0, unit, 0), (seed, stream))
    return np.stack(words, axis=-1).reshape(-1)[:count].astype(np.uint32)
