# SPDX-License-Identifier: Apache-2.0
"""The operators of PyTorch on CPU tensors, which the virtual NPU computes."""

import doctest
import gc
import inspect
import os
import subprocess
import sys

import ascend_attention.torch
import numpy as np
import pytest
import torch
import torch_cases
from ascend_attention import _torch_cache, _torch_library
from ascend_attention.torch import (
    DecodeAttention,
    length_copies,
    merge_states,
    npu_paged_attention,
    paged_attention,
    reshape_and_cache,
)
from torch._subclasses import FakeTensorMode
from torch.fx.experimental.proxy_tensor import make_fx

ops = torch.ops.ascend_attention

RAGGED = "decode:b5:h8:kv2:d128:bs64:ctx0,1,300,64,700:f16:seed21"
SMALL = "decode:b3:h4:kv2:d64:bs16:ctx5,0,63:f16:seed5"
CASES = [
    RAGGED,
    RAGGED.replace("f16", "bf16"),
    "decode:b3:h16:kv2:d128:bs64:ctx0:f16:seed6",  # nothing but empty sequences
    "decode:b3:h8:kv2:d64:bs32:ctx40,3,100:bf16:qlen3,1,4:seed7",
    "decode:b2:h8:kv2:d128:bs64:ctx90,200:f16:headmajor:seed8",
    "decode:b2:h8:kv2:d128:bs64:ctx90,200:f16:interleaved:seed8",
    "decode:b2:h8:kv2:d128:bs128:ctx100,300:f16:kvint8-channel:seed9",
    "decode:b2:h8:kv2:d128:bs128:ctx100,300:bf16:kvint8-channel-asym:seed9",
    "decode:b2:h8:kv2:d128:bs128:ctx100,300:f16:kvint8-token:seed9",
    "decode:b2:h4:kv1:d128:bs64:ctx90,500:f16:route-fifo:outf32:seed74",
    "decode:b3:h8:kv2:d128:bs64:ctx40,3,900:f16:split128:seed10",
]
OPCHECKS = ("test_schema", "test_autograd_registration", "test_faketensor",
            "test_aot_dispatch_dynamic")  # fmt: skip


@pytest.fixture(scope="module")
def small() -> torch_cases.TorchCase:
    return torch_cases.load(SMALL)


@pytest.fixture(scope="module")
def small_op(small) -> DecodeAttention:
    return small.make_op()


@pytest.mark.parametrize("text", CASES)
def test_plan_and_run_are_within_the_tolerance(text):
    case = torch_cases.load(text)
    case.check(*case.plan_and_run(case.make_op()))


@pytest.mark.parametrize("text", CASES)
def test_one_call_gives_the_same_bits_as_plan_and_run(text):
    case = torch_cases.load(text)
    expected = case.plan_and_run(case.make_op())
    options = {**case.options(), "fixed_split_tokens": case.case.fixed_split_tokens}
    if case.case.fixed_split_tokens:  # one call plans for the largest max_q_len there is
        expected = case.plan_and_run(case.make_op(max_q_len=16))
    lens = case.inputs.context_lens.tolist()
    out, lse = paged_attention(*case.tensors, lens, **options, return_lse=True)
    assert torch.equal(out, expected[0]) and torch.equal(lse, expected[1])
    assert torch.equal(paged_attention(*case.tensors, lens, **options), expected[0])
    given = torch.empty_like(out)
    assert paged_attention(*case.tensors, lens, **options, out=given) is given
    assert torch.equal(given, expected[0])


def test_operators_kept_for_one_call_are_told_apart_by_every_option():
    case = torch_cases.load("decode:b2:h4:kv2:d64:bs16:ctx700,1500:f16:seed6")
    lens = case.inputs.context_lens
    seen = []
    for options in (
        {},
        {"softmax_scale": 0.5},
        {"fixed_split_tokens": 64},
        {"num_cores": 1},
        {"num_cores": 7},
    ):
        for _ in range(2):
            out = paged_attention(*case.tensors, lens, **{**case.options(), **options})
            want = case.make_op(**options).plan(lens).run(*case.tensors)
            assert torch.equal(out, want), options
        seen.append(out)
    for i, out in enumerate(seen):  # or the test could not tell them apart
        assert all(not torch.equal(out, other) for other in seen[:i])


def test_given_results_are_written_and_returned(small, small_op):
    lens = small.inputs.context_lens
    expected = small.plan_and_run(small_op)
    out, lse = torch.full_like(expected[0], 7), torch.full_like(expected[1], 7)
    got = small_op.plan(lens).run(*small.tensors, out=out, lse=lse, return_lse=True)
    assert got[0] is out and got[1] is lse
    assert torch.equal(out, expected[0]) and torch.equal(lse, expected[1])


@pytest.mark.parametrize("make", [list, tuple, np.asarray, torch.tensor,
                                  lambda n: torch.tensor(n, dtype=torch.int32)])  # fmt: skip
def test_lengths_come_in_any_form_and_are_not_copied_from_a_device(small, small_op, make):
    before = length_copies()
    lens = make(small.inputs.context_lens.tolist())
    small.check(small_op.plan(lens).run(*small.tensors), None)
    small.check(paged_attention(*small.tensors, lens, **small.options()), None)
    assert length_copies() == before == 0


def test_the_latest_plan_counts(small, small_op):
    small_op.plan([1, 1, 1])
    small.check(*small.plan_and_run(small_op))
    out = small_op.plan([4]).run(*(small.query[:1], *small.tensors[1:3], small.block_table[:1]))
    assert out.shape == (1, 4, 64)


def test_vendor_argument_order(small):
    out = torch.empty_like(small.query)
    lens = torch.from_numpy(small.inputs.context_lens)
    scale = small.inputs.softmax_scale
    query, key_cache, value_cache, table = small.tensors
    args = (query, key_cache, value_cache, 2, 4, scale, table, lens, out)
    assert npu_paged_attention(*args) is out
    small.check(out, None)
    with pytest.raises(ValueError, match="num_heads is 5, but query has 4"):
        npu_paged_attention(*args[:4], 5, *args[5:])


def test_cache_write_reaches_its_slots_alone():
    generator = torch.Generator().manual_seed(0)
    qkv = torch.randn(4, 3, 2, 64, generator=generator).half()
    pool = torch.randn(6, 2, 16, 2, 64, generator=generator).half()
    before = pool.clone()
    slots = torch.tensor([17, -1, 0, 95])
    reshape_and_cache(qkv[:, 1], qkv[:, 2], pool[:, 0], pool[:, 1], slots)
    expected = before.clone()
    for token, slot in enumerate(slots.tolist()):
        if slot >= 0:
            expected[slot // 16, 0, slot % 16] = qkv[token, 1]
            expected[slot // 16, 1, slot % 16] = qkv[token, 2]
    assert torch.equal(pool, expected)


def test_quantising_cache_write_feeds_decode():
    generator = torch.Generator().manual_seed(1)
    keys, values = (torch.randn(32, 2, 64, generator=generator).half() for _ in range(2))
    caches = [torch.zeros(2, 16, 2, 64, dtype=torch.int8) for _ in range(2)]
    scales = [torch.zeros(2, 2, 16) for _ in range(2)]
    options = {"kv_quant": "int8_token", "key_scale": scales[0], "value_scale": scales[1]}
    reshape_and_cache(keys, values, *caches, torch.arange(32, dtype=torch.int32), **options)
    query = torch.randn(1, 4, 64, generator=generator).half()
    table = torch.tensor([[0, 1]], dtype=torch.int32)
    quantised = paged_attention(query, *caches, table, [32], **options)
    plain = paged_attention(query, keys.view(2, 16, 2, 64), values.view(2, 16, 2, 64), table, [32])
    # Rows of 64 rounded to 1/127 of their largest, averaged over 32 tokens.
    assert (quantised.float() - plain.float()).abs().max() < 0.02


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_merged_halves_are_the_whole(dtype):
    generator = torch.Generator().manual_seed(2)
    outs = torch.randn(3, 2, 4, 64, generator=generator).to(dtype)
    lses = torch.randn(3, 2, 4, generator=generator)
    lses[1, 0] = -torch.inf
    out, lse = merge_states(outs, lses)
    weights = torch.softmax(lses.double(), 0)
    expected = (weights[..., None] * outs.double()).sum(0)
    bound = 3 * torch.finfo(dtype).eps * outs.double().abs().amax()
    assert (out.double() - expected).abs().max() <= bound
    assert torch.allclose(lse.double(), torch.logsumexp(lses.double(), 0), rtol=0, atol=1e-5)
    assert out.dtype == dtype
    given = torch.empty_like(out), torch.empty_like(lse)
    assert merge_states(outs, lses, out=given[0], lse=given[1]) is not None
    assert torch.equal(given[0], out) and torch.equal(given[1], lse)


def test_opcheck_passes(small, small_op):
    query, key_cache, value_cache, _ = small.tensors
    lens = torch.from_numpy(small.inputs.context_lens)
    out, lse = torch.empty_like(query), torch.empty(3, 4)
    small_op.plan(lens)
    key, value = key_cache[0, :3].contiguous(), value_cache[0, :3].contiguous()
    caches = key_cache.clone(), value_cache.clone()
    states = torch.randn(3, 2, 4, 64), torch.randn(3, 2, 4)
    calls = [
        (ops.run_plan.default,
         (*small.tensors, small_op.workspace, small_op.handle, out, lse), {}),
        (ops.paged_attention.default, (*small.tensors, lens), {}),
        (ops.paged_attention.out, (*small.tensors, lens), {"out": out}),
        (ops.paged_attention_lse.default, (*small.tensors, lens), {}),
        (ops.paged_attention_lse.out, (*small.tensors, lens), {"out": out, "lse": lse}),
        (ops.reshape_and_cache.default, (key, value, *caches, torch.tensor([3, -1, 40])), {}),
        (ops.merge_states.default, states, {}),
        (ops.merge_states.out, states, {"out": states[0][0] + 0, "lse": states[1][0] + 0}),
    ]  # fmt: skip
    for operator, args, kwargs in calls:
        results = torch.library.opcheck(operator, args, kwargs, test_utils=OPCHECKS)
        assert results == dict.fromkeys(OPCHECKS, "SUCCESS"), str(operator)


@pytest.mark.parametrize("dynamic", [False, True])
@pytest.mark.parametrize("backend", ["eager", "aot_eager"])
def test_compiles_as_one_graph(backend, dynamic):
    torch._dynamo.reset()
    case = torch_cases.load(SMALL).with_full_table()
    query, key_cache, value_cache, table = case.tensors
    op = case.make_op()

    def layer(query, lens):
        once = paged_attention(query * 2, key_cache, value_cache, table, lens)
        return op.run(query * 2, key_cache, value_cache, table) + once + 1

    compiled = torch.compile(layer, backend=backend, fullgraph=True, dynamic=dynamic)
    for lens in ([5, 0, 63], [1, 64, 2]):  # a new plan needs no new graph
        lens = torch.tensor(lens)
        op.plan(lens)
        assert torch.equal(compiled(query, lens), layer(query, lens))
    torch._dynamo.reset()


def test_an_operator_may_end_while_others_are_traced(small):
    endings = [small.make_op() for _ in range(2)]

    def program(x):
        endings.pop()
        gc.collect()
        return x + 1

    with FakeTensorMode():
        program(torch.ones(3))
    graph = make_fx(program)(torch.ones(3))
    assert not endings
    assert "ascend_attention" not in str(graph.graph)


def test_inputs_that_require_a_gradient_give_results_without(small, small_op):
    query = small.query.clone().requires_grad_()
    small_op.plan(small.inputs.context_lens)
    assert not small_op.run(query, *small.tensors[1:]).requires_grad


@pytest.mark.parametrize("module", [_torch_cache, ascend_attention.torch])
def test_examples_give_what_they_show(module):
    report = doctest.testmod(module, extraglobs={"torch": torch})
    assert report.attempted > 0 and report.failed == 0


@pytest.mark.parametrize("name", ascend_attention.torch.__all__)
def test_public_names_explain_every_argument(name):
    public = getattr(ascend_attention.torch, name)
    methods = [getattr(public, m) for m in ("plan", "run")] if inspect.isclass(public) else []
    for function in (public, *methods):
        text = inspect.getdoc(function) or ""
        assert text.split("\n")[0].endswith(".")
        for argument in inspect.signature(function).parameters:
            assert argument == "self" or f"\n    {argument}: " in text, argument


def test_importing_the_package_alone_leaves_torch_out():
    code = "import sys, ascend_attention; sys.exit('torch' in sys.modules)"
    path = os.pathsep.join(sys.path)
    subprocess.run([sys.executable, "-c", code], check=True, env={"PYTHONPATH": path})


def test_no_path_to_the_library_is_an_import_error(monkeypatch):
    monkeypatch.setattr(_torch_library, "LIBRARY", _torch_library.LIBRARY.with_name("absent.so"))
    with pytest.raises(ImportError, match=r"absent\.so is not installed: .* there was no PyTorch"):
        _torch_library._load()
    monkeypatch.setattr(torch, "__version__", "2.9.1")
    with pytest.raises(ImportError, match=r"needs PyTorch 2\.10 or later; this is 2\.9\.1"):
        _torch_library._load()
