"""Attributes that follow the machine: a subscriber hears of a cable, an address or a clock without asking."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from evse_pi.sim.harness.virtual_clock import VirtualClock
from tests.support.matter_bench import INTERFACE, NOON_US, Bench
from tests.support.virtual_loop import virtual_time

if TYPE_CHECKING:
    from tests.support.matter_initiator import Subscription

NETWORK, DIAGNOSTICS, TIME, ETHERNET = 0x31, 0x33, 0x38, 0x37
NETWORKS, LAST_STATUS, LAST_ID, LAST_ERROR = ((0, NETWORK, number) for number in (1, 5, 6, 7))
SUCCESS = 0
"""NetworkCommissioningStatusEnum. Source: Matter core 11.9.5.3."""


async def told(subscription: Subscription, *paths: tuple[int, int, int]) -> dict[tuple[int, int, int], Any]:
    """Return what reports bring of these attributes, once each of them was in one."""
    found: dict[tuple[int, int, int], Any] = {}
    async with asyncio.timeout(60):  # reports that only keep the subscription alive come all the same
        while not set(paths) <= set(found):
            found |= (await subscription.reports.get()).attributes
    return found


@virtual_time
async def test_a_node_that_is_connected_says_that_it_was_a_success_and_where() -> None:
    """Source: Matter core 11.9.6.6 and 11.9.6.7."""
    async with Bench() as device:
        controller, session = await device.commission()
        report = (await controller.read(session, NETWORKS, LAST_STATUS, LAST_ID, LAST_ERROR)).attributes
        assert report[NETWORKS] == [{0: b"eth0", 1: True}]
        assert (report[LAST_STATUS], report[LAST_ID], report[LAST_ERROR]) == (SUCCESS, b"eth0", None)


@virtual_time
async def test_a_node_that_was_never_connected_has_no_last_network() -> None:
    async with Bench() as device:
        controller, session = await device.commission()
        server = device.node.tree.root.servers[NETWORK]
        server._last_id = None  # type: ignore[attr-defined] # as at a start without a cable
        device.interfaces = ()  # type: ignore[misc]
        report = (await controller.read(session, NETWORKS, LAST_STATUS, LAST_ID)).attributes
        assert list(report.values()) == [[], None, None]


@virtual_time
async def test_subscribers_hear_of_networks_that_go_and_come() -> None:
    async with Bench() as device:
        controller, session = await device.commission()
        subscription = await controller.subscribe(session, (0, NETWORK, None), (0, DIAGNOSTICS, 0), min_s=0)
        device.interfaces = ()  # type: ignore[misc]
        found = await told(subscription, NETWORKS, (0, DIAGNOSTICS, 0))
        assert (found[NETWORKS], found[0, DIAGNOSTICS, 0]) == ([], [])
        state = (await controller.read(session, LAST_STATUS, LAST_ID)).attributes
        assert (state[LAST_STATUS], state[LAST_ID]) == (SUCCESS, b"eth0")
        device.interfaces = (replace(INTERFACE, name="wlan0"),)  # type: ignore[misc]
        found = await told(subscription, NETWORKS, LAST_ID, (0, DIAGNOSTICS, 0))
        assert (found[NETWORKS], found[LAST_ID]) == ([{0: b"wlan0", 1: True}], b"wlan0")
        device.interfaces = (replace(INTERFACE, name="wlan0", addresses=(bytes((192, 0, 2, 99)),)),)  # type: ignore[misc]
        found = await told(subscription, (0, DIAGNOSTICS, 0))
        assert found[0, DIAGNOSTICS, 0][0][5] == [bytes((192, 0, 2, 99))]


@virtual_time
async def test_subscribers_hear_of_a_clock_that_becomes_known() -> None:
    """TimeSource and Granularity follow the operating system as well as the administrator."""
    clock = VirtualClock(unix_s=None)
    async with Bench(clock=clock) as device:
        controller, session = await device.commission()
        subscription = await controller.subscribe(session, (0, TIME, None), min_s=0)
        assert [subscription.priming.attributes[0, TIME, number] for number in (1, 2)] == [0, 0]
        clock.set_unix_us(NOON_US)
        found = await told(subscription, (0, TIME, 1), (0, TIME, 2))
        assert min(found[0, TIME, 1], found[0, TIME, 2]) > 0


@virtual_time
async def test_nothing_is_told_while_nothing_changes() -> None:
    async with Bench() as device:
        controller, session = await device.commission()
        paths = [(0, cluster, None) for cluster in (NETWORK, DIAGNOSTICS, TIME)]
        subscription = await controller.subscribe(session, *paths, min_s=0, max_s=3600)
        await asyncio.sleep(100)
        assert subscription.reports.empty()
