"""Names of the box alone; sessions that are few, short and not to be guessed."""

from __future__ import annotations

import itertools

import pytest

from evse_pi.sim.harness.virtual_clock import VirtualClock
from evse_pi.web.page_admission import SESSION_NS, PinSessions, is_own_name

NAMES = frozenset({"wallbox", "wallbox.home.arpa"})


@pytest.mark.parametrize(
    "host",
    [
        "192.0.2.7", "192.0.2.7:8080", "[2001:db8::7]:8080", "[fe80::1%eth0]", "localhost:8080", "wallbox:8080",
        "WALLBOX.home.arpa", "wallbox.local", "wallbox.local.:8080",
    ],
)  # fmt: skip
def test_an_address_and_a_name_of_the_box_are_its_own(host: str) -> None:
    assert is_own_name(host, NAMES)


@pytest.mark.parametrize(
    "host",
    [
        "", "evil.example", "wallbox.evil.example", "192.0.2.7.evil.example", "local", "xlocalhost", "[evil]", "a:b:c",
        "999.1.1.1",
    ],
)  # fmt: skip
def test_any_other_name_may_be_a_strangers(host: str) -> None:
    assert not is_own_name(host, NAMES)


def pin_sessions(clock: VirtualClock) -> PinSessions:
    texts = itertools.count()
    return PinSessions(clock, lambda: f"text{next(texts)}")


def test_a_session_ends_by_time_and_by_leaving() -> None:
    clock = VirtualClock()
    sessions = pin_sessions(clock)
    first, second = sessions.open(), sessions.open()
    assert sessions.find(first) is not None
    assert sessions.find(first) != sessions.find(second)
    sessions.close(first)
    assert sessions.find(first) is None
    clock.advance(SESSION_NS)
    assert sessions.find(second) is None
    assert sessions.find(None) is None
    assert sessions.find("") is None


def test_there_are_few_sessions_and_the_oldest_goes() -> None:
    sessions = pin_sessions(VirtualClock())
    keys = [sessions.open() for _ in range(5)]
    assert [sessions.find(key) is not None for key in keys] == [False] + [True] * 4
