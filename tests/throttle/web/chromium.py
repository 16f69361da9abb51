"""Headless Chromium through its DevTools protocol: open a page, run JavaScript in it, take a picture."""

from __future__ import annotations

import asyncio
import base64
import json
import shutil
import subprocess
import tempfile
import time
from pathlib import Path
from types import TracebackType
from typing import Any

import aiohttp

NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")


def find() -> str | None:
    """The browser's program, None where there is none."""
    return next((path for path in map(shutil.which, NAMES) if path), None)


class Browser:
    """A context; all its calls block."""

    def __init__(self, width: int = 1280, height: int = 900) -> None:
        self._folder = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
        self._size = f"{width},{height}"
        self._number = 0
        self.errors: list[str] = []
        """Exceptions and refused loads that the page reported."""

    def __enter__(self) -> Browser:
        program = find()
        assert program is not None
        self._process = subprocess.Popen(
            [program, "--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--disable-dev-shm-usage",
             "--remote-debugging-port=0", f"--window-size={self._size}", f"--user-data-dir={self._folder.name}",
             "about:blank"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        port = Path(self._folder.name) / "DevToolsActivePort"
        end = time.monotonic() + 60
        while not port.exists() or "\n" not in port.read_text():
            assert time.monotonic() < end, "the browser did not start"
            assert self._process.poll() is None, "the browser ended"
            time.sleep(0.05)
        self._loop = asyncio.new_event_loop()
        self._loop.run_until_complete(self._connect(int(port.read_text().split()[0])))
        return self

    async def _connect(self, port: int) -> None:
        self._session = aiohttp.ClientSession()
        async with self._session.get(f"http://127.0.0.1:{port}/json") as answer:
            pages = [page for page in await answer.json() if page["type"] == "page"]
        self._socket = await self._session.ws_connect(pages[0]["webSocketDebuggerUrl"], max_msg_size=1 << 28)
        for domain in ("Page", "Runtime", "Log"):
            await self._call(f"{domain}.enable", {})

    async def _call(self, method: str, arguments: dict[str, Any]) -> dict[str, Any]:
        self._number += 1
        mine = self._number
        await self._socket.send_json({"id": mine, "method": method, "params": arguments})
        while True:
            message = json.loads((await self._socket.receive(60)).data)
            if message.get("method") == "Runtime.exceptionThrown":
                self.errors.append(json.dumps(message["params"]["exceptionDetails"])[:500])
            if message.get("method") == "Log.entryAdded" and message["params"]["entry"]["level"] == "error":
                self.errors.append(message["params"]["entry"]["text"])
            if message.get("id") == mine:
                assert "error" not in message, message
                found: dict[str, Any] = message["result"]
                return found

    def open(self, address: str) -> None:
        """Load a page."""
        self._loop.run_until_complete(self._call("Page.navigate", {"url": address}))

    def value(self, script: str) -> Any:
        """The value of a JavaScript expression in the page."""
        got = self._loop.run_until_complete(
            self._call("Runtime.evaluate", {"expression": script, "returnByValue": True, "awaitPromise": True})
        )
        assert "exceptionDetails" not in got, got["exceptionDetails"]
        return got["result"].get("value")

    def until(self, script: str, seconds: float = 60.0) -> None:
        """Wait until an expression is true."""
        end = time.monotonic() + seconds
        while not self.value(f"Boolean({script})"):
            assert time.monotonic() < end, f"not so: {script}; {self.errors}"
            time.sleep(0.1)

    def picture(self, path: Path) -> None:
        """Save what is shown as PNG."""
        got = self._loop.run_until_complete(self._call("Page.captureScreenshot", {"format": "png"}))
        path.write_bytes(base64.b64decode(got["data"]))

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._loop.run_until_complete(self._session.close())
        self._loop.close()
        self._process.terminate()
        self._process.wait(30)
        self._folder.cleanup()
