"""The tests' side of the real controllers: start the process, give orders, wait for answers."""

from __future__ import annotations

import base64
import json
import os
import queue
import shutil
import signal
import socket
import subprocess
import sys
import threading
from contextlib import suppress
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from tests.interop.namespaces import Namespaces

ROOT = Path(__file__).parents[2]
MATTERJS = Path(__file__).parent / "matterjs"
HOME_ASSISTANT = Path(__file__).parent / "home_assistant"
ANSWER_TIMEOUT_S = 60.0
PING_TIMEOUT_S = 10.0
COMMISSIONING = frozenset({"commission", "commission_with_code", "pase"})

# "Matter Test PAA", the public test root of attestation: Chip-Test-PAA-NoVID-Cert.pem of the CSA's SDK connectedhomeip.
TEST_PAA = """
MIIBkTCCATegAwIBAgIHC4+6qN2G7jAKBggqhkjOPQQDAjAaMRgwFgYDVQQDDA9NYXR0ZXIgVGVzdCBQQUEwIBcNMjEwNjI4MTQyMzQzWhgPOTk5OTEy
MzEyMzU5NTlaMBoxGDAWBgNVBAMMD01hdHRlciBUZXN0IFBBQTBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABBDvAqgah7aBIfuo0xl4+AejF+UKqKgo
RGgokUuTPejt1KXDnJ/3GkzjZH/X9iZTt9JJX8ukwPR/h2iAA54HIEqjZjBkMBIGA1UdEwEB/wQIMAYBAf8CAQEwDgYDVR0PAQH/BAQDAgEGMB0GA1Ud
DgQWBBR4XOcFuGuPTm/Hk6pgy0PqaWiC1TAfBgNVHSMEGDAWgBR4XOcFuGuPTm/Hk6pgy0PqaWiC1TAKBggqhkjOPQQDAgNIADBFAiEAue/bPqBqUuwL
8B5h2u0sLRVt22zwFBAdq3mPrAX6R+UCIGAGHT411g2dSw1Eja12EvfoXFguP8MS3Bh5TdNzcV5d
"""


class ControllerError(Exception):
    """A controller refused or failed: its own error class, the message and, if it gave one, the status code."""

    def __init__(self, kind: str, message: str, code: int | None) -> None:
        super().__init__(f"{kind}: {message}")
        self.kind = kind
        self.code = code


class ChipController:
    """The CHIP SDK's controller inside the controller's namespace, with full attestation against the test PAA."""

    def __init__(self, namespaces: Namespaces, folder: Path, *, fabric_id: int = 1, verbose: bool = False) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        trusted = folder / "paa"
        trusted.mkdir(exist_ok=True)
        trusted.joinpath("test-paa.der").write_bytes(base64.b64decode(TEST_PAA))
        ours, theirs = socket.socketpair()
        # The library writes into /data, so it gets one of its own.
        Path("/data").mkdir(exist_ok=True)
        private = 'mount -t tmpfs none /data && exec "$@"'
        program = [sys.executable, "-m", "tests.interop.chip_controller"]
        arguments = [str(theirs.fileno()), os.fspath(folder), os.fspath(trusted), str(fabric_id)]
        self._log = folder.joinpath("chip.stdout").open("wb")
        self._process = subprocess.Popen(
            namespaces.inside(
                namespaces.controller,
                *("unshare", "--mount", "sh", "-c", private, "sh", *program, *arguments, *["verbose"] * verbose),
            ),
            cwd=ROOT,
            pass_fds=[theirs.fileno()],
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=subprocess.STDOUT,
        )
        theirs.close()
        self._connection = Connection(ours.detach())
        self._doubt: str | None = None
        self._owes = False
        self._answer(ANSWER_TIMEOUT_S)

    @property
    def pid(self) -> int:
        """The process."""
        return self._process.pid

    def call(self, order: str, *arguments: Any, timeout_s: float = ANSWER_TIMEOUT_S, **named: Any) -> Any:
        """Carry out one order and return its result.

        Raises: ControllerError, TimeoutError.
        """
        if self._owes:
            raise ControllerError("Doubtful", "an answer is outstanding", None)
        self._connection.send((order, arguments, named))
        try:
            return self._answer(timeout_s)
        except ControllerError:
            if order in COMMISSIONING:
                self._doubt = f"{order} has failed"
            raise

    def check(self) -> None:
        """Raise unless it answers and nothing has happened that leaves the library in a state of its own.

        A commissioning that failed does: on a busy machine the next one is an "Incorrect state" for a while.
        """
        if self._doubt is not None:
            raise ControllerError("Doubtful", self._doubt, None)
        self.call("ping", timeout_s=PING_TIMEOUT_S)

    def begin(self, order: str, *arguments: Any, **named: Any) -> None:
        """Start an order; `finish` waits for it."""
        self._connection.send((order, arguments, named))

    def finish(self, timeout_s: float = ANSWER_TIMEOUT_S) -> Any:
        """Return the result of the order that `begin` started."""
        return self._answer(timeout_s)

    def _answer(self, timeout_s: float) -> Any:
        if not self._connection.poll(timeout_s):
            self._owes = True
            raise TimeoutError(f"CHIP controller gave no answer in {timeout_s} s")
        try:
            kind, *content = self._connection.recv()
        except EOFError:
            raise ControllerError("Died", f"exit code {self._process.wait()}", None) from None
        if kind == "error":
            raise ControllerError(*content)
        return content[0]

    def abandon(self) -> None:
        """End the process by force."""
        self._process.kill()
        self._connection.close()
        self._process.wait()
        self._log.close()

    def close(self) -> None:
        """End the process."""
        self._connection.close()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._log.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()


def matterjs_missing() -> str | None:
    """Return why matter.js cannot run here, or None."""
    if shutil.which("node") is None:
        return "node (Debian package nodejs) is missing"
    if not (MATTERJS / "node_modules").is_dir():
        return "matter.js is not installed: run `npm ci` in tests/interop/matterjs"
    return None


def home_assistant_missing() -> str | None:
    """Return why Home Assistant's Matter server cannot run here, or None."""
    if not (HOME_ASSISTANT / ".venv/bin/matter-server").is_file():
        return "Home Assistant's Matter server is not installed: ./install.sh test does it"
    return None


class JsonProgram:
    """A program inside a namespace: one JSON order per line in, one JSON answer per line out."""

    def __init__(self, command: list[str], folder: Path, cwd: Path = MATTERJS) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.log = folder / "program.log"
        self._log = self.log.open("wb")
        self._process = subprocess.Popen(
            command,
            cwd=cwd,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            start_new_session=True,  # it may have processes of its own
        )
        self._owes = False
        self._lines: queue.Queue[bytes] = queue.Queue()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        self.ready = self._answer(ANSWER_TIMEOUT_S)

    @property
    def pid(self) -> int:
        """The process."""
        return self._process.pid

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            if line.startswith(b"{"):
                self._lines.put(line)
            else:
                self._log.write(line)
        self._lines.put(b"")

    def call(self, order: str, timeout_s: float = ANSWER_TIMEOUT_S, **named: Any) -> Any:
        """Carry out one order and return its result.

        Raises: ControllerError, TimeoutError.
        """
        assert self._process.stdin is not None
        if self._owes:
            raise ControllerError("Doubtful", "an answer is outstanding", None)
        self._process.stdin.write(json.dumps({"order": order, **named}).encode() + b"\n")
        self._process.stdin.flush()
        return self._answer(timeout_s)

    def check(self) -> None:
        """Raise unless it answers."""
        self.call("ping", PING_TIMEOUT_S)

    def _answer(self, timeout_s: float) -> Any:
        try:
            line = self._lines.get(timeout=timeout_s)
        except queue.Empty:
            self._owes = True
            raise TimeoutError(f"no answer in {timeout_s} s") from None
        if not line:
            raise ControllerError("Died", f"exit code {self._process.wait()}, see {self.log}", None)
        answer = json.loads(line)
        if "error" in answer:
            raise ControllerError(answer["kind"], answer["error"], answer.get("code"))
        return answer.get("value")

    def abandon(self) -> None:
        """End the process and its own ones by force."""
        os.killpg(self._process.pid, signal.SIGKILL)
        self.close()

    def close(self) -> None:
        """End the process."""
        assert self._process.stdin is not None
        with suppress(BrokenPipeError):
            self._process.stdin.close()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._reader.join(10)
        assert self._process.stdout is not None
        self._process.stdout.close()
        self._log.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()
