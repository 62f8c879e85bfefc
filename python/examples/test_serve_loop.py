# SPDX-License-Identifier: Apache-2.0
"""The serving loop gives what dense attention gives, and says so when it does not."""

import importlib.util
import os
import subprocess
import sys

import pytest
import serve_loop

needs_torch_npu = pytest.mark.skipif(
    importlib.util.find_spec("torch_npu") is None, reason="no torch_npu for this Python"
)


@pytest.mark.parametrize("device", ["cpu", pytest.param("npu", marks=needs_torch_npu)])
def test_every_token_is_that_of_dense_attention(capsys, device):
    assert serve_loop.main(["--device", device]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].endswith(f"tensors on {device}")
    assert lines[-3] == "12 requests in 58 steps, 4 preemptions, 27 blocks used again"
    assert " of 186 tokens are the choice of dense attention" in lines[-2]
    assert lines[-1] == "OK"


def run_python(code, **env):
    path = os.pathsep.join(p for p in sys.path if p)
    return subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env={**os.environ, "PYTHONPATH": path, **env},
    )


def test_a_child_of_a_process_with_the_virtual_npu_has_it_too():
    # This process activated it; the child inherits the environment alone.
    assert serve_loop.VIRTUAL
    assert serve_loop.vnpu.cann_home() is None
    assert os.environ["ASCEND_HOME_PATH"].endswith("ascend_attention/vnpu/home")
    code = "import serve_loop, sys; print(serve_loop.VIRTUAL); sys.exit(serve_loop.main([]))"
    done = run_python(code)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0] == "True"
    assert lines[-1] == "OK"


@pytest.mark.parametrize("home", ["", "/usr/local/Ascend/latest", "/a/ascend_attention/vnpu/home"])
def test_cann_is_what_set_env_names_and_not_our_own_folder(monkeypatch, home):
    monkeypatch.setenv("ASCEND_HOME_PATH", home)
    assert serve_loop.vnpu.cann_home() == (home if "Ascend/" in home else None)


def test_without_pytorch_one_line_says_what_to_do():
    done = run_python("import sys; sys.modules['torch'] = None; import serve_loop")
    assert done.returncode == 1
    assert done.stderr.splitlines() == [
        "serve_loop needs PyTorch: set ASCEND_ATTENTION_TORCH=1 for ./bazelw run"
    ]


def preempt_and_keep_what_was_cached(monkeypatch):
    class Engine(serve_loop.Engine):
        def _preempt(self, request):
            cached = request.cached
            super()._preempt(request)
            request.cached = min(cached, len(request.prompt) - 1)

    monkeypatch.setattr(serve_loop, "Engine", Engine)


def read_two_blocks_in_the_wrong_order(monkeypatch):
    run = serve_loop.DecodeAttention.run

    def swapped(self, query, key_cache, value_cache, block_table):
        both = block_table[:, 1] >= 0
        block_table = block_table.clone()
        block_table[both, :2] = block_table[both, :2].flip(1)
        return run(self, query, key_cache, value_cache, block_table)

    monkeypatch.setattr(serve_loop.DecodeAttention, "run", swapped)


def plan_one_token_less(monkeypatch):
    plan = serve_loop.DecodeAttention.plan

    def shorter(self, context_lens, q_lens):
        return plan(
            self, [max(q, n - 1) for n, q in zip(context_lens, q_lens, strict=True)], q_lens
        )

    monkeypatch.setattr(serve_loop.DecodeAttention, "plan", shorter)


@pytest.mark.parametrize(
    "damage",
    [preempt_and_keep_what_was_cached, read_two_blocks_in_the_wrong_order, plan_one_token_less],
)
def test_a_wrong_cache_is_noticed(capsys, monkeypatch, damage):
    damage(monkeypatch)
    assert serve_loop.main([]) == 1
    assert capsys.readouterr().out.splitlines()[-1].startswith("WRONG: r")
