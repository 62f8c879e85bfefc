# SPDX-License-Identifier: Apache-2.0
"""A launch comes after what its thread queued before it, in the queue mode of this process.

torch_npu hands operators to a queue thread (TASK_QUEUE_ENABLE 1 and 2) or not (0); a launch that
asks for the stream without draining the queue overtakes them. Run once for each mode.
"""

import os

import pytest
from ascend_attention import vnpu

vnpu.activate()

import torch  # noqa: E402
import torch_cases  # noqa: E402
import torch_npu  # noqa: E402, F401
from ascend_attention.torch import paged_attention, reshape_and_cache  # noqa: E402

CASE = "decode:b3:h4:kv2:d64:bs16:ctx5,0,63:f16:fulltable:seed5"
# Plans of it split sequences.
LONG_CASE = "decode:b3:h8:kv2:d128:bs64:ctx900,1,500:f16:seed5"
ROUNDS = 20
COPIES = 6


@pytest.fixture(scope="module")
def case() -> torch_cases.TorchCase:
    return torch_cases.load(CASE, "npu")


def test_the_mode_is_set():
    assert os.environ["TASK_QUEUE_ENABLE"] in "012"


@pytest.mark.parametrize("side", [False, True])
def test_copies_before_a_run_are_seen_and_copies_after_it_are_not(case, side):
    op = case.make_op().plan(case.inputs.context_lens)
    torch.npu.synchronize()
    good = case.query.cpu().pin_memory()
    bad = torch.full_like(good, torch.nan).pin_memory()
    query = torch.empty_like(case.query)
    stream = torch.npu.Stream() if side else torch.npu.current_stream()
    with torch.npu.stream(stream):
        results = []
        for _ in range(ROUNDS):
            for _ in range(COPIES - 1):
                query.copy_(bad, non_blocking=True)
            query.copy_(good, non_blocking=True)
            results.append(op.run(query, *case.tensors[1:]))
            query.copy_(bad, non_blocking=True)
        stream.synchronize()
    for out in results:
        case.check(out, None)


def test_the_plan_of_one_call_reaches_its_run(case):
    full = case.with_full_table()
    cpu = [tensor.cpu() for tensor in full.tensors]
    for lens in ([5, 0, 63], [1, 64, 2], [0, 0, 1]) * 4:
        got = paged_attention(*full.tensors, lens)
        assert torch.equal(got.cpu(), paged_attention(*cpu, lens))


def test_a_cache_write_comes_between_copy_and_run(case):
    op = case.make_op().plan(case.inputs.context_lens)
    zeros = torch.zeros(case.key_cache.shape, dtype=torch.half).pin_memory()
    caches = [torch.empty_like(case.key_cache) for _ in range(2)]
    rows = [cache.cpu().view(-1, 2, 64) for cache in case.tensors[1:3]]
    slots = torch.arange(len(rows[0])).npu()
    rows = [row.npu() for row in rows]
    for _ in range(ROUNDS):
        for cache in caches:
            cache.copy_(zeros, non_blocking=True)
        reshape_and_cache(*rows, *caches, slots)
        out = op.run(case.query, *caches, case.block_table)
        for cache in caches:
            cache.copy_(zeros, non_blocking=True)
        case.check(out, None)


def test_one_operator_on_two_streams_serves_one_at_a_time():
    """Plans of both share a workspace; without an order a run reads the plan of the other."""
    case = torch_cases.load(LONG_CASE, "npu").with_full_table()
    lens = ([900, 1, 500], [3, 1024, 64])
    scale = {"softmax_scale": case.inputs.softmax_scale}
    cpu = [tensor.cpu() for tensor in case.tensors]
    wanted = [paged_attention(*cpu, given, **scale) for given in lens]
    op = case.make_op()
    torch.npu.synchronize()
    streams = [torch.npu.Stream() for _ in lens]
    results = []
    for _ in range(2 * ROUNDS):
        for stream, given in zip(streams, lens, strict=True):
            with torch.npu.stream(stream):
                results.append(op.plan(given).run(*case.tensors))
    torch.npu.synchronize()
    wrong = [i for i, out in enumerate(results) if not torch.equal(out.cpu(), wanted[i % 2])]
    assert not wrong
