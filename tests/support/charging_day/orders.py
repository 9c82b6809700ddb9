"""What owner, installer and controller order, and what is promised by the answer."""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from evse_pi.matter.environment import MATTER_EPOCH_UNIX_S
from evse_pi.matter.wire.tlv import uint
from hal.units import Milliamps
from tests.support.charging_day.bench import CURRENTS, EVSE, BrokenPromiseError
from tests.support.cut_box import INSTALLER, RefusalError
from tests.support.promises import Wishes

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine

    from tests.support.charging_day.bench import DayBench

DISABLE, ENABLE_CHARGING, SET_TARGETS, CLEAR_TARGETS = 1, 2, 5, 7
USER_MAXIMUM, WINDOW = 9, 10
TIMED_MS = 10_000


class Orders:
    """Gives orders and enters into the ledger what they promise."""

    def __init__(self, bench: DayBench) -> None:
        self.bench = bench

    @property
    def all(self) -> list[Callable[[], Coroutine[Any, Any, None]]]:
        return [
            self.enable, self.enable, self._disable, self._set_user_maximum, self.set_window, self._set_targets,
            self._clear_targets, self._set_limit, self._permit, self._stop, self._set_capacity,
        ]  # fmt: skip

    async def give(self, name: str, change: Callable[[Wishes], Wishes], order: Awaitable[bool | None]) -> None:
        """Give an order: until it is answered both the old and the new may hold, and then one of them alone.

        An answer of None says that it is in force and not stored yet.
        """
        old = self.bench.ledger.possible
        new = tuple(change(wishes) for wishes in old)
        self.bench.ledger.become(time.monotonic_ns(), *old, *new)
        self.bench.figures.in_flight[name] += 1
        done = await order
        self.bench.figures.in_flight[name] -= 1
        self.bench.figures.acknowledged[name] += bool(done)
        if done is not None:
            self.bench.ledger.become(time.monotonic_ns(), *(new if done else old))

    async def _command(self, command: int, fields: dict[int, Any] | None = None) -> bool:
        assert self.bench.matter is not None
        answer = await self.bench.controller.invoke(self.bench.matter, 1, EVSE, command, fields, timed_ms=TIMED_MS)
        return answer.status == 0

    async def write(self, attribute: int, value: Any) -> bool:
        assert self.bench.matter is not None
        ((_, status),) = await self.bench.controller.write(self.bench.matter, ((1, EVSE, attribute), value))
        return status == 0

    async def tell(self, command: str, change: Callable[[Wishes], Wishes], **fields: Any) -> None:
        async def order() -> bool | None:
            try:
                return True if (await self.bench.box.ask(command, **fields))["stored"] else None
            except RefusalError as refusal:
                raise BrokenPromiseError(f"{command} was refused: {refusal}") from refusal

        await self.give(command, change, order())

    async def enable(self, **given: Any) -> None:
        now_s = int(time.time()) - MATTER_EPOCH_UNIX_S
        until = given.get(
            "until", self.bench.rng.choice([None, None, now_s + self.bench.rng.randrange(4, 30), now_s + 36_000])
        )
        low = given.get("minimum_ma", self.bench.rng.choice([6_000, 6_000, 10_000]))
        high = given.get("maximum_ma", self.bench.rng.choice([each for each in CURRENTS if each >= low]))
        if until is not None:
            until_field = uint(until)
        fields = {0: None if until is None else until_field, 1: low, 2: high}
        enabled = {"until": until, "minimum_ma": low, "maximum_ma": high}
        await self.give("enable", lambda now: replace(now, **enabled), self._command(ENABLE_CHARGING, fields))

    async def _disable(self) -> None:
        async def order() -> bool:
            await self._command(DISABLE)
            return True  # while a fault is present the answer is FAILURE, and the permission is gone all the same

        await self.give("disable", Wishes.disabled, order())

    async def _set_user_maximum(self) -> None:
        user_ma = self.bench.rng.choice(CURRENTS)
        await self.give("user", lambda now: replace(now, user_ma=user_ma), self.write(USER_MAXIMUM, user_ma))

    async def set_window(self, window_s: int | None = None) -> None:
        wanted = self.bench.rng.choice([0, 1, 3, 600]) if window_s is None else window_s
        await self.give("window", lambda now: replace(now, window_s=wanted), self.write(WINDOW, uint(wanted)))

    async def _set_targets(self) -> None:
        minutes, energy = self.bench.rng.randrange(1440), self.bench.rng.randrange(1, 60) * 1_000_000
        schedule = [{0: uint(0x7F), 1: [{0: uint(minutes), 2: energy}]}]
        wanted = ((0x7F, ((minutes, None, energy),)),)
        await self.give("targets", lambda now: replace(now, targets=wanted), self._command(SET_TARGETS, {0: schedule}))

    async def _clear_targets(self) -> None:
        await self.give("targets", lambda now: replace(now, targets=()), self._command(CLEAR_TARGETS))

    async def _set_limit(self) -> None:
        limit_ma = self.bench.rng.choice([None, *CURRENTS])
        if not self._expiring():
            await self.tell("set", lambda now: replace(now, owner_ma=limit_ma), limit_ma=limit_ma)

    async def _permit(self) -> None:
        now_s = time.time() - MATTER_EPOCH_UNIX_S
        if not self._expiring():
            await self.tell(
                "permit",
                lambda now: (
                    now if now.enabled(now_s) else replace(now, until=None, minimum_ma=6_000, maximum_ma=80_000)
                ),
            )

    async def _stop(self) -> None:
        """A stop counts whatever is in force: it leaves what Disable leaves."""
        if not self._expiring():
            await self.tell("stop", Wishes.disabled)

    def _expiring(self) -> bool:
        """Return whether a permission ends about now, so that it depends on a second what the owner's order means."""
        now_s = time.time() - MATTER_EPOCH_UNIX_S
        return any(wishes.until and -3 < wishes.until - now_s < 3 for wishes in self.bench.ledger.possible)

    async def _set_capacity(self) -> None:
        wanted = self.bench.rng.choice(CURRENTS)

        async def order() -> bool:
            await asyncio.to_thread(
                self.bench.box.box_settings.set_capacity, self.bench.box.board, Milliamps(wanted), None, INSTALLER
            )
            with suppress(RefusalError):  # the file counts; the process that reads it may not be up yet
                await self.bench.box.ask("reload")
            return True

        await self.give("capacity", lambda now: replace(now, capacity_ma=wanted), order())
