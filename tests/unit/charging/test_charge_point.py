from __future__ import annotations

import asyncio
import json
import sqlite3
from contextlib import closing
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from evse_pi.api.codec import to_plain
from evse_pi.api.status import Board, Safety
from evse_pi.api.texts.english import LIMITS, REASONS
from evse_pi.api.troubles import DoubtKind, MeterTroubleKind, PermissionDoubt
from evse_pi.charging.charge_point import ChargePoint
from evse_pi.charging.controller_permission import NotStored
from evse_pi.charging.demand_arbiter import OWNER_DEFAULT, LimitRequest
from evse_pi.charging.settings import NOTHING_SET, SETTINGS, ChargingSettings, settings_of, settings_row
from evse_pi.charging.startup_state import StartupState, owner_row
from evse_pi.core.faults import Fault
from evse_pi.core.installation_limits import Installation
from evse_pi.core.records import TemperatureSample
from evse_pi.core.states import LimitSource, Reason
from evse_pi.matter.storage import SqliteStore
from evse_pi.node.box_status import NodeStatus, status
from evse_pi.sim.harness.virtual_clock import UNIX_S, VirtualClock
from evse_pi.storage.database import Store
from evse_pi.storage.recall import load_startup_state
from hal.units import SECOND, CentiCelsius, Milliamps, Millivolts
from tests.support.node_box import NOTHING, RATINGS, FakeSafety, HandWriter, meter_reading

if TYPE_CHECKING:
    from pathlib import Path

HOUSE = Installation(Milliamps(20_000), 1, "DE", Millivolts(230_000))
NO_METER = replace(RATINGS, meter_fitted=False)


def told(box: ChargePoint) -> Any:
    return to_plain(status(box, NodeStatus(Board("test", "a board"), "0", owner_permits=box.owner.permitted)))


class Life:
    """A box, its safety process, and a file that outlives both."""

    def __init__(self, path: Path, ratings: object = RATINGS) -> None:
        self.path = path
        self.ratings = ratings
        self.clock = VirtualClock()
        self.safety = FakeSafety(self.clock)
        self.store = Store(path)
        self.start()

    def start(self) -> None:
        memory = load_startup_state(self.store, self.clock.unix_s())
        self.box = ChargePoint(self.clock, self.ratings, HOUSE, memory, HandWriter())  # type: ignore[arg-type]

    def become(self, state: str, *, faults: frozenset[Fault] = NOTHING, after_s: int = 0) -> None:
        self.clock.advance_s(after_s)
        self.box.on_snapshot(self.safety.become(state, faults))

    def pass_time(self, seconds: int, power_mw: int = 0) -> None:
        for _ in range(seconds):
            self.clock.advance_s(1)
            self.box.on_snapshot(self.safety.snapshot())
            self.box.tick()
            self.write()

    def write(self) -> None:
        rows = self.box.event_recorder.write_queue.take(self.clock.now_ns)
        if rows:
            assert self.store.write(rows)

    def power_cut(self, outage_s: int, *, knows_time: bool = True) -> None:
        """Both processes die with what was written; the machine starts again."""
        self.clock.boot(outage_s, knows_time=knows_time)
        self.safety = FakeSafety(self.clock, safety_run_id=self.safety.safety_run_id + 1)
        self.store.close()
        self.store = Store(self.path)
        self.start()


@pytest.fixture
def life(tmp_path: Path) -> Life:
    return Life(tmp_path / "evse.db")


def measure(life: Life, register_mwh: int, power_mw: int = 0) -> None:
    life.box.measure(meter_reading(life.clock.now_ns, register_mwh, power_mw))


def test_a_session_is_counted_by_the_meter(life: Life) -> None:
    measure(life, 1_000_000)
    life.become("B", after_s=10)
    life.become("C", after_s=10)
    life.clock.advance_s(3600)
    measure(life, 8_000_000)
    life.become("A")
    last = life.box.event_recorder.last_session
    assert last is not None
    assert (last.energy_mwh, last.estimated, last.closed_ns(0)) == (7_000_000, False, 3600 * SECOND)


def test_energy_read_just_after_unplugging_still_belongs_to_the_session(life: Life) -> None:
    life.become("C")
    measure(life, 0)
    life.become("A", after_s=1)
    life.write()
    life.clock.advance_s(1)
    measure(life, 5_000)
    life.write()
    assert life.store.sessions(1)[0].session.energy_mwh == 5_000
    life.clock.advance_s(5)
    measure(life, 9_000)
    assert life.box.event_recorder.last_session is not None
    assert life.box.event_recorder.last_session.energy_mwh == 5_000


def test_without_a_meter_the_offer_is_the_estimate_and_says_so(tmp_path: Path) -> None:
    life = Life(tmp_path / "evse.db", NO_METER)
    life.become("C")
    life.pass_time(3600)
    life.become("B")
    life.pass_time(600)
    session = life.box.event_recorder.session
    assert session is not None
    assert session.estimated
    assert session is not None
    assert session.energy_mwh == 32 * 230 * 1_000  # 32 A on one phase for one hour
    assert life.box.power_mw() == (0, True)


def test_a_silent_safety_process_ends_the_estimate(tmp_path: Path) -> None:
    life = Life(tmp_path / "evse.db", NO_METER)
    life.become("C")
    life.pass_time(10)
    assert life.box.event_recorder.session is not None
    before = life.box.event_recorder.session.energy_mwh
    life.clock.advance_s(7200)
    life.box.tick()
    assert life.box.power_mw() == (None, True)
    life.box.on_snapshot(life.safety.snapshot())
    assert life.box.event_recorder.session is not None
    assert life.box.event_recorder.session.energy_mwh == before


@pytest.mark.hazard("H-18")
def test_a_second_power_cut_before_the_meter_is_read_loses_no_energy(life: Life) -> None:
    measure(life, 1_000_000)
    life.become("C")
    life.write()
    measure(life, 1_400_000)
    life.power_cut(outage_s=60)
    life.become("B")
    life.box.event_recorder.save()
    life.write()
    life.power_cut(outage_s=60)
    measure(life, 1_400_000)
    assert life.box.event_recorder.session is not None
    assert life.box.event_recorder.session.energy_mwh == 400_000


@pytest.mark.hazard("H-18")
def test_a_charging_session_survives_a_power_cut_with_its_energy(life: Life) -> None:
    """Energy is saved every five minutes; what flowed after the last save is still in the meter's register."""
    measure(life, 1_000_000)
    life.become("B")
    life.become("C")
    register = 1_000_000
    for _ in range(700):
        life.pass_time(1)
        register += 3_000
        measure(life, register, power_mw=10_800_000)
    life.power_cut(outage_s=1_800)
    measure(life, register)
    life.become("C")
    session = life.box.event_recorder.session
    assert session is not None
    assert (session.number, session.energy_mwh) == (1, register - 1_000_000)
    assert session is not None
    assert session.duration_ns(life.clock.now_ns) == 2_500 * SECOND
    assert [saved.session.number for saved in life.store.sessions()] == [1]


def test_a_car_that_left_during_the_power_cut_ends_its_session(life: Life) -> None:
    life.become("C")
    life.write()
    life.power_cut(outage_s=60)
    life.become("A")
    assert life.box.event_recorder.session is None
    assert life.box.event_recorder.last_session is not None
    assert life.box.event_recorder.last_session.number == 1


def test_a_restart_of_the_node_alone_changes_no_figure(life: Life) -> None:
    life.become("B")
    life.become("C", after_s=10)
    life.write()
    life.clock.advance_s(3)
    life.start()
    life.become("B", after_s=7)
    session = life.box.event_recorder.session
    assert session is not None
    assert (session.number, session.closed_ns(0)) == (1, 10 * SECOND)
    assert session is not None
    assert session.duration_ns(life.clock.now_ns) == 20 * SECOND


def test_faults_are_remembered_from_set_to_cleared(life: Life) -> None:
    life.become("C", faults=frozenset((Fault.RCD_TRIPPED,)))
    life.become("B", after_s=5)
    life.write()
    (record,) = life.store.faults()
    assert record.cleared_ns is not None
    assert (record.fault, record.cleared_ns - record.set_ns) == (Fault.RCD_TRIPPED, 5 * SECOND)
    assert (record.high_mv, record.close_ordered) == (12_000, True)


def test_a_fault_that_went_while_the_node_was_away_is_cleared_and_one_that_stayed_is_not_doubled(life: Life) -> None:
    life.become("B", faults=frozenset((Fault.RCD_TRIPPED, Fault.METER_STALE)))
    life.write()
    life.start()
    life.become("B", faults=frozenset((Fault.RCD_TRIPPED,)))
    life.write()
    records = {record.fault: record for record in life.store.faults()}
    assert len(life.store.faults()) == 2
    assert records[Fault.RCD_TRIPPED].cleared_ns is None
    assert records[Fault.METER_STALE].cleared_ns is not None


def test_only_transitions_of_substance_are_kept(life: Life) -> None:
    life.become("B")
    for _ in range(5):
        life.become("B", after_s=1)
    life.become("C")
    life.store.write(life.box.event_recorder.write_queue.take(life.clock.now_ns, all_rows=True))
    assert [record.evse_state.name for record in life.store.transitions()] == ["C2", "B2"]


def test_the_owner_is_remembered(life: Life) -> None:
    assert life.box.set_owner(permitted=False, limit_ma=Milliamps(10_000))
    assert not life.box.set_owner(permitted=False, limit_ma=Milliamps(10_000))
    life.write()
    life.power_cut(outage_s=5)
    assert life.box.owner == LimitRequest(LimitSource.OWNER, False, Milliamps(10_000))
    assert not life.box.demand().permitted


def permitting_box(settings: ChargingSettings) -> tuple[ChargePoint, HandWriter]:
    """Return a commissioned box with `settings`, and its database."""
    writer = HandWriter()
    memory = StartupState(settings=settings, commissioned=True)
    return ChargePoint(VirtualClock(), RATINGS, HOUSE, memory, writer), writer


@pytest.mark.hazard("H-18")
@pytest.mark.parametrize("before", [NOTHING_SET, NOTHING_SET.enabled()], ids=["disabled", "enabled"])
async def test_the_owner_s_stop_wins_over_a_permission_that_waits_for_the_disk(before: ChargingSettings) -> None:
    box, writer = permitting_box(before)
    writer.answer = asyncio.get_running_loop().create_future()
    enabling = asyncio.create_task(box.permission.apply_stored(lambda settings: settings.enabled()))
    await asyncio.sleep(0)
    box.set_owner_permission(permitted=False, limit_ma=None)
    assert not box.demand().permitted
    assert settings_of(writer.settings[SETTINGS]).charging_until_s == 0, "the disk holds the stop, not what waited"
    writer.answer.set_result(True)
    with pytest.raises(NotStored, match="another command"):
        await enabling
    assert not box.demand().permitted
    assert settings_of(writer.settings[SETTINGS]).charging_until_s == 0


class Commissioned(Life):
    """A box whose controller permits, on the real database."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        with closing(SqliteStore(path)) as keys, keys.transaction() as transaction:
            transaction.put("fabric/1/record", b"read by the Matter node alone")
        self.store.write([settings_row(NOTHING_SET.enabled()), owner_row(OWNER_DEFAULT)])
        self.start()

    def start(self) -> None:
        """Start on what is stored; the random delay after a power cut is drawn as none, for the end of a permission."""
        self.writer = HandWriter()
        memory, ratings = load_startup_state(self.store, self.clock.unix_s()), self.ratings
        self.box = ChargePoint(self.clock, ratings, HOUSE, memory, self.writer, draw=lambda _below: 0)  # type: ignore[arg-type]

    def restart(self, *, fabrics: bool = True) -> None:
        """Write what is on its way and start on it; without `fabrics` the controllers have left the database."""
        self.write()
        self.store.write(self.writer.rows.values())
        if not fabrics:
            with closing(SqliteStore(self.path)) as keys, keys.transaction() as transaction:
                transaction.delete("fabric/1/record")
        self.start()

    def tear(self) -> None:
        with closing(sqlite3.connect(self.path)) as card, card:
            card.execute("UPDATE setting SET value = '{' WHERE name = 'owner'")


@pytest.fixture
def owned(tmp_path: Path) -> Commissioned:
    return Commissioned(tmp_path / "evse.db")


@pytest.mark.hazard("H-18")
@pytest.mark.parametrize("how", ["the last fabric goes", "the power is cut before that is said", "it runs on without"])
def test_the_owner_s_stop_outlasts_the_controllers(owned: Commissioned, how: str) -> None:
    assert owned.box.demand().permitted
    owned.box.set_owner_permission(permitted=False, limit_ma=None)
    assert not owned.box.demand().permitted
    if how == "the last fabric goes":
        owned.box.commission(commissioned=False)
    elif how == "it runs on without":
        owned.restart()
        owned.box.commission(commissioned=False)
    assert not owned.box.permission.now.charging or how == "the power is cut before that is said"
    owned.restart(fabrics=False)
    assert not owned.box.demand().permitted
    assert owned.box.demand().limit_source is LimitSource.OWNER
    owned.box.set_owner_permission(permitted=True, limit_ma=None)
    owned.restart(fabrics=False)
    assert owned.box.demand().permitted


@pytest.mark.hazard("H-18")
def test_the_owner_s_stop_without_controllers_is_one_under_them(owned: Commissioned) -> None:
    owned.box.commission(commissioned=False)
    assert owned.box.demand().permitted, "the settings permit"
    owned.box.set_owner_permission(permitted=False, limit_ma=None)
    owned.restart()
    assert owned.box.permission.commissioned
    assert not owned.box.demand().permitted


@pytest.mark.hazard("H-18")
async def test_what_a_controller_permits_after_the_owner_s_stop_outlasts_a_restart(owned: Commissioned) -> None:
    owned.box.set_owner_permission(permitted=False, limit_ma=None)
    await owned.box.permission.apply_stored(lambda settings: settings.enabled())
    assert owned.box.demand().permitted
    owned.restart()
    owned.box.commission(commissioned=True)
    assert owned.box.demand().permitted
    owned.box.commission(commissioned=False)
    assert not owned.box.demand().permitted, "the owner has not taken the stop back"


@pytest.mark.hazard("H-18")
def test_when_the_last_controller_goes_what_it_forbade_is_forbidden_and_told(owned: Commissioned) -> None:
    owned.box.permission.apply(NOTHING_SET.enabled().disabled())
    owned.box.commission(commissioned=False)
    assert not owned.box.demand().permitted
    assert owned.box.doubt == PermissionDoubt(DoubtKind.NO_CONTROLLER)
    owned.restart(fabrics=False)
    assert not owned.box.demand().permitted
    assert owned.box.doubt == PermissionDoubt(DoubtKind.NO_CONTROLLER)
    owned.box.set_owner_permission(permitted=True, limit_ma=None)
    assert (owned.box.demand().permitted, owned.box.doubt) == (True, None)


@pytest.mark.hazard("H-18")
def test_a_torn_owner_s_row_is_in_doubt_through_all_controllers_until_a_person_permits(owned: Commissioned) -> None:
    owned.tear()
    for commissioned in (True, True, False):
        owned.start()
        owned.box.commission(commissioned=commissioned)
        assert not owned.box.demand().permitted
        assert owned.box.doubt == PermissionDoubt(DoubtKind.UNREADABLE)
        owned.restart()
    owned.box.set_owner_permission(permitted=False, limit_ma=None)
    owned.box.set_owner_permission(permitted=None, limit_ma=Milliamps(10_000))
    owned.restart()
    assert owned.box.doubt is not None, "another limit does not end it"
    owned.box.set_owner_permission(permitted=True, limit_ma=None)
    assert owned.box.doubt is None
    owned.restart()
    assert (owned.box.demand().permitted, owned.box.doubt) == (True, None)


def test_another_limit_neither_stops_nor_permits(owned: Commissioned) -> None:
    owned.box.set_owner_permission(permitted=None, limit_ma=Milliamps(10_000))
    assert (owned.box.demand().permitted, owned.box.demand().offered_current_ma) == (True, 10_000)
    owned.box.permission.apply(NOTHING_SET)
    owned.box.set_owner_permission(permitted=None, limit_ma=Milliamps(9_000))
    assert (owned.box.demand().permitted, owned.box.owner.permitted) == (False, True)


def passing(box: ChargePoint, seconds: int) -> bool:
    """Let time pass and return whether charging is permitted then."""
    for _ in range(seconds):
        box.clock.advance_s(1)  # type: ignore[attr-defined]
        box.tick()
    return box.demand().permitted


@pytest.mark.hazard("H-18")
def test_a_clock_that_becomes_unknown_takes_no_end_off_a_permission(owned: Commissioned) -> None:
    owned.box.permission.apply(replace(NOTHING_SET.enabled(), charging_until_s=UNIX_S + 60))
    assert passing(owned.box, 30)
    owned.clock.set_unix_s(None)
    assert passing(owned.box, 29)
    assert not passing(owned.box, 1)
    assert settings_of(owned.writer.settings[SETTINGS]).charging_until_s == 0, "it is over for good"


@pytest.mark.hazard("H-18")
def test_an_end_that_the_newest_stored_date_has_passed_is_over_without_a_clock(owned: Commissioned) -> None:
    owned.become("B")
    owned.become("A", after_s=30)
    owned.box.permission.apply(replace(NOTHING_SET.enabled(), charging_until_s=UNIX_S + 60))
    owned.restart()
    owned.store.write(owned.box.event_recorder.write_queue.take(owned.clock.now_ns, all_rows=True))
    owned.power_cut(outage_s=5, knows_time=False)
    assert owned.clock.unix_s() is None
    assert passing(owned.box, 29), "the end has not come for certain"
    assert not passing(owned.box, 1)
    owned.become("B")
    owned.store.write(owned.writer.rows.values())
    owned.clock.set_unix_s(UNIX_S)
    owned.box.permission.apply(replace(NOTHING_SET.enabled(), charging_until_s=UNIX_S + 10))
    owned.store.write(owned.writer.rows.values())
    owned.power_cut(outage_s=5, knows_time=False)
    assert not owned.box.demand().permitted, "the history goes further than the end"


def test_a_demand_carries_what_was_measured_and_when(life: Life) -> None:
    assert life.box.demand().meter is None
    life.box.measure(meter_reading(50, 0, current_ma=9_000))
    life.box.temperature = TemperatureSample(40, CentiCelsius(31_00))
    demand = life.box.demand()
    assert demand.meter is not None
    assert (demand.meter.at_ns, demand.meter.current_ma) == (50, (9_000,) * 3)
    assert demand.temperature is not None
    assert demand.temperature.at_ns == 40


@pytest.mark.hazard("H-16")
def test_a_meter_that_is_frozen_is_told_and_no_longer_sent_to_the_safety_process(life: Life) -> None:
    life.become("C")
    for at_s in range(40):
        life.clock.advance_s(1)
        life.box.on_snapshot(life.safety.snapshot())
        measure(life, 1_000_000, power_mw=11_040_000)
        assert (life.box.demand().meter is None) is (life.box.meter_check.trouble is not None)
        assert life.box.meter_check.believed or at_s >= 19
    assert life.box.demand().meter is None
    assert life.box.meter_check.trouble is not None
    assert life.box.meter_check.trouble.kind is MeterTroubleKind.ENERGY_STANDS_STILL


def test_a_meter_that_was_called_frozen_is_sent_again_for_the_next_charge(life: Life) -> None:
    life.become("C")
    for at_s in range(200):
        life.clock.advance_s(1)
        life.box.on_snapshot(life.safety.snapshot())
        measure(life, 1_000_000, power_mw=11_040_000 if at_s < 40 else 5_000)
        if at_s == 40:
            life.become("B", faults=frozenset((Fault.METER_STALE,)))
    assert life.box.demand().meter is not None
    trouble = life.box.meter_check.trouble
    assert trouble is not None
    assert (trouble.kind, trouble.power_mw) == (MeterTroubleKind.ENERGY_STANDS_STILL, 11_040_000)


@pytest.mark.hazard("H-16")
def test_a_meter_that_is_wired_backwards_counts_by_its_power_and_is_told(life: Life) -> None:
    life.become("B", after_s=1)
    life.become("C", after_s=1)
    for _ in range(3_600):
        life.clock.advance_s(1)
        measure(life, 1_000_000, power_mw=-11_040_000)
        life.box.tick()
    session = life.box.event_recorder.session
    assert session is not None
    assert abs(session.energy_mwh - 11_040_000) < 30_000
    assert life.box.meter_check.trouble is not None
    assert life.box.meter_check.trouble.kind is MeterTroubleKind.BACKWARDS
    assert life.box.demand().meter is not None


def test_an_old_reading_is_no_power(life: Life) -> None:
    measure(life, 0, power_mw=3_000_000)
    assert life.box.power_mw() == (3_000_000, False)
    life.clock.advance_s(16)
    assert life.box.power_mw() == (None, False)


def test_a_fault_that_is_kept_for_good_is_not_told_to_end_by_itself(life: Life) -> None:
    ends = {}
    for reason in (Reason.FAULT, Reason.KEPT_AFTER_REPEATS):
        snapshot = life.safety.become("E", frozenset((Fault.METER_STALE, Fault.RCD_TRIPPED)))
        life.box.on_snapshot(replace(snapshot, reason=reason))
        ends[reason] = [fault["clears"] for fault in told(life.box)["faults"]]
    assert ends[Reason.FAULT] == [["BY_USER"], ["WHEN_GONE"]]
    assert ends[Reason.KEPT_AFTER_REPEATS] == [["BY_USER"], ["ON_UNPLUG", "BY_USER"]]


def test_a_status_is_json_and_complete(life: Life) -> None:
    life.box.on_snapshot(life.safety.become("C", frozenset((Fault.METER_STALE, Fault.RCD_TRIPPED))))
    measure(life, 5, power_mw=7_000_000)
    shown = json.loads(json.dumps(told(life.box)))
    assert [fault["fault"] for fault in shown["faults"]] == ["RCD_TRIPPED", "METER_STALE"]
    assert all(fault["hint"] and fault["clears"] for fault in shown["faults"])
    assert (shown["pilot"]["evse_state"], shown["contactor"]["close_ordered"], shown["offered_current_ma"]) == (
        "C2",
        True,
        32_000,
    )
    assert shown["meter"]["power_mw"] == 7_000_000
    assert shown["session"]["number"] == 1
    assert [limit["source"] for limit in shown["limits"] if limit["wins"]] == ["BOARD"]
    assert {limit["source"]: limit["limit_ma"] for limit in shown["limits"]} == {
        "BOARD": 32_000,
        "CIRCUIT_CAPACITY": 20_000,
        "CABLE": 32_000,
        "OWNER": None,
    }


def test_a_silent_safety_process_is_shown_as_unknown_not_as_it_last_was(life: Life) -> None:
    life.become("C")
    life.clock.advance_s(4)
    shown = told(life.box)
    assert (shown["pilot"], shown["contactor"], shown["reason"], shown["offered_current_ma"]) == (None,) * 4
    assert shown["safety"]["connected"] is False
    assert shown["safety"]["age_ms"] == 4_000


def test_a_box_that_heard_nothing_yet_has_a_status(life: Life) -> None:
    assert told(ChargePoint(life.clock, RATINGS, None, StartupState(), HandWriter()))["safety"] == to_plain(
        Safety(connected=False, age_ms=None)
    )


def test_a_reason_with_an_end_counts_down(life: Life) -> None:
    until_ns = life.clock.now_ns + 7 * SECOND
    life.box.on_snapshot(replace(life.safety.snapshot(), reason=Reason.MINIMUM_OFF_TIME, reason_until_ns=until_ns))
    assert told(life.box)["reason"]["in_s"] == 7


def test_every_reason_and_every_limit_has_its_words() -> None:
    assert set(REASONS) == set(Reason)
    assert set(LIMITS) == set(LimitSource)
