# SPDX-License-Identifier: Apache-2.0
"""Graphs of torch.npu.NPUGraph: captured once, replayed over new contents and new lengths."""

import gc

import pytest
from ascend_attention import vnpu

vnpu.activate(devices=2)

import torch  # noqa: E402 - after the virtual NPU took the place of CANN
import torch_cases  # noqa: E402
import torch_npu  # noqa: E402, F401
from ascend_attention.torch import (  # noqa: E402
    DecodeAttention,
    merge_states,
    paged_attention,
    reshape_and_cache,
)

# Long enough that plans split sequences, in some of the lengths below.
CASE = "decode:b3:h8:kv2:d128:bs64:ctx700,1,300:f16:fulltable:seed5"
LENGTHS = ([700, 1, 300], [0, 0, 0], [5, 704, 64], [704, 704, 704], [1, 0, 0])


@pytest.fixture(scope="module")
def case() -> torch_cases.TorchCase:
    return torch_cases.load(CASE, "npu:0").with_full_table()


@pytest.fixture
def op(case) -> DecodeAttention:
    return case.make_op()


def expected(tensors: list[torch.Tensor], lens: list[int], **options: object) -> torch.Tensor:
    """The result of one call outside of graphs, on fresh tensors."""
    return paged_attention(*[t.cpu() for t in tensors], lens, **options)


def captured(op: DecodeAttention, tensors: list[torch.Tensor], lens: list[int]):
    """Returns a graph with one run, and its result."""
    op.plan(lens)
    torch.npu.synchronize()
    graph = torch.npu.NPUGraph()
    # By itself torch.npu.graph takes a stream of the device that captured first.
    with torch.npu.graph(graph, stream=torch.npu.Stream()):
        out = op.run(*tensors)
    return graph, out


@pytest.mark.parametrize("first", range(len(LENGTHS)))
def test_replays_follow_the_lengths(case, op, first):
    graph, out = captured(op, case.tensors, LENGTHS[first])
    for lens in LENGTHS:
        op.plan(lens)
        graph.replay()
        torch.npu.synchronize()
        want = expected(case.tensors, lens, softmax_scale=case.inputs.softmax_scale)
        assert torch.equal(out.cpu(), want), lens
        assert torch.equal(op.run(*case.tensors).cpu(), want), lens  # and runs beside it go on


def test_replays_follow_query_cache_and_table(case, op):
    generator = torch.Generator().manual_seed(3)
    tensors = [t.clone() for t in case.tensors]
    lens, scale = LENGTHS[0], {"softmax_scale": case.inputs.softmax_scale}
    graph, out = captured(op, tensors, lens)
    results = []
    for _ in range(4):
        op.plan(lens)
        tensors[0].copy_(torch.randn(tensors[0].shape, generator=generator).half())
        for cache in tensors[1:3]:
            cache.copy_(torch.randn(cache.shape, generator=generator).half())
        table = torch.randint(len(tensors[1]), tensors[3].shape, generator=generator)
        tensors[3].copy_(table.int())
        graph.replay()
        results.append(out.cpu())
        assert torch.equal(results[-1], expected(tensors, lens, **scale))
    assert not torch.equal(results[0], results[1])


def test_a_step_of_an_engine_in_one_graph(case, op):
    """Cache write, two layers and a merge: every operator in one capture, lse too."""
    generator = torch.Generator().manual_seed(4)
    query, table = case.query.clone(), case.block_table
    caches = [[t.clone() for t in case.tensors[1:3]] for _ in range(2)]
    rows = [torch.randn(3, 2, 128, generator=generator).half().npu() for _ in range(2)]
    slots = torch.arange(3).npu()
    states = torch.empty(2, *query.shape, dtype=torch.half).npu(), torch.empty(2, 3, 8).npu()
    lens = [10, 20, 30]

    def step():
        for layer in range(2):
            reshape_and_cache(*rows, *caches[layer], slots)
            out, lse = states[0][layer], states[1][layer]
            op.run(query, *caches[layer], table, out=out, lse=lse, return_lse=True)
        return merge_states(*states)

    op.plan(lens)
    step()
    torch.npu.synchronize()
    graph = torch.npu.NPUGraph()
    with torch.npu.graph(graph):
        merged, _ = step()
    for _ in range(3):
        lens = [n + 1 for n in lens]
        op.plan(lens)
        blocks = [int(table.cpu()[b, (n - 1) // 64]) for b, n in enumerate(lens)]
        new = [block * 64 + (n - 1) % 64 for block, n in zip(blocks, lens, strict=True)]
        slots.copy_(torch.tensor(new))
        graph.replay()
        torch.npu.synchronize()
        for layer, (key_cache, value_cache) in enumerate(caches):
            for cache, row in ((key_cache, rows[0]), (value_cache, rows[1])):
                assert torch.equal(cache.cpu().view(-1, 2, 128)[new], row.cpu())
            want = expected([query, key_cache, value_cache, table], lens,
                            softmax_scale=case.inputs.softmax_scale)  # fmt: skip
            assert torch.equal(states[0][layer].cpu(), want)
        assert torch.equal(merged.cpu(), merge_states(*[t.cpu() for t in states])[0])


def test_side_streams_join_the_capture(case, op):
    other = case.make_op()
    for made in (op, other):
        made.plan(LENGTHS[0])
    torch.npu.synchronize()
    graph, side = torch.npu.NPUGraph(), torch.npu.Stream()
    with torch.npu.graph(graph):
        first = op.run(*case.tensors)
        side.wait_stream(torch.npu.current_stream())
        with torch.npu.stream(side):
            second = other.run(*case.tensors)
        torch.npu.current_stream().wait_stream(side)
    for lens in LENGTHS:
        op.plan(lens)
        other.plan(lens[::-1])
        graph.replay()
        torch.npu.synchronize()
        scale = case.inputs.softmax_scale
        assert torch.equal(first.cpu(), expected(case.tensors, lens, softmax_scale=scale))
        assert torch.equal(second.cpu(), expected(case.tensors, lens[::-1], softmax_scale=scale))


@pytest.mark.parametrize("text", [
    "decode:b2:h8:kv2:d128:bs128:ctx100,300:f16:fulltable:kvint8-token:seed9",
    "decode:b2:h8:kv2:d128:bs128:ctx100,300:bf16:fulltable:kvint8-channel-asym:seed9",
    "decode:b2:h4:kv1:d128:bs64:ctx90,500:f16:fulltable:route-fifo:outf32:seed74",
])  # fmt: skip
def test_other_kernels_replay_too(text):
    case = torch_cases.load(text, "npu:0")
    op = case.make_op().plan([1, 1])
    torch.npu.synchronize()
    graph = torch.npu.NPUGraph()
    with torch.npu.graph(graph):
        out, lse = op.run(*case.tensors, **case.scales, return_lse=True)
    op.plan(case.inputs.context_lens)
    graph.replay()
    torch.npu.synchronize()
    case.check(out, lse)


def test_several_query_tokens_replay():
    case = torch_cases.load("decode:b3:h8:kv2:d64:bs32:ctx40,3,100:bf16:qlen3,1,4:seed7", "npu:0")
    op = case.make_op().plan([3, 1, 4], [3, 1, 4])
    torch.npu.synchronize()
    graph = torch.npu.NPUGraph()
    with torch.npu.graph(graph):
        out, lse = op.run(*case.tensors, return_lse=True)
    op.plan(case.inputs.context_lens, case.inputs.q_lens)
    graph.replay()
    torch.npu.synchronize()
    case.check(out, lse)
    with pytest.raises(RuntimeError, match="has 3 sequences and 3 query rows, but a graph was cap"):
        op.plan([1, 2, 3])


def test_a_plan_that_the_graph_cannot_run_is_refused(case, op):
    graph, out = captured(op, case.tensors, LENGTHS[0])
    for lens in ([5, 6], [1], [7]):
        with pytest.raises(RuntimeError, match=rf"has {len(lens)} sequences .* for 3 sequences"):
            op.plan(lens)
    with pytest.raises(IndexError, match="exceeds what a block_table row holds"):
        op.plan([100000, 1, 1])
    graph.replay()  # with the plan before
    torch.npu.synchronize()
    scale = case.inputs.softmax_scale
    assert torch.equal(out.cpu(), expected(case.tensors, LENGTHS[0], softmax_scale=scale))


def test_planning_in_a_capture_is_refused_with_the_remedy(case, op):
    op.plan(LENGTHS[0])
    lens = torch.tensor(LENGTHS[0])
    torch.npu.synchronize()
    graph = torch.npu.NPUGraph()
    with torch.npu.graph(graph):
        for given in (lens, lens.tolist()):
            with pytest.raises(RuntimeError, match=r"captures a graph: .* capture only run"):
                op.plan(given)
            with pytest.raises(RuntimeError, match="Use DecodeAttention: plan before the capture"):
                paged_attention(*case.tensors, given)
        out = op.run(*case.tensors)
    graph.replay()
    torch.npu.synchronize()
    scale = case.inputs.softmax_scale
    assert torch.equal(out.cpu(), expected(case.tensors, LENGTHS[0], softmax_scale=scale))


def test_a_first_cache_write_in_a_capture_is_refused(case):
    caches = [torch.zeros(3, 16, 1, 128).half().npu() for _ in range(2)]
    row, slot = torch.ones(1, 1, 128).half().npu(), torch.tensor([5]).npu()
    graph = torch.npu.NPUGraph()
    with torch.npu.graph(graph), pytest.raises(RuntimeError, match="once before the capture"):
        reshape_and_cache(row, row, *caches, slot)
    reshape_and_cache(row, row, *caches, slot)
    assert (caches[0].cpu().view(-1, 128)[5] == 1).all()


def test_a_bad_block_id_in_a_replay_is_named(case, op):
    tensors = [t.clone() for t in case.tensors]
    graph, out = captured(op, tensors, LENGTHS[0])
    table = tensors[3].cpu()
    tensors[3].copy_(torch.full_like(table, 9999))
    op.plan([1, 0, 0])
    graph.replay()
    with pytest.raises(IndexError, match=r"block_table\[0\]\[0\] = 9999 is outside"):
        op.synchronize()
    tensors[3].copy_(table)
    op.plan(LENGTHS[0])
    graph.replay()
    torch.npu.synchronize()
    scale = case.inputs.softmax_scale
    assert torch.equal(out.cpu(), expected(tensors, LENGTHS[0], softmax_scale=scale))


def test_a_graph_on_the_second_device():
    case = torch_cases.load(CASE, "npu:1").with_full_table()
    with torch.npu.device(1):
        op = case.make_op()
        graph, out = captured(op, case.tensors, LENGTHS[2])
        for lens in LENGTHS:
            op.plan(lens)
            graph.replay()
            torch.npu.synchronize()
            scale = case.inputs.softmax_scale
            assert torch.equal(out.cpu(), expected(case.tensors, lens, softmax_scale=scale))


def test_the_workspace_stays_where_it_is(case, op):
    address = op.workspace.data_ptr()
    graph, _ = captured(op, case.tensors, LENGTHS[0])
    for _ in range(20):
        op.plan(LENGTHS[1])
        graph.replay()
    torch.npu.synchronize()
    assert op.workspace.data_ptr() == address


def test_an_operator_may_end_during_a_capture(case, op):
    ending, side = case.make_op(), torch.npu.Stream()
    with torch.npu.stream(side):  # so that its memory has two streams to wait for
        ending.plan(LENGTHS[0]).run(*case.tensors)
    op.plan(LENGTHS[0])
    torch.npu.synchronize()
    graph = torch.npu.NPUGraph()
    with torch.npu.graph(graph):
        out = op.run(*case.tensors)
        del ending
        gc.collect()
    graph.replay()
    torch.npu.synchronize()
    scale = case.inputs.softmax_scale
    assert torch.equal(out.cpu(), expected(case.tensors, LENGTHS[0], softmax_scale=scale))


def test_ended_operators_leave_their_workspace_to_others(case):
    for batch in (3, 2, 1):  # most likely at one address
        op = case.make_op()
        query, key_cache, value_cache, table = case.tensors
        graph, _ = captured(op, [query[:batch], key_cache, value_cache, table[:batch]],
                            LENGTHS[0][:batch])  # fmt: skip
        graph.replay()
        torch.npu.synchronize()
        graph.reset()
        del op, graph
        gc.collect()
