"""The service manager hears of ticks, and can never stop one."""

from __future__ import annotations

import socket
import time
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from evse_pi.core.faults import Fault
from evse_pi.installation.service_manager import ServiceManager
from evse_pi.safety.fault_memory import FaultMemory
from evse_pi.safety.process_services import SystemServices, sleep_until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as endpoint:
        endpoint.bind(str(tmp_path / "notify"))
        endpoint.setblocking(False)
        yield endpoint


def test_first_heartbeat_says_ready_and_the_next_only_that_it_lives(manager: socket.socket, tmp_path: Path) -> None:
    memory = FaultMemory(tmp_path / "former", tmp_path / "disk", print)
    with closing(memory), closing(ServiceManager(str(tmp_path / "notify"))) as notify:
        host = SystemServices(notify, memory, lambda: None)
        host.heartbeat()
        host.heartbeat()
    assert manager.recv(100) == b"READY=1\nWATCHDOG=1"
    assert manager.recv(100) == b"WATCHDOG=1"


def test_without_a_service_manager_nothing_happens() -> None:
    ServiceManager(None).tell(b"WATCHDOG=1")


def test_deaf_service_manager_costs_no_time(manager: socket.socket, tmp_path: Path) -> None:
    with closing(ServiceManager(str(tmp_path / "notify"))) as notify:
        for _ in range(10_000):
            notify.tell(b"WATCHDOG=1")


def test_abstract_address_is_understood() -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as endpoint:
        endpoint.bind("\0evse-pi-notify-test")
        with closing(ServiceManager("@evse-pi-notify-test")) as notify:
            notify.tell(b"READY=1")
        assert endpoint.recv(100) == b"READY=1"


def test_host_remembers_collects_and_reloads(tmp_path: Path) -> None:
    memory = FaultMemory(tmp_path / "former", tmp_path / "disk", print)
    with closing(memory), closing(ServiceManager(None)) as notify:
        host = SystemServices(notify, memory, lambda: None)
        host.remember(frozenset({Fault.RCD_TRIPPED}))
        host.collect_garbage()
        assert host.pauses.total == 1
        assert host.reload() is None
    with closing(FaultMemory(tmp_path / "former", tmp_path / "disk", print)) as memory:
        assert memory.former == {Fault.RCD_TRIPPED}


def test_sleeping_until_a_past_instant_returns_at_once() -> None:
    sleep_until(time.monotonic_ns() - 1)
    due_ns = time.monotonic_ns() + 2_000_000
    sleep_until(due_ns)
    assert time.monotonic_ns() >= due_ns
