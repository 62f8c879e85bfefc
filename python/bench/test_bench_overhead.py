# SPDX-License-Identifier: Apache-2.0
"""bench_overhead measures every way in; how fast they are on a shared host fails nothing."""

import json

import bench_overhead

WAYS = {"torch op", "run(out=)", "run()", "Python custom_op", "nanobind", "numpy run()",
        "ctypes, 24 pointers", "launch alone", "torch op, CPU"}  # fmt: skip


def test_table_and_object(capsys):
    bench_overhead.main(["--rounds", "5", "--json"])
    *table, last = capsys.readouterr().out.splitlines()
    report = json.loads(last)
    rows = report["rows"]
    assert set(rows) == WAYS
    assert len(table) == len(WAYS) + 2
    for name, row in rows.items():
        assert 0 < row["us_p10"] <= row["us"] <= row["us_p90"], name
        assert row["waits"] == (name in ("numpy run()", "torch op, CPU"))
        assert any(line.startswith(name) and row["what"] in line for line in table)
    assert report["ratio"] == rows["ctypes, 24 pointers"]["us"] / rows["torch op"]["us"]
    assert f"{report['ratio']:.1f}" in table[-1]
    print(*table, sep="\n")
