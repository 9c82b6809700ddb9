"""A charge that the power interrupts, and that goes on with its session afterwards."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from tests.support.charging_day.bench import BrokenPromiseError
from tests.support.charging_day.checks import LATE_FAULTS
from tests.support.charging_day.orders import USER_MAXIMUM

if TYPE_CHECKING:
    from tests.support.charging_day.bench import DayBench
    from tests.support.charging_day.car import Vehicle
    from tests.support.charging_day.checks import DayChecks
    from tests.support.charging_day.orders import Orders

CHARGE_WITHIN_S = 90.0
DELAY_SEEN_S = 8.0  # the self-test and the contactor's rest take 5 s


class Charge:
    """Brings the car to charging; `resume` tells that it charged when the power went, so that it must go on."""

    def __init__(self, bench: DayBench, checks: DayChecks, orders: Orders, vehicle: Vehicle) -> None:
        self.bench, self.checks, self.orders, self.vehicle = bench, checks, orders, vehicle
        self.resume = False

    async def charge(self) -> None:
        """Wait until the car charges; one that charged before the cut goes on with its session."""
        resumed, self.resume = self.resume, False
        wishes = self.bench.ledger.possible[0]
        if not resumed:
            if not self.bench.car.plugged:
                self.vehicle.plug_in()
            self.vehicle.ask()
            await self.orders.give(
                "user", lambda now: replace(now, user_ma=32_000), self.orders.write(USER_MAXIMUM, 32_000)
            )
            await self.orders.enable(until=None, minimum_ma=6_000, maximum_ma=16_000)
            await self.orders.tell("set", lambda now: replace(now, owner_ma=None), limit_ma=None)
            await self.orders.set_window(self.bench.rng.choice([0, 0, 3, 600]))
        elif wishes.window_s > 60:
            await self._see_delay()
        session = self.bench.car.session if resumed else None

        def charges(now: dict[str, Any]) -> bool:
            return bool(now["contactor"] and now["contactor"]["close_ordered"]) or any(
                fault["fault"] in LATE_FAULTS for fault in now["faults"]
            )

        status = await self.bench.box.until(charges, CHARGE_WITHIN_S, "charging")
        if self.checks.is_late(status):
            return
        if session is not None and status["session"]["number"] != session:
            raise BrokenPromiseError(f"session {session} became {status['session']['number']} when it went on")
        self.checks.account(status["session"])
        self.bench.figures.resumed += resumed
        await asyncio.sleep(self.bench.rng.uniform(0, 2.5))
        status = await self.bench.box.ask("status")
        self.checks.account(status["session"])
        self.bench.car.session = status["session"]["number"]
        self.resume = not resumed or self.bench.rng.random() < 0.3

    async def _see_delay(self) -> None:
        """See that a start after the power's return waits, and that EnableCharging does not wait."""
        status = await self.bench.box.ask("status")
        delays = [limit for limit in status["limits"] if limit["source"] == "RANDOM_DELAY" and not limit["permitted"]]
        if not delays:
            raise BrokenPromiseError(f"no random delay after the power returned: {status['limits']}")
        closings = self.bench.box.plant.state()["closings"]
        if delays[0]["in_s"] > DELAY_SEEN_S + 2:
            await asyncio.sleep(DELAY_SEEN_S)
            if self.bench.box.plant.state()["closings"] != closings:
                raise BrokenPromiseError(f"closed within a random delay of {delays[0]['in_s']} s")
        self.bench.figures.delayed += 1
        await self.orders.enable(until=None, minimum_ma=6_000, maximum_ma=16_000)
