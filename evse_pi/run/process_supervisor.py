"""Keeps the processes of one box running in the foreground, as systemd does on an installed one."""

from __future__ import annotations

import ctypes
import os
import signal
import socket
import subprocess
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from evse_pi.api.texts.catalogue import tr

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

PR_SET_PDEATHSIG = 1
POLL_S = 0.05
STOP_WITHIN_S = 8.0  # a vehicle has 6 s to stop drawing before the contactor opens under load


@dataclass(frozen=True, slots=True)
class SupervisedService:
    """One process and how it is kept alive.

    Units: `restart_s` from its end to its next start; `watchdog_s` is the longest silence between two notifications
    before it is killed, None for a process that sends none. `afterwards` is a command that runs whenever it has ended.
    Source: sd_notify(3), systemd.service(5).
    """

    name: str
    command: Sequence[str]
    environment: Mapping[str, str]
    restart_s: float
    watchdog_s: float | None = None
    afterwards: Sequence[str] = ()


class ProcessSupervisor:
    """Starts services in order, restarts what ends, kills what is silent, and stops in the reverse order."""

    def __init__(self, services: Sequence[SupervisedService], run_dir: Path, say: Callable[[str], None]) -> None:
        self._processes = [_ServiceProcess(service, run_dir, say) for service in services]
        self._stopping = False

    def run(self, *, on_ready: Callable[[], None] | None = None) -> None:
        """Keep the services running until `stop` is called, or SIGINT or SIGTERM arrives, then stop them."""
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: self.stop())
        try:
            while not self._stopping:
                for each in self._processes:
                    each.step(time.monotonic())
                if on_ready is not None and all(each.ready for each in self._processes):
                    on_ready()
                    on_ready = None
                time.sleep(POLL_S)
        finally:
            for each in reversed(self._processes):
                each.stop()

    def stop(self) -> None:
        """End `run` at its next step."""
        self._stopping = True


class _ServiceProcess:
    """One service and the process that serves it now."""

    def __init__(self, service: SupervisedService, run_dir: Path, say: Callable[[str], None]) -> None:
        self.ready = False
        self._service = service
        self._say = say
        self._process: subprocess.Popen[bytes] | None = None
        self._start_at = 0.0
        self._heard_at = 0.0
        self._notify = _notify_socket(run_dir / f"{service.name}.notify") if service.watchdog_s else None

    def step(self, now: float) -> None:
        """Start the process when it is due, report its end, kill it when it is silent."""
        if self._process is None:
            if now >= self._start_at:
                self._process = self._start(now)
        elif self._process.poll() is not None:
            service = self._service
            self._say(
                tr("{service}: ended with status {returncode}; starts in {restart_s:g} s").format(
                    service=service.name, returncode=self._process.returncode, restart_s=service.restart_s
                )
            )
            self._process, self.ready, self._start_at = None, False, now + service.restart_s
            self._run_afterwards()
        elif self._silent(now):
            self._say(
                tr("{service}: silent for {watchdog_s:g} s; killed").format(
                    service=self._service.name, watchdog_s=self._service.watchdog_s
                )
            )
            self._process.kill()

    def stop(self) -> None:
        """End the process, by force when it does not end in time."""
        if self._process is not None and self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(STOP_WITHIN_S)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
            self._run_afterwards()
        if self._notify is not None:
            self._notify.close()

    def _run_afterwards(self) -> None:
        if self._service.afterwards:
            subprocess.run(self._service.afterwards, env=dict(self._service.environment), check=False)

    def _start(self, now: float) -> subprocess.Popen[bytes]:
        environment = dict(self._service.environment)
        self._heard_at = now
        self.ready = self._notify is None
        if self._notify is not None and self._service.watchdog_s is not None:
            environment["NOTIFY_SOCKET"] = str(self._notify.getsockname())
            environment["WATCHDOG_USEC"] = str(int(self._service.watchdog_s * 1_000_000))
        return subprocess.Popen(self._service.command, env=environment, preexec_fn=_die_with_parent)

    def _silent(self, now: float) -> bool:
        """Return whether the last notification is too long ago; a process that starts up may take its time."""
        if self._notify is None or self._service.watchdog_s is None:
            return False
        while (message := _received(self._notify)) is not None:
            self._heard_at = now
            self.ready = self.ready or b"READY=1" in message
        return self.ready and now - self._heard_at > self._service.watchdog_s


def _notify_socket(address: Path) -> socket.socket:
    address.unlink(missing_ok=True)
    notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
    notify.bind(str(address))
    return notify


def _received(notify: socket.socket) -> bytes | None:
    try:
        return notify.recv(4096)
    except BlockingIOError:
        return None


def _die_with_parent() -> None:
    """Have the kernel end this child when the supervisor is killed; Ctrl-C goes to the supervisor alone."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
    os.setpgid(0, 0)
