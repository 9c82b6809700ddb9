"""One box, one controller and one car after the other, with what was promised to them and what became of it."""

from __future__ import annotations

import random
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from evse_pi.matter.channel.transport import UdpTransport
from evse_pi.matter.environment import MATTER_EPOCH_UNIX_S, SystemEntropy
from tests.support.cut_box import CutBox
from tests.support.matter_authority import Authority
from tests.support.matter_bench import ADMIN_NODE_ID
from tests.support.matter_initiator import MatterInitiator, Member
from tests.support.promises import Ledger, Watch

if TYPE_CHECKING:
    from pathlib import Path

    from evse_pi.matter.channel.peer_session import PeerSession

EVSE = 0x99
START_WITHIN_S = 120.0  # on a machine that does a lot of other things
CURRENTS = [6_000, 8_000, 10_000, 13_000, 16_000, 20_000, 25_000, 32_000]


class BrokenPromiseError(AssertionError):
    """The box broke a promise."""


@dataclass
class Car:
    """The car at the plug, as far as the box can have seen it."""

    number: int = 0  # counts cars; 0 was never there
    plugged: bool = False
    session: int | None = None
    unseen: bool = False  # it came or went while the box may not have looked


@dataclass
class Figures:
    rounds: Counter[str] = field(default_factory=Counter)
    cuts: Counter[str] = field(default_factory=Counter)
    acknowledged: Counter[str] = field(default_factory=Counter)
    in_flight: Counter[str] = field(default_factory=Counter)
    torn: Counter[str] = field(default_factory=Counter)
    resumed: int = 0
    delayed: int = 0
    closings: int = 0
    sessions: int = 0
    late_boxes: int = 0
    cut_in_rcd_test: int = 0
    slowest_ms: float = 0.0


class DayBench:
    """Everything that a charging day is played with; `matter` is the controller's session while one is open."""

    def __init__(self, folder: Path, port: int, seed: int) -> None:
        self.rng = random.Random(seed)
        self.box = CutBox(folder, port)
        self.ledger = Ledger()
        self.watch = Watch(self.ledger, time.time_ns() - time.monotonic_ns(), MATTER_EPOCH_UNIX_S)
        self.figures = Figures()
        self.car = Car()
        self.controller = MatterInitiator(UdpTransport(0), ("::1", port, 0, 0))
        self.authority = Authority(with_icac=False)
        self.member = Member.of(self.authority, ADMIN_NODE_ID, SystemEntropy())
        self.matter: PeerSession | None = None

    def power_on(self) -> None:
        self.watch.power.append((self.box.start(), True))

    def power_off(self, kind: str) -> None:
        self.watch.power.append((self.box.cut(), False))
        self.figures.cuts[kind] += 1
        if self.matter is not None:
            self.controller.stack.sessions.close(self.matter, notify=False)
            self.matter = None
        self.box.forget_shared_memory(self.rng)

    async def up(self) -> dict[str, Any]:
        def is_up(now: dict[str, Any]) -> bool:
            return bool(now["safety"]["connected"] and now["matter"] and now["matter"]["running"])

        return await self.box.until(is_up, START_WITHIN_S, "box and Matter running")
