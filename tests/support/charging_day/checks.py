"""What must be so when the power has come back: nothing acknowledged is lost, nothing is invented."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from evse_pi.matter.environment import MATTER_EPOCH_UNIX_S
from tests.support.charging_day.bench import EVSE, START_WITHIN_S, BrokenPromiseError
from tests.support.charging_day.orders import TIMED_MS, USER_MAXIMUM, WINDOW
from tests.support.matter_bench import NODE_ID
from tests.support.promises import Wishes

if TYPE_CHECKING:
    from tests.support.charging_day.bench import DayBench

GET_TARGETS = 6
EV_CONNECTED, EV_NOT_DETECTED = 0, 1
LATE_FAULTS = ("TIMING_BUDGET",)  # of a shared machine: the box does not trust its own timing for a while, and waits


class DayChecks:
    """Compares what the box says with what it has acknowledged, and remembers what it said."""

    def __init__(self, bench: DayBench) -> None:
        self.bench = bench
        self.highest = 0
        self.energy: dict[int, int] = {}
        self.told: dict[int, tuple[int, int]] = {}

    async def verify(self, status: dict[str, Any]) -> None:
        """Compare everything that the box knows with what it has acknowledged."""
        if any(notice["kind"] in ("STORAGE", "INSTALLATION", "MATTER") for notice in status["notices"]):
            raise BrokenPromiseError(f"notices after a cut that spoilt nothing: {status['notices']}")
        if not status["matter"]["commissioned"]:
            raise BrokenPromiseError("the fabric is lost")
        self.bench.matter = await self.bench.controller.case(self.bench.member, NODE_ID)
        now_s = time.time() - MATTER_EPOCH_UNIX_S
        found, attributes = await self.known(status)
        settled = {wishes.settled(now_s) for wishes in self.bench.ledger.possible}
        settled |= {wishes.settled(now_s - 2) for wishes in self.bench.ledger.possible}
        if found not in settled:
            raise BrokenPromiseError(f"acknowledged {self.bench.ledger.possible}, found {found}")
        self.bench.ledger.become(time.monotonic_ns(), found)
        bound_ma = replace(found, cable_ma=32_000).bound_ma(now_s - 2)  # which the box has not read yet
        if not self.is_late(status) and attributes[7] > bound_ma:
            raise BrokenPromiseError(f"MaximumChargeCurrent {attributes[7]} above {bound_ma} of {found}")
        await self._verify_session(status, attributes)
        await self._read_events()

    async def known(self, status: dict[str, Any]) -> tuple[Wishes, dict[int, Any]]:
        """Return what the box has of its owner, installer and controller."""
        assert self.bench.matter is not None
        report = await self.bench.controller.read(self.bench.matter, (1, EVSE, None))
        values = {path[2]: value for path, value in report.attributes.items()}
        answer = await self.bench.controller.invoke(self.bench.matter, 1, EVSE, GET_TARGETS, {}, timed_ms=TIMED_MS)
        user_ma, capacity_ma = int(values[USER_MAXIMUM]), int(values[5])
        known = Wishes(
            capacity_ma=capacity_ma,
            cable_ma=self.bench.ledger.possible[0].cable_ma,
            owner_ma=status["owner"]["limit_ma"],
            until=None if values[3] is None else int(values[3]),
            minimum_ma=int(values[6]),
            maximum_ma=0,  # no attribute tells it: MaximumChargeCurrent is the least of everything
            user_ma=user_ma,
            window_s=int(values[WINDOW]),
            targets=_targets(answer.fields[0]),
        )
        return self._completed(known, status), values

    def _completed(self, known: Wishes, status: dict[str, Any]) -> Wishes:
        """Return what is known with the controller's maximum, and an unset user's maximum taken for one."""
        asked = {limit["source"]: limit["limit_ma"] for limit in status["limits"]}
        maximum_ma = asked.get("ENABLE_CHARGING") or 0
        unset = (
            any(wishes.user_ma is None for wishes in self.bench.ledger.possible) and known.user_ma == known.capacity_ma
        )
        return replace(known, maximum_ma=maximum_ma, user_ma=None if unset else known.user_ma)

    async def _verify_session(self, status: dict[str, Any], attributes: dict[int, Any]) -> None:
        """Let no session be lost, doubled, or go backwards."""
        car = self.bench.car
        if car.plugged or car.unseen:  # the self-test must be over before the pilot says whether a car is there
            status = await self.bench.box.until(
                lambda now: now["reason"] is not None and now["reason"]["reason"] not in ("SELF_TEST", "STARTING"),
                START_WITHIN_S,
                "end of the self-test",
            )
            assert self.bench.matter is not None
            report = await self.bench.controller.read(self.bench.matter, (1, EVSE, 0x40))
            attributes[0x40] = report.attributes[1, EVSE, 0x40]
        status = await self.bench.box.until(_metered, START_WITHIN_S, "a reading of the meter")
        session = status["session"]
        if session is not None:
            self.account(session)
        numbers = [each["number"] for each in await self.bench.box.ask("sessions")]
        if numbers != sorted(set(numbers), reverse=True):
            raise BrokenPromiseError(f"sessions out of order or doubled: {numbers}")
        if self.highest and self.highest not in numbers:
            raise BrokenPromiseError(f"session {self.highest} was told and is lost: {numbers[:5]}")
        if self.is_late(status):
            return
        if car.plugged:
            if session is None:
                raise BrokenPromiseError(f"a car is there and no session: {status['pilot']}")
            if attributes[0x40] is None or int(attributes[0x40]) != session["number"] - 1:
                raise BrokenPromiseError(f"SessionID {attributes[0x40]} of session {session['number']}")
            if car.session is not None and session["number"] != car.session and not car.unseen:
                raise BrokenPromiseError(f"session {car.session} became {session['number']} though the car never left")
        elif session is not None and not car.unseen:
            raise BrokenPromiseError(f"session {session['number']} of a car that had left")
        car.session, car.unseen = (session["number"], False) if session is not None and car.plugged else (None, False)

    def account(self, session: dict[str, Any]) -> None:
        number, energy_mwh = session["number"], session["energy_mwh"]
        if number < self.highest:
            raise BrokenPromiseError(f"session {number} after {self.highest}")
        if energy_mwh < self.energy.get(number, 0):
            raise BrokenPromiseError(f"session {number} had {self.energy[number]} mWh and has {energy_mwh}")
        if number > self.highest:
            self.bench.figures.sessions += 1
        self.highest, self.energy[number] = number, energy_mwh

    async def _read_events(self) -> None:
        """Read the events that are new; each number once, each session begun and ended once."""
        assert self.bench.matter is not None
        least = max(self.told, default=-1) + 1
        report = await self.bench.controller.read(self.bench.matter, events=[(1, EVSE, None)], event_min=max(least, 0))
        for event in report.events:
            number, kind = int(event[1]), int(dict(iter(event[0]))[3])
            session = int(event[7][0]) if event[7].get(0) is not None else -1
            if self.told.get(number, (kind, session)) != (kind, session):
                raise BrokenPromiseError(f"event {number} was {self.told[number]} and is {(kind, session)}")
            twice = [one for one, told in self.told.items() if told == (kind, session) and one != number]
            if kind in (EV_CONNECTED, EV_NOT_DETECTED) and twice:
                raise BrokenPromiseError(
                    f"event {kind} of session {session} was told as number {twice[0]} and {number}"
                )
            self.told[number] = (kind, session)

    def is_late(self, status: dict[str, Any]) -> bool:
        """Return whether the machine was too slow for the box to trust itself."""
        late = any(fault["fault"] in LATE_FAULTS for fault in status["faults"])
        self.bench.figures.late_boxes += late
        if not late and status["faults"]:
            raise BrokenPromiseError(f"faults of nowhere: {status['faults']}")
        return late

    def judge(self) -> None:
        now_ns = time.monotonic_ns() - 1_000_000
        self.bench.watch.see(self.bench.box.changes(self.bench.watch.seen_ns), now_ns)
        self.bench.figures.closings, self.bench.figures.slowest_ms = (
            self.bench.watch.closings,
            self.bench.watch.slowest_ns / 1e6,
        )
        horizon_ns = now_ns - 60_000_000_000
        while len(self.bench.ledger.entries) > 2 and self.bench.ledger.entries[1][0] < horizon_ns:
            self.bench.ledger.entries.pop(0)
        del self.bench.watch.power[:-4]
        if self.bench.watch.findings:
            found, self.bench.watch.findings = self.bench.watch.findings, []
            raise BrokenPromiseError("; ".join(found))


def _metered(status: dict[str, Any]) -> bool:
    """Return whether the meter was read since the start: before that, it is unknown what flowed since the last save."""
    return "age_ms" in status["meter"]


def _targets(schedules: Any) -> tuple[Any, ...]:
    """Return the answer to GetTargets as a value."""
    return tuple(
        (int(each[0]), tuple((int(one[0]), one.get(1), None if one.get(2) is None else int(one[2])) for one in each[1]))
        for each in schedules
    )
