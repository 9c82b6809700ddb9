"""One box and one browser for all tests of the page, others where one is broken; each test leaves the car unplugged."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.browser import Browser, browser
from tests.support.kept import Kept, has_failed, kept_open, lent
from tests.support.web_box import WebBox, free_port, web_box

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="session")
def boxes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kept[WebBox]]:
    kept = kept_open(
        lambda: web_box(tmp_path_factory.mktemp("web") / "box", f"--port={free_port(socket.SOCK_DGRAM)}"),
        check=unplug,
    )
    yield kept
    kept.close()


def unplug(box: WebBox) -> None:
    """Let the car go, and be sure that the box sees it."""
    box.car("unplug")
    box.until(lambda now: now["pilot"] and now["pilot"]["state"] == "A")


@pytest.fixture
def box(boxes: Kept[WebBox], request: pytest.FixtureRequest) -> Iterator[WebBox]:
    """The box without a car; on a machine that is too busy it may have a fault for that."""
    with lent(boxes, request) as one:
        yield one
        if not has_failed(request):
            unplug(one)


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
def browsers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kept[Browser]]:
    kept = kept_open(lambda: browser(tmp_path_factory.mktemp("profile")), check=lambda one: one.run("return 1"))
    yield kept
    kept.close()


@pytest.fixture
def opened(browsers: Kept[Browser], request: pytest.FixtureRequest) -> Iterator[Browser]:
    with lent(browsers, request) as one:
        yield one


@pytest.fixture
def window(opened: Browser, box: WebBox) -> Iterator[Browser]:
    """A desktop's window without cookies, and without complaints at its end."""
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
