# SPDX-License-Identifier: Apache-2.0
"""The serving loop gives what dense attention gives, and says so when it does not."""

import importlib.util

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
