"""The box as the clusters see it: views in the order of the transitions, asks that outlast a restart."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from evse_pi.config import SIMULATED_INSTALLATION
from evse_pi.core.evidence import Check, Evidence
from evse_pi.core.faults import Fault
from evse_pi.core.records import Request, TemperatureSample
from evse_pi.core.states import LimitSource, PilotState, Reason
from evse_pi.device.energy_evse_memory import NOTHING_TOLD, Kept, Told, Transfer, encode, record_key
from evse_pi.energy.demand import Ask, Lapse
from evse_pi.energy.session import SavedSession, Session
from evse_pi.matter.storage import SqliteStore
from evse_pi.node.box import Box
from evse_pi.node.charger import BoxCharger, recall_told
from evse_pi.node.memory import Memory, abandoned, reconciled
from hal.units import SECOND, CentiCelsius, Milliamps
from tests.support.node_box import RATINGS, FakeSafety, HandClock, meter_reading

if TYPE_CHECKING:
    from pathlib import Path

    from evse_pi.device.charger import ChargerView


class Bench:
    """A box with its charger, and everything that clusters would hear."""

    def __init__(self, **memory: Any) -> None:
        self.clock = HandClock()
        self.safety = FakeSafety(self.clock)
        self.box = Box(self.clock, RATINGS, SIMULATED_INSTALLATION, Memory(**memory))
        self.renewals = 0
        self.charger = BoxCharger(self.box, self._renew)
        self.heard: list[ChargerView] = []
        self.charger.changed.on(self.heard.append)

    def _renew(self) -> None:
        self.renewals += 1

    def rows(self) -> dict[str, Any]:
        rows = self.box.chronicle.journal.take(self.clock.monotonic_ns(), all_rows=True)
        settings = [row.values for row in rows if row.table == "setting"]
        return {str(one["name"]): json.loads(str(one["value"])) for one in settings}


def test_before_the_safety_process_speaks_nothing_is_known() -> None:
    view = Bench().charger.view()
    assert (view.heard, view.pilot, view.reason) == (False, PilotState.INVALID, Reason.STARTING)
    assert (view.contactor_closed, view.session, view.cable_ma) == (False, None, None)
    assert view.circuit_capacity_ma == 32_000


def test_every_transition_of_one_snapshot_is_told_in_its_order_with_its_session() -> None:
    bench = Bench()
    bench.safety.become("B")
    bench.safety.become("C")
    bench.safety.become("E", frozenset({Fault.PILOT_SHORT}))
    bench.box.hear(bench.safety.become("A"))
    bench.charger.refresh()
    told = [
        (one.pilot.name, one.contactor_closed, set(one.faults), one.session.number if one.session else None)
        for one in bench.heard
    ]
    assert told == [
        ("B", False, set(), 1),
        ("C", True, set(), 1),
        ("E", False, {Fault.PILOT_SHORT}, 1),
        ("A", False, set(), None),
        ("A", False, set(), None),
    ]
    assert bench.heard[-1].last_session is not None


def test_limits_are_all_that_count_each_with_its_owner() -> None:
    bench = Bench()
    bench.box.book.put(Ask(LimitSource.OWNER, limit_ma=Milliamps(20_000)))
    bench.box.book.put(Ask(LimitSource.POWER_ADJUSTMENT, limit_ma=Milliamps(7_000), until_ns=1))
    hot = bench.safety.snapshot(limit_source=LimitSource.TEMPERATURE, limit_ma=Milliamps(16_000))
    bench.box.hear(replace(hot, cable_ma=Milliamps(13_000)))
    assert {limit.source.name: limit.current_ma for limit in bench.charger.view().limits} == {
        "BOARD": 32_000,
        "CIRCUIT_CAPACITY": 32_000,
        "CABLE": 13_000,
        "TEMPERATURE": 16_000,
        "OWNER": 20_000,
    }


def test_old_readings_are_not_shown() -> None:
    bench = Bench()
    bench.box.measure(meter_reading(bench.clock.now_ns, 5, 6))
    bench.box.temperature = TemperatureSample(bench.clock.now_ns, CentiCelsius(30_00))
    assert bench.charger.view().meter is not None
    assert bench.charger.view().temperature == 30_00
    bench.clock.advance(16)
    assert (bench.charger.view().meter, bench.charger.view().temperature) == (None, None)


async def test_an_ask_is_sent_told_and_remembered() -> None:
    bench = Bench()
    until_ns = bench.clock.now_ns + 100 * SECOND
    bench.charger.ask(Ask(LimitSource.ENABLE_CHARGING, True, Milliamps(10_000), until_ns, Lapse.STOPPED))
    bench.charger.ask(Ask(LimitSource.OWNER, True))
    assert bench.renewals == 2
    await asyncio.sleep(0)
    assert len(bench.heard) == 1, "two asks at once are one change"
    saved = bench.rows()["asks"]
    assert [each["source"] for each in saved] == ["ENABLE_CHARGING"], "the owner has a memory of its own"

    again = Bench()
    again.clock.boot(40)
    again.clock.unix = (bench.clock.unix or 0) + 40
    again.charger.resume(saved)
    ask = again.charger.ask_of(LimitSource.ENABLE_CHARGING)
    assert ask is not None
    assert (ask.permitted, ask.limit_ma, ask.until_ns) == (True, 10_000, again.clock.now_ns + 60 * SECOND)
    again.clock.advance(61)
    assert not again.box.demand().permitted, "it ends by itself, whoever is gone"

    clockless = Bench()
    clockless.clock.unix = None
    clockless.charger.resume(saved)
    ask = clockless.charger.ask_of(LimitSource.ENABLE_CHARGING)
    assert ask is not None
    assert ask.until_ns is None

    again.charger.forget_asks()
    assert again.charger.ask_of(LimitSource.ENABLE_CHARGING) is None


async def test_what_the_owner_had_forbidden_is_released_with_the_limit_kept() -> None:
    bench = Bench(owner=Ask(LimitSource.OWNER, False, Milliamps(9_000)))
    bench.charger.release_owner()
    assert (bench.box.owner.permitted, bench.box.owner.limit_ma) == (True, 9_000)


def test_a_self_test_that_was_ordered_leaves_its_evidence() -> None:
    bench = Bench()
    bench.box.hear(bench.safety.snapshot())
    bench.charger.start_self_test()
    assert bench.charger.view().self_test.ordered is True
    bench.safety.request_number = bench.box.orders.number
    bench.box.hear(bench.safety.snapshot())
    assert bench.box.orders.request is Request.SELF_TEST
    assert bench.charger.view().self_test.ordered is True
    bench.charger.refresh()
    assert "self_test" not in bench.rows()
    bench.safety.request_number = bench.box.orders.number
    bench.box.hear(replace(bench.safety.snapshot(), self_test_running=True, self_test_passed=False))
    bench.charger.refresh()
    assert "self_test" not in bench.rows()
    evidence = (Evidence(Check.PILOT_LOW_RAIL, 1, -12_000, -13_000, -11_000),)
    bench.box.hear(replace(bench.safety.snapshot(), evidence=evidence))
    bench.charger.refresh()
    kept = bench.rows()["self_test"]
    assert kept["passed"] is True
    assert kept["evidence"] == [["PILOT_LOW_RAIL", -12_000, -13_000, -11_000]]


def test_identifying_blinks_whatever_the_box_does() -> None:
    bench = Bench()
    bench.box.hear(bench.safety.become("C"))
    assert bench.charger.lit() is True
    bench.charger.identify(active=True)
    shown = set()
    for _ in range(4):
        bench.clock.advance(0.25)
        shown.add(bench.charger.lit())
    assert shown == {True, False}
    bench.charger.identify(active=False)
    bench.box.hear(bench.safety.snapshot())
    assert bench.charger.lit() is True


# What peers were told, and what the box had not written yet.


def test_a_box_that_remembers_as_much_as_its_peers_goes_on_as_it_is() -> None:
    memory = Memory(next_session=4)
    assert reconciled(memory, NOTHING_TOLD, 5, "boot") is memory
    assert reconciled(memory, Told(session=None, latest=3), 5, "boot") is memory
    assert abandoned(memory, memory) == []


def test_a_session_that_peers_know_is_not_begun_again_and_numbers_never_go_back() -> None:
    stale = SavedSession(Session(3, 0), "boot", 7)
    memory = Memory(session=stale, next_session=4)
    told = Told(session=4, transfer=Transfer(5_000), latest=4)
    continued = reconciled(memory, told, 9, "boot")
    assert continued.session is not None
    assert (continued.session.session.number, continued.session.session.energy_mwh) == (4, 5_000)
    assert continued.next_session == 5
    (row,) = abandoned(memory, continued)
    assert (row.table, row.values["number"]) == ("session", 3)
    gone = reconciled(memory, Told(session=None, latest=6), 9, "boot")
    assert (gone.session, gone.next_session) == (None, 7)


def test_what_peers_were_told_is_read_from_the_store(tmp_path: Path) -> None:
    database = tmp_path / "evse.db"
    assert recall_told(database) == NOTHING_TOLD
    told = Told(session=4, transfer=Transfer(5_000), latest=4)
    store = SqliteStore(database)
    with store.transaction() as changes:
        changes.put(record_key(1), encode(Kept(told=told)))
    store.close()
    assert recall_told(database) == told
    store = SqliteStore(database)
    with store.transaction() as changes:
        changes.put(record_key(1), b"nonsense")
    store.close()
    assert recall_told(database) == NOTHING_TOLD
    database.write_bytes(b"no database" * 1000)
    assert recall_told(database) == NOTHING_TOLD
