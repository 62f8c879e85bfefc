# SPDX-License-Identifier: Apache-2.0
"""Philox 4x32-10: the published answers, and values that depend on nothing but their index."""

import numpy as np
import pytest
from ascend_attention_reference import rng

_ONES = 0xFFFFFFFF

# What Random123 publishes (kat_vectors); philox_test.cc has the same.
_KNOWN_ANSWERS = [
    ((0, 0, 0, 0), (0, 0), (0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8)),
    ((_ONES,) * 4, (_ONES,) * 2, (0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD)),
    (
        (0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344),
        (0xA4093822, 0x299F31D0),
        (0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1),
    ),
]


@pytest.mark.parametrize(("counter", "key", "words"), _KNOWN_ANSWERS)
def test_philox_gives_the_published_answers(counter, key, words):
    assert tuple(int(word) for word in rng.philox_4x32(counter, key)) == words


def test_philox_leaves_its_counter_alone():
    block = np.arange(3, dtype=np.uint64)
    rng.philox_4x32((block, 0, 0, 0), (1, 2))
    assert block.tolist() == [0, 1, 2]


def test_lanes_agree_with_the_cpp_twin():
    # The same lanes are asserted in philox_test.cc.
    lanes = rng.lanes16(seed=7, stream=2, unit=5, first=12345 * rng.LANES16, count=8)
    assert lanes.tolist() == [59776, 38871, 62566, 18806, 32978, 35453, 60476, 27359]


def test_lanes_are_the_halves_of_the_words_low_half_first():
    words = rng.words32(seed=3, stream=1, unit=0, count=12)
    lanes = rng.lanes16(seed=3, stream=1, unit=0, first=0, count=24)
    assert lanes.tolist() == [half for w in words.tolist() for half in (w & 0xFFFF, w >> 16)]


@pytest.mark.parametrize(("first", "count"), [(0, 1), (7, 2), (8, 8), (65_530, 20), (3, 70_001)])
def test_a_lane_does_not_depend_on_where_generation_starts(first: int, count: int):
    whole = rng.lanes16(seed=1, stream=0, unit=9, first=0, count=first + count)
    part = rng.lanes16(seed=1, stream=0, unit=9, first=first, count=count)
    np.testing.assert_array_equal(part, whole[first:])


def test_seed_stream_and_unit_give_unrelated_lanes():
    arrays = [rng.lanes16(*key, 0, 4096) for key in ((1, 0, 0), (2, 0, 0), (1, 1, 0), (1, 0, 1))]
    for i, a in enumerate(arrays):
        for b in arrays[:i]:
            assert (a == b).mean() < 0.01


def test_lanes_are_uniform():
    lanes = rng.lanes16(seed=11, stream=0, unit=0, first=0, count=1 << 20)
    counts = np.bincount(lanes >> 8, minlength=256)
    # 4096 expected per bin, standard deviation 64.
    assert np.abs(counts - 4096).max() < 6 * 64
