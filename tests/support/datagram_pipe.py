"""Datagrams in memory: a network with seeded loss, duplication and reordering, and an eye on all that is sent."""

from __future__ import annotations

import asyncio
import random
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable


@dataclass(frozen=True, slots=True)
class Sent:
    """A datagram as it entered the network."""

    at_s: float
    source: Hashable
    destination: Hashable
    datagram: bytes


class Network:
    """Connects endpoints by address; `loss`, `duplication` and `reordering` are probabilities per datagram and way."""

    def __init__(
        self,
        *,
        seed: int = 0,
        loss: float = 0.0,
        duplication: float = 0.0,
        reordering: float = 0.0,
        delay_s: float = 0.001,
    ) -> None:
        self.loss = loss
        self.duplication = duplication
        self.reordering = reordering
        self.delay_s = delay_s
        self.passes: Callable[[Sent], bool] = lambda _: True
        """Decides, before chance does, whether a datagram gets through."""
        self.sent: list[Sent] = []
        self.lost = 0
        self._random = random.Random(seed)
        self._receivers: dict[Hashable, Callable[[bytes, Hashable], None]] = {}

    def endpoint(self, address: Hashable) -> Endpoint:
        return Endpoint(self, address)

    def attach(self, address: Hashable, receiver: Callable[[bytes, Hashable], None]) -> None:
        self._receivers[address] = receiver

    def detach(self, address: Hashable) -> None:
        self._receivers.pop(address, None)

    def carry(self, source: Hashable, destination: Hashable, datagram: bytes) -> None:
        loop = asyncio.get_running_loop()
        sent = Sent(loop.time(), source, destination, bytes(datagram))
        self.sent.append(sent)
        if not self.passes(sent) or self._random.random() < self.loss:
            self.lost += 1
            return
        for _ in range(2 if self._random.random() < self.duplication else 1):
            late = self._random.uniform(0, 20 * self.delay_s) if self._random.random() < self.reordering else 0.0
            loop.call_later(self.delay_s + late, self._arrive, source, destination, sent.datagram)

    def _arrive(self, source: Hashable, destination: Hashable, datagram: bytes) -> None:
        receiver = self._receivers.get(destination)
        if receiver is not None:
            receiver(datagram, source)


class Endpoint:
    """One address of a network, usable wherever a UDP socket is."""

    def __init__(self, network: Network, address: Hashable) -> None:
        self._network = network
        self.address = address

    def start(self, receiver: Callable[[bytes, Hashable], None]) -> None:
        self._network.attach(self.address, receiver)

    def send(self, datagram: bytes, address: Hashable) -> bool:
        self._network.carry(self.address, address, datagram)
        return True

    def close(self) -> None:
        self._network.detach(self.address)
