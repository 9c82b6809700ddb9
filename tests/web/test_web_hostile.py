"""Strangers flood the page while a car charges: the lease is renewed, the box answers, the page comes back."""

from __future__ import annotations

import random
import socket
import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest

from tests.support.web_box import HOST, WebBox

if TYPE_CHECKING:
    from collections.abc import Callable

FLOOD_S = 8.0
"""Longer than four renewals of the lease, and than any of the door's time limits."""


def quick(port: int, _random: random.Random, source: str) -> None:
    """Ask as often as can be."""
    with socket.create_connection((HOST, port), timeout=2, source_address=(source, 0)) as client:
        client.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n" * 100)
        client.recv(65_536)


def slow(port: int, _random: random.Random, source: str) -> None:
    """Send one byte at a time."""
    with socket.create_connection((HOST, port), timeout=2, source_address=(source, 0)) as client:
        for byte in b"GET / HTTP/1.1\r\nHost: localhost\r\nX: " + b"y" * 40:
            client.sendall(bytes([byte]))
            time.sleep(0.1)


def deaf(port: int, _random: random.Random, source: str) -> None:
    """Ask for news and read none."""
    with socket.create_connection((HOST, port), timeout=2, source_address=(source, 0)) as client:
        client.sendall(b"GET /live/status HTTP/1.1\r\nHost: localhost\r\n\r\n")
        time.sleep(2)


def mad(port: int, chance: random.Random, source: str) -> None:
    """Send noise, without an end."""
    with socket.create_connection((HOST, port), timeout=2, source_address=(source, 0)) as client:
        for _ in range(200):
            client.sendall(chance.randbytes(2_000))


def guess(port: int, chance: random.Random, source: str) -> None:
    """Guess PINs."""
    body = f"pin={chance.randrange(10**6):06}".encode()
    head = f"POST /pin HTTP/1.1\r\nHost: localhost\r\nOrigin: http://localhost\r\nContent-Length: {len(body)}\r\n\r\n"
    with socket.create_connection((HOST, port), timeout=2, source_address=(source, 0)) as client:
        client.sendall(head.encode() + body)
        client.recv(65_536)


def attack(box: WebBox, attackers: list[Callable[[int, random.Random, str], None]], over: threading.Event) -> None:
    def repeat(number: int) -> None:
        act, chance = attackers[number % len(attackers)], random.Random(number)
        while not over.is_set():
            with suppress(OSError):
                act(box.port, chance, f"127.0.1.{1 + number // 8}")
            time.sleep(0.002)

    threads = [threading.Thread(target=repeat, args=(number,), daemon=True) for number in range(40)]
    for thread in threads:
        thread.start()
    over.wait(FLOOD_S)
    over.set()
    for thread in threads:
        thread.join(10)


@pytest.mark.hazard("H-10")
def test_a_flood_of_the_page_costs_nobody_the_charge(ready: WebBox) -> None:
    box = ready
    box.car("plug_in", cable_ma=20_000)
    box.car("auto")
    before = box.until(lambda now: now["contactor"]["closed"])
    over, seen = threading.Event(), []
    flood = threading.Thread(target=attack, args=(box, [quick, slow, deaf, mad, guess], over))
    flood.start()
    try:
        while flood.is_alive():
            now = box.ask("status")
            seen.append((now["reason"]["reason"], now["contactor"]["cycles"]) if now["reason"] else None)
            time.sleep(0.2)
    finally:
        over.set()
        flood.join(20)
    assert len(seen) >= 10
    assert not {each for each in seen if each is None or each[0] in ("NO_LEASE", "NOT_PERMITTED")}, seen
    after = box.ask("status")
    if not after["faults"]:  # a machine that is too busy for the safety process opens for that alone
        assert after["contactor"]["cycles"] == before["contactor"]["cycles"]
        assert after["contactor"]["closed"]
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        with suppress(OSError):
            if box.get("/").status == 200:
                return
        time.sleep(0.2)
    pytest.fail("the page did not come back")
