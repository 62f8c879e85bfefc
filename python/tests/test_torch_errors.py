# SPDX-License-Identifier: Apache-2.0
"""Every argument of the operators wrong once: a Python exception that names it, nothing written."""

import copy
import os
import pickle
import re
import subprocess
import sys

import numpy as np
import pytest
import torch
import torch_cases
from ascend_attention.torch import (
    DecodeAttention,
    merge_states,
    npu_paged_attention,
    paged_attention,
    reshape_and_cache,
)

ops = torch.ops.ascend_attention

CASE = "decode:b3:h4:kv2:d64:bs16:ctx5,0,63:f16:fulltable:seed5"
INT8_CASE = "decode:b2:h8:kv2:d128:bs128:ctx100,300:f16:kvint8-channel-asym:seed9"


@pytest.fixture(scope="module")
def case() -> torch_cases.TorchCase:
    return torch_cases.load(CASE)


@pytest.fixture(scope="module")
def op(case) -> DecodeAttention:
    return case.make_op().plan([5, 0, 63])


def call(case: torch_cases.TorchCase, **wrong) -> dict[str, object]:
    names = ("query", "key_cache", "value_cache", "block_table")
    return {**dict(zip(names, case.tensors, strict=True)), **case.scales, **wrong}


def freed(tensor: torch.Tensor) -> torch.Tensor:
    tensor = tensor.clone()
    tensor.untyped_storage().resize_(0)
    return tensor


# Argument -> what is done to a good one, and what the message says of it.
WRONG = {
    "query": [
        (lambda t: t.float(), "query has dtype torch.float32; expected torch.float16"),
        (lambda t: t[:2], r"query has shape \(2, 4, 64\); expected \(3, 4, 64\) = "),
        (lambda t: t[0], r"query has shape \(4, 64\); expected \(3, 4, 64\)"),
        (lambda t: t.transpose(0, 1).contiguous().transpose(0, 1), r"use query\.contiguous\(\)"),
        (freed, "query needs 1536 bytes, but its storage has 0: it was freed"),
    ],
    "key_cache": [
        (lambda t: t.bfloat16(), "key_cache has dtype torch.bfloat16; expected torch.float16"),
        (lambda t: t[1:], "key_cache has shape"),
        (lambda t: t[:, :, :1].expand(-1, -1, 2, -1), "key_cache has strides"),
        (freed, "key_cache needs .* it was freed or resized"),
    ],
    "value_cache": [
        (lambda t: t.to(torch.int8), "value_cache has dtype torch.int8; expected torch.float16"),
        (lambda t: t.transpose(1, 2), "value_cache has shape"),
        (lambda t: torch.cat([t, t])[::2], r"value_cache has strides .* = \(2048, 128, 64\)"),
        (freed, "value_cache needs .* it was freed or resized"),
    ],
    "block_table": [
        (lambda t: t.long(), "block_table has dtype torch.int64; expected torch.int32"),
        (lambda t: t[:2], r"block_table has shape \(2, 4\); expected \(3, 4\)"),
        (lambda t: torch.cat([t, t], 1)[:, ::2], "block_table has strides"),
        (freed, "block_table needs 48 bytes"),
    ],
}


@pytest.mark.parametrize(
    ("name", "which"), [(n, i) for n, w in WRONG.items() for i in range(len(w))]
)
def test_wrong_input_of_run(case, op, name, which):
    spoil, message = WRONG[name][which]
    out = torch.full_like(case.query, 7)
    arguments = call(case)
    arguments[name] = spoil(arguments[name])
    with pytest.raises(ValueError, match=message):
        op.run(**arguments, out=out)
    assert (out == 7).all()
    assert op.run(**call(case)).isfinite().all()


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"out": lambda q: q.float()}, "out has dtype torch.float32; expected torch.float16"),
        ({"out": lambda q: q[:2].clone()}, r"out has shape \(2, 4, 64\)"),
        ({"out": lambda q: q.clone().repeat(1, 1, 2)[..., ::2]}, "out has strides"),
        ({"lse": lambda q: q[..., 0].clone()}, "lse has dtype torch.float16; expected"),
        ({"lse": lambda q: torch.zeros(3, 5)}, r"lse has shape \(3, 5\); expected \(3, 4\)"),
        ({"key_scale": lambda q: torch.zeros(2, 64)}, "key_scale is given; kv_quant none"),
        ({"value_offset": lambda q: torch.zeros(2, 64)}, "value_offset is given; kv_quant none"),
    ],
)
def test_wrong_result_or_scale_of_run(case, op, wrong, message):
    ((name, make),) = wrong.items()
    with pytest.raises(ValueError, match=message):
        op.run(**call(case), **{name: make(case.query)}, return_lse=name == "lse")


@pytest.mark.parametrize("name", ["key_scale", "key_offset", "value_scale", "value_offset"])
def test_wrong_scale_of_an_int8_cache(name):
    case = torch_cases.load(INT8_CASE)
    op = case.make_op().plan(case.inputs.context_lens)
    good = case.scales[name]
    for bad, message in [
        (None, f"{name} is None; kv_quant int8_channel_asym needs it"),
        (good.half(), f"{name} has dtype torch.float16; expected torch.float32"),
        (good[:1], rf"{name} has shape \(1, 128\); expected \(2, 128\)"),
    ]:
        with pytest.raises(ValueError, match=message):
            op.run(**call(case, **{name: bad}))
    case.check(op.run(**call(case)), None)


@pytest.mark.parametrize(
    ("lens", "q_lens", "error", "message"),
    [
        ([5, -1, 3], None, ValueError, r"context_lens\[1\] = -1"),
        ([5, 65, 3], None, IndexError, r"context_lens\[1\] = 65 exceeds what a block_table row"),
        ([5, 2**40, 3], None, IndexError, rf"context_lens\[1\] = {2**40}; expected at most 64$"),
        ([], None, ValueError, "context_lens is empty|batch"),
        ([1, 2, 3, 4], None, ValueError, "4"),
        ([[1, 2, 3]], None, ValueError, r"context_lens has shape \(1, 3\); expected \[batch\]"),
        ([1.5, 2, 3], None, ValueError, "context_lens has dtype float64; expected integers"),
        (torch.zeros(3), None, ValueError, "context_lens has dtype torch.float32; allowed: torch"),
        (
            torch.zeros(3, 1, dtype=torch.int64),
            None,
            ValueError,
            r"context_lens has shape \(3, 1\)",
        ),
        ([5, 6, 7], [1, 1], ValueError, "q_lens has 2 "),
        ([5, 6, 7], [1, 2, 1], ValueError, r"q_lens\[1\] = 2"),
        ([5, 6, 7], [1, 0, 1], ValueError, r"q_lens\[1\] = 0"),
    ],
)
def test_wrong_lengths(case, op, lens, q_lens, error, message):
    with pytest.raises(error, match=message):
        op.plan(lens, q_lens)
    assert op.plan([5, 0, 63]).run(**call(case)).isfinite().all()


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"num_heads": 5}, ValueError, "num_heads"),
        ({"head_dim": 60}, NotImplementedError, "head_dim = 60 has no kernel; nearest supported"),
        ({"kv_block_size": 20}, NotImplementedError, "kv_block_size"),
        ({"batch": 0}, ValueError, "batch"),
        ({"batch": 2.5}, TypeError, "batch is 2.5; expected an integer"),
        ({"dtype": torch.float32}, ValueError, "dtype has dtype torch.float32; allowed"),
        ({"dtype": "float16"}, TypeError, "dtype is 'float16'; expected torch.float16"),
        ({"out_dtype": torch.int8}, ValueError, "out_dtype is torch.int8; allowed"),
        ({"out_dtype": torch.float32}, NotImplementedError, "out"),
        ({"max_q_len": 17}, NotImplementedError, "max_q_len"),
        ({"kv_quant": "int4"}, ValueError, "kv_quant is 'int4'; allowed: none, int8_channel"),
        ({"kv_route": "limbs"}, NotImplementedError, "kv_route = limbs has no kernel"),
        ({"kv_layout": "rows"}, ValueError, "kv_layout is 'rows'; allowed"),
        ({"kv_strides": (1, 2)}, TypeError, "kv_strides"),
        ({"kv_strides": (10, 64, 64)}, ValueError, "kv_strides"),
        ({"fixed_split_tokens": 65}, ValueError, "fixed_split_tokens"),
        ({"num_cores": 1000}, ValueError, "num_cores = 1000 exceeds the 24 cores"),
        ({"num_cores": 0}, ValueError, "num_cores is 0; allowed"),
        ({"softmax_scale": float("nan")}, ValueError, "softmax_scale is nan"),
        ({"device": "cuda"}, ValueError, "device is cuda; allowed: npu, cpu"),
    ],
)
def test_wrong_shape(case, options, error, message):
    with pytest.raises(error, match=message):
        case.make_op(**options)


@pytest.mark.parametrize("name", ["query", "key_cache", "value_cache", "block_table"])
def test_what_is_no_tensor_or_has_no_data(case, op, name):
    for wrong, error, message in [
        ([1], (TypeError, RuntimeError), f"{name}"),
        (None, (TypeError, ValueError), f"{name} is "),
        (call(case)[name].to("meta"), ValueError, "has data, but another tensor is on the meta"),
    ]:
        arguments = call(case, **{name: wrong})
        with pytest.raises(error, match=message):
            op.run(**arguments, out=torch.empty_like(case.query))
        with pytest.raises(error, match=message):
            paged_attention(**arguments, context_lens=[5, 0, 63])


def test_run_without_a_plan(case):
    with pytest.raises(RuntimeError, match="run needs a plan: call plan"):
        case.make_op().run(**call(case))


def test_a_bad_block_id_is_named_and_the_operator_stays_usable(case, op):
    table = case.block_table.clone()
    table[2, 3] = 99
    with pytest.raises(IndexError, match=r"block_table\[2\]\[3\] = 99 is outside \[0, "):
        op.run(**call(case, block_table=table))
    case.check(op.run(**call(case)), None)


@pytest.mark.parametrize(
    ("wrong", "error", "message"),
    [
        ({"context_lens": [5, 0]}, ValueError, "context_lens has 2 lengths; expected batch 3"),
        ({"softmax_scale": 1e60}, ValueError, "softmax_scale is"),
        ({"kv_quant": "int4"}, ValueError, "kv_quant is 'int4'"),
        ({"kv_route": "fastest"}, ValueError, "kv_route is 'fastest'"),
        ({"kv_layout": "rows"}, ValueError, "kv_layout is 'rows'"),
        ({"num_cores": 0}, ValueError, "num_cores is 0"),
        ({"fixed_split_tokens": 65}, ValueError, "fixed_split_tokens"),
        ({"out_dtype": torch.int8}, ValueError, "out_dtype is torch.int8"),
        ({"q_lens": [1, 1]}, ValueError, "q_lens has 2 numbers; expected 3"),
        ({"q_lens": [1, 17, 1]}, NotImplementedError, "max_q_len"),
        ({"query": torch.zeros(3, 4, dtype=torch.half)}, ValueError, "query has shape .* rank 3"),
        ({"key_cache": torch.zeros(3, 4, dtype=torch.half)}, ValueError, "key_cache has shape"),
        ({"block_table": torch.zeros(3, dtype=torch.int32)}, ValueError, "block_table has shape"),
        ({"key_scale": torch.zeros(2, 64)}, ValueError, "key_scale is given"),
        ({"out": torch.zeros(3, 4, 64)}, NotImplementedError, "out"),
    ],
)
def test_wrong_argument_of_one_call(case, wrong, error, message):
    arguments = call(case, context_lens=[5, 0, 63])
    with pytest.raises(error, match=message):
        paged_attention(**{**arguments, **wrong})


@pytest.mark.parametrize(
    ("wrong", "error", "message"),
    [
        ({"key": torch.zeros(2, 2, 64)}, ValueError, "key has dtype torch.float32; allowed"),
        ({"key": torch.zeros(2, 128).half()}, ValueError, "key has shape .* rank 3"),
        ({"value": torch.zeros(3, 2, 64).half()}, ValueError, r"value has shape \(3, 2, 64\)"),
        ({"value": torch.zeros(2, 64, 2).half().mT}, ValueError, "value has strides"),
        ({"key_cache": torch.zeros(4, 16, 2, 64)}, ValueError, "key_cache has dtype"),
        ({"value_cache": torch.zeros(3, 16, 2, 64).half()}, ValueError, "value_cache has shape"),
        ({"slot_mapping": torch.zeros(2)}, ValueError, "slot_mapping has dtype torch.float32"),
        ({"slot_mapping": torch.zeros(3).long()}, ValueError, r"slot_mapping has shape \(3,\)"),
        ({"slot_mapping": torch.tensor([3, 64])}, IndexError, r"slot_mapping\[1\] = 64 is outside"),
        ({"slot_mapping": torch.tensor([3, 3])}, ValueError, "are both 3; expected a slot once"),
        ({"kv_quant": "int8_token"}, ValueError, "key_cache has dtype"),
        ({"kv_layout": "head_major"}, ValueError, "has shape"),
        ({"value_scale": torch.zeros(2, 64)}, ValueError, "value_scale is given"),
    ],
)
def test_wrong_argument_of_the_cache_write(wrong, error, message):
    caches = [torch.zeros(4, 16, 2, 64).half() for _ in range(2)]
    arguments = {
        "key": torch.ones(2, 2, 64).half(),
        "value": torch.ones(2, 2, 64).half(),
        "key_cache": caches[0],
        "value_cache": caches[1],
        "slot_mapping": torch.tensor([3, 5]),
    }
    with pytest.raises(error, match=message):
        reshape_and_cache(**{**arguments, **wrong})
    assert not any(cache.any() for cache in caches)
    reshape_and_cache(**arguments)


def test_a_cache_that_is_both_caches():
    cache = torch.zeros(4, 16, 2, 64).half()
    row = torch.ones(1, 2, 64).half()
    with pytest.raises(ValueError, match=r"value_cache = \w+ is key_cache"):
        reshape_and_cache(row, row, cache, cache, torch.tensor([3]))
    assert not cache.any()


@pytest.mark.parametrize(
    ("wrong", "error", "message"),
    [
        ({"outs": torch.zeros(2, 3, 4, 64).double()}, ValueError, "outs has dtype torch.float64"),
        ({"outs": torch.zeros(2, 3, 64)}, ValueError, "outs has shape .* rank 4"),
        ({"outs": torch.zeros(0, 3, 4, 64)}, ValueError, "expected at least one part"),
        ({"outs": torch.zeros(2, 3, 64, 4).mT}, ValueError, "outs has strides"),
        ({"outs": torch.zeros(2, 3, 4, 20)}, NotImplementedError, "head_dim = 20 has no kernel"),
        ({"lses": torch.zeros(2, 3, 4).half()}, ValueError, "lses has dtype torch.float16"),
        ({"lses": torch.zeros(3, 3, 4)}, ValueError, r"lses has shape \(3, 3, 4\)"),
        ({"out": torch.zeros(3, 4, 64).half()}, ValueError, "out has dtype torch.float16"),
        ({"out": torch.zeros(3, 5, 64)}, ValueError, r"out has shape \(3, 5, 64\)"),
        ({"lse": torch.zeros(3, 4).half()}, ValueError, "lse has dtype torch.float16"),
        ({"lse": torch.zeros(4, 3).mT}, ValueError, "lse has strides"),
    ],
)
def test_wrong_argument_of_the_merge(wrong, error, message):
    good = {"outs": torch.zeros(2, 3, 4, 64), "lses": torch.zeros(2, 3, 4)}
    with pytest.raises(error, match=message):
        merge_states(**{**good, **wrong})


def test_a_handle_without_an_operator(case, op):
    out = torch.empty_like(case.query)
    for handle in (0, -1, op.handle + 1000):
        with pytest.raises(ValueError, match=f"plan = {handle} is no handle of a living"):
            ops.run_plan(*case.tensors, op.workspace, handle, out)
    gone = case.make_op().plan([5, 0, 63])
    handle, workspace = gone.handle, gone.workspace
    del gone
    with pytest.raises(ValueError, match="is no handle of a living DecodeAttention"):
        ops.run_plan(*case.tensors, workspace, handle, out)


@pytest.mark.parametrize(
    ("workspace", "message"),
    [
        (torch.zeros(64, dtype=torch.uint8), "workspace has 64 bytes; expected at least"),
        (torch.zeros(1 << 24), "workspace has dtype torch.float32; expected torch.uint8"),
        (torch.zeros(2, 1 << 24, dtype=torch.uint8), r"workspace has shape \(2, 16777216\)"),
    ],
)
def test_wrong_workspace(op, workspace, message):
    with pytest.raises(ValueError, match=message):
        ops._plan(op.handle, workspace, torch.tensor([1]), None)


@pytest.mark.parametrize("duplicate", [copy.copy, copy.deepcopy, pickle.dumps])
def test_operators_are_not_copied(case, op, duplicate):
    with pytest.raises(TypeError, match="a DecodeAttention cannot be copied or pickled"):
        duplicate(op)
    assert op.plan([5, 0, 63]).run(**call(case)).isfinite().all()


@pytest.mark.parametrize(
    "name",
    ["query", "key_cache", "value_cache", "block_table", "out", "lse",
     "key_scale", "key_offset", "value_scale", "value_offset"],
)  # fmt: skip
def test_no_tensor_is_named_without_its_contents(case, op, name):
    wrong = np.full((3, 4, 64), 7654321)
    message = rf"^{name} is a ndarray; expected a torch\.Tensor( or None)?$"
    with pytest.raises(TypeError, match=message):
        op.run(**call(case, **{name: wrong}))
    with pytest.raises(TypeError, match=message):
        paged_attention(**call(case, **{name: wrong}), context_lens=[5, 0, 63])
    if name in ("query", "key_cache", "value_cache", "block_table"):
        with pytest.raises(TypeError, match=f"{name} is a NoneType; expected a torch.Tensor$"):
            op.run(**call(case, **{name: None}))


@pytest.mark.parametrize(
    ("name", "wrong", "kind"),
    [("query", np.zeros((3, 4, 64)), "ndarray"), ("out", None, "NoneType"),
     ("key_cache", [], "list"),
     ("value_cache", 1, "int"), ("block_table", [[1]], "list")],
)  # fmt: skip
def test_no_tensor_in_the_vendor_order(case, name, wrong, kind):
    given = dict(call(case), num_kv_heads=2, num_heads=4, scale_value=0.125,
                 context_lens=torch.tensor([5, 0, 63]),
                 out=torch.empty_like(case.query))  # fmt: skip
    with pytest.raises(TypeError, match=f"^{name} is a {kind}; expected a torch.Tensor"):
        npu_paged_attention(**{**given, name: wrong})


@pytest.mark.parametrize("name", ["key", "value", "key_cache", "value_cache", "slot_mapping"])
def test_no_tensor_in_a_cache_write(name):
    cache = torch.zeros(2, 16, 1, 64, dtype=torch.half)
    row = torch.ones(1, 1, 64, dtype=torch.half)
    given = {"key": row, "value": row, "key_cache": cache, "value_cache": cache.clone(),
             "slot_mapping": torch.tensor([3])}  # fmt: skip
    with pytest.raises(TypeError, match=f"^{name} is a list; expected a torch.Tensor$"):
        reshape_and_cache(**{**given, name: [1, 2]})
    assert not given["key_cache"].any() if name != "key_cache" else True


@pytest.mark.parametrize("lens", [None, [[1, 2], [3]], [torch.zeros(1, 2), 3]])
def test_lengths_that_are_no_numbers(op, lens):
    with pytest.raises(TypeError, match=r"^context_lens is (None|a list that is no array)"):
        op.plan(lens)


def test_parts_in_lists_are_stacked():
    outs = [torch.full((2, 3, 16), float(i)) for i in range(3)]
    lses = [torch.full((2, 3), float(i)) for i in range(3)]
    want = merge_states(torch.stack(outs), torch.stack(lses))
    for got in (merge_states(outs, lses), merge_states(tuple(outs), torch.stack(lses))):
        assert all(torch.equal(a, b) for a, b in zip(got, want, strict=True))


@pytest.mark.parametrize(
    ("outs", "lses", "error", "message"),
    [
        ([], [], ValueError, "outs has no part; expected at least one"),
        ([torch.zeros(2, 3, 16), 5.5], None, TypeError, "outs[1] is a float; expected a torch.T"),
        ([torch.zeros(2, 3, 16), torch.zeros(1, 3, 16)], None, ValueError,
         "outs[1] is torch.float32 of shape (1, 3, 16) on cpu; expected torch.float32 of shape"),
        (torch.zeros(2, 2, 3, 16), np.zeros((2, 2, 3)), TypeError, "lses is a ndarray; expected a"),
        (torch.zeros(2, 2, 3, 16), [torch.zeros(2, 3).half()] * 2, ValueError, "lses has dtype"),
    ],
)  # fmt: skip
def test_wrong_parts(outs, lses, error, message):
    with pytest.raises(error, match="^" + re.escape(message)):
        merge_states(outs, lses)


def test_an_npu_without_torch_npu_names_the_remedy():
    program = """
from ascend_attention.torch import DecodeAttention
sizes = dict.fromkeys(["batch", "num_heads", "num_kv_heads", "num_kv_blocks", "max_kv_blocks"], 1)
try:
    DecodeAttention(**sizes, head_dim=64, kv_block_size=16, device="npu:0")
except RuntimeError as error:
    print(error)
"""
    environment = {**os.environ, "TORCH_DEVICE_BACKEND_AUTOLOAD": "0"}
    done = subprocess.run([sys.executable, "-c", program], env=environment, check=True,
                          capture_output=True, text=True)  # fmt: skip
    assert done.stdout.startswith("device is npu:0, which torch does not know yet: import torch_n")


@pytest.mark.parametrize("other", ["query", "value_cache"])
def test_results_that_overlap_on_the_cpu(case, op, other):
    out = getattr(case, other).view(-1)[: case.query.numel()].view(case.query.shape)
    before = out.clone()
    message = f"^out = 0x.* overlaps {other} = .*; expected memory of its own"
    with pytest.raises(ValueError, match=message):
        op.run(**call(case), out=out)
    with pytest.raises(ValueError, match=message):
        paged_attention(**call(case), context_lens=[5, 0, 63], out=out)
    assert torch.equal(out.view(torch.int16), before.view(torch.int16))


def test_merged_results_that_overlap_on_the_cpu():
    outs, lses = torch.ones(2, 2, 3, 16), torch.ones(2, 2, 3)
    with pytest.raises(ValueError, match=r"^out = 0x.* overlaps outs = "):
        merge_states(outs, lses, out=outs[1])
    with pytest.raises(ValueError, match=r"^lse = 0x.* overlaps lses = "):
        merge_states(outs, lses, lse=lses[0])


def test_results_do_not_require_grad(case, op):
    given = call(case, query=case.query.clone().requires_grad_())
    assert not op.plan([5, 0, 63]).run(**given).requires_grad
    for options in ({}, {"return_lse": True}, {"out": torch.empty_like(case.query)}):
        results = paged_attention(**given, context_lens=[5, 0, 63], **options)
        results = results if isinstance(results, tuple) else (results,)
        assert not any(tensor.requires_grad for tensor in results)
    merged = merge_states(torch.ones(2, 2, 3, 16, requires_grad=True), torch.ones(2, 2, 3))
    assert not any(tensor.requires_grad for tensor in merged)
