"""What the car at the plug does."""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from typing import TYPE_CHECKING

from tests.support.charging_day.bench import Car

if TYPE_CHECKING:
    from tests.support.charging_day.bench import DayBench


class Vehicle:
    """One car after the other at the plug of the box."""

    def __init__(self, bench: DayBench) -> None:
        self.bench = bench

    def plug_in(self, *, seen: bool = True) -> None:
        cable_ma = self.bench.rng.choice([20_000, 32_000])
        self.bench.ledger.everywhere(time.monotonic_ns(), cable_ma=cable_ma)
        self.bench.box.plant.verb("plug_in", cable_ma=cable_ma)
        self.bench.car = Car(self.bench.car.number + 1, plugged=True, unseen=self.bench.car.unseen or not seen)

    def unplug(self, *, seen: bool = True) -> None:
        self.bench.box.plant.verb("unplug")
        self.bench.car.plugged, self.bench.car.unseen = False, True  # until the box has been asked
        if seen:
            self.bench.car.session = None

    def ask(self) -> None:
        """Let the car ask for energy when it is offered a current, not before. Source: IEC 61851-1 Table A.6."""
        self.bench.box.plant.verb("open_s2")
        self.bench.box.plant.verb("auto", on=True)

    def change_unseen(self) -> None:
        """Let the car leave, or another one come, while the box does not look."""
        if self.bench.car.plugged and self.bench.rng.random() < 0.1:
            self.unplug(seen=False)
            if self.bench.rng.random() < 0.5:
                self.plug_in(seen=False)

    async def come_or_go(self) -> None:
        if self.bench.car.plugged:
            self.unplug()
            await asyncio.sleep(0.4)
            with suppress(TimeoutError):
                await self.bench.box.until(lambda now: now["session"] is None, 3, "end of the session")
                self.bench.car.unseen = False
        else:
            self.plug_in()
            await asyncio.sleep(0.3)
            if self.bench.rng.random() < 0.7:
                self.ask()

    async def pause(self) -> None:
        if self.bench.car.plugged:
            self.bench.box.plant.verb("auto", on=self.bench.rng.random() < 0.5)
            self.bench.box.plant.verb(self.bench.rng.choice(["open_s2", "close_s2"]))
