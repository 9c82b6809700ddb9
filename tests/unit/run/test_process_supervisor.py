"""The foreground supervisor keeps processes alive, kills silent ones and leaves none behind."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from typing import TYPE_CHECKING

from evse_pi.run import process_supervisor
from evse_pi.run.process_supervisor import ProcessSupervisor, SupervisedService

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import pytest

NOTIFYING = """
import os, socket, sys, time
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
s.connect(os.environ["NOTIFY_SOCKET"])
open(sys.argv[1], "a").write(f"{os.getpid()}\\n")
s.send(b"READY=1")
for _ in range(int(sys.argv[2])):
    s.send(b"WATCHDOG=1"); time.sleep(0.02)
time.sleep(60)
"""


def supervise(services: list[SupervisedService], folder: Path, until: Callable[[], bool]) -> list[str]:
    said: list[str] = []
    supervisor = ProcessSupervisor(services, folder, said.append)
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def stop_when() -> None:
        deadline = time.monotonic() + 15
        while not until() and time.monotonic() < deadline:
            time.sleep(0.01)
        supervisor.stop()

    watcher = threading.Thread(target=stop_when)
    watcher.start()
    try:
        supervisor.run()
    finally:
        watcher.join()
        for number, handler in handlers.items():
            signal.signal(number, handler)
    return said


def pids(path: Path) -> list[int]:
    return [int(line) for line in path.read_text().splitlines()] if path.exists() else []


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_a_process_that_ends_is_started_again(tmp_path: Path) -> None:
    log = tmp_path / "pids"
    code = f"import os; open({str(log)!r}, 'a').write(f'{{os.getpid()}}\\n')"
    service = SupervisedService("node", [sys.executable, "-c", code], os.environ, restart_s=0.05)
    said = supervise([service], tmp_path, lambda: len(pids(log)) >= 3)
    assert len(set(pids(log))) >= 3
    assert "node: ended with status 0" in said[0]


def test_a_process_that_falls_silent_is_killed_and_started_again(tmp_path: Path) -> None:
    log = tmp_path / "pids"
    command = [sys.executable, "-c", NOTIFYING, str(log), "5"]
    service = SupervisedService("safety", command, os.environ, restart_s=0.05, watchdog_s=0.5)
    said = supervise([service], tmp_path, lambda: len(pids(log)) >= 2)
    assert any("silent for 0.5 s" in line for line in said)
    assert not any(alive(pid) for pid in pids(log))


def test_a_stopped_process_counts_as_silent(tmp_path: Path) -> None:
    log = tmp_path / "pids"
    command = [sys.executable, "-c", NOTIFYING, str(log), "100000"]
    service = SupervisedService("safety", command, os.environ, restart_s=0.05, watchdog_s=0.5)
    stopped: list[int] = []

    def until() -> bool:
        if pids(log) and not stopped:
            stopped.append(pids(log)[0])
            time.sleep(0.2)
            os.kill(stopped[0], signal.SIGSTOP)
        return len(pids(log)) >= 2

    supervise([service], tmp_path, until)
    assert stopped
    assert not alive(stopped[0])


def test_stopping_leaves_no_process_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process_supervisor, "STOP_WITHIN_S", 0.5)
    log = tmp_path / "pids"
    stubborn = (
        "import os, signal, sys, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); "
        "open(sys.argv[1], 'a').write(f'{os.getpid()}\\n'); time.sleep(60)"
    )
    service = SupervisedService("node", [sys.executable, "-c", stubborn, str(log)], os.environ, restart_s=1)
    supervise([service], tmp_path, lambda: bool(pids(log)))
    assert not any(alive(pid) for pid in pids(log))


def test_what_must_happen_after_a_process_happens_after_every_end_of_it(tmp_path: Path) -> None:
    log, after = tmp_path / "pids", tmp_path / "after"
    code = f"import os; open({str(log)!r}, 'a').write(f'{{os.getpid()}}\\n')"
    note = f"open({str(after)!r}, 'a').write('off\\n')"
    command, afterwards = [sys.executable, "-c", code], [sys.executable, "-c", note]
    service = SupervisedService("safety", command, os.environ, restart_s=0.05, afterwards=afterwards)
    supervise([service], tmp_path, lambda: len(pids(log)) >= 2)
    assert after.read_text().count("off") >= len(pids(log)) - 1
