# SPDX-License-Identifier: Apache-2.0
"""A page in headless Chromium, driven over a pair of pipes with the DevTools protocol.

Needs the program chromium (Debian package of that name) and nothing else; where there is none,
opening a page fails: a test that cannot look at a page has not passed.
"""

from __future__ import annotations

import base64
import fcntl
import json
import os
import pathlib
import select
import shutil
import subprocess
import time
from typing import Any

_NAMES = ("chromium", "chromium-browser", "google-chrome")
_MISSING = (
    "no Chromium to show the page with: install the Debian package chromium, or name a program "
    "in ASCEND_ATTENTION_CHROMIUM (for Bazel, --test_env=ASCEND_ATTENTION_CHROMIUM=program)"
)
_FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--remote-debugging-pipe",
)
_TIMEOUT_SECONDS = 60.0

# The browser reads commands from descriptor 3 and writes answers to 4.
_READ_FD, _WRITE_FD, _OUT_OF_THE_WAY = 3, 4, 20


class Browser:
    """One Chromium with one page. Use as a context manager."""

    def __init__(self, folder: pathlib.Path) -> None:
        """Starts with a fresh profile in `folder`."""
        program = os.environ.get("ASCEND_ATTENTION_CHROMIUM") or next(
            filter(None, map(shutil.which, _NAMES)), None
        )
        if program is None:
            raise RuntimeError(_MISSING)
        commands_read, self._commands = _pipe()
        self._answers, answers_write = _pipe()

        def connect() -> None:
            os.dup2(commands_read, _READ_FD)
            os.dup2(answers_write, _WRITE_FD)

        log_file = (folder / "chromium.log").open("wb")
        self._process = subprocess.Popen(
            [program, *_FLAGS, f"--user-data-dir={folder / 'profile'}", "about:blank"],
            close_fds=False,
            preexec_fn=connect,
            stdout=log_file,
            stderr=subprocess.STDOUT,
            env={**os.environ, "HOME": str(folder), "XDG_CONFIG_HOME": str(folder)},
        )
        for descriptor in (commands_read, answers_write):
            os.close(descriptor)
        log_file.close()
        self._log = folder / "chromium.log"
        self._buffer = b""
        self._number = 0
        self._session: str | None = None
        self.events: list[dict[str, Any]] = []
        target = self.command("Target.createTarget", url="about:blank")["targetId"]
        attached = self.command("Target.attachToTarget", targetId=target, flatten=True)
        self._session = attached["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.command(f"{domain}.enable")

    def __enter__(self) -> Browser:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._commands)
        try:
            self._process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        os.close(self._answers)

    def command(self, method: str, **params: Any) -> dict[str, Any]:
        """Sends one command and returns its result; events that come meanwhile are kept."""
        self._number += 1
        message = {"id": self._number, "method": method, "params": params}
        if self._session is not None:
            message["sessionId"] = self._session
        os.write(self._commands, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._receive()
            if answer.get("id") != self._number:
                self.events.append(answer)
                continue
            if "error" in answer:
                raise RuntimeError(f"{method}: {answer['error']}")
            return answer["result"]

    def _receive(self) -> dict[str, Any]:
        deadline = time.monotonic() + _TIMEOUT_SECONDS
        while b"\0" not in self._buffer:
            ready, _, _ = select.select([self._answers], [], [], deadline - time.monotonic())
            data = os.read(self._answers, 1 << 16) if ready else b""
            if not data:
                raise RuntimeError(f"Chromium does not answer; it said: {self._log.read_text()}")
            self._buffer += data
        message, self._buffer = self._buffer.split(b"\0", 1)
        return json.loads(message)

    def evaluate(self, expression: str) -> Any:
        """Returns the JSON value of a JavaScript expression (promises are awaited)."""
        result = self.command(
            "Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True
        )
        if "exceptionDetails" in result:
            raise RuntimeError(f"{expression}: {result['exceptionDetails']}")
        return result["result"].get("value")

    def open(self, path: pathlib.Path, *, width: int, height: int, dark: bool = False) -> None:
        """Shows a report page and waits until it has been drawn."""
        self.events.clear()
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.command("Emulation.setEmulatedMedia", features=[scheme])
        self.command(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=width < 600,
        )
        self.command("Page.navigate", url=path.resolve().as_uri())
        while not any(event.get("method") == "Page.loadEventFired" for event in self.events):
            self.events.append(self._receive())
        deadline = time.monotonic() + _TIMEOUT_SECONDS
        ready = (
            "document.documentElement.dataset.ready === 'true' ||"
            " document.getElementById('trouble')?.hidden === false"
        )
        while not self.evaluate(ready):
            if time.monotonic() > deadline:
                raise RuntimeError(f"{path} is not ready; problems: {self.problems()}")
            time.sleep(0.05)
        self.settle()

    def settle(self) -> None:
        """Waits for two frames: what was asked for has been drawn."""
        self.evaluate(
            "new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))"
        )

    def problems(self) -> list[str]:
        """Exceptions, errors and warnings of the page since it was opened."""
        self.evaluate("0")  # lets events of what has happened arrive
        found = []
        for event in self.events:
            params = event.get("params", {})
            if event.get("method") == "Runtime.exceptionThrown":
                found.append(json.dumps(params["exceptionDetails"]))
            elif event.get("method") == "Log.entryAdded":
                found.append(params["entry"]["text"])
            elif event.get("method") == "Runtime.consoleAPICalled":
                found.append(json.dumps(params["args"]))
        return found

    def requests(self) -> list[str]:
        """Addresses that the page asked for."""
        return [
            event["params"]["request"]["url"]
            for event in self.events
            if event.get("method") == "Network.requestWillBeSent"
        ]

    def mouse(self, kind: str, x: float, y: float, **more: Any) -> None:
        """Sends "Moved", "Pressed", "Released" or "Wheel" at a point of the viewport."""
        self.command("Input.dispatchMouseEvent", type=f"mouse{kind}", x=x, y=y, **more)
        self.settle()

    def click(self, x: float, y: float, *, count: int = 1) -> None:
        for kind in ("Pressed", "Released"):
            self.mouse(kind, x, y, button="left", clickCount=count)

    def drag(
        self, start: tuple[float, float], end: tuple[float, float], modifiers: int = 0
    ) -> None:
        left = {"button": "left", "modifiers": modifiers, "clickCount": 1}
        self.mouse("Pressed", *start, **left)
        self.mouse("Moved", (start[0] + end[0]) / 2, end[1], buttons=1, **left)
        self.mouse("Moved", *end, buttons=1, **left)
        self.mouse("Released", *end, **left)

    def key(self, key: str) -> None:
        text = {"text": key} if len(key) == 1 else {}
        self.command("Input.dispatchKeyEvent", type="keyDown", key=key, **text)
        self.command("Input.dispatchKeyEvent", type="keyUp", key=key)
        self.settle()

    def screenshot(self, name: str) -> bytes:
        """Returns the viewport as PNG; under Bazel it is kept among the test's outputs."""
        data = base64.b64decode(self.command("Page.captureScreenshot", format="png")["data"])
        outputs = os.environ.get("TEST_UNDECLARED_OUTPUTS_DIR")
        if outputs:
            (pathlib.Path(outputs) / f"{name}.png").write_bytes(data)
        return data


def _pipe() -> tuple[int, int]:
    """A pipe whose numbers do not collide with those that the browser uses."""
    ends = []
    for end in os.pipe():
        ends.append(fcntl.fcntl(end, fcntl.F_DUPFD_CLOEXEC, _OUT_OF_THE_WAY))
        os.close(end)
    return ends[0], ends[1]
