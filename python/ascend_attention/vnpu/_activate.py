# SPDX-License-Identifier: Apache-2.0
"""Makes the virtual NPU the NPU of this process, for torch_npu and other users of ACL.

torch_npu is linked with six libraries of CANN. The dynamic linker takes those that the process has
loaded under these names, so the virtual NPU's go first; nothing has to be set outside.
"""

from __future__ import annotations

import ctypes
import os
import pathlib
import sys
import threading
from collections.abc import Collection
from typing import Any

from ascend_attention.vnpu import _records

_PACKAGE = pathlib.Path(__file__).parent
_HOME = ("ascend_attention", "vnpu", "home")
_PREFIX = "ASCEND_ATTENTION_VNPU_"
_LIBRARIES = (
    "libascendcl.so",
    "libhccl.so",
    "libacl_op_compiler.so",
    "libge_runner.so",
    "libgraph.so",
    "libacl_tdt_channel.so",
    "libvnpu_torch_keys.so",
)

_lock = threading.Lock()
_library: ctypes.CDLL | None = None


def activate(
    devices: int | None = None,
    soc: str | None = None,
    check: str | Collection[str] | None = None,
    *,
    cores: int | None = None,
    hbm_bytes: int | None = None,
    threads: int | None = None,
    timeout_seconds: int | None = None,
) -> None:
    """Loads the virtual NPU's ACL in front of any other. Call it before `import torch`.

    From then on `torch.npu` is the virtual NPU; operators of this package run there as well. What
    is None comes from the environment (ASCEND_ATTENTION_VNPU_DEVICES and so on), or is the default.
    The environment of this process is set to match, so that its children agree.

    An operator of aten that the virtual NPU does not have (see `enable_aten`) is an error at its
    call with TASK_QUEUE_ENABLE=0 in the environment. By torch_npu's default, 1, it is one at the
    next synchronisation, and what was queued behind the first one may be dropped in silence.

    Args:
        devices: how many there are, 1 to 16; default 1.
        soc: which chip they are, such as "Ascend910B3"; default "Ascend910B1".
        check: "none", "all", or a collection of "race" and "memory": a finding in a kernel fails
            its launch, and the next synchronisation raises with the report. Default "none".
        cores: of each device; default those of the chip.
        hbm_bytes: memory of each device; default that of the chip.
        threads: of the host, to run kernels; default 0, one per host core.
        timeout_seconds: of a launch, wall time; default 0, none.

    Raises:
        RuntimeError: another libascendcl.so is loaded, CANN's libraries are on LD_LIBRARY_PATH, or
            the virtual NPU is in use with other values. Call it again with equal ones at will.
        ValueError: a value that is not allowed.

    >>> from ascend_attention import vnpu
    >>> vnpu.activate(devices=1)  # doctest: +SKIP
    >>> import torch  # doctest: +SKIP
    >>> torch.zeros(4).npu()  # doctest: +SKIP
    """
    wanted = {
        "devices": _integer("devices", devices, 1, 16),
        "soc": soc,
        "cores": _integer("cores", cores, 1, 128),
        "hbm_bytes": _integer("hbm_bytes", hbm_bytes, 1 << 20, 1 << 40),
        "threads": _integer("threads", threads, 0, 1024),
        "timeout_seconds": _integer("timeout_seconds", timeout_seconds, 0, 86400),
        "check": None if check is None else ",".join(_records.checkers(check)) or "none",
    }
    with _lock:
        _refuse_cann()
        library = _load()
        before = _configuration(library)
        if before is None:
            _start(library, wanted)
        else:
            _compare(before, wanted)
        home = str(_PACKAGE / "home")
        os.environ["ASCEND_HOME_PATH"] = home
        os.environ["ASCEND_OPP_PATH"] = os.path.join(home, "opp")


def cann_home() -> str | None:
    """Returns the folder of the CANN that this process was started with, or None without one.

    That is what CANN's set_env.sh has set in ASCEND_HOME_PATH. `activate` sets it too, to an empty
    folder that children inherit; that one does not count. So a program for both begins with

    >>> from ascend_attention import vnpu
    >>> if vnpu.cann_home() is None:  # doctest: +SKIP
    ...     vnpu.activate()
    """
    home = os.environ.get("ASCEND_HOME_PATH", "")
    # By name: a parent process may have imported the package from elsewhere.
    ours = pathlib.PurePath(home).parts[-len(_HOME) :] == _HOME
    return None if ours or not home else home


def enable_aten() -> None:
    """Lets operators of PyTorch work on tensors of the virtual NPU, computed by the CPU.

    For tests and examples: `print`, `softmax`, `matmul`, comparisons, all that the CPU can do; not
    torch_npu's own operators. Each call waits for the devices of its tensors first. In a graph
    only copies of dense tensors can be captured. Random numbers come from the CPU generator.

    The first operator is logged, as a warning that it runs on the CPU (logger
    "ascend_attention.vnpu"; the others at level DEBUG). Imports torch and torch_npu. There is no
    way back in this process; calling it again does nothing.

    Raises:
        RuntimeError: the virtual NPU is not active, or the NPU is a real one, which has operators
            of its own.

    >>> vnpu.activate()  # doctest: +SKIP
    >>> vnpu.enable_aten()  # doctest: +SKIP
    >>> print(torch.arange(4).npu() + 1)  # doctest: +SKIP
    """
    library = _loaded()
    if library is not None and not hasattr(library, "vnpu_abi_version"):
        raise RuntimeError(
            "the NPU of this process is a real one (libascendcl.so is CANN's) and has operators "
            "of its own: enable_aten() is for the virtual NPU alone"
        )
    if library is None:
        raise RuntimeError("the virtual NPU is not active: call ascend_attention.vnpu.activate()")
    import torch_npu  # noqa: F401

    from ascend_attention.vnpu import _aten

    _aten.enable()


def fail_launch(nth: int = 1, *, code: int = 507015, device: int = 0) -> None:
    """Makes the `nth` launch from now on fail, as if the device had been lost: for fault tests.

    The kernel does not run; the next synchronisation raises. Later launches run as ever.

    Args:
        nth: which launch that the device comes to run, from 1; 0 takes an injection back.
        code: the ACL error, 507000 to 507999: 507015 is an exception, 507014 a time-out.
        device: index of the device.

    Raises:
        RuntimeError: the virtual NPU is not active.
        ValueError: a value that is not allowed.
    """
    library = _library or _loaded()
    if library is None or not hasattr(library, "vnpuAclFailLaunch"):
        raise RuntimeError("the virtual NPU is not active: call ascend_attention.vnpu.activate()")
    if _integer("nth", nth, 0, 1 << 62) is None:
        raise ValueError("nth is None; expected an integer")
    failed = library.vnpuAclFailLaunch(
        ctypes.c_int32(device), ctypes.c_uint64(nth), ctypes.c_int32(code)
    )
    if failed:
        raise ValueError(
            f"device is {device}, code is {code}; allowed: a device of the virtual NPU "
            "and 507000 to 507999"
        )


def _integer(name: str, value: Any, low: int, high: int) -> int | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int):
        raise ValueError(f"{name} is {value!r}; expected an integer from {low} to {high}")
    if not low <= value <= high:
        raise ValueError(f"{name} is {value}; allowed: {low} to {high}")
    return value


def _loaded() -> ctypes.CDLL | None:
    """The libascendcl.so of this process, whoever loaded it."""
    try:
        return ctypes.CDLL("libascendcl.so", mode=os.RTLD_NOW | os.RTLD_NOLOAD)
    except OSError:
        return None


def _refuse_cann() -> None:
    loaded = _loaded()
    if loaded is not None and not hasattr(loaded, "vnpu_abi_version"):
        raise RuntimeError(
            "a libascendcl.so of CANN is loaded in this process: call "
            "ascend_attention.vnpu.activate() before `import torch`, or set "
            "TORCH_DEVICE_BACKEND_AUTOLOAD=0"
        )
    if loaded is not None:
        return
    if "torch_npu" in sys.modules:
        raise RuntimeError(
            "torch_npu is imported already, without the virtual NPU: call "
            "ascend_attention.vnpu.activate() before"
        )
    for folder in os.environ.get("LD_LIBRARY_PATH", "").split(":"):
        if folder and os.path.exists(os.path.join(folder, "libopapi.so")):
            raise RuntimeError(
                f"LD_LIBRARY_PATH holds CANN's libraries ({folder}), which torch_npu would mix "
                "with the virtual NPU: start Python without CANN's set_env.sh"
            )


def _folder() -> pathlib.Path:
    in_tree = _PACKAGE.parents[2] / "tools" / "vnpu" / "acl"
    for folder in (_PACKAGE / "lib", in_tree):
        if (folder / _LIBRARIES[0]).exists():
            return folder
    raise RuntimeError(
        f"the virtual NPU's libraries are neither in {_PACKAGE / 'lib'} nor in {in_tree}"
    )


def _load() -> ctypes.CDLL:
    global _library
    if _library is None:
        folder = _folder()
        loaded = [ctypes.CDLL(str(folder / name), ctypes.RTLD_GLOBAL) for name in _LIBRARIES]
        _library = loaded[0]
        _library.vnpuAclConfiguration.restype = ctypes.c_char_p
        _library.aclGetRecentErrMsg.restype = ctypes.c_char_p
    return _library


def _configuration(library: ctypes.CDLL) -> dict[str, str] | None:
    text = library.vnpuAclConfiguration()
    if text is None:
        return None
    return dict(word.split("=", 1) for word in text.decode().split())


def _start(library: ctypes.CDLL, wanted: dict[str, Any]) -> None:
    """Writes the environment and has it read."""
    before = {name: os.environ.get(_PREFIX + name.upper()) for name in wanted}
    for name, value in wanted.items():
        if value is not None:
            os.environ[_PREFIX + name.upper()] = str(value)
    count = ctypes.c_uint32()
    if library.aclrtGetDeviceCount(ctypes.byref(count)) == 0:
        return
    message = library.aclGetRecentErrMsg()
    for name, old in before.items():
        if old is None:
            os.environ.pop(_PREFIX + name.upper(), None)
        else:
            os.environ[_PREFIX + name.upper()] = old
    raise ValueError(message.decode() if message else "the virtual NPU cannot be configured")


def _compare(active: dict[str, str], wanted: dict[str, Any]) -> None:
    spelled = {"race,memory": "all", "memory,race": "all"}
    for name, value in wanted.items():
        if value is None:
            continue
        text = spelled.get(str(value), str(value))
        if active[name] != text:
            raise RuntimeError(
                f"the virtual NPU is in use with {name} = {active[name]}; {name} = {text} would "
                "need a new process, as its configuration is read once"
            )
