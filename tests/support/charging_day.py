"""Rounds of a charging day in which the power may go at any moment, and what must be so when it has come back."""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Self

from evse_pi.matter.channel.transport import UdpTransport
from evse_pi.matter.environment import MATTER_EPOCH_UNIX_S, SystemEntropy
from evse_pi.matter.wire.tlv import uint
from hal.units import Milliamps
from tests.support.cut_box import INSTALLER, PASSCODE, CutBox, RefusalError
from tests.support.matter_authority import Authority
from tests.support.matter_bench import ADMIN_NODE_ID, GENERAL_COMMISSIONING, NODE_ID, add_fabric
from tests.support.matter_initiator import HandshakeError, MatterInitiator, Member
from tests.support.promises import ANYTHING, Ledger, Watch, Wishes

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine
    from pathlib import Path

    from evse_pi.matter.channel.peer_session import PeerSession

EVSE = 0x99
DISABLE, ENABLE_CHARGING, SET_TARGETS, GET_TARGETS, CLEAR_TARGETS = 1, 2, 5, 6, 7
USER_MAXIMUM, WINDOW = 9, 10
EV_CONNECTED, EV_NOT_DETECTED = 0, 1
TIMED_MS = 10_000
START_WITHIN_S = 120.0  # on a machine that does a lot of other things
CHARGE_WITHIN_S = 90.0
DELAY_SEEN_S = 8.0  # the self-test and the contactor's rest take 5 s
CURRENTS = [6_000, 8_000, 10_000, 13_000, 16_000, 20_000, 25_000, 32_000]
KINDS = {"day": 58, "starting": 12, "charging": 9, "torn": 21}
SOON = ("TIMING_BUDGET",)  # of a shared machine: the box does not trust its own timing for a while, and waits


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


class ChargingDay:
    """One box, one controller, one car after the other; `round` is one run of the box and its end."""

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
        self.highest = 0
        self.energy: dict[int, int] = {}
        self.told: dict[int, tuple[int, int]] = {}
        self.resume = False
        self.matter: PeerSession | None = None

    async def __aenter__(self) -> Self:
        await self.controller.stack.start(self.controller._transport)
        self.ledger.become(time.monotonic_ns(), ANYTHING)
        self._power_on()
        await self._up()
        pase = await self.controller.pase(PASSCODE)
        await add_fabric(self.controller, pase, self.authority)
        self.matter = await self.controller.case(self.member, NODE_ID)
        done = await self.controller.invoke(self.matter, 0, GENERAL_COMMISSIONING, 4)
        assert done.fields[0] == 0, done
        self.ledger.become(time.monotonic_ns(), Wishes())
        await self._order("window", lambda now: replace(now, window_s=0), self._write(WINDOW, uint(0)))
        self._power_off("day")
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.controller.stack.stop()
        self.box.close()

    # One round.

    async def round(self, kind: str | None = None) -> None:
        """Live one life, of a kind or any. Raises: BrokenPromiseError, with what was promised and what is."""
        drawn = self.rng.choices(list(KINDS), list(KINDS.values()))[0]
        kind = "charging" if self.resume else kind or drawn
        self.figures.rounds[kind] += 1
        if kind == "torn":
            await self._torn()
        else:
            self._outage()
            self._power_on()
            await self._live(kind)
            self._power_off(kind)
        self._judge()

    async def _live(self, kind: str) -> None:
        """Live until the moment of the cut, which may be in the middle of anything."""
        if kind == "starting":
            await asyncio.sleep(self.rng.uniform(0.02, 1.4))
            return
        status = await self._reset_rcd(await self._up())
        await self._verify(status)
        if kind == "charging":
            await self._charge()
        if self.resume:  # nothing must happen that keeps it from going on
            await asyncio.sleep(self.rng.uniform(0.0, 1.2))
        elif self.rng.random() < 0.5:
            await self._until_cut(self._day(), self.rng.uniform(0.0, 1.2))
        else:
            for _ in range(self.rng.randrange(4)):
                await self.rng.choice(self._orders)()
            await self._until_cut(self.rng.choice(self._orders)(), self.rng.uniform(0.0, 0.012))

    async def _until_cut(self, work: Coroutine[Any, Any, None], moment_s: float) -> None:
        """Let a user work until the power goes, which it does right after this."""
        task = asyncio.create_task(work)
        await asyncio.wait({task}, timeout=moment_s)
        if task.done():
            await task
        else:
            self.box.kill()
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    def _power_on(self) -> None:
        self.watch.power.append((self.box.start(), True))

    def _power_off(self, kind: str) -> None:
        self.watch.power.append((self.box.cut(), False))
        self.figures.cuts[kind] += 1
        if self.matter is not None:
            self.controller.stack.sessions.close(self.matter, notify=False)
            self.matter = None
        self.box.forget_shared_memory(self.rng)

    def _outage(self) -> None:
        """Let the car leave, or another one come, while the box does not look."""
        if not self.resume and self.car.plugged and self.rng.random() < 0.1:
            self._unplug(seen=False)
            if self.rng.random() < 0.5:
                self._plug_in(seen=False)

    async def _up(self) -> dict[str, Any]:
        def is_up(now: dict[str, Any]) -> bool:
            return bool(now["safety"]["connected"] and now["matter"] and now["matter"]["running"])

        return await self.box.until(is_up, START_WITHIN_S, "box and Matter running")

    async def _reset_rcd(self, status: dict[str, Any]) -> dict[str, Any]:
        """Acknowledge a device that the power's end found tripped for its test, as a person does."""

        def is_tripped(now: dict[str, Any]) -> bool:
            return any(fault["fault"] == "RCD_TRIPPED" for fault in now["faults"])

        if not is_tripped(status):
            return status
        self.figures.cut_in_rcd_test += 1
        for _ in range(20):  # one that comes during the device's own test is heard in vain
            await self.box.ask("clear")
            with suppress(TimeoutError):
                return await self.box.until(lambda now: not is_tripped(now), 2, "reset of the device")
        raise BrokenPromiseError(f"the device was acknowledged and stays tripped: {status['faults']}")

    # What must be so.

    async def _verify(self, status: dict[str, Any]) -> None:
        """Compare everything that the box knows with what it has acknowledged."""
        if any(notice["kind"] in ("STORAGE", "INSTALLATION", "MATTER") for notice in status["notices"]):
            raise BrokenPromiseError(f"notices after a cut that spoilt nothing: {status['notices']}")
        if not status["matter"]["commissioned"]:
            raise BrokenPromiseError("the fabric is lost")
        self.matter = await self.controller.case(self.member, NODE_ID)
        now_s = time.time() - MATTER_EPOCH_UNIX_S
        found, attributes = await self._known(status)
        settled = {wishes.settled(now_s) for wishes in self.ledger.possible}
        settled |= {wishes.settled(now_s - 2) for wishes in self.ledger.possible}
        if found not in settled:
            raise BrokenPromiseError(f"acknowledged {self.ledger.possible}, found {found}")
        self.ledger.become(time.monotonic_ns(), found)
        bound_ma = replace(found, cable_ma=32_000).bound_ma(now_s - 2)  # which the box has not read yet
        if not self._late(status) and attributes[7] > bound_ma:
            raise BrokenPromiseError(f"MaximumChargeCurrent {attributes[7]} above {bound_ma} of {found}")
        await self._verify_session(status, attributes)
        await self._tell()

    async def _known(self, status: dict[str, Any]) -> tuple[Wishes, dict[int, Any]]:
        """Return what the box has of its owner, installer and controller."""
        assert self.matter is not None
        report = await self.controller.read(self.matter, (1, EVSE, None))
        values = {path[2]: value for path, value in report.attributes.items()}
        answer = await self.controller.invoke(self.matter, 1, EVSE, GET_TARGETS, {}, timed_ms=TIMED_MS)
        user_ma, capacity_ma = int(values[USER_MAXIMUM]), int(values[5])
        known = Wishes(
            capacity_ma=capacity_ma,
            cable_ma=self.ledger.possible[0].cable_ma,
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
        unset = any(wishes.user_ma is None for wishes in self.ledger.possible) and known.user_ma == known.capacity_ma
        return replace(known, maximum_ma=maximum_ma, user_ma=None if unset else known.user_ma)

    async def _verify_session(self, status: dict[str, Any], attributes: dict[int, Any]) -> None:
        """Let no session be lost, doubled, or go backwards."""
        car = self.car
        if car.plugged or car.unseen:  # the self-test must be over before the pilot says whether a car is there
            status = await self.box.until(
                lambda now: now["reason"] is not None and now["reason"]["reason"] not in ("SELF_TEST", "STARTING"),
                START_WITHIN_S,
                "end of the self-test",
            )
            assert self.matter is not None
            report = await self.controller.read(self.matter, (1, EVSE, 0x40))
            attributes[0x40] = report.attributes[1, EVSE, 0x40]
        status = await self.box.until(_metered, START_WITHIN_S, "a reading of the meter")
        session = status["session"]
        if session is not None:
            self._account(session)
        numbers = [each["number"] for each in await self.box.ask("sessions")]
        if numbers != sorted(set(numbers), reverse=True):
            raise BrokenPromiseError(f"sessions out of order or doubled: {numbers}")
        if self.highest and self.highest not in numbers:
            raise BrokenPromiseError(f"session {self.highest} was told and is lost: {numbers[:5]}")
        if self._late(status):
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

    def _account(self, session: dict[str, Any]) -> None:
        number, energy_mwh = session["number"], session["energy_mwh"]
        if number < self.highest:
            raise BrokenPromiseError(f"session {number} after {self.highest}")
        if energy_mwh < self.energy.get(number, 0):
            raise BrokenPromiseError(f"session {number} had {self.energy[number]} mWh and has {energy_mwh}")
        if number > self.highest:
            self.figures.sessions += 1
        self.highest, self.energy[number] = number, energy_mwh

    async def _tell(self) -> None:
        """Read the events that are new; each number once, each session begun and ended once."""
        assert self.matter is not None
        least = max(self.told, default=-1) + 1
        report = await self.controller.read(self.matter, events=[(1, EVSE, None)], event_min=max(least, 0))
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

    def _late(self, status: dict[str, Any]) -> bool:
        """Return whether the machine was too slow for the box to trust itself."""
        late = any(fault["fault"] in SOON for fault in status["faults"])
        self.figures.late_boxes += late
        if not late and status["faults"]:
            raise BrokenPromiseError(f"faults of nowhere: {status['faults']}")
        return late

    def _judge(self) -> None:
        now_ns = time.monotonic_ns() - 1_000_000
        self.watch.see(self.box.changes(self.watch.seen_ns), now_ns)
        self.figures.closings, self.figures.slowest_ms = self.watch.closings, self.watch.slowest_ns / 1e6
        horizon_ns = now_ns - 60_000_000_000
        while len(self.ledger.entries) > 2 and self.ledger.entries[1][0] < horizon_ns:
            self.ledger.entries.pop(0)
        del self.watch.power[:-4]
        if self.watch.findings:
            found, self.watch.findings = self.watch.findings, []
            raise BrokenPromiseError("; ".join(found))

    # What people do.

    async def _day(self) -> None:
        """Do things one after the other until the power goes."""
        while True:
            await self.rng.choice([*self._orders, self._car_comes_or_goes, self._car_pauses])()
            await asyncio.sleep(self.rng.choice([0, 0, 0, 0.01, 0.1]))

    @property
    def _orders(self) -> list[Callable[[], Coroutine[Any, Any, None]]]:
        return [
            self._enable, self._enable, self._disable, self._user_maximum, self._window, self._targets, self._clear,
            self._set, self._permit, self._stop, self._capacity,
        ]  # fmt: skip

    async def _charge(self) -> None:
        """Wait until the car charges; one that charged before the cut goes on with its session."""
        resumed, self.resume = self.resume, False
        wishes = self.ledger.possible[0]
        if not resumed:
            if not self.car.plugged:
                self._plug_in()
            self._close_s2()
            await self._order("user", lambda now: replace(now, user_ma=32_000), self._write(USER_MAXIMUM, 32_000))
            await self._enable(until=None, minimum_ma=6_000, maximum_ma=16_000)
            await self._own("set", lambda now: replace(now, owner_ma=None), limit_ma=None)
            await self._window(self.rng.choice([0, 0, 3, 600]))
        elif wishes.window_s > 60:
            await self._see_delay()
        session = self.car.session if resumed else None

        def charges(now: dict[str, Any]) -> bool:
            return bool(now["contactor"] and now["contactor"]["close_ordered"]) or any(
                fault["fault"] in SOON for fault in now["faults"]
            )

        status = await self.box.until(charges, CHARGE_WITHIN_S, "charging")
        if self._late(status):
            return
        if session is not None and status["session"]["number"] != session:
            raise BrokenPromiseError(f"session {session} became {status['session']['number']} when it went on")
        self._account(status["session"])
        self.figures.resumed += resumed
        await asyncio.sleep(self.rng.uniform(0, 2.5))
        status = await self.box.ask("status")
        self._account(status["session"])
        self.car.session = status["session"]["number"]
        self.resume = not resumed or self.rng.random() < 0.3

    async def _see_delay(self) -> None:
        """See that a start after the power's return waits, and that EnableCharging does not wait."""
        status = await self.box.ask("status")
        delays = [limit for limit in status["limits"] if limit["source"] == "RANDOM_DELAY" and not limit["permitted"]]
        if not delays:
            raise BrokenPromiseError(f"no random delay after the power returned: {status['limits']}")
        closings = self.box.plant.state()["closings"]
        if delays[0]["in_s"] > DELAY_SEEN_S + 2:
            await asyncio.sleep(DELAY_SEEN_S)
            if self.box.plant.state()["closings"] != closings:
                raise BrokenPromiseError(f"closed within a random delay of {delays[0]['in_s']} s")
        self.figures.delayed += 1
        await self._enable(until=None, minimum_ma=6_000, maximum_ma=16_000)

    async def _order(self, name: str, change: Callable[[Wishes], Wishes], order: Awaitable[bool | None]) -> None:
        """Give an order: until it is answered both the old and the new may hold, and then one of them alone.

        An answer of None says that it is in force and not stored yet.
        """
        old = self.ledger.possible
        new = tuple(change(wishes) for wishes in old)
        self.ledger.become(time.monotonic_ns(), *old, *new)
        self.figures.in_flight[name] += 1
        done = await order
        self.figures.in_flight[name] -= 1
        self.figures.acknowledged[name] += bool(done)
        if done is not None:
            self.ledger.become(time.monotonic_ns(), *(new if done else old))

    async def _command(self, command: int, fields: dict[int, Any] | None = None) -> bool:
        assert self.matter is not None
        answer = await self.controller.invoke(self.matter, 1, EVSE, command, fields, timed_ms=TIMED_MS)
        return answer.status == 0

    async def _write(self, attribute: int, value: Any) -> bool:
        assert self.matter is not None
        ((_, status),) = await self.controller.write(self.matter, ((1, EVSE, attribute), value))
        return status == 0

    async def _enable(self, **given: Any) -> None:
        now_s = int(time.time()) - MATTER_EPOCH_UNIX_S
        until = given.get("until", self.rng.choice([None, None, now_s + self.rng.randrange(4, 30), now_s + 36_000]))
        low = given.get("minimum_ma", self.rng.choice([6_000, 6_000, 10_000]))
        high = given.get("maximum_ma", self.rng.choice([each for each in CURRENTS if each >= low]))
        if until is not None:
            until_field = uint(until)
        fields = {0: None if until is None else until_field, 1: low, 2: high}
        enabled = {"until": until, "minimum_ma": low, "maximum_ma": high}
        await self._order("enable", lambda now: replace(now, **enabled), self._command(ENABLE_CHARGING, fields))

    async def _disable(self) -> None:
        async def order() -> bool:
            await self._command(DISABLE)
            return True  # while a fault is present the answer is FAILURE, and the permission is gone all the same

        await self._order("disable", Wishes.disabled, order())

    async def _user_maximum(self) -> None:
        user_ma = self.rng.choice(CURRENTS)
        await self._order("user", lambda now: replace(now, user_ma=user_ma), self._write(USER_MAXIMUM, user_ma))

    async def _window(self, window_s: int | None = None) -> None:
        wanted = self.rng.choice([0, 1, 3, 600]) if window_s is None else window_s
        await self._order("window", lambda now: replace(now, window_s=wanted), self._write(WINDOW, uint(wanted)))

    async def _targets(self) -> None:
        minutes, energy = self.rng.randrange(1440), self.rng.randrange(1, 60) * 1_000_000
        schedule = [{0: uint(0x7F), 1: [{0: uint(minutes), 2: energy}]}]
        wanted = ((0x7F, ((minutes, None, energy),)),)
        await self._order(
            "targets", lambda now: replace(now, targets=wanted), self._command(SET_TARGETS, {0: schedule})
        )

    async def _clear(self) -> None:
        await self._order("targets", lambda now: replace(now, targets=()), self._command(CLEAR_TARGETS))

    async def _own(self, command: str, change: Callable[[Wishes], Wishes], **fields: Any) -> None:
        async def order() -> bool | None:
            try:
                return True if (await self.box.ask(command, **fields))["stored"] else None
            except RefusalError as refusal:
                raise BrokenPromiseError(f"{command} was refused: {refusal}") from refusal

        await self._order(command, change, order())

    async def _set(self) -> None:
        limit_ma = self.rng.choice([None, *CURRENTS])
        if not self._expiring():
            await self._own("set", lambda now: replace(now, owner_ma=limit_ma), limit_ma=limit_ma)

    async def _permit(self) -> None:
        now_s = time.time() - MATTER_EPOCH_UNIX_S
        if not self._expiring():
            await self._own(
                "permit",
                lambda now: (
                    now if now.enabled(now_s) else replace(now, until=None, minimum_ma=6_000, maximum_ma=80_000)
                ),
            )

    async def _stop(self) -> None:
        now_s = time.time() - MATTER_EPOCH_UNIX_S
        if not self._expiring():
            await self._own("stop", lambda now: now.disabled() if now.enabled(now_s) else now.settled(now_s))

    def _expiring(self) -> bool:
        """Return whether a permission ends about now, so that it depends on a second what the owner's order means."""
        now_s = time.time() - MATTER_EPOCH_UNIX_S
        return any(wishes.until and -3 < wishes.until - now_s < 3 for wishes in self.ledger.possible)

    async def _capacity(self) -> None:
        wanted = self.rng.choice(CURRENTS)

        async def order() -> bool:
            await asyncio.to_thread(
                self.box.box_settings.set_capacity, self.box.board, Milliamps(wanted), None, INSTALLER
            )
            with suppress(RefusalError):  # the file counts; the process that reads it may not be up yet
                await self.box.ask("reload")
            return True

        await self._order("capacity", lambda now: replace(now, capacity_ma=wanted), order())

    async def _car_comes_or_goes(self) -> None:
        if self.car.plugged:
            self._unplug()
            await asyncio.sleep(0.4)
            with suppress(TimeoutError):
                await self.box.until(lambda now: now["session"] is None, 3, "end of the session")
                self.car.unseen = False
        else:
            self._plug_in()
            await asyncio.sleep(0.3)
            if self.rng.random() < 0.7:
                self._close_s2()

    async def _car_pauses(self) -> None:
        if self.car.plugged:
            self.box.plant.verb("auto", on=self.rng.random() < 0.5)
            self.box.plant.verb(self.rng.choice(["open_s2", "close_s2"]))

    def _plug_in(self, *, seen: bool = True) -> None:
        cable_ma = self.rng.choice([20_000, 32_000])
        self.ledger.everywhere(time.monotonic_ns(), cable_ma=cable_ma)
        self.box.plant.verb("plug_in", cable_ma=cable_ma)
        self.car = Car(self.car.number + 1, plugged=True, unseen=self.car.unseen or not seen)

    def _unplug(self, *, seen: bool = True) -> None:
        self.box.plant.verb("unplug")
        self.car.plugged, self.car.unseen = False, True  # until the box has been asked
        if seen:
            self.car.session = None

    def _close_s2(self) -> None:
        """Let the car ask for energy now, and by itself whenever it may."""
        self.box.plant.verb("auto", on=True)
        self.box.plant.verb("close_s2")

    # A card that lied.

    async def _torn(self) -> None:
        """Start on a spoilt card: what is lost is named, nothing is invented, and the installer's limit holds."""
        copy, told, car = self.box.keep_aside(), dict(self.told), replace(self.car)
        kept, capacity_ma = self.ledger.possible, max(one.capacity_ma for one in self.ledger.possible)
        way = self.box.tear(self.rng)
        self.figures.torn[way] += 1
        cable_ma = kept[0].cable_ma
        self.ledger.become(time.monotonic_ns(), replace(ANYTHING, capacity_ma=capacity_ma, cable_ma=cable_ma))
        self._power_on()
        try:
            status = await self._up()
            await self._verify_torn(status, way)
            await asyncio.sleep(self.rng.uniform(0, 0.4))
        except BrokenPromiseError as violation:
            raise BrokenPromiseError(f"{way}: {violation}") from violation
        finally:
            self._power_off("torn")
            self.box.go_back(copy)
            self.told, self.car = told, car
            self.ledger.become(time.monotonic_ns(), *kept)

    async def _verify_torn(self, status: dict[str, Any], way: str) -> None:
        aside = list(self.box.state_dir.glob("evse.db.damaged-*"))
        said = " ".join(each["text"] for each in status["notices"])
        if aside and "set aside" not in said:
            raise BrokenPromiseError(f"{aside} was set aside without a notice: {said}")
        if way == "installer's file cut off":
            await self._verify_refusal(status)
            return
        if status["owner"]["limit_ma"] not in self.ledger.ever["owner_ma"] | {None}:
            raise BrokenPromiseError(f"a limit that was never set: {status['owner']}")
        numbers = [each["number"] for each in await self.box.ask("sessions")]
        if numbers and numbers[0] > self.car.number:
            raise BrokenPromiseError(f"sessions that never were: {numbers[:3]} of {self.car.number} cars")
        if status["matter"]["commissioned"]:
            with suppress(HandshakeError):
                self.matter = await self.controller.case(self.member, NODE_ID, resume=False)
                self._verify_known(*(await self._known(status)))

    def _verify_known(self, known: Wishes, attributes: dict[int, Any]) -> None:
        for name in ("until", "minimum_ma", "user_ma", "window_s", "targets"):
            value = getattr(known, name)
            if value not in self.ledger.ever[name] | {getattr(Wishes(), name), 0, known.capacity_ma}:
                raise BrokenPromiseError(f"{name} {value} that was never set")
        if int(attributes[5]) != known.capacity_ma:
            raise BrokenPromiseError(f"CircuitCapacity {attributes[5]}")

    async def _verify_refusal(self, status: dict[str, Any]) -> None:
        """A torn file of the installer's is no file: no vehicle gets anything."""
        faults = [fault["fault"] for fault in status["faults"]]
        if "INSTALLATION_INVALID" not in faults:
            raise BrokenPromiseError(f"half an installer's file was believed: {status['limits']}, {faults}")
        self.ledger.become(time.monotonic_ns(), Wishes(capacity_ma=0))


def _metered(status: dict[str, Any]) -> bool:
    """Return whether the meter was read since the start: before that, it is unknown what flowed since the last save."""
    return "age_ms" in status["meter"]


def _targets(schedules: Any) -> tuple[Any, ...]:
    """Return the answer to GetTargets as a value."""
    return tuple(
        (int(each[0]), tuple((int(one[0]), one.get(1), None if one.get(2) is None else int(one[2])) for one in each[1]))
        for each in schedules
    )
