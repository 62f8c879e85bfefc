# SPDX-License-Identifier: Apache-2.0
"""The tables of ascend_kernels/kv_cache/README.md are what the kernels give, and say what they
claim."""

import pathlib

import bench_accuracy
import bench_cache
import pytest

README = pathlib.Path("ascend_kernels/kv_cache/README.md")
SPEED_TOLERANCE = 0.02  # of a figure: the tables are rounded
# Where decode cuts a sequence moves its own rounding errors, the largest of 24 rows most of all.
ACCURACY_TOLERANCE = 0.25


def cells(line: str) -> list[str]:
    return [cell.strip() for part in line.strip("|\n").split("|") for cell in part.split("/")]


def printed(first: str) -> list[list[str]]:
    """The rows of the table whose first column has this title."""
    lines = README.read_text().splitlines()
    begin = next(i for i, line in enumerate(lines) if line.startswith(f"| {first} |"))
    end = next(i for i in range(begin, len(lines)) if not lines[i].startswith("|"))
    return [cells(line) for line in lines[begin + 2 : end]]


def expect_same(table: list[list[str]], rows: list[list[str]], tolerance: float) -> None:
    assert len(table) == len(rows)
    for shown, made in zip(table, rows, strict=True):
        assert len(shown) == len(made)
        for a, b in zip(shown, made, strict=True):
            if "." in b or b.isdigit():
                assert float(a) == pytest.approx(float(b), rel=tolerance), (shown, made)
            else:
                assert a == b


@pytest.fixture(scope="module")
def accuracy() -> list[bench_accuracy.Row]:
    return bench_accuracy.rows()


def test_accuracy_table(accuracy):
    expect_same(printed("keys"), [cells(row.to_text()) for row in accuracy], ACCURACY_TOLERANCE)


def test_what_the_accuracy_table_shows(accuracy):
    rms = {(row.keys, row.dtype, row.kv_quant): row.rms_error for row in accuracy}
    for (keys, dtype, kv_quant), errors in rms.items():
        if kv_quant == "none":
            # Half an ulp of the weights and of the result, not more.
            assert errors["direct"] < {"float16": 2.0**-11, "bfloat16": 2.0**-8}[dtype]
            continue
        assert errors["limbs"] == pytest.approx(errors["dequant"], rel=0.02)  # routes agree
        assert errors["dequant"] < (0.1 if (keys, kv_quant) == ("outliers", "int8_token") else 0.03)
    for dtype in bench_accuracy.DTYPES:
        outliers = {quant: rms["outliers", dtype, quant] for quant in bench_accuracy.ROUTES}
        # One scale per row is made for its largest element; a scale per channel is not.
        assert outliers["int8_token"]["dequant"] > 3 * outliers["int8_channel"]["dequant"]
        # An offset takes the mean out.
        assert outliers["int8_channel_asym"]["dequant"] < outliers["int8_channel"]["dequant"]


@pytest.fixture(scope="module")
def speed() -> list[bench_cache.Row]:
    return bench_cache.rows()


def test_speed_table(speed):
    expect_same(printed("tokens"), [cells(row.to_text()) for row in speed], SPEED_TOLERANCE)


def test_what_the_speed_table_shows(speed):
    for row in speed:
        if row.tokens == 64:
            assert row.modelled_us < 20  # a launch, and little more
        if row.tokens == 8192:
            assert row.gb_per_s > 700


@pytest.mark.parametrize("kv_quant", bench_cache.QUANTS)
def test_heads_that_lie_apart_cost_no_time(kv_quant, speed):
    (dense,) = (row for row in speed if (row.tokens, row.kv_quant) == (8192, kv_quant))
    apart = bench_cache.model(8192, kv_quant, "head_major")
    assert apart.modelled_us == pytest.approx(dense.modelled_us, rel=0.05)
