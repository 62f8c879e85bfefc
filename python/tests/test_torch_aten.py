# SPDX-License-Identifier: Apache-2.0
"""Operators of PyTorch on the virtual NPU: refused, and with enable_aten() done by the CPU."""

import logging
import re
import subprocess
import sys

import pytest
from ascend_attention import vnpu
from ascend_attention.vnpu import _activate

vnpu.activate(devices=2)

import torch  # noqa: E402 - after the virtual NPU took the place of CANN
import torch_cases  # noqa: E402
import torch_npu  # noqa: E402, F401
from ascend_attention import torch as aa  # noqa: E402
from torch.nn import functional  # noqa: E402

CASE = "decode:b3:h4:kv2:d64:bs16:ctx5,0,63:f16:fulltable:seed5"

# What a test or an example of attention may want, on a [4, 6] and b [6, 5] float32, i [3] int64.
OPERATORS = {
    "add": lambda a, b, i: a + 1.5,
    "matmul": lambda a, b, i: a @ b,
    "bmm": lambda a, b, i: torch.bmm(a[None], b[None]),
    "einsum": lambda a, b, i: torch.einsum("ij,jk->ki", a, b),
    "linear": lambda a, b, i: functional.linear(a, b.t()),
    "softmax": lambda a, b, i: a.softmax(-1),
    "logsumexp": lambda a, b, i: torch.logsumexp(a, 0),
    "sum": lambda a, b, i: a.sum() + a.sum(0),
    "mean": lambda a, b, i: a.mean(-1, keepdim=True),
    "max": lambda a, b, i: a.max(dim=1),
    "argmax": lambda a, b, i: a.argmax(-1),
    "topk": lambda a, b, i: torch.topk(a, 3),
    "sort": lambda a, b, i: a.sort(descending=True),
    "half": lambda a, b, i: a.half(),
    "bfloat16 and back": lambda a, b, i: a.bfloat16().float(),
    "double": lambda a, b, i: a.double().exp(),
    "contiguous": lambda a, b, i: a.t().contiguous(),
    "reshape of a view": lambda a, b, i: a.t().reshape(3, 8),
    "index": lambda a, b, i: a[i],
    "index by two": lambda a, b, i: a[i, i],
    "mask": lambda a, b, i: a[a > 0],
    "gather": lambda a, b, i: a.gather(0, i[None].expand(2, 3)),
    "index_select": lambda a, b, i: a.index_select(1, i),
    "embedding": lambda a, b, i: functional.embedding(i, a),
    "cat": lambda a, b, i: torch.cat([a, b.t()[:, :6]]),
    "stack": lambda a, b, i: torch.stack([a, a * 2], 1),
    "where": lambda a, b, i: torch.where(a > 0, a, 0.0),
    "masked_fill": lambda a, b, i: a.masked_fill(a > 0, -torch.inf),
    "tril": lambda a, b, i: torch.tril(a),
    "isclose": lambda a, b, i: torch.isclose(a, a + 1e-9),
    "nan": lambda a, b, i: (a / 0).isnan().any(),
    "rms_norm": lambda a, b, i: functional.rms_norm(a, (6,)),
    "layer_norm": lambda a, b, i: functional.layer_norm(a, (6,)),
    "silu": lambda a, b, i: functional.silu(a),
    "repeat_interleave": lambda a, b, i: a.repeat_interleave(2, 0),
    "attention": lambda a, b, i: functional.scaled_dot_product_attention(a[None], a[None], a[None]),
    "cumsum": lambda a, b, i: i.cumsum(0),
    "outer": lambda a, b, i: torch.outer(a[0], b[0]).cos(),
    "zeros_like": lambda a, b, i: torch.zeros_like(a) + torch.ones_like(a),
    "new_full": lambda a, b, i: a.new_full((2, 2), 3.0),
}
IN_PLACE = {
    "add_": lambda a, i: a.add_(1),
    "row": lambda a, i: a[1].mul_(3),
    "column": lambda a, i: a[:, 2].fill_(7),
    "setitem": lambda a, i: a.__setitem__(0, 9),
    "index_put_": lambda a, i: a.__setitem__(i, 4.0),
    "zero_": lambda a, i: a.zero_(),
    "copy_ of another dtype": lambda a, i: a.copy_(torch.arange(24).view(4, 6)),
    "copy_ of a transpose": lambda a, i: a.copy_(torch.arange(24.0).view(6, 4).t()),
    "transpose_": lambda a, i: a.t_(),
    "index_add_": lambda a, i: a.index_add_(0, i, a[:3].clone()),
}


@pytest.fixture(scope="module")
def first_messages() -> list[str]:
    """Enables the fallback, computes twice, returns what was logged."""
    records: list[logging.LogRecord] = []
    handler = logging.Handler()
    handler.emit = records.append
    logger = logging.getLogger("ascend_attention.vnpu")
    logger.addHandler(handler)
    vnpu.enable_aten()
    vnpu.enable_aten()
    one = torch.ones(2, device="npu")
    print(one + one)
    logger.removeHandler(handler)
    return [record.getMessage() for record in records if record.levelno >= logging.WARNING]


@pytest.fixture
def aten(first_messages) -> None:
    """For tests that compute on NPU tensors."""


@pytest.fixture
def on_cpu() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(3)
    a, b = torch.randn(4, 6, generator=generator), torch.randn(6, 5, generator=generator)
    return a, b, torch.tensor([2, 0, 3])


def same(got, expected) -> bool:
    if isinstance(expected, (tuple, list)):
        return all(same(*pair) for pair in zip(got, expected, strict=True))
    assert got.device.type == "npu" and got.dtype == expected.dtype
    assert got.stride() == expected.stride()
    return torch.equal(got.cpu(), expected)


# First in this file: from enable_aten() on, there is nothing to refuse.
def test_an_operator_is_refused_with_what_to_do():
    x = torch.arange(4.0).npu()
    with pytest.raises(RuntimeError, match=r"Add .*ascend_attention\.vnpu\.enable_aten\(\)"):
        x + 1
    torch.npu.synchronize()
    assert x.cpu().tolist() == [0, 1, 2, 3]


def test_refusals_of_enable_aten(monkeypatch):
    program = "from ascend_attention import vnpu; vnpu.enable_aten()"
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert result.returncode == 1
    assert "RuntimeError: the virtual NPU is not active: call " in result.stderr
    monkeypatch.setattr(_activate, "_loaded", lambda: object())  # without vnpu_abi_version
    with pytest.raises(RuntimeError, match="NPU of this process is a real one"):
        vnpu.enable_aten()


def test_what_computes_is_said_once(first_messages):
    assert len(first_messages) == 1
    assert re.match(r"aten::\w+.* runs on the CPU, as every operator of aten", first_messages[0])


@pytest.mark.parametrize("name", OPERATORS)
def test_operators_give_the_bits_of_the_cpu(aten, on_cpu, name):
    operator = OPERATORS[name]
    assert same(operator(*(x.npu() for x in on_cpu)), operator(*on_cpu))


@pytest.mark.parametrize("name", IN_PLACE)
def test_operators_in_place_write_the_tensor_itself(aten, on_cpu, name):
    expected, _, index = on_cpu
    pool = torch.zeros(2, 4, 6).npu()
    pool[1] = expected.npu()
    tensor = pool[1]
    IN_PLACE[name](tensor, index.npu())
    IN_PLACE[name](expected, index)
    assert same(tensor, expected)
    assert (pool[0].cpu() == 0).all()
    assert torch.equal(pool[1].cpu().flatten().sort()[0], expected.flatten().sort()[0])


def test_new_tensors(aten):
    made = {
        "arange": torch.arange(2, 7, device="npu"),
        "zeros": torch.zeros(2, 3, device="npu", dtype=torch.float16),
        "full": torch.full((2,), 5, device="npu"),
        "eye": torch.eye(3, device="npu"),
        "linspace": torch.linspace(0, 1, 5, device="npu"),
    }
    assert made["arange"].tolist() == [2, 3, 4, 5, 6]
    assert made["zeros"].dtype == torch.float16 and not made["zeros"].any()
    assert made["full"].tolist() == [5, 5]
    assert made["eye"].sum().item() == 3
    assert made["linspace"][1].item() == 0.25
    assert all(tensor.device == torch.device("npu:0") for tensor in made.values())
    torch.manual_seed(5)
    random = torch.randn(64, device="npu")
    torch.manual_seed(5)
    assert torch.equal(random.cpu(), torch.randn(64))
    with pytest.raises(NotImplementedError, match="generator on npu"):
        torch.rand(2, device="npu", generator=torch.Generator("npu"))


def test_out_tensors_are_written_and_sized(aten, on_cpu):
    a, b = (x.npu() for x in on_cpu[:2])
    given = torch.empty(4, 5, device="npu")
    assert torch.mm(a, b, out=given) is given and torch.equal(given, a @ b)
    empty = torch.empty(0, device="npu")
    torch.mul(a, 2, out=empty)
    assert same(empty, on_cpu[0] * 2)


def test_text_comparison_and_gradients(aten):
    x = torch.tensor([1.5, torch.nan]).npu()
    assert str(x) == "tensor([1.5000,    nan], device='npu:0')"
    assert torch.allclose(x, x + 1e-7, equal_nan=True) and not torch.allclose(x, x + 1)
    weight = torch.nn.Parameter(torch.ones(3, 2, device="npu"))
    functional.linear(torch.arange(2.0).npu(), weight).square().sum().backward()
    assert weight.grad.tolist() == [[0, 2]] * 3


def test_devices_and_copies_between_them(aten):
    x = torch.arange(6.0).view(2, 3).to("npu:1")
    assert (x + 1).device == torch.device("npu:1")
    assert same(x.t().to("npu:0"), torch.arange(6.0).view(2, 3).t())
    assert x.t().half().cpu().tolist() == [[0, 3], [1, 4], [2, 5]]
    assert torch.arange(2, device="npu:1").device == torch.device("npu:1")


def test_operators_follow_kernels_that_are_under_way(aten):
    case = torch_cases.load(CASE, "npu")
    op, side = case.make_op(), torch.npu.Stream()
    with torch.npu.stream(side):
        out = op.plan(case.inputs.context_lens).run(*case.tensors)
    doubled = out * 2  # on another stream: waits for the whole device
    with torch.npu.stream(side):
        case.check(out, None)
    assert torch.equal(doubled.cpu(), out.cpu() * 2)


def test_capture_takes_dense_copies_and_refuses_the_rest(aten):
    source, target = torch.arange(4.0).npu(), torch.zeros(4).npu()
    graph = torch.npu.NPUGraph()
    with torch.npu.graph(graph):
        target.copy_(source)
    source.fill_(3)
    graph.replay()
    assert target.tolist() == [3, 3, 3, 3]
    refused = pytest.raises(RuntimeError, match=r"aten::add\.Tensor runs on the CPU .* captured")
    with refused, torch.npu.graph(torch.npu.NPUGraph()):
        source + 1
    assert (source + 1).tolist() == [4, 4, 4, 4]


def test_opcheck_on_npu_tensors(aten):
    case = torch_cases.load(CASE, "npu")
    lens = torch.from_numpy(case.inputs.context_lens).npu()
    ops = torch.ops.ascend_attention
    torch.library.opcheck(ops.paged_attention.default, (*case.tensors, lens))
    torch.library.opcheck(
        ops.paged_attention.out, (*case.tensors, lens), {"out": torch.empty_like(case.query)}
    )
    outs, lses = torch.randn(2, 3, 4, 64).npu(), torch.randn(2, 3, 4).npu()
    torch.library.opcheck(ops.merge_states.default, (outs, lses))
    op = case.make_op().plan(case.inputs.context_lens)
    out = torch.zeros_like(case.query)
    torch.library.opcheck(ops.run_plan.default, (*case.tensors, op.workspace, op.handle, out))


def test_attention_against_softmax_on_the_npu(aten):
    query = torch.randn(1, 4, 64).half().npu()
    keys, values = (torch.randn(2, 16, 2, 64).half().npu() for _ in range(2))
    table = torch.tensor([[1, 0]], dtype=torch.int32).npu()
    out = aa.paged_attention(query, keys, values, table, [20])
    k, v = (cache[[1, 0]].reshape(32, 2, 64)[:20].float() for cache in (keys, values))
    k, v = (x.repeat_interleave(2, 1) for x in (k, v))
    scores = torch.einsum("hd,thd->ht", query[0].float(), k) / 8
    expected = torch.einsum("ht,thd->hd", scores.softmax(-1), v)
    assert torch.allclose(out[0].float(), expected, atol=2e-3)


@pytest.mark.parametrize("shape", [(0,), (2, 3), (5, 7), (1,)])
def test_out_takes_the_shape_of_the_result(shape):
    out = torch.full(shape, 9.0, device="npu")
    a = torch.arange(6.0).view(2, 3)
    torch.add(a.npu(), a.npu(), out=out)
    assert out.shape == (2, 3)
    assert torch.equal(out.cpu(), 2 * a)


def test_out_may_have_gaps_and_be_an_input():
    a = torch.arange(6.0).view(2, 3)
    wide = torch.zeros(2, 6).npu()
    torch.add(a.npu(), a.npu(), out=wide[:, ::2])
    assert torch.equal(wide.cpu()[:, ::2], 2 * a)
    b = a.npu()
    torch.mul(b, b, out=b)
    assert torch.equal(b.cpu(), a * a)


def test_tensors_of_two_devices_are_refused_but_numbers_are_not():
    a = torch.arange(3.0)
    for call in (lambda: a.npu() + a, lambda: torch.cat([a.npu(), a]), lambda: a.add_(a.npu())):
        with pytest.raises(RuntimeError, match="expected all on one device"):
            call()
    assert torch.equal((a.npu() + torch.tensor(2.0)).cpu(), a + 2)
    assert torch.equal(a.npu()[torch.tensor([2, 0])].cpu(), a[[2, 0]])
