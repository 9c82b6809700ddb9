"""Real conversations with one datagram changed: the node complains of nothing and serves the next attempt."""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from typing import TYPE_CHECKING

from hypothesis import given, settings
from hypothesis import strategies as st

from evse_pi.matter.channel.exchange import ExchangeTimeout
from evse_pi.matter.wire.status_code import DecodeError
from examples.matter_lamp import lamp_endpoint
from tests.support.datagram_pipe import Network
from tests.support.matter_bench import Bench
from tests.support.matter_initiator import HandshakeError, InteractionError
from tests.support.virtual_loop import virtual_time

if TYPE_CHECKING:
    from collections.abc import Hashable


COMMISSIONING = 17  # datagrams that a controller sends until it is an administrator


class ChangingNetwork(Network):
    """Changes the `turn`-th datagram that reaches the device."""

    def __init__(self, turn: int, place: int, value: int, cut: int | None) -> None:
        super().__init__()
        self.turns_left = turn
        self._place, self._value, self._cut = place, value, cut

    def carry(self, source: Hashable, destination: Hashable, datagram: bytes) -> None:
        if destination == "device":
            self.turns_left -= 1
            if self.turns_left == -1:
                changed = bytearray(datagram)
                changed[self._place % len(changed)] ^= self._value
                datagram = bytes(changed[: self._cut])
        super().carry(source, destination, datagram)


@settings(max_examples=60)
@given(
    turn=st.integers(0, COMMISSIONING - 1),
    place=st.integers(0, 1200),
    value=st.integers(1, 255),
    cut=st.none() | st.integers(0, 100),
)
def test_a_commissioning_with_one_changed_datagram(turn: int, place: int, value: int, cut: int | None) -> None:
    run_changed(ChangingNetwork(turn, place, value, cut))


@virtual_time
async def run_changed(network: ChangingNetwork) -> None:
    complaints: list[str] = []
    handler = logging.Handler(logging.ERROR)
    handler.emit = lambda record: complaints.append(record.getMessage())  # type: ignore[method-assign]
    logging.getLogger("evse_pi").addHandler(handler)
    try:
        async with Bench([lamp_endpoint()], network=network) as bench:
            with suppress(HandshakeError, InteractionError, ExchangeTimeout, DecodeError, AssertionError):
                await bench.commission(name="first")
            network.turns_left = -1
            await asyncio.sleep(120)  # what was begun expires, and the fail-safe with it
            if len(bench.node.ownership.fabrics):
                bench.node.factory_reset()
            controller, session = await bench.commission(name="second")
            assert (await controller.read(session, (1, 6, 0))).attributes
    finally:
        logging.getLogger("evse_pi").removeHandler(handler)
    assert complaints == []
