# SPDX-License-Identifier: Apache-2.0
"""The real torch_npu on the virtual NPU: copies, streams, events, memory, graphs, faults."""

from __future__ import annotations

import ctypes
import os
import pathlib
import subprocess
import sys
import textwrap

os.environ.setdefault("TASK_QUEUE_ENABLE", "0")  # errors of operators are told at the call

from ascend_attention import vnpu

HBM_BYTES = 512 << 20
vnpu.activate(devices=2, check="all", hbm_bytes=HBM_BYTES)

import pytest  # noqa: E402
import torch  # noqa: E402
import torch_npu  # noqa: E402, F401

ACL = pathlib.Path("tools/vnpu/acl")
DTYPES = (
    torch.float32,
    torch.float16,
    torch.bfloat16,
    torch.float64,
    torch.int8,
    torch.int16,
    torch.int32,
    torch.int64,
    torch.uint8,
    torch.bool,
    torch.complex64,
)
COPY, TRAP, FORGET_PAIR = 0, 1, 3  # modes of the kernel of //tools/vnpu/acl


def sample(dtype: torch.dtype, count: int = 1000) -> torch.Tensor:
    return (torch.arange(count) % 251 - 100).to(dtype)


@pytest.fixture(autouse=True)
def first_device():
    torch.npu.set_device(0)
    yield
    torch.npu.synchronize()


class Args(ctypes.Structure):
    _fields_ = (
        ("dst", ctypes.c_void_p),
        ("src", ctypes.c_void_p),
        ("num_datablocks", ctypes.c_uint32),
        ("mode", ctypes.c_uint32),
    )


class CopyKernel:
    """The test kernel, which copies, or goes wrong in the way that is asked for."""

    def __init__(self) -> None:
        self._acl = ctypes.CDLL("libascendcl.so")
        self._function = ctypes.c_void_p()
        binary = ctypes.c_void_p()
        path = str((ACL / "testing/acl_test.so").resolve()).encode()
        assert self._acl.aclrtBinaryLoadFromFile(path, None, ctypes.byref(binary)) == 0
        assert (
            self._acl.aclrtBinaryGetFunction(binary, b"acl_test_0", ctypes.byref(self._function))
            == 0
        )

    def launch(self, dst: torch.Tensor, src: torch.Tensor, mode: int = COPY) -> None:
        args = Args(dst.data_ptr(), src.data_ptr(), src.nbytes // 32, mode)
        stream = ctypes.c_void_p(torch.npu.current_stream().npu_stream)
        code = self._acl.aclrtLaunchKernelWithHostArgs(
            self._function,
            ctypes.c_uint32(1),
            stream,
            None,
            ctypes.byref(args),
            ctypes.c_size_t(ctypes.sizeof(args)),
            None,
            ctypes.c_size_t(0),
        )
        assert code == 0


@pytest.fixture(scope="module")
def kernel() -> CopyKernel:
    torch.npu.set_device(0)
    torch.empty(1, device="npu")
    return CopyKernel()


# ---- devices


def test_devices_are_those_that_were_asked_for():
    assert torch.npu.is_available()
    assert torch.npu.device_count() == 2
    for device in range(2):
        properties = torch.npu.get_device_properties(device)
        assert properties.name == torch.npu.get_device_name(device) == "Ascend910B1"
        assert properties.cube_core_num == 24
        assert properties.vector_core_num == 48
        assert properties.total_memory == HBM_BYTES
    with pytest.raises(RuntimeError, match=r"[Dd]evice"):
        torch.npu.set_device(2)


def test_activate_again():
    vnpu.activate(devices=2)
    vnpu.activate(devices=2, soc="Ascend910B1", check=("memory", "race"))
    with pytest.raises(RuntimeError, match="devices = 2; devices = 1"):
        vnpu.activate(devices=1)
    with pytest.raises(RuntimeError, match="check = all; check = none"):
        vnpu.activate(check="none")
    with pytest.raises(ValueError, match="devices is 17; allowed: 1 to 16"):
        vnpu.activate(devices=17)


# ---- copies


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_copies(dtype):
    host = sample(dtype)
    device = host.npu()
    assert device.device == torch.device("npu:0")
    assert device.dtype == dtype
    assert torch.equal(device.cpu(), host)
    assert torch.equal(device.clone().cpu(), host)
    other = torch.empty_like(device)
    other.copy_(device)
    assert torch.equal(other.cpu(), host)
    assert device[17].item() == host[17].item()
    back = torch.empty(1000, dtype=dtype, pin_memory=True)
    back.copy_(host.pin_memory().to("npu", non_blocking=True), non_blocking=True)
    torch.npu.current_stream().synchronize()
    assert torch.equal(back, host)


def test_views_share_the_memory():
    host = sample(torch.int32)
    device = host.npu()
    rows = device.view(10, 100)
    assert torch.equal(rows[3:5].cpu(), host.view(10, 100)[3:5])
    rows[4].copy_(torch.full((100,), 7, dtype=torch.int32))
    assert torch.equal(device[400:500].cpu(), torch.full((100,), 7, dtype=torch.int32))
    assert torch.equal(device.view(torch.uint8)[:40].cpu(), host.view(torch.uint8)[:40])
    assert torch.empty(0, 3).npu().cpu().shape == (0, 3)
    assert torch.tensor(3.5).npu().item() == 3.5


def test_pinned_memory():
    host = sample(torch.float32)
    assert not host.is_pinned()
    pinned = host.pin_memory()
    assert pinned.is_pinned()
    assert torch.equal(pinned, host)


def test_operators_are_refused_by_name_and_later_work_is_fine():
    device = sample(torch.float32).npu()
    with pytest.raises(RuntimeError, match=r"operator Add .* does not exist on the virtual NPU"):
        device.add_(device)
    assert torch.equal(device.cpu(), sample(torch.float32))


def test_copies_between_devices():
    assert torch.npu.can_device_access_peer(0, 1)
    host = sample(torch.float16)
    first = host.to("npu:0")
    second = first.to("npu:1")
    assert second.device == torch.device("npu:1")
    assert torch.equal(second.cpu(), host)
    back = torch.empty_like(first)
    back.copy_(second)
    assert torch.equal(back.cpu(), host)


def test_save_and_load(tmp_path):
    path = tmp_path / "tensor.pt"
    torch.save(sample(torch.bfloat16).npu(), path)
    for where in ("cpu", "npu", "npu:1"):
        loaded = torch.load(path, map_location=where)
        assert loaded.device.type == where.split(":")[0]
        assert torch.equal(loaded.cpu(), sample(torch.bfloat16))


# ---- streams, events, random state


def test_streams_and_events():
    source = sample(torch.float32).npu()
    target = torch.zeros(1000).npu()
    side = torch.npu.Stream()
    begin, end = (torch.npu.Event(enable_timing=True) for _ in range(2))
    side.wait_stream(torch.npu.current_stream())
    with torch.npu.stream(side):
        begin.record()
        middle = source.clone()
        end.record()
    source.record_stream(side)
    torch.npu.current_stream().wait_event(end)
    target.copy_(middle)
    torch.npu.current_stream().synchronize()
    assert end.query()
    side.synchronize()
    assert side.query()
    assert begin.elapsed_time(end) >= 0
    assert torch.equal(target.cpu(), sample(torch.float32))


def test_random_state_is_given_back():
    torch.npu.manual_seed(7)
    state = torch.npu.get_rng_state()
    torch.npu.manual_seed(8)
    assert not torch.equal(torch.npu.get_rng_state(), state)
    torch.npu.set_rng_state(state)
    assert torch.equal(torch.npu.get_rng_state(), state)
    assert torch.npu.initial_seed() == 7


# ---- memory


def test_memory_statistics():
    torch.npu.empty_cache()
    free_before, total = torch.npu.mem_get_info()
    assert total == HBM_BYTES
    before = torch.npu.memory_allocated()
    torch.npu.reset_peak_memory_stats()
    block = torch.empty(40 << 20, dtype=torch.uint8, device="npu")
    assert torch.npu.memory_allocated() - before >= 40 << 20
    assert free_before - torch.npu.mem_get_info()[0] >= 40 << 20
    del block
    assert torch.npu.memory_allocated() == before
    assert torch.npu.max_memory_allocated() - before >= 40 << 20
    torch.npu.empty_cache()
    assert torch.npu.mem_get_info()[0] == free_before


def test_out_of_memory_raises_and_leaves_the_device_usable():
    with pytest.raises(RuntimeError, match="NPU out of memory"):
        torch.empty(HBM_BYTES * 2, dtype=torch.uint8, device="npu")
    blocks = []
    with pytest.raises(RuntimeError, match="NPU out of memory"):
        for _ in range(16):
            blocks.append(torch.empty(64 << 20, dtype=torch.uint8, device="npu"))
    assert 4 <= len(blocks) < 8
    blocks.clear()
    torch.npu.empty_cache()
    assert torch.equal(sample(torch.int64).npu().cpu(), sample(torch.int64))


# ---- graphs


def test_graph_replays_on_new_contents(kernel):
    source = torch.zeros(1024, dtype=torch.uint8).npu()
    target = torch.zeros(1024, dtype=torch.uint8).npu()
    graph = torch.npu.NPUGraph()
    side = torch.npu.Stream()
    with torch.npu.graph(graph):
        middle = torch.empty_like(source)  # from the graph's pool
        kernel.launch(middle, source)
        side.wait_stream(torch.npu.current_stream())
        with torch.npu.stream(side):
            last = middle.clone()
        torch.npu.current_stream().wait_stream(side)
        target.copy_(last)
    assert not target.cpu().any()
    for seed in range(1, 4):
        content = (torch.arange(1024) * seed % 256).to(torch.uint8)
        source.copy_(content)
        graph.replay()
        torch.npu.synchronize()
        assert torch.equal(target.cpu(), content)
    with torch.npu.stream(side):
        source.copy_(torch.full((1024,), 9, dtype=torch.uint8))
        graph.replay()
        side.synchronize()
    assert torch.equal(target.cpu(), torch.full((1024,), 9, dtype=torch.uint8))
    graph.reset()


def test_tasks_of_a_graph_are_updated(kernel):
    contents = [torch.full((1024,), value, dtype=torch.uint8) for value in (3, 4)]
    sources = [content.npu() for content in contents]
    target = torch.zeros(1024, dtype=torch.uint8).npu()
    graph = torch.npu.NPUGraph()
    updated = torch.npu.ExternalEvent()
    with torch.npu.graph(graph):
        stream = torch.npu.current_stream()
        updated.wait(stream)
        updated.reset(stream)
        torch.npu.graph_task_group_begin(stream)
        kernel.launch(target, sources[0])
        group = torch.npu.graph_task_group_end(stream)
    side = torch.npu.Stream()
    for content, source in list(zip(contents, sources, strict=True))[::-1]:
        graph.replay()
        with torch.npu.stream(side):
            torch.npu.graph_task_update_begin(side, group)
            kernel.launch(target, source)
            torch.npu.graph_task_update_end(side)
            updated.record(side)
        torch.npu.synchronize()
        assert torch.equal(target.cpu(), content)


def test_what_cannot_be_captured_raises_and_the_device_stays_usable():
    source = sample(torch.float32).npu()
    graph = torch.npu.NPUGraph()
    with pytest.raises(RuntimeError, match="captures"), torch.npu.graph(graph):
        source.cpu()
    side = torch.npu.Stream()
    with pytest.raises(RuntimeError, match="not joined"), torch.npu.graph(torch.npu.NPUGraph()):
        side.wait_stream(torch.npu.current_stream())
        with torch.npu.stream(side):
            source.clone()
    side.synchronize()
    assert torch.equal(source.cpu(), sample(torch.float32))


@pytest.mark.parametrize("backend", ["eager", "aot_eager"])
def test_compiled_functions(backend):
    function = torch.compile(
        lambda x: x.view(10, 100)[2:4].clone(), backend=backend, fullgraph=True
    )
    assert torch.equal(
        function(sample(torch.float32).npu()).cpu(), sample(torch.float32).view(10, 100)[2:4]
    )


# ---- faults


def test_a_finding_surfaces_with_its_report(kernel):
    source, target = sample(torch.uint8, 1024).npu(), torch.zeros(1024, dtype=torch.uint8).npu()
    kernel.launch(target, source, FORGET_PAIR)
    with pytest.raises(RuntimeError) as error:
        torch.npu.synchronize()
    report = str(error.value)
    assert "acl_test.cce:" in report
    assert "copy_ubuf_to_gm" in report
    assert "race" in report
    kernel.launch(target, source)
    torch.npu.synchronize()
    assert torch.equal(target.cpu(), source.cpu())


@pytest.mark.parametrize("code", [507015, 507014])
def test_a_lost_launch_raises_once(kernel, code):
    source, target = sample(torch.uint8, 1024).npu(), torch.zeros(1024, dtype=torch.uint8).npu()
    vnpu.fail_launch(2, code=code)
    kernel.launch(target, source)
    torch.npu.synchronize()
    target.copy_(torch.zeros(1024, dtype=torch.uint8))
    kernel.launch(target, source)
    with pytest.raises(RuntimeError, match=r"injected failure.*acl_test_0"):
        torch.npu.synchronize()
    assert not target.cpu().any()
    kernel.launch(target, source)
    torch.npu.synchronize()
    assert torch.equal(target.cpu(), source.cpu())
    with pytest.raises(ValueError, match="code is 1"):
        vnpu.fail_launch(code=1)


# ---- other processes


def run(program: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)],
        capture_output=True,
        text=True,
        timeout=240,
        env={**os.environ, **environment},
        check=False,
    )


ROUNDS = """
    from ascend_attention import vnpu
    vnpu.activate()
    import torch, torch_npu

    torch.npu.set_device(0)
    host = torch.arange(100000).pin_memory()
    side = torch.npu.Stream()
    for i in range(20):
        device = host.to("npu", non_blocking=True)
        side.wait_stream(torch.npu.current_stream())
        with torch.npu.stream(side):
            copy = device.clone()
        torch.npu.current_stream().wait_stream(side)
        assert torch.equal(copy.clone().cpu(), host), i
        block = torch.empty((i + 1) << 20, dtype=torch.uint8, device="npu")
        block[-4:].copy_(torch.full((4,), i, dtype=torch.uint8))
        assert block[-1].item() == i
    torch.npu.synchronize()
    torch.npu.empty_cache()
    # Left to the exit: a stream with work, an event, a graph.
    graph = torch.npu.NPUGraph()
    try:
        with torch.npu.graph(graph):
            other = copy.clone()
        graph.replay()
    except RuntimeError as error:  # torch_npu does not capture in mode 2
        assert "TASK_QUEUE_ENABLE = 2" in str(error)
    event = torch.npu.Event()
    event.record(side)
    print("fine", torch.npu.memory_stats()["num_alloc_retries"])
"""


@pytest.mark.parametrize(
    "environment",
    [
        {"TASK_QUEUE_ENABLE": "0", "PYTORCH_NPU_ALLOC_CONF": "expandable_segments:True"},
        {"TASK_QUEUE_ENABLE": "1"},
        {"TASK_QUEUE_ENABLE": "2", "PYTORCH_NPU_ALLOC_CONF": "expandable_segments:True"},
    ],
    ids=["queue0-expandable", "queue1", "queue2-expandable"],
)
def test_queue_modes_and_segments(environment):
    done = run(
        ROUNDS,
        ASCEND_ATTENTION_VNPU_DEVICES="1",
        ASCEND_ATTENTION_VNPU_CHECK="none",
        **environment,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == "fine 0\n"
    assert "HcclSetConfig" not in done.stderr
    assert "ASCEND_HOME_PATH" not in done.stdout + done.stderr


def test_forked_child_says_why():
    done = run(
        """
        import os
        from ascend_attention import vnpu
        vnpu.activate()
        import ctypes
        acl = ctypes.CDLL("libascendcl.so")
        acl.aclGetRecentErrMsg.restype = ctypes.c_char_p
        assert acl.aclrtSetDevice(0) == 0
        child = os.fork()
        if child == 0:
            assert acl.aclrtSetDevice(0) == 207000
            assert b"forked" in acl.aclGetRecentErrMsg()
            os._exit(7)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
        """
    )
    assert done.returncode == 0, done.stderr


def test_another_runtime_is_refused(tmp_path):
    done = run(
        f"""
        import ctypes
        ctypes.CDLL({str(ACL / "testing/libascendcl.so")!r})
        from ascend_attention import vnpu
        vnpu.activate()
        """
    )
    assert done.returncode == 1
    assert "a libascendcl.so of CANN is loaded in this process" in done.stderr
    (tmp_path / "libopapi.so").touch()
    done = run("from ascend_attention import vnpu; vnpu.activate()", LD_LIBRARY_PATH=str(tmp_path))
    assert done.returncode == 1
    assert f"LD_LIBRARY_PATH holds CANN's libraries ({tmp_path})" in done.stderr


def test_runner(tmp_path):
    program = tmp_path / "program.py"
    program.write_text(
        "import sys, torch, torch_npu\n"
        "print(torch.npu.device_count(), torch.npu.get_device_name(0), sys.argv[1:])\n"
    )
    options = ["--devices", "3", "--soc", "Ascend910B3", "--check", "none"]
    done = subprocess.run(
        [sys.executable, "-m", "ascend_attention.vnpu", *options, str(program), "--flag", "x"],
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == "3 Ascend910B3 ['--flag', 'x']\n"
