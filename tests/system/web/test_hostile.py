"""Strangers flood the page: the lease is renewed in time, commands are carried out, the page comes back."""

from __future__ import annotations

import http.client
import random
import socket
import subprocess
import sys
import threading
import time
from contextlib import closing, suppress
from typing import TYPE_CHECKING

import pytest

from evse_pi.charging.clock import SystemClock
from evse_pi.installer.pin import Pin
from evse_pi.link import LinkEnd
from evse_pi.paths import NODE_SOCKET, SAFETY_SOCKET, Paths
from tests.support.node_box import decode_stamped
from tests.support.web_box import HOST, PIN, WebBox, free_port

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from evse_pi.core.records import Demand

RENEWALS = 4


def quick(port: int, _random: random.Random, source: str) -> None:
    """Ask as often as can be."""
    with socket.create_connection((HOST, port), timeout=2, source_address=(source, 0)) as client:
        client.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n" * 100)
        client.recv(65_536)


def slow(port: int, _random: random.Random, source: str) -> None:
    """Send one byte at a time."""
    with socket.create_connection((HOST, port), timeout=2, source_address=(source, 0)) as client:
        for byte in b"GET / HTTP/1.1\r\n":
            client.sendall(bytes([byte]))
            time.sleep(0.15)


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


def attack(port: int, attackers: list[Callable[[int, random.Random, str], None]], over: threading.Event) -> None:
    def repeat(number: int) -> None:
        act, chance = attackers[number % len(attackers)], random.Random(number)
        while not over.is_set():
            with suppress(OSError):
                act(port, chance, f"127.0.1.{1 + number // 8}")
            time.sleep(0.002)

    threads = [threading.Thread(target=repeat, args=(number,), daemon=True) for number in range(40)]
    for thread in threads:
        thread.start()
    over.wait()
    for thread in threads:
        thread.join(10)


@pytest.fixture
def node(tmp_path: Path) -> Iterator[WebBox]:
    """A node process with its page, alone: the test is its safety process."""
    port = free_port(socket.SOCK_STREAM)
    command = [sys.executable, "-m", "evse_pi.node", "--board=simulated", "--no-matter", f"--web-port={port}"]
    command += [f"--web-address={HOST}", f"--installation={tmp_path / 'installation.toml'}"]
    child = subprocess.Popen([*command, f"--state-dir={tmp_path}", f"--run-dir={tmp_path}"], stderr=subprocess.DEVNULL)
    Pin(tmp_path, SystemClock()).choose(PIN)
    try:
        box = WebBox(Paths(tmp_path, tmp_path), port)
        box.until(lambda now: now["web"] and now["web"]["serving"], within_s=60)
        yield box
    finally:
        child.terminate()
        child.wait(20)


@pytest.mark.hazard("H-10")
def test_a_flood_of_the_page_ends_no_charge(node: WebBox) -> None:
    run_dir = node.box.run_dir
    with closing(LinkEnd(run_dir / SAFETY_SOCKET, run_dir / NODE_SOCKET, decode_stamped)) as link:
        over = threading.Event()
        flood = threading.Thread(target=attack, args=(node.port, [quick, slow, deaf, mad, guess], over))
        flood.start()
        try:
            demand = renewed(link, time.monotonic() + 20)
            for _ in range(RENEWALS):
                demand = renewed(link, demand.valid_until_ns / 1e9)
                assert node.ask("set", limit_ma=10_000)["stored"]
                time.sleep(1)
        finally:
            over.set()
            flood.join(20)
    deadline = time.monotonic() + 30
    while not served(node):
        assert time.monotonic() < deadline, "the page did not come back"
        time.sleep(0.2)


def renewed(link: LinkEnd[Demand], before_s: float) -> Demand:
    """Return the next demand, which must come before the former one has run out."""
    while time.monotonic() < before_s:
        if (demand := link.receive()) is not None:
            return demand
        time.sleep(0.02)
    pytest.fail("the lease ran out")


def served(box: WebBox) -> bool:
    with suppress(OSError, http.client.HTTPException):
        return box.get("/").status == 200
    return False
