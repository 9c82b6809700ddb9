"""The example lamp behind a bad network: every datagram, in and out, may be lost, doubled or late."""

from __future__ import annotations

import asyncio
import logging
import random
from typing import TYPE_CHECKING, Any

from evse_pi.matter.channel.pase import PaseVerifier
from evse_pi.matter.channel.transport import UdpTransport
from evse_pi.matter.clusters.basic_information import Product
from evse_pi.matter.discovery.host_interfaces import network_interfaces
from evse_pi.matter.discovery.mdns import Advertiser
from evse_pi.matter.environment import SystemEntropy, SystemWallClock
from evse_pi.matter.identity.test_credentials import TestCredentials
from evse_pi.matter.node import SESSION_PARAMETERS, MatterNode, NodeDependencies, Setup
from evse_pi.matter.storage import SqliteStore
from examples.matter_lamp import arguments, lamp_endpoint, serve

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

LOSS, DUPLICATION, REORDERING = 0.10, 0.05, 0.10
LATE_BY_S = 0.05


class BadTransport:
    """A UDP socket on which chance sits, the same chance in every run."""

    def __init__(self, port: int, seed: int) -> None:
        self._udp = UdpTransport(port)
        self._random = random.Random(seed)

    @property
    def port(self) -> int:
        return self._udp.port

    def start(self, receiver: Callable[[bytes, Hashable], None]) -> None:
        self._udp.start(lambda datagram, address: self._suffer(receiver, datagram, address))

    def send(self, datagram: bytes, address: Any) -> bool:
        self._suffer(self._udp.send, datagram, address)
        return True

    def close(self) -> None:
        self._udp.close()

    def _suffer(self, pass_on: Callable[[bytes, Any], object], datagram: bytes, address: Any) -> None:
        if self._random.random() < LOSS:
            return
        for _ in range(2 if self._random.random() < DUPLICATION else 1):
            if self._random.random() < REORDERING:
                asyncio.get_running_loop().call_later(self._random.uniform(0, LATE_BY_S), pass_on, datagram, address)
            else:
                pass_on(datagram, address)


async def main() -> None:
    options = arguments()
    logging.basicConfig(level=logging.DEBUG)
    product = Product(0xFFF1, 0x8000, "Example", "Lamp", device_type=0x0100)
    entropy, store = SystemEntropy(), SqliteStore(options.store)
    transport = BadTransport(options.port, seed=options.discriminator)

    def interfaces() -> Any:
        return network_interfaces(options.interface)

    discovery = Advertiser(port=options.port, parameters=SESSION_PARAMETERS, entropy=entropy, interfaces=interfaces)
    credentials = TestCredentials.load(store, product.vendor_id, product.product_id, product.device_type, entropy)
    dependencies = NodeDependencies(store, transport, discovery, credentials, entropy, SystemWallClock(), interfaces)
    setup = Setup(options.discriminator, PaseVerifier.from_passcode(options.passcode, bytes(range(32)), 1000))
    await serve(MatterNode(product, setup, dependencies, [lamp_endpoint()]), options)


if __name__ == "__main__":
    asyncio.run(main())
