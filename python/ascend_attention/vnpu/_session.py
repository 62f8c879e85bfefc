# SPDX-License-Identifier: Apache-2.0
"""Checkers and clock around the operators of this package, as `with session() as s`."""

from __future__ import annotations

from collections.abc import Collection
from types import TracebackType

from ascend_attention import _runtime, _vnpu
from ascend_attention.vnpu import _records
from ascend_attention.vnpu.findings import Report


class Session:
    """Sees every launch on a device between the begin and the end of the `with` block.

    Attributes:
        report: what was found so far. Stays after the block.
    """

    def __init__(
        self, checks: tuple[str, ...], timing: bool, strict_gm_visibility: bool, device: int
    ) -> None:
        runtime = _runtime.open_runtime(device)
        self._device = _vnpu.attached_device(runtime.acl_library, device)
        self._checks = checks
        self._timing = timing
        self._strict_gm_visibility = strict_gm_visibility
        self._session: _vnpu.Session | None = None

    def __enter__(self) -> Session:
        if self._session is not None:
            raise RuntimeError("a session can be entered once; call vnpu.session() again")
        self._session = _records.open_session(
            self._device,
            self._checks,
            timing=self._timing,
            strict_gm_visibility=self._strict_gm_visibility,
        )
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._session is not None:
            self._session.close()

    @property
    def report(self) -> Report:
        """The launches since the block began. Call it while none is running."""
        launches = [] if self._session is None else self._session.launches()
        return _records.report(launches, self._checks)


def session(
    *,
    checks: str | Collection[str] = "all",
    timing: bool = False,
    strict_gm_visibility: bool = False,
    device: int = 0,
) -> Session:
    """Attaches checkers and clock to the device on which the operators run.

    Findings go to the report and change nothing else: results are the same bytes. A launch that
    the machine itself stops (an access outside a buffer, a deadlock) raises in the operator as
    ever, and is in the report too. Tensors that were on the device before the block are taken as
    defined.

    Args:
        checks: "all", "none", or a collection of "race" and "memory".
        timing: also model the course of each launch (report.summary(), .to_html()).
        strict_gm_visibility: demand dsb(DSB_DDR) between a store and the cross-core flag that
            hands it to another core.
        device: index of the device.

    Returns:
        A context manager with the property `report`.

    Raises:
        RuntimeError: the device is no virtual NPU.
        ValueError: a name in `checks` that is no checker.

    >>> import numpy as np
    >>> from ascend_attention import paged_attention, vnpu
    >>> cache = np.full((2, 16, 1, 64), 0.5, np.float16)
    >>> with vnpu.session(checks="none") as s:
    ...     _ = paged_attention(np.ones((1, 1, 64), np.float16), cache, cache,
    ...                         np.array([[1]], np.int32), [3])
    >>> s.report.launches[0].kernel
    'decode_f16_0'
    """
    return Session(_records.checkers(checks), timing, strict_gm_visibility, device)
