"""Rounds of a charging day in which the power may go at any moment."""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Self

from evse_pi.matter.wire.tlv import uint
from tests.support.charging_day.bench import BrokenPromiseError, DayBench, Figures
from tests.support.charging_day.car import Vehicle
from tests.support.charging_day.charge import Charge
from tests.support.charging_day.checks import DayChecks
from tests.support.charging_day.orders import WINDOW, Orders
from tests.support.charging_day.torn_card import TornCard
from tests.support.cut_box import PASSCODE
from tests.support.matter_bench import GENERAL_COMMISSIONING, NODE_ID, add_fabric
from tests.support.promises import ANYTHING, Wishes

if TYPE_CHECKING:
    from collections.abc import Coroutine
    from pathlib import Path

KINDS = {"day": 58, "starting": 12, "charging": 9, "torn": 21}


class ChargingDay:
    """One box, one controller, one car after the other; `round` is one run of the box and its end."""

    def __init__(self, folder: Path, port: int, seed: int) -> None:
        self.bench = DayBench(folder, port, seed)
        self.checks = DayChecks(self.bench)
        self.orders = Orders(self.bench)
        self.vehicle = Vehicle(self.bench)
        self.charge = Charge(self.bench, self.checks, self.orders, self.vehicle)
        self.torn_card = TornCard(self.bench, self.checks)

    @property
    def figures(self) -> Figures:
        """What has been seen so far."""
        return self.bench.figures

    async def __aenter__(self) -> Self:
        await self.bench.controller.stack.start(self.bench.controller._transport)
        self.bench.ledger.become(time.monotonic_ns(), ANYTHING)
        self.bench.power_on()
        await self.bench.up()
        pase = await self.bench.controller.pase(PASSCODE)
        await add_fabric(self.bench.controller, pase, self.bench.authority)
        self.bench.matter = await self.bench.controller.case(self.bench.member, NODE_ID)
        done = await self.bench.controller.invoke(self.bench.matter, 0, GENERAL_COMMISSIONING, 4)
        assert done.fields[0] == 0, done
        self.bench.ledger.become(time.monotonic_ns(), Wishes())
        await self.orders.give("window", lambda now: replace(now, window_s=0), self.orders.write(WINDOW, uint(0)))
        self.bench.power_off("day")
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.bench.controller.stack.stop()
        self.bench.box.close()

    async def round(self, kind: str | None = None) -> None:
        """Run the box once and judge it. Raises: BrokenPromiseError, with what was promised and what is."""
        drawn = self.bench.rng.choices(list(KINDS), list(KINDS.values()))[0]
        kind = "charging" if self.charge.resume else kind or drawn
        self.bench.figures.rounds[kind] += 1
        if kind == "torn":
            await self.torn_card.round()
        else:
            if not self.charge.resume:
                self.vehicle.change_unseen()
            self.bench.power_on()
            await self._live(kind)
            self.bench.power_off(kind)
        self.checks.judge()

    async def _live(self, kind: str) -> None:
        """Do what a round of this kind does until the moment of the cut, which may be in the middle of anything."""
        if kind == "starting":
            await asyncio.sleep(self.bench.rng.uniform(0.02, 1.4))
            return
        status = await self._reset_rcd(await self.bench.up())
        await self.checks.verify(status)
        if kind == "charging":
            await self.charge.charge()
        if self.charge.resume:  # nothing must happen that keeps it from going on
            await asyncio.sleep(self.bench.rng.uniform(0.0, 1.2))
        elif self.bench.rng.random() < 0.5:
            await self._until_cut(self._do_things(), self.bench.rng.uniform(0.0, 1.2))
        else:
            for _ in range(self.bench.rng.randrange(4)):
                await self.bench.rng.choice(self.orders.all)()
            await self._until_cut(self.bench.rng.choice(self.orders.all)(), self.bench.rng.uniform(0.0, 0.012))

    async def _until_cut(self, work: Coroutine[Any, Any, None], moment_s: float) -> None:
        """Let a user work until the power goes, which it does right after this."""
        task = asyncio.create_task(work)
        await asyncio.wait({task}, timeout=moment_s)
        if task.done():
            await task
        else:
            self.bench.box.kill()
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    async def _reset_rcd(self, status: dict[str, Any]) -> dict[str, Any]:
        """Acknowledge a device that the power's end found tripped for its test, as a person does."""

        def is_tripped(now: dict[str, Any]) -> bool:
            return any(fault["fault"] == "RCD_TRIPPED" for fault in now["faults"])

        if not is_tripped(status):
            return status
        self.bench.figures.cut_in_rcd_test += 1
        for _ in range(20):  # one that comes during the device's own test is heard in vain
            await self.bench.box.ask("clear")
            with suppress(TimeoutError):
                return await self.bench.box.until(lambda now: not is_tripped(now), 2, "reset of the device")
        raise BrokenPromiseError(f"the device was acknowledged and stays tripped: {status['faults']}")

    async def _do_things(self) -> None:
        """Do things one after the other until the power goes."""
        while True:
            await self.bench.rng.choice([*self.orders.all, self.vehicle.come_or_go, self.vehicle.pause])()
            await asyncio.sleep(self.bench.rng.choice([0, 0, 0, 0.01, 0.1]))
