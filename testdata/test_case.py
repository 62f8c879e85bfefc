# SPDX-License-Identifier: Apache-2.0
"""The case grammar: one spelling per problem, errors that say what to write instead."""

import dataclasses
from pathlib import Path

import pytest
from ascend_attention_reference import DecodeCase, format_case, parse_case, read_cases
from hypothesis import given
from hypothesis import strategies as st

_CASES = Path(__file__).parent / "cases"


def _lines(name: str) -> list[str]:
    lines = (_CASES / name).read_text().splitlines()
    return [line for line in lines if line and not line.startswith("#")]


@st.composite
def _decode_cases(draw: st.DrawFn) -> DecodeCase:
    batch = draw(st.integers(1, 5))
    big = draw(st.booleans())
    quants = ["none"] if big else ["none", "int8_channel", "int8_channel_asym", "int8_token"]
    quant = draw(st.sampled_from(quants))
    routes = ["auto", "direct", "fifo"] if quant == "none" else ["auto", "dequant", "limbs"]
    return DecodeCase(
        batch=batch,
        num_heads=draw(st.integers(1, 1024)),
        num_kv_heads=draw(st.integers(1, 1024)),
        head_dim=draw(st.integers(1, 1024)),
        kv_block_size=draw(st.integers(1, 65536)),
        context_lens=tuple(draw(st.lists(st.integers(0, 1 << 24), min_size=batch, max_size=batch))),
        dtype=draw(st.sampled_from(["f16", "bf16"])),
        seed=draw(st.integers(0, (1 << 32) - 1)),
        num_cores=draw(st.none() | st.integers(1, 256)),
        q_lens=tuple(draw(st.lists(st.integers(1, 16), min_size=batch, max_size=batch))),
        headmajor=draw(st.booleans()),
        interleaved=draw(st.booleans()),
        kv_quant=quant,
        route=draw(st.sampled_from(routes)),
        out_float32=draw(st.booleans()),
        fixed_split_tokens=draw(st.none() | st.integers(1, 1 << 24)),
        fulltable=draw(st.booleans()),
        shared=draw(st.booleans()),
        outliers=draw(st.booleans()) and not big,
        onehot=draw(st.booleans()),
        sharp=draw(st.booleans()) and not big,
        bigscores=big,
    )


@given(_decode_cases())
def test_a_formatted_case_parses_to_itself(case: DecodeCase):
    assert parse_case(format_case(case)) == case
    assert str(case) == format_case(case)


def test_every_field_is_read():
    case = parse_case("decode:b2:h8:kv4:d64:bs32:ctx7,300:bf16:cores20:shared:onehot:seed9")
    assert case == DecodeCase(
        batch=2,
        num_heads=8,
        num_kv_heads=4,
        head_dim=64,
        kv_block_size=32,
        context_lens=(7, 300),
        dtype="bf16",
        seed=9,
        num_cores=20,
        shared=True,
        onehot=True,
    )
    assert case.q_per_kv == 2
    assert case.max_context == 300
    assert case.max_kv_blocks == 11  # ten used, one spare
    assert dataclasses.replace(case, fulltable=True).max_kv_blocks == 10
    assert case.softmax_scale == 0.125
    assert (case.q_lens, case.num_query_rows, case.max_q_len) == ((1, 1), 2, 1)
    assert (case.kv_layout, case.kv_quant, case.route) == ("token_major", "none", "auto")
    assert case.fixed_split_tokens is None and not case.interleaved
    assert (case.out_float32, case.out_dtype) == (False, "bfloat16")


def test_every_decode_option_is_read():
    line = "decode:b3:h8:kv4:d64:bs32:ctx7:f16:cores2:qlen1,16,4:headmajor:interleaved"
    case = parse_case(f"{line}:kvint8-channel-asym:route-limbs:split512:sharp:seed9")
    assert (case.q_lens, case.num_query_rows, case.max_q_len) == ((1, 16, 4), 21, 16)
    assert (case.kv_layout, case.interleaved) == ("head_major", True)
    assert (case.kv_quant, case.route) == ("int8_channel_asym", "limbs")
    assert case.fixed_split_tokens == 512
    for option, quant in (("channel", "int8_channel"), ("token", "int8_token")):
        other = parse_case(f"{line}:kvint8-{option}:route-dequant:seed9")
        assert (other.kv_quant, other.route) == (quant, "dequant")


def test_the_fifo_route_and_a_float32_out_are_read():
    head = "decode:b2:h8:kv4:d128:bs64:ctx7:f16"
    case = parse_case(f"{head}:sharp:split64:outf32:route-fifo:interleaved:seed9")
    assert (case.kv_quant, case.route) == ("none", "fifo")
    assert (case.out_float32, case.out_dtype) == (True, "float32")
    assert str(case) == f"{head}:interleaved:route-fifo:outf32:split64:sharp:seed9"
    # What computes it and what out is are said apart; int8 caches too may ask for float32.
    assert parse_case(f"{head}:route-fifo:seed9").out_dtype == "float16"
    assert parse_case(f"{head}:outf32:seed9").route == "auto"
    direct = parse_case(f"{head}:fulltable:route-direct:headmajor:seed9")
    assert direct.route == "direct"
    assert str(direct) == f"{head}:headmajor:route-direct:fulltable:seed9"
    assert parse_case(f"{head}:kvint8-token:route-limbs:outf32:seed9").out_dtype == "float32"


def test_names_outside_the_grammar_are_refused():
    case = parse_case("decode:b1:h1:kv1:d64:bs16:ctx1:f16:seed1")
    with pytest.raises(ValueError, match="kv_quant = 'int4': allowed are none, int8_channel"):
        dataclasses.replace(case, kv_quant="int4")
    with pytest.raises(
        ValueError, match="route = 'planned': allowed are auto, dequant, limbs, direct, fifo"
    ):
        dataclasses.replace(case, route="planned")


def test_equal_lengths_and_option_order_have_one_spelling():
    line = " decode:b2:h8:kv4:d64:bs32:ctx7,7:f16:onehot:cores1:shared:seed0\n"
    canonical = "decode:b2:h8:kv4:d64:bs32:ctx7:f16:cores1:shared:onehot:seed0"
    assert str(parse_case(line)) == canonical
    options = "split64:route-limbs:kvint8-token:interleaved:headmajor:qlen2,2:cores3"
    canonical = "cores3:qlen2:headmajor:interleaved:kvint8-token:route-limbs:split64"
    head = "decode:b2:h8:kv4:d64:bs32:ctx7:f16"
    assert str(parse_case(f"{head}:{options}:seed0")) == f"{head}:{canonical}:seed0"
    assert str(parse_case(f"{head}:qlen1,1:seed0")) == f"{head}:seed0"


def test_the_scale_is_a_float32():
    case = parse_case("decode:b1:h1:kv1:d128:bs16:ctx1:f16:seed1")
    assert case.softmax_scale == 0.088388346135616302490234375  # float32 nearest to 128 ** -0.5


def test_heads_that_do_not_divide_name_both():
    case = parse_case("decode:b1:h30:kv8:d128:bs16:ctx1:f16:seed1")
    with pytest.raises(ValueError, match=r"num_heads = 30.*num_kv_heads = 8"):
        _ = case.q_per_kv


@pytest.mark.parametrize("line", _lines("grammar_errors.txt"))
def test_an_error_names_field_value_and_what_is_allowed(line: str):
    text, _, message = line.partition(" => ")
    with pytest.raises(ValueError) as error:
        parse_case(text)
    assert str(error.value) == message


_LISTS = tuple(sorted(path.name for path in _CASES.glob("decode_*.txt")))


@pytest.mark.parametrize("line", [line for name in _LISTS for line in _lines(name)])
def test_listed_cases_are_canonical(line: str):
    assert str(parse_case(line)) == line


def test_listed_cases_are_distinct_and_have_distinct_names():
    assert len(_LISTS) == 9
    cases = [case for name in _LISTS for case in read_cases((_CASES / name).read_text())]
    assert len(cases) == len({case.name for case in cases}) >= 200


_REFUSED = [line for name in ("", "_options", "_fifo") for line in _lines(f"refused{name}.txt")]


@pytest.mark.parametrize("line", _REFUSED)
def test_refused_cases_are_well_formed(line: str):
    text, kind, argument = line.split(" ")
    case = parse_case(text)
    assert str(case) == text
    assert kind in ("INVALID_ARGUMENT", "UNIMPLEMENTED")
    assert hasattr(case, argument.replace("q_len", "q_lens"))


def test_fifo_cases_cover_what_the_kernel_tells_apart():
    names = ("decode_fifo.txt", "decode_fifo_wide.txt")
    cases = [case for name in names for case in read_cases((_CASES / name).read_text())]
    assert 45 <= len(cases) <= 60
    assert {case.route for case in cases if not case.out_float32} == {"fifo"}
    assert {case.head_dim for case in cases} == {128}
    for dtype in ("f16", "bf16"):
        some = [case for case in cases if case.dtype == dtype]
        kinds = {(case.kv_block_size, case.out_float32, case.q_per_kv >= 64) for case in some}
        assert len(kinds) == 8
    for heads, size in ((16, 128), (64, 64)):
        same = [c for c in cases if (c.q_per_kv, c.kv_block_size) == (heads, size)]
        lengths = {length for case in same for length in case.context_lens}
        assert {0, 1, 15, 16, 17, 63, 64, 65, 127, 128, 129, 255} <= lengths
        assert {1, 2, 3} <= {-(-length // size) for length in lengths}
    one_kv_head = {case.num_heads for case in cases if case.num_kv_heads == 1}
    assert {1, 3, 8, 17, 24, 40, 63, 64, 65, 80, 100, 128} <= one_kv_head
    assert {(32, 8), (28, 4), (12, 12)} <= {(c.num_heads, c.num_kv_heads) for c in cases}
    assert {25, 50} <= {case.batch for case in cases}
    assert {1, 20, None} == {case.num_cores for case in cases}
    assert {(c.headmajor, c.interleaved) for c in cases} == {(a, b) for a in (0, 1) for b in (0, 1)}
    empty = [[length == 0 for length in case.context_lens] for case in cases]
    assert any(rows[0] and not all(rows) for rows in empty)
    assert any(rows[-1] and not all(rows) for rows in empty)
    assert any(any(rows[1:-1]) and not rows[0] and not rows[-1] for rows in empty)
    for flag in ("fulltable", "shared", "outliers", "onehot", "sharp", "bigscores"):
        assert any(getattr(case, flag) for case in cases), flag


def test_listed_cases_cover_the_boundaries():
    cases = read_cases((_CASES / "decode_ci.txt").read_text())
    assert {case.head_dim for case in cases} == {64, 128}
    assert {case.kv_block_size for case in cases} == {16, 32, 48, 64, 128, 256}
    assert {case.q_per_kv for case in cases} == {1, 2, 3, 4, 5, 7, 8, 12, 16, 17, 20, 24, 32, 128}
    assert {case.dtype for case in cases} == {"f16", "bf16"}
    assert {1, 7, 20, 24, 25} <= {case.num_cores for case in cases}
    # Length relative to the page, for every page size.
    for size in (16, 32, 48, 64, 128, 256):
        lengths = {n for case in cases if case.kv_block_size == size for n in case.context_lens}
        assert {1, size - 1, size, size + 1} <= lengths, size
    empty = [tuple(n == 0 for n in case.context_lens) for case in cases]
    assert (True, True, True) in empty
    assert any(rows[0] and not all(rows) for rows in empty)
    assert any(rows[-1] and not all(rows) for rows in empty)
    assert any(any(rows[1:-1]) and not rows[0] and not rows[-1] for rows in empty)
    assert any(
        max(case.context_lens) >= 20 * sorted(case.context_lens)[-2]
        for case in cases
        if case.batch > 1
    )
