"""A box without its network charges on by its own rules, and is found again at the address it then has.

Its link-local address stays, as that of a machine does; that a new one is announced is tested with mDNS alone.
"""

from __future__ import annotations

import subprocess
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from tests.interop.controllers import ControllerError
from tests.interop.evse_peer import (
    CHARGING,
    CHARGING_ENABLED,
    EV_CONNECTED,
    EV_NOT_DETECTED,
    NO_ERROR,
    STARTED,
    STOPPED,
    SUCCESS,
)
from tests.interop.namespaces import CONTROLLER_IPV4, CONTROLLER_IPV6, DEVICE_IPV4, DEVICE_IPV6

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.interop.controllers import ChipController
    from tests.interop.evse_peer import Peer
    from tests.interop.namespaces import Namespaces
    from tests.interop.wallbox import Wallbox

OTHER_IPV4, OTHER_IPV6 = "10.99.0.7", "fd99::7"
MULTICAST = ("route", "add", "224.0.0.0/4", "dev", "eth0")
LONGER_THAN_A_LEASE_MWH = 60_000
"""At three phases and 16 A, 11 kW, this is some 20 s; a lease is 15 s (`evse_pi.charging.demand_arbiter.LEASE_NS`)."""
TRIES = 20


def ip(name: str, *arguments: str, check: bool = True) -> None:
    """Run one order of `ip` inside a namespace."""
    subprocess.run(["ip", "-n", name, *arguments], check=check, capture_output=True)


@contextmanager
def unplugged(namespaces: Namespaces) -> Iterator[None]:
    """Pull the cable at the controller's end: the device's end loses its carrier, as at a switch that is off."""
    ip(namespaces.controller, "link", "set", "eth0", "down")
    try:
        yield
    finally:
        ip(namespaces.controller, "link", "set", "eth0", "up")
        ip(namespaces.controller, "addr", "replace", f"{CONTROLLER_IPV6}/64", "dev", "eth0", "nodad")
        ip(namespaces.controller, *MULTICAST, check=False)


@contextmanager
def addresses(namespaces: Namespaces, ipv4: str | None, ipv6: str, *, controller_ipv4: bool) -> Iterator[None]:
    """Give the device other addresses within the block, and the controller no IPv4 one where so asked."""
    ip(namespaces.device, "addr", "del", f"{DEVICE_IPV4}/24", "dev", "eth0")
    ip(namespaces.device, "addr", "del", f"{DEVICE_IPV6}/64", "dev", "eth0")
    ip(namespaces.device, "addr", "add", f"{ipv6}/64", "dev", "eth0", "nodad")
    if ipv4 is not None:
        ip(namespaces.device, "addr", "add", f"{ipv4}/24", "dev", "eth0")
    if not controller_ipv4:
        ip(namespaces.controller, "addr", "del", f"{CONTROLLER_IPV4}/24", "dev", "eth0")
    try:
        yield
    finally:
        ip(namespaces.device, "addr", "del", f"{ipv6}/64", "dev", "eth0")
        if ipv4 is not None:
            ip(namespaces.device, "addr", "del", f"{ipv4}/24", "dev", "eth0")
        ip(namespaces.device, "addr", "add", f"{DEVICE_IPV4}/24", "dev", "eth0")
        ip(namespaces.device, "addr", "add", f"{DEVICE_IPV6}/64", "dev", "eth0", "nodad")
        ip(namespaces.controller, "addr", "replace", f"{CONTROLLER_IPV4}/24", "dev", "eth0")
        for name in (namespaces.device, namespaces.controller):
            ip(name, *MULTICAST, check=False)


def found_again(chip: ChipController, peer: Peer, node_id: int) -> list[int]:
    """Return what the controller reads once it has found the node; it looks at its own pace, with new sessions."""
    for _ in range(TRIES):
        chip.call("expire_sessions", node_id)
        with suppress(ControllerError):
            return peer.states()
    return peer.states()


def complaints_of_others(wallbox: Wallbox) -> list[str]:
    """Return which loggers wrote a trace as a warning, and take it as looked at; any other complaint fails the test.

    zeroconf warns with a trace of a socket whose address is gone, until the node has closed that socket.
    """
    lines = wallbox.log().splitlines()
    traces = [number for number, line in enumerate(lines) if line.startswith("Traceback")]
    assert len(wallbox.complaints()) == len(traces)
    return [lines[number - 1].removeprefix("WARNING ").split()[0] for number in traces]


def test_a_box_without_its_network_charges_on_and_is_found_again_at_its_new_address(
    peer: Peer, wallbox: Wallbox, chip: ChipController, node_id: int, namespaces: Namespaces
) -> None:
    wallbox.car("plug_in", cable_ma=32_000)
    wallbox.car("auto")
    session = peer.event(EV_CONNECTED)["sessionID"]
    assert peer.enable(maximum_ma=16_000) == SUCCESS
    peer.event(STARTED)
    closings = wallbox.await_plant(lambda now: all(now["poles"]), 5)["closings"]
    chip.call("unsubscribe")
    with unplugged(namespaces):
        before = wallbox.until(lambda now: now["session"] is not None)["session"]["energy_mwh"]
        wallbox.until(lambda now: now["session"]["energy_mwh"] >= before + LONGER_THAN_A_LEASE_MWH, 120)
    with addresses(namespaces, OTHER_IPV4, OTHER_IPV6, controller_ipv4=True):
        assert found_again(chip, peer, node_id) == [CHARGING, CHARGING_ENABLED, NO_ERROR]
        assert peer.read("SessionID") == session
    with addresses(namespaces, None, OTHER_IPV6, controller_ipv4=False):
        assert found_again(chip, peer, node_id) == [CHARGING, CHARGING_ENABLED, NO_ERROR]
        assert peer.enable(maximum_ma=10_000) == SUCCESS
        wallbox.await_plant(lambda now: now["duty_ppm"] == 166_666)
    assert found_again(chip, peer, node_id) == [CHARGING, CHARGING_ENABLED, NO_ERROR]
    assert wallbox.plant["closings"] == closings, "nothing of it reached the contactor"
    chip.call("subscribe", node_id, 0, 30)
    chip.call("forget_updates")
    wallbox.car("unplug")
    assert peer.event(STOPPED)["energyTransferred"] > 0
    assert peer.event(EV_NOT_DETECTED)["sessionID"] == session
    assert peer.invoke("Disable") == SUCCESS
    assert set(complaints_of_others(wallbox)) <= {"zeroconf"}
