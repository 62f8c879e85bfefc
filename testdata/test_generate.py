# SPDX-License-Identifier: Apache-2.0
"""The goldens in the tree are what the generator writes, one per listed case, and within budget."""

import hashlib
import io
import json
import shutil
from pathlib import Path

import generate
import numpy as np
import pytest
from ascend_attention_reference import check, expect, make_inputs, read_cases

_ROOT = Path(__file__).parent
_GOLDEN = _ROOT / "golden"
_CASES = [case for path in generate.golden_lists(_ROOT) for case in read_cases(path.read_text())]
_BUDGET_BYTES = 4 << 20


def test_regenerating_gives_the_same_bytes(capsys: pytest.CaptureFixture[str]):
    assert generate.main(["--check", f"--root={_ROOT}"]) == 0, capsys.readouterr().out


def test_every_case_has_a_golden_and_every_golden_a_case():
    folders = {path.parent.name: path.read_text() for path in _GOLDEN.glob("*/case.txt")}
    assert folders == {case.name: f"{case}\n" for case in _CASES}
    assert {path.name for path in _GOLDEN.iterdir() if path.is_dir()} == folders.keys()


def test_the_manifest_has_the_hash_of_every_file():
    hashes = json.loads((_GOLDEN / generate.MANIFEST).read_text())["sha256"]
    files = {p.relative_to(_GOLDEN).as_posix(): p for p in _GOLDEN.rglob("*") if p.is_file()}
    files.pop(generate.MANIFEST)
    found = {name: hashlib.sha256(path.read_bytes()).hexdigest() for name, path in files.items()}
    assert found == hashes


def test_goldens_stay_within_their_budget():
    size = sum(path.stat().st_size for path in _GOLDEN.rglob("*") if path.is_file())
    assert len(_CASES) >= 200 and size <= _BUDGET_BYTES


def test_the_six_page_sizes_of_a1_have_equal_results():
    same = [case for case in _CASES if case.seed == 2]
    assert len({case.kv_block_size for case in same}) == len(same) == 6
    for name in ("out.npy", "lse.npy"):
        assert len({(_GOLDEN / case.name / name).read_bytes() for case in same}) == 1


def test_the_core_counts_of_a11_have_equal_results():
    same = [case for case in _CASES if case.seed == 7]
    assert {case.num_cores for case in same} == {1, 7, 20, 24, 25}
    for name in ("out.npy", "lse.npy", "bounds.npy"):
        assert len({(_GOLDEN / case.name / name).read_bytes() for case in same}) == 1


@pytest.mark.parametrize(("seed", "count"), [(40, 4), (60, 4), (50, 9)])
def test_layouts_cores_and_routes_have_equal_results(seed: int, count: int):
    same = [case for case in _CASES if case.seed == seed]
    assert len(same) == count
    for name in ("out.npy", "lse.npy"):
        contents: dict[str, set[bytes]] = {}
        for case in same:
            content = (_GOLDEN / case.name / name).read_bytes()
            contents.setdefault(case.kv_quant, set()).add(content)
        assert {len(different) for different in contents.values()} == {1}


@pytest.mark.parametrize("case", _CASES, ids=str)
def test_a_golden_passes_its_own_tolerance(case):
    expected = expect(make_inputs(case))
    folder = _GOLDEN / case.name
    out, lse, bounds = (np.load(folder / f"{name}.npy") for name in ("out", "lse", "bounds"))
    # Rounded to float32 only: far below any bound.
    assert check(out, lse, expected).worst.ratio < 0.15
    np.testing.assert_array_equal(bounds[..., 0], expected.tolerance.out)
    np.testing.assert_array_equal(bounds[..., 1], expected.tolerance.out_rms)
    np.testing.assert_array_equal(bounds[..., 2], expected.tolerance.lse)


@pytest.fixture(name="tree")
def _tree(tmp_path: Path) -> Path:
    """A testdata folder with one small case, generated."""
    (tmp_path / "cases").mkdir()
    line = "decode:b2:h2:kv1:d64:bs16:ctx0,17:f16:seed1\n"
    (tmp_path / "cases" / "decode_ci.txt").write_text("# one\n\n" + line)
    assert generate.main([f"--root={tmp_path}"]) == 0
    return tmp_path


def test_check_reports_what_differs_is_missing_or_stale(
    tree: Path, capsys: pytest.CaptureFixture[str]
):
    folder = next(path for path in (tree / "golden").iterdir() if path.is_dir())
    assert generate.main(["--check", f"--root={tree}"]) == 0
    content = (folder / "out.npy").read_bytes()
    (folder / "out.npy").write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    (folder / "lse.npy").unlink()
    (tree / "golden" / "old").mkdir()
    (tree / "golden" / "old" / "case.txt").write_text("decode:gone\n")
    capsys.readouterr()
    assert generate.main(["--check", f"--root={tree}"]) == 1
    text = capsys.readouterr().out
    assert f"differs: {folder.name}/out.npy" in text
    assert f"missing: {folder.name}/lse.npy" in text
    assert "stale, delete it: old/case.txt" in text


def test_writing_deletes_nothing_and_says_what_is_stale(
    tree: Path, capsys: pytest.CaptureFixture[str]
):
    (tree / "golden" / "notes.txt").write_text("mine")
    (tree / "cases" / "decode_ci.txt").write_text("decode:b1:h1:kv1:d64:bs16:ctx3:f16:seed1\n")
    assert generate.main([f"--root={tree}"]) == 1
    assert (tree / "golden" / "notes.txt").read_text() == "mine"
    assert len(list((tree / "golden").glob("*/case.txt"))) == 2
    assert "stale, delete it: notes.txt" in capsys.readouterr().out


def test_writing_again_writes_nothing(tree: Path, capsys: pytest.CaptureFixture[str]):
    capsys.readouterr()
    assert generate.main([f"--root={tree}"]) == 0
    assert "wrote" not in capsys.readouterr().out
    shutil.rmtree(tree / "golden")
    assert generate.main([f"--root={tree}"]) == 0
    assert capsys.readouterr().out.count("wrote") == 6


@pytest.mark.parametrize("shape", [(), (3,), (2, 0), (2, 3, 5)])
def test_npy_files_are_what_numpy_reads(shape: tuple[int, ...]):
    array = np.arange(np.prod(shape, dtype=int), dtype=np.float64).reshape(shape) / 3
    content = generate.npy_bytes(array)
    read = np.load(io.BytesIO(content))
    assert read.dtype == np.float32 and read.shape == shape
    np.testing.assert_array_equal(read, array.astype(np.float32))
    assert (len(content) - read.nbytes) % 64 == 0
