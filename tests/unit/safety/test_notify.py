"""The service manager hears of ticks, and can never stop one."""

from __future__ import annotations

import socket
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from evse_pi.safety.host import SystemHost
from evse_pi.safety.memory import FaultMemory
from evse_pi.safety.notify import ServiceManager

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
    with closing(ServiceManager(str(tmp_path / "notify"))) as notify:
        host = SystemHost(notify, FaultMemory(tmp_path / "former"), lambda: None)
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
