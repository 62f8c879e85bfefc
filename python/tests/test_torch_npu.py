# SPDX-License-Identifier: Apache-2.0
"""The operators of PyTorch on NPU tensors: torch_npu, on two virtual NPUs."""

import concurrent.futures
import gc
import os
import subprocess
import sys

import pytest
from ascend_attention import vnpu

vnpu.activate(devices=2)

import torch  # noqa: E402 - after the virtual NPU took the place of CANN
import torch_cases  # noqa: E402
import torch_npu  # noqa: E402, F401
from ascend_attention.torch import (  # noqa: E402
    DecodeAttention,
    length_copies,
    merge_states,
    npu_paged_attention,
    paged_attention,
    reshape_and_cache,
)

ops = torch.ops.ascend_attention

SMALL = "decode:b3:h4:kv2:d64:bs16:ctx5,0,63:f16:fulltable:seed5"
CASES = [
    "decode:b5:h8:kv2:d128:bs64:ctx0,1,300,64,700:f16:seed21",
    "decode:b5:h8:kv2:d128:bs64:ctx0,1,300,64,700:bf16:seed21",
    "decode:b3:h8:kv2:d64:bs32:ctx40,3,100:bf16:qlen3,1,4:seed7",
    "decode:b2:h8:kv2:d128:bs64:ctx90,200:f16:headmajor:seed8",
    "decode:b2:h8:kv2:d128:bs64:ctx90,200:f16:interleaved:seed8",
    "decode:b2:h8:kv2:d128:bs128:ctx100,300:bf16:kvint8-channel-asym:seed9",
    "decode:b2:h8:kv2:d128:bs128:ctx100,300:f16:kvint8-token:seed9",
    "decode:b2:h4:kv1:d128:bs64:ctx90,500:f16:route-fifo:outf32:seed74",
]


@pytest.fixture(autouse=True)
def usable_afterwards():
    """Whatever a test did, the devices work and no error is left for the next one."""
    yield
    for device in range(2):
        torch.npu.synchronize(device)
    assert (torch.ones(3).npu().cpu() == 1).all()


@pytest.fixture(scope="module")
def small() -> torch_cases.TorchCase:
    return torch_cases.load(SMALL, "npu:0")


@pytest.fixture(scope="module")
def op(small) -> DecodeAttention:
    return small.make_op()


@pytest.mark.parametrize("text", CASES)
def test_results_are_within_the_tolerance(text):
    case = torch_cases.load(text, "npu")
    out, lse = case.plan_and_run(case.make_op())
    assert out.device.type == lse.device.type == "npu"
    case.check(out, lse)
    once = paged_attention(*case.tensors, case.inputs.context_lens, **case.options())
    assert torch.equal(once.cpu(), out.cpu())


@pytest.mark.parametrize("device", ["npu:0", "npu:1"])
def test_tensors_choose_the_device_not_the_current_one(device):
    torch.npu.set_device(1 - int(device[-1]))
    case = torch_cases.load(SMALL, device)
    made = case.make_op()
    assert made.device == torch.device(device)
    case.check(*case.plan_and_run(made))
    case.check(paged_attention(*case.tensors, case.inputs.context_lens, **case.options()), None)
    outs = torch.randn(2, 3, 4, 64)
    merged, _ = merge_states(outs.to(device), torch.zeros(2, 3, 4).to(device))
    assert torch.allclose(merged.cpu(), outs.mean(0), atol=1e-6)
    assert merged.device == torch.device(device)
    assert torch.npu.current_device() == 1 - int(device[-1])
    torch.npu.set_device(0)


def test_vendor_argument_order(small):
    out = torch.empty_like(small.query)
    query, key_cache, value_cache, table = small.tensors
    lens = torch.from_numpy(small.inputs.context_lens)
    scale = small.inputs.softmax_scale
    got = npu_paged_attention(query, key_cache, value_cache, 2, 4, scale, table, lens, out)
    assert got is out
    small.check(out, None)


def test_cache_write_then_decode(small, op):
    generator = torch.Generator().manual_seed(0)
    rows = torch.randn(2, 1, 2, 64, generator=generator).half()
    case = small.with_full_table()
    key_cache, value_cache = case.key_cache.clone(), case.value_cache.clone()
    slot = int(case.block_table.cpu()[0, 0]) * 16 + 2  # token 2 of sequence 0
    reshape_and_cache(rows[0].npu(), rows[1].npu(), key_cache, value_cache,
                      torch.tensor([slot]).npu())  # fmt: skip
    expected = [case.key_cache.cpu(), case.value_cache.cpu()]
    for cache, row in zip(expected, rows, strict=True):
        cache.view(-1, 2, 64)[slot] = row[0]
    assert torch.equal(key_cache.cpu(), expected[0])
    assert torch.equal(value_cache.cpu(), expected[1])
    lens = small.inputs.context_lens
    got = op.plan(lens).run(case.query, key_cache, value_cache, case.block_table)
    cpu = [t.cpu() for t in case.tensors]
    want = paged_attention(
        cpu[0], *expected, cpu[3], lens, softmax_scale=small.inputs.softmax_scale
    )
    assert torch.equal(got.cpu(), want)


def test_host_lengths_cost_no_synchronisation(small, op, monkeypatch):
    lens = torch.from_numpy(small.inputs.context_lens)
    before = length_copies()
    stream = torch.npu.Stream()
    blocker = torch.npu.Event()
    with torch.npu.stream(stream):
        # A stream that is busy with megabytes of copies: nothing below may wait for them.
        busy = torch.empty(1 << 26, dtype=torch.uint8, device="npu")
        source = torch.empty(1 << 26, dtype=torch.uint8).pin_memory()
        op.plan(lens).run(*small.tensors)
        stream.synchronize()
        for _ in range(8):
            busy.copy_(source, non_blocking=True)
        blocker.record()
        op.plan(lens)
        out = op.run(*small.tensors)
        once = paged_attention(*small.tensors, lens, **small.options())
        was_busy = not blocker.query()
        stream.synchronize()
    assert was_busy
    assert length_copies() == before
    small.check(out, None)
    small.check(once, None)


def test_device_lengths_are_copied_once_each(small, op):
    lens = torch.from_numpy(small.inputs.context_lens)
    before = length_copies()
    small.check(op.plan(lens.npu()).run(*small.tensors), None)
    assert length_copies() == before + 1
    small.check(paged_attention(*small.tensors, lens.npu(), **small.options()), None)
    assert length_copies() == before + 2
    op.plan(lens.npu(), torch.ones(3, dtype=torch.int32).npu())
    assert length_copies() == before + 4


def test_streams_take_the_plan_along(small, op):
    first, second = torch.npu.Stream(), torch.npu.Stream()
    query, *rest = small.tensors
    pinned = query.cpu().pin_memory()
    for _ in range(10):
        with torch.npu.stream(first):
            late = torch.empty_like(query)
            op.plan(small.inputs.context_lens)
        second.wait_stream(first)
        with torch.npu.stream(second):
            late.copy_(pinned, non_blocking=True)
            out = op.run(late, *rest)
        second.synchronize()
        small.check(out, None)


def test_freed_workspace_waits_for_the_streams_that_use_it(small):
    """The memory of an operator is handed out again at once: its last runs must be done then."""
    side = torch.npu.Stream()
    source = torch.empty(1 << 26, dtype=torch.uint8).pin_memory()
    busy = torch.empty(1 << 26, dtype=torch.uint8, device="npu")
    for _ in range(3):
        op = small.make_op()  # its workspace belongs to the default stream
        side.wait_stream(torch.npu.current_stream())
        with torch.npu.stream(side):
            op.plan(small.inputs.context_lens)
            for _ in range(4):  # the run comes late
                busy.copy_(source, non_blocking=True)
            out = op.run(*small.tensors)
        address, size = op.workspace.data_ptr(), op.workspace_bytes
        del op
        next_owner = torch.empty(size + 512, dtype=torch.uint8, device="npu")
        garbage = torch.full((size + 512,), 0xFF, dtype=torch.uint8).pin_memory()
        next_owner.copy_(garbage, non_blocking=True)
        assert abs(next_owner.data_ptr() - address) <= 512, "another address: nothing was shown"
        torch.npu.synchronize()
        small.check(out, None)
        del next_owner


def test_threads_with_an_operator_and_a_stream_each(small):
    lengths = [[5, 0, 63], [1, 2, 3], [64, 64, 64], [0, 9, 33]]
    full = small.with_full_table()
    cpu = [tensor.cpu() for tensor in full.tensors]
    scale = small.inputs.softmax_scale
    wanted = [paged_attention(*cpu, lens, softmax_scale=scale) for lens in lengths]
    torch.npu.synchronize()

    def work(index: int) -> bool:
        torch.npu.set_device(0)
        op = small.make_op()
        with torch.npu.stream(torch.npu.Stream()):
            same = True
            for _ in range(20):
                out = op.plan(lengths[index]).run(*full.tensors)
                same &= torch.equal(out.cpu(), wanted[index])
        return same

    with concurrent.futures.ThreadPoolExecutor(len(lengths)) as pool:
        assert all(pool.map(work, range(len(lengths))))


def test_threads_with_one_call_each_on_one_stream(small):
    """A workspace that is given back before the launch goes to another thread: 1 in 700 wrong."""
    options = small.options()
    lens = small.inputs.context_lens
    wanted = paged_attention(*small.tensors, lens, **options).cpu()

    def work(_: int) -> bool:
        torch.npu.set_device(0)
        outs = (paged_attention(*small.tensors, lens, **options).cpu() for _ in range(2000))
        return all([torch.equal(out, wanted) for out in outs])

    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        assert all(pool.map(work, range(4)))


@pytest.mark.parametrize("mode", [torch.inference_mode, torch.no_grad, torch.enable_grad])
def test_modes_of_autograd(small, op, mode):
    with mode():
        out = op.plan(small.inputs.context_lens).run(*small.tensors)
    small.check(out, None)
    assert not out.requires_grad


def test_two_devices_at_once(small):
    cases = [torch_cases.load(SMALL, f"npu:{device}") for device in range(2)]
    made = [case.make_op() for case in cases]
    for _ in range(5):
        results = [case.plan_and_run(op) for case, op in zip(cases, made, strict=True)]
        for case, (out, lse) in zip(cases, results, strict=True):
            case.check(out, lse)


@pytest.mark.parametrize("name", ["query", "key_cache", "value_cache", "block_table", "out", "lse"])
@pytest.mark.parametrize("other", ["cpu", "npu:1"])
def test_a_tensor_elsewhere_is_named(small, op, name, other):
    op.plan(small.inputs.context_lens)
    names = ("query", "key_cache", "value_cache", "block_table")
    arguments = dict(zip(names, small.tensors, strict=True))
    arguments |= {"out": torch.empty_like(small.query), "lse": torch.empty(3, 4).npu()}
    arguments[name] = arguments[name].to(other)
    with pytest.raises(ValueError, match=f"{name} is on {other}; expected npu:0 as "):
        op.run(**arguments, return_lse=True)
    small.check(op.run(*small.tensors), None)


def test_mixed_devices_in_other_operators(small):
    row = torch.ones(1, 2, 64).half()
    cache = torch.zeros(2, 16, 2, 64).half()
    slot = torch.tensor([0])
    with pytest.raises(ValueError, match="value is on cpu; expected npu:0 as key"):
        reshape_and_cache(row.npu(), row, cache.npu(), cache.npu(), slot.npu())
    with pytest.raises(ValueError, match="slot_mapping is on cpu; expected npu:0 as key"):
        reshape_and_cache(row.npu(), row.npu(), cache.npu(), cache.npu(), slot)
    with pytest.raises(ValueError, match="lses is on npu:1; expected npu:0 as outs"):
        merge_states(torch.zeros(2, 1, 1, 64).npu(), torch.zeros(2, 1, 1).to("npu:1"))


def test_a_freed_cache_is_refused(small, op):
    op.plan(small.inputs.context_lens)
    key_cache = small.key_cache.clone()
    key_cache.untyped_storage().resize_(0)
    with pytest.raises(ValueError, match=r"key_cache needs \d+ bytes, but its storage has 0"):
        op.run(small.query, key_cache, small.value_cache, small.block_table)
    small.check(op.run(*small.tensors), None)


def test_a_bad_block_id_is_found_on_the_device_and_named(small, op):
    op.plan(small.inputs.context_lens)
    table = small.block_table.cpu()
    table[2, 1] = 1000
    table = table.npu()
    op.run(*small.tensors[:3], table)
    with pytest.raises(IndexError, match=r"block_table\[2\]\[1\] = 1000 is outside \[0, "):
        op.synchronize()
    op.run(*small.tensors[:3], table)
    with pytest.raises(RuntimeError, match=r"507016"):
        torch.npu.synchronize()
    small.check(op.run(*small.tensors), None)


def test_out_of_memory_is_an_exception_and_the_process_goes_on(small):
    with pytest.raises((RuntimeError, torch.OutOfMemoryError), match=r"(?i)out of memory"):
        torch.empty(1 << 46, dtype=torch.uint8, device="npu")
    small.check(paged_attention(*small.tensors, small.inputs.context_lens, **small.options()), None)


@pytest.mark.parametrize("code", [507015, 507014])
@pytest.mark.parametrize("how", ["synchronize", "op", "event", "copy"])
def test_a_launch_that_the_device_loses_is_an_exception(small, op, code, how):
    op.plan(small.inputs.context_lens)
    vnpu.fail_launch(code=code)
    out = op.run(*small.tensors)
    event = torch.npu.Event()
    event.record()
    waits = {
        "synchronize": torch.npu.synchronize,
        "op": op.synchronize,
        "event": event.synchronize,
        "copy": out.cpu,
    }
    with pytest.raises(RuntimeError, match=str(code)):
        waits[how]()
    small.check(op.run(*small.tensors), None)


def test_a_launch_lost_later_leaves_those_before_it_right(small, op):
    """torch_npu has its streams stop at a failure: what follows runs once the error was told."""
    op.plan(small.inputs.context_lens)
    vnpu.fail_launch(nth=3)
    results = [op.run(*small.tensors) for _ in range(4)]
    with pytest.raises(RuntimeError, match="507015"):
        torch.npu.synchronize()
    for result in (*results[:2], op.run(*small.tensors)):
        small.check(result, None)


def resident_bytes() -> int:
    with open("/proc/self/statm") as statm:
        return int(statm.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def test_ten_thousand_runs_leak_nothing(small, op):
    op.plan([0, 0, 0])  # launches that do little
    out = torch.empty_like(small.query)

    def runs(count: int) -> tuple[int, int]:
        for i in range(count):
            op.run(*small.tensors, out=out)
            if i % 500 == 0:
                op.plan([0, 0, 0])
        torch.npu.synchronize()
        gc.collect()
        return torch.npu.memory_allocated(), resident_bytes()

    runs(1000)
    allocated, resident = runs(1000)
    allocated_after, resident_after = runs(10000)
    assert allocated_after == allocated
    assert resident_after - resident < 2 << 20  # 200 bytes a run


@pytest.mark.parametrize("dynamic", [False, True])
@pytest.mark.parametrize("backend", ["eager", "aot_eager"])
def test_compiles_as_one_graph(small, op, backend, dynamic):
    torch._dynamo.reset()
    query, key_cache, value_cache, table = small.with_full_table().tensors

    def layer(query):
        return op.run(query, key_cache, value_cache, table, return_lse=True)

    compiled = torch.compile(layer, backend=backend, fullgraph=True, dynamic=dynamic)
    for lens in ([5, 0, 63], [1, 64, 2]):  # a new plan needs no new graph
        op.plan(lens)
        for got, want in zip(compiled(query), layer(query), strict=True):
            assert torch.equal(got.cpu(), want.cpu())
    torch._dynamo.reset()


def test_a_forked_child_gets_an_error_not_a_hang(small, op):
    op.plan(small.inputs.context_lens)
    out = torch.empty_like(small.query)
    torch.npu.synchronize()
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            ops.run_plan(*small.tensors, op.workspace, op.handle, out)
            text = "no error"
        except BaseException as error:
            text = f"{type(error).__name__}: {error}"
        os.write(write, text.encode()[:4000])
        os._exit(0)
    os.close(write)
    with os.fdopen(read) as pipe:
        text = pipe.read()
    os.waitpid(child, 0)
    assert text.startswith("RuntimeError") and "fork" in text, text
    small.check(op.run(*small.tensors), None)


def test_the_first_use_of_a_device_may_be_an_operator():
    program = """
from ascend_attention import vnpu
vnpu.activate(devices=2)
import torch, torch_npu
from ascend_attention.torch import DecodeAttention
sizes = dict.fromkeys(["batch", "num_heads", "num_kv_heads", "num_kv_blocks", "max_kv_blocks"], 1)
torch.ones(1).npu()
op = DecodeAttention(**sizes, head_dim=64, kv_block_size=16, device="npu:1")
assert torch.npu.current_device() == 0
cache = torch.ones(1, 16, 1, 64).half().to("npu:1")
table = torch.zeros(1, 1).int().to("npu:1")
out = op.plan([3]).run(cache[:, 0], cache, cache, table)
assert (out.cpu() == 1).all(), out.cpu()
"""
    subprocess.run([sys.executable, "-c", program], env=dict(os.environ), check=True)


def test_lengths_in_a_list_of_tensors_of_an_npu_are_refused(small, op):
    with pytest.raises(TypeError, match=r"^context_lens is a list that is no array of integers"):
        op.plan([torch.tensor(n).npu() for n in (5, 0, 63)])
    op.plan([torch.tensor(n) for n in (5, 0, 63)])
    small.check(op.run(*small.tensors), None)
