"""A whole box of real processes with its web page, and a browser's and a stranger's way to it."""

from __future__ import annotations

import http.client
import signal
import socket
import subprocess
import sys
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from evse_pi.api.client import BoxError, call
from evse_pi.charging.clock import SystemClock
from evse_pi.installer.pin import Pin
from evse_pi.paths import resolve_paths
from evse_pi.sim.process import SimulatorClient
from tests.support.long_gate import on_long_gate

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from evse_pi.paths import Paths

PIN = "480213"
HOST = "127.0.0.1"


def free_port(kind: socket.SocketKind) -> int:
    with socket.socket(socket.AF_INET, kind) as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    fields: dict[str, str]
    body: str


class WebBox:
    """The running box; `get` and `post` are one request each, as a browser's of the same origin would be."""

    def __init__(self, box: Paths, port: int) -> None:
        self.box = box
        self.port = port
        self.url = f"http://{HOST}:{port}"

    def ask(self, command: str, **fields: Any) -> Any:
        return call(self.box.control_socket, command, **fields)

    def car(self, verb: str, **arguments: Any) -> None:
        with SimulatorClient(self.box.simulator_socket) as client:
            client.verb(verb, **arguments)

    def until(self, holds: Callable[[dict[str, Any]], Any], within_s: float = 25) -> dict[str, Any]:
        deadline, now = time.monotonic() + within_s, None
        while time.monotonic() < deadline:
            with suppress(BoxError):
                now = self.ask("status")
                if holds(now):
                    return dict(now)
            time.sleep(0.1)
        raise AssertionError(f"never came about; the box says {now}")

    def get(self, path: str, **fields: str) -> Answer:
        return self._request("GET", path, None, fields)

    def post(self, path: str, form: dict[str, str], **fields: str) -> Answer:
        own = {"Origin": self.url, "Content-Type": "application/x-www-form-urlencoded"}
        return self._request("POST", path, urlencode(form), {**own, **fields})

    def _request(self, method: str, path: str, body: str | None, fields: dict[str, str]) -> Answer:
        connection = http.client.HTTPConnection(HOST, self.port, timeout=20)
        try:
            connection.request(method, path, body, fields)
            answer = connection.getresponse()
            told = {name.lower(): value for name, value in answer.getheaders()}
            return Answer(answer.status, told, answer.read().decode())
        finally:
            connection.close()


@contextmanager
def web_box(folder: Path, *options: str, pin: bool = True) -> Iterator[WebBox]:
    """Run a simulated box whose page is served."""
    here = resolve_paths(folder)
    if pin:
        folder.mkdir(parents=True, exist_ok=True)
        Pin(folder, SystemClock()).choose(PIN)
    port = free_port(socket.SOCK_STREAM)
    command = [sys.executable, "-m", "evse_pi.cli", "--state-dir", str(folder), "run", *on_long_gate()]
    command += [f"--web-port={port}", f"--web-address={HOST}", *options]
    with (folder / "log").open("wb") as log:
        child = subprocess.Popen(command, stdout=log, stderr=log)
        try:
            box = WebBox(here, port)
            box.until(lambda now: now["web"] and now["web"]["serving"], within_s=60)
            yield box
        finally:
            child.send_signal(signal.SIGTERM)
            try:
                child.wait(20)
            finally:
                child.kill()  # without effect on one that has ended
