"""The example lamp as a process inside the device's namespace: started, killed, started again, stopped."""

from __future__ import annotations

import queue
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.interop.namespaces import Namespaces

ROOT = Path(__file__).parents[2]
PASSCODE = 20202021
START_TIMEOUT_S = 20.0


class Lamp:
    """One lamp with a store of its own."""

    def __init__(
        self, namespaces: Namespaces, folder: Path, discriminator: int, *, module: str = "examples.matter_lamp"
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.discriminator = discriminator
        self.port = 5540 + discriminator  # several lamps share the namespace
        self.log_path = folder / "lamp.log"
        self.namespaces = namespaces
        self.options: list[str] = ["--verbose"]
        self._module = module
        self._store = folder / "lamp.db"
        self._judged = 0  # characters of its log
        self._process: subprocess.Popen[bytes] | None = None
        self._lines: queue.Queue[str] = queue.Queue()

    @property
    def pid(self) -> int:
        """The process id."""
        assert self._process is not None
        return self._process.pid

    def start(self) -> float:
        """Start it, wait until it can be commissioned or talked to, and return how long that took in seconds."""
        started = time.perf_counter()
        self._lines = queue.Queue()
        command = [
            sys.executable,
            *("-m", self._module, "--store", str(self._store), "--discriminator", str(self.discriminator)),
            *("--port", str(self.port), "--interface", "eth0", *self.options),
        ]
        with self.log_path.open("ab") as log:
            self._process = subprocess.Popen(
                self.namespaces.inside(self.namespaces.device, *command),
                cwd=ROOT,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=log,
            )
        threading.Thread(target=self._read, args=(self._process, self._lines), daemon=True).start()
        self.wait_for_line("QR code", START_TIMEOUT_S)
        return time.perf_counter() - started

    @staticmethod
    def _read(process: subprocess.Popen[bytes], lines: queue.Queue[str]) -> None:
        assert process.stdout is not None
        with process.stdout:
            for line in process.stdout:
                lines.put(line.decode())
        lines.put("")

    def wait_for_line(self, beginning: str, timeout_s: float = 5.0) -> str:
        """Return the next printed line that starts with `beginning`."""
        until = time.monotonic() + timeout_s
        while True:
            try:
                line = self._lines.get(timeout=max(0.0, until - time.monotonic()))
            except queue.Empty:
                line = ""
            if not line:
                raise TimeoutError(f"lamp did not print {beginning!r}; its log ends:\n{self.log()[-3000:]}")
            if line.startswith(beginning):
                return line

    def stored(self, prefix: str) -> dict[str, bytes]:
        """Return what stands in its store under keys that start with `prefix`."""
        with closing(sqlite3.connect(self._store)) as database:
            return {
                key: value for key, value in database.execute("SELECT * FROM matter_values") if key.startswith(prefix)
            }

    def wait_until_stored_differs(self, prefix: str, before: dict[str, bytes], timeout_s: float = 10.0) -> None:
        """Wait until what is stored under `prefix` is no longer `before`."""
        until = time.monotonic() + timeout_s
        while self.stored(prefix) == before:
            assert time.monotonic() < until, f"{prefix} is not written"
            time.sleep(0.05)

    def kill(self) -> None:
        """Pull the plug."""
        assert self._process is not None
        self._process.send_signal(signal.SIGKILL)
        self._process.wait()
        self._process = None

    def stop(self) -> int:
        """Ask it to end and return its exit code."""
        if self._process is None:
            return 0
        self._process.terminate()
        try:
            return self._process.wait(10)
        finally:
            if self._process.poll() is None:
                self._process.kill()
                self._process.wait()
            self._process = None

    def end(self) -> None:
        """Ask it to end, which it must do without a complaint."""
        code, complaints = self.stop(), self.complaints()
        assert (code, complaints) == (0, []), self.log()[-3000:]

    def abandon(self) -> None:
        """End a broken one by force."""
        if self._process is not None:
            self.kill()

    def log(self) -> str:
        """Return everything it logged so far."""
        return self.log_path.read_text(errors="replace")

    def complaints(self) -> list[str]:
        """Return what it logged since the last look and should not."""
        fresh = self.log()[self._judged :]
        self._judged += len(fresh)
        return [line for line in fresh.splitlines() if line.startswith(("ERROR", "CRITICAL", "Traceback"))]

    def resident_bytes(self) -> int:
        """Return the memory it occupies."""
        pages = int(Path(f"/proc/{self.pid}/statm").read_text().split()[1])
        return pages * 4096
