"""A start on a card that lied: what is lost is named, nothing is invented, and the installer's limit holds."""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from tests.support.charging_day.bench import BrokenPromiseError
from tests.support.matter_bench import NODE_ID
from tests.support.matter_initiator import HandshakeError
from tests.support.promises import ANYTHING, Wishes

if TYPE_CHECKING:
    from tests.support.charging_day.bench import DayBench
    from tests.support.charging_day.checks import DayChecks


class TornCard:
    """Rounds on a spoilt card; afterwards everything is as it was before."""

    def __init__(self, bench: DayBench, checks: DayChecks) -> None:
        self.bench, self.checks = bench, checks

    async def round(self) -> None:
        """Start on a spoilt card: what is lost is named, nothing is invented, and the installer's limit holds."""
        copy, told, car = self.bench.box.keep_aside(), dict(self.checks.told), replace(self.bench.car)
        kept, capacity_ma = self.bench.ledger.possible, max(one.capacity_ma for one in self.bench.ledger.possible)
        way = self.bench.box.tear(self.bench.rng)
        self.bench.figures.torn[way] += 1
        cable_ma = kept[0].cable_ma
        self.bench.ledger.become(time.monotonic_ns(), replace(ANYTHING, capacity_ma=capacity_ma, cable_ma=cable_ma))
        self.bench.power_on()
        try:
            status = await self.bench.up()
            await self._verify(status, way)
            await asyncio.sleep(self.bench.rng.uniform(0, 0.4))
        except BrokenPromiseError as violation:
            raise BrokenPromiseError(f"{way}: {violation}") from violation
        finally:
            self.bench.power_off("torn")
            self.bench.box.go_back(copy)
            self.checks.told, self.bench.car = told, car
            self.bench.ledger.become(time.monotonic_ns(), *kept)

    async def _verify(self, status: dict[str, Any], way: str) -> None:
        aside = list(self.bench.box.state_dir.glob("evse.db.damaged-*"))
        said = " ".join(each["text"] for each in status["notices"])
        if aside and "set aside" not in said:
            raise BrokenPromiseError(f"{aside} was set aside without a notice: {said}")
        if way == "installer's file cut off":
            await self._verify_refusal(status)
            return
        if status["owner"]["limit_ma"] not in self.bench.ledger.ever["owner_ma"] | {None}:
            raise BrokenPromiseError(f"a limit that was never set: {status['owner']}")
        numbers = [each["number"] for each in await self.bench.box.ask("sessions")]
        if numbers and numbers[0] > self.bench.car.number:
            raise BrokenPromiseError(f"sessions that never were: {numbers[:3]} of {self.bench.car.number} cars")
        if status["matter"]["commissioned"]:
            with suppress(HandshakeError):
                self.bench.matter = await self.bench.controller.case(self.bench.member, NODE_ID, resume=False)
                self._verify_known(*(await self.checks.known(status)))

    def _verify_known(self, known: Wishes, attributes: dict[int, Any]) -> None:
        for name in ("until", "minimum_ma", "user_ma", "window_s", "targets"):
            value = getattr(known, name)
            if value not in self.bench.ledger.ever[name] | {getattr(Wishes(), name), 0, known.capacity_ma}:
                raise BrokenPromiseError(f"{name} {value} that was never set")
        if int(attributes[5]) != known.capacity_ma:
            raise BrokenPromiseError(f"CircuitCapacity {attributes[5]}")

    async def _verify_refusal(self, status: dict[str, Any]) -> None:
        """A torn file of the installer's is no file: no vehicle gets anything."""
        faults = [fault["fault"] for fault in status["faults"]]
        if "INSTALLATION_INVALID" not in faults:
            raise BrokenPromiseError(f"half an installer's file was believed: {status['limits']}, {faults}")
        self.bench.ledger.become(time.monotonic_ns(), Wishes(capacity_ma=0))
