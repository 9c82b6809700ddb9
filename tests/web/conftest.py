"""One box and one browser for all tests of the page; each test leaves the car unplugged."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.browser import Browser, browser
from tests.support.web_box import WebBox, free_port, web_box

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="session")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WebBox]:
    with web_box(tmp_path_factory.mktemp("web") / "box", f"--port={free_port(socket.SOCK_DGRAM)}") as box:
        yield box


@pytest.fixture
def box(running: WebBox) -> Iterator[WebBox]:
    """The box without a car; on a machine that is too busy it may have a fault for that."""
    yield running
    running.car("unplug")
    running.until(lambda now: now["pilot"] and now["pilot"]["state"] == "A")


@pytest.fixture
def ready(box: WebBox) -> WebBox:
    """The box without a car and without a fault."""
    box.until(lambda now: _without_fault(box, now), within_s=60)
    return box


def _without_fault(box: WebBox, now: dict[str, Any]) -> bool:
    """Acknowledge what a machine that was too busy for a moment has brought about."""
    if now["faults"]:
        box.ask("clear", role="INSTALLER")
    return bool(now["reason"] and now["reason"]["reason"] == "NO_VEHICLE")


@pytest.fixture(scope="session")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with browser(tmp_path_factory.mktemp("profile")) as window:
        yield window


@pytest.fixture
def window(opened: Browser, box: WebBox) -> Iterator[Browser]:
    """A desktop's window without cookies, and nobody's complaint at its end."""
    opened.open(f"{box.url}/static/icon.svg")
    opened.driver.delete_all_cookies()
    opened.viewport(1000, 800)
    opened.read_logs()
    opened.requested.clear()
    opened.complaints.clear()
    yield opened
    opened.read_logs()
    assert opened.complaints == []
    assert opened.strangers(box.url) == []
