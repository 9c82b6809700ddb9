"""The box as the clusters see it: views in the order of the transitions, asks that outlast a restart."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from evse_pi.charging.charge_point import ChargePoint
from evse_pi.charging.demand_arbiter import LimitRequest
from evse_pi.charging.evse_status import Permission
from evse_pi.charging.modes import ChargeMode, PowerAdjustment
from evse_pi.charging.session import SavedSession, Session
from evse_pi.charging.settings import ChargingSettings
from evse_pi.charging.startup_state import StartupState
from evse_pi.core.evidence import Check, Evidence
from evse_pi.core.faults import Fault
from evse_pi.core.records import Request, TemperatureSample
from evse_pi.core.states import LimitSource, MatterState, PilotState, Reason
from evse_pi.device.reported_state import NOTHING_REPORTED, ReportedState, Transfer, encode, record_key
from evse_pi.installation.files import SIMULATED_INSTALLATION
from evse_pi.matter.storage import MemoryStore
from evse_pi.node.charge_point_adapter import ChargePointAdapter
from evse_pi.sim.harness.virtual_clock import UNIX_S, VirtualClock
from hal.units import SECOND, CentiCelsius, Milliamps, MilliwattHours
from tests.support.node_box import RATINGS, FakeSafety, HandWriter, meter_reading

if TYPE_CHECKING:
    from evse_pi.device.charge_point_view import ChargePointView


class Bench:
    """A box with its charger, and everything that clusters would hear."""

    def __init__(self, clock: VirtualClock | None = None, **memory: Any) -> None:
        self.clock = clock or VirtualClock()
        self.safety = FakeSafety(self.clock)
        self.box = ChargePoint(self.clock, RATINGS, SIMULATED_INSTALLATION, StartupState(**memory), HandWriter())
        self.renewals = 0
        self.charger = ChargePointAdapter(self.box, self._renew)
        self.heard: list[ChargePointView] = []
        self.charger.changed.on(self.heard.append)

    def _renew(self) -> None:
        self.renewals += 1

    def rows(self) -> dict[str, Any]:
        rows = self.box.event_recorder.write_queue.take(self.clock.monotonic_ns(), all_rows=True)
        settings = [row.values for row in rows if row.table == "setting"]
        return {str(one["name"]): json.loads(str(one["value"])) for one in settings}


def test_before_the_safety_process_speaks_nothing_is_known() -> None:
    view = Bench().charger.view()
    assert (view.safety_online, view.pilot, view.reason) == (False, PilotState.INVALID, Reason.STARTING)
    assert (view.current_may_flow, view.session, view.cable_ma) == (False, None, None)
    assert view.circuit_capacity_ma == 32_000


def test_a_contactor_that_was_told_to_close_is_closed_once_its_contacts_are() -> None:
    bench = Bench()
    bench.safety.become("B")
    bench.box.on_snapshot(bench.safety.become("closing"))
    assert not bench.charger.view().current_may_flow
    bench.box.on_snapshot(bench.safety.become("C"))
    assert bench.charger.view().current_may_flow
    assert [one.current_may_flow for one in bench.heard] == [False, False, True]


def test_every_transition_of_one_snapshot_is_told_in_its_order_with_its_session() -> None:
    bench = Bench()
    bench.safety.become("B")
    bench.safety.become("C")
    bench.safety.become("E", frozenset({Fault.PILOT_SHORT}))
    bench.box.on_snapshot(bench.safety.become("A"))
    bench.charger.refresh()
    told = [
        (one.pilot.name, one.current_may_flow, set(one.faults), one.session.number if one.session else None)
        for one in bench.heard
    ]
    assert told == [
        ("B", False, set(), 1),
        ("C", True, set(), 1),
        ("E", False, {Fault.PILOT_SHORT}, 1),
        ("A", False, set(), None),
        ("A", False, set(), None),
    ]
    assert [one.status.state for one in bench.heard] == [
        MatterState.PLUGGED_IN_NO_DEMAND,
        MatterState.PLUGGED_IN_CHARGING,
        MatterState.FAULT,
        MatterState.NOT_PLUGGED_IN,
        MatterState.NOT_PLUGGED_IN,
    ]
    assert bench.heard[-1].last_session is not None


def test_limits_are_all_that_count_each_with_its_owner() -> None:
    bench = Bench()
    bench.box.arbiter.put(LimitRequest(LimitSource.OWNER, limit_ma=Milliamps(20_000)))
    bench.box.arbiter.put(LimitRequest(LimitSource.POWER_ADJUSTMENT, limit_ma=Milliamps(7_000), until_ns=1))
    hot = bench.safety.snapshot(limit_source=LimitSource.TEMPERATURE, limit_ma=Milliamps(16_000))
    bench.box.on_snapshot(replace(hot, cable_ma=Milliamps(13_000)))
    assert {
        each.source.name: each.ceiling_ma for each in bench.charger.view().limits if each.ceiling_ma is not None
    } == {
        "BOARD": 32_000,
        "CIRCUIT_CAPACITY": 32_000,
        "CABLE": 13_000,
        "TEMPERATURE": 16_000,
        "OWNER": 20_000,
    }


def test_the_installer_s_random_delay_reaches_the_clusters() -> None:
    bench = Bench()
    assert bench.charger.view().random_delay_s == 600
    bench.box.installation = replace(SIMULATED_INSTALLATION, random_delay_s=1_800)
    assert bench.charger.view().random_delay_s == 1_800
    bench.box.installation = None
    assert bench.charger.view().random_delay_s == 600


def test_old_readings_are_not_shown() -> None:
    bench = Bench()
    bench.box.measure(meter_reading(bench.clock.now_ns, 5, 6))
    bench.box.temperature = TemperatureSample(bench.clock.now_ns, CentiCelsius(30_00))
    assert bench.charger.view().meter is not None
    assert bench.charger.view().temperature == 30_00
    bench.clock.advance_s(16)
    assert (bench.charger.view().meter, bench.charger.view().temperature) == (None, None)


async def test_what_is_set_is_sent_and_told() -> None:
    bench = Bench(commissioned=True)
    settings = bench.charger.view().settings
    bench.charger.apply(settings.enabled())
    bench.charger.apply(replace(settings.enabled(), user_maximum_ma=10_000))
    assert bench.renewals == 2
    await asyncio.sleep(0)
    assert len(bench.heard) == 1, "two requests at once are one change"


async def test_an_adjusted_power_is_sent_as_the_current_of_the_supply() -> None:
    bench = Bench(settings=ChargingSettings(mode=ChargeMode.SOLAR))
    bench.safety.become("B")
    bench.box.on_snapshot(bench.safety.snapshot())
    assert not bench.box.demand().permitted, "an energy manager has not asked yet"
    before = bench.renewals
    bench.charger.adjust_power(PowerAdjustment(6_900_000, bench.clock.now_ns + 60 * SECOND))
    assert bench.renewals > before
    assert bench.box.demand().offered_current_ma == 10_000, "6.9 kW on three phases of 230 V"
    bench.charger.adjust_power(None)
    assert not bench.box.demand().permitted


def held(settings: ChargingSettings, *, commissioned: bool = True, unix_s: int | None = UNIX_S) -> Bench:
    """Return a box at its start, before the cluster has come up."""
    return Bench(VirtualClock(unix_s=unix_s), settings=settings, commissioned=commissioned)


def test_a_box_that_starts_permits_what_the_cluster_had_granted_before_it_is_loaded() -> None:
    bench = held(ChargingSettings(charging_until_s=UNIX_S + 60, maximum_ma=10_000, user_maximum_ma=8_000))
    demand = bench.box.demand()
    assert (demand.permitted, demand.offered_current_ma) == (True, 8_000)
    bench.clock.advance_s(61)
    assert not bench.box.demand().permitted, "it ends by itself, whatever is gone"


def test_a_box_that_starts_forbids_what_was_not_granted() -> None:
    assert not held(ChargingSettings()).box.demand().permitted
    assert not held(ChargingSettings(charging_until_s=UNIX_S - 1, maximum_ma=10_000)).box.demand().permitted
    assert held(ChargingSettings(charging_until_s=None, maximum_ma=10_000)).box.demand().permitted


def test_an_end_that_no_clock_can_tell_lets_the_box_start() -> None:
    bench = held(ChargingSettings(charging_until_s=UNIX_S - 1, maximum_ma=10_000), unix_s=None)
    bench.clock.advance_s(3_600)
    assert bench.box.demand().permitted


def test_a_box_without_controllers_starts_by_its_owners_permission() -> None:
    assert held(ChargingSettings(), commissioned=False).box.demand().permitted


@pytest.mark.parametrize("permitted_before", [True, False])
async def test_what_the_owner_had_forbidden_stays_forbidden_under_a_controller(permitted_before: bool) -> None:
    owner = LimitRequest(LimitSource.OWNER, permitted_before, Milliamps(9_000))
    bench = Bench(owner=owner, settings=ChargingSettings(charging_until_s=None, maximum_ma=10_000))
    bench.charger.commission(commissioned=True)
    assert (bench.box.owner.permitted, bench.box.owner.limit_ma) == (permitted_before, 9_000), "as said"
    assert bench.charger.view().permission == Permission(charging=permitted_before)
    assert bench.box.demand().permitted is permitted_before
    await bench.charger.apply_stored(lambda settings: settings.enabled())
    assert bench.box.demand().permitted, "a controller may permit again"
    assert bench.box.demand().offered_current_ma == 9_000


async def test_a_view_is_told_after_all_have_reacted_to_the_one_before() -> None:
    bench = Bench(settings=ChargingSettings(), commissioned=True)
    told: list[tuple[str, bool]] = []

    def react(view: ChargePointView) -> None:
        told.append(("first", view.permission.charging))
        if not view.permission.charging:
            bench.charger.apply(view.settings.enabled())

    bench.charger.changed.on(react)
    bench.charger.changed.on(lambda view: told.append(("second", view.permission.charging)))
    bench.charger.refresh()
    await asyncio.sleep(0)
    assert told == [("first", False), ("second", False), ("first", True), ("second", True)]


def test_a_self_test_that_was_ordered_leaves_its_evidence() -> None:
    bench = Bench()
    bench.box.on_snapshot(bench.safety.snapshot())
    bench.charger.want_self_test()
    assert bench.charger.view().self_test.ordered is True
    bench.safety.request_number = bench.box.requests.number
    bench.box.on_snapshot(bench.safety.snapshot())
    assert bench.box.requests.request is Request.SELF_TEST
    assert bench.charger.view().self_test.ordered is True
    bench.charger.refresh()
    assert "self_test" not in bench.rows()
    bench.safety.request_number = bench.box.requests.number
    bench.box.on_snapshot(replace(bench.safety.snapshot(), self_test_running=True, self_test_passed=False))
    bench.charger.refresh()
    assert "self_test" not in bench.rows()
    evidence = (Evidence(Check.PILOT_LOW_RAIL, 1, -12_000, -13_000, -11_000),)
    bench.box.on_snapshot(replace(bench.safety.snapshot(), evidence=evidence))
    bench.charger.refresh()
    kept = bench.rows()["self_test"]
    assert kept["passed"] is True
    assert kept["evidence"] == [["PILOT_LOW_RAIL", -12_000, -13_000, -11_000]]


def test_identifying_is_demanded_at_once_and_only_when_it_changes() -> None:
    bench = Bench()
    bench.charger.identify(active=False)
    assert (bench.box.demand().identify, bench.renewals) == (False, 0)
    for seconds_left in (2, 1):
        bench.charger.identify(active=seconds_left > 0)
    assert (bench.box.demand().identify, bench.renewals) == (True, 1)
    bench.charger.identify(active=False)
    assert (bench.box.demand().identify, bench.renewals) == (False, 2)


# What peers were told, and what the box had not written yet.


def restarted(told: ReportedState, *states: str, **memory: Any) -> Bench:
    """Return a box that peers were told `told` of, once it has heard of `states`."""
    bench = Bench(**memory)
    bench.charger.recall(MemoryStore({record_key(1): encode(told)}))
    for state in states:
        snapshot = bench.safety.become(state)
    bench.box.on_snapshot(snapshot)
    bench.charger.refresh()
    return bench


STALE = SavedSession(Session(3, 0), "first", 7)


def number(bench: Bench) -> int | None:
    session = bench.box.event_recorder.session
    return None if session is None else session.number


def test_sessions_that_were_missed_are_heard_again_and_keep_their_numbers() -> None:
    bench = restarted(ReportedState(session=4, latest=4), "A", "B", session=STALE, next_session=4)
    assert number(bench) == 4
    assert [one.session.number for one in bench.heard if one.session] == [4]


def test_a_session_that_peers_know_and_that_was_not_stored_goes_on_with_what_is_left_of_it() -> None:
    bench = restarted(ReportedState(session=4, transfer=Transfer(5_000), latest=4), "B", session=STALE, next_session=4)
    session = bench.box.event_recorder.session
    assert session is not None
    assert (session.number, session.energy_mwh) == (4, 5_000)
    bench.box.on_snapshot(bench.safety.become("A"))
    bench.box.on_snapshot(bench.safety.become("B"))
    assert number(bench) == 5


def test_a_session_that_peers_know_goes_on_though_none_was_written_and_no_pilot_is_seen_yet() -> None:
    bench = restarted(ReportedState(session=4, transfer=Transfer(5_000), latest=4), "?", next_session=4)
    bench.box.on_snapshot(bench.safety.become("B"))
    session = bench.box.event_recorder.session
    assert session is not None
    assert (session.number, session.energy_mwh) == (4, 5_000)
    bench = restarted(ReportedState(session=4, latest=4), "A", next_session=4)
    assert number(bench) is None
    bench.box.on_snapshot(bench.safety.become("B"))
    assert number(bench) == 5


def test_a_session_that_ended_for_peers_is_not_gone_on_with() -> None:
    bench = restarted(ReportedState(latest=4), "B", session=STALE, next_session=4)
    assert number(bench) == 5
    assert [one.session.number for one in bench.heard if one.session] == [5]


def test_a_session_that_ended_for_peers_is_followed_by_none_before_a_vehicle_is_seen() -> None:
    spent = SavedSession(Session(3, 0, energy_mwh=MilliwattHours(7_000)), "first", 7)
    bench = restarted(ReportedState(latest=4), "?", session=spent, next_session=4)
    assert number(bench) is None
    bench.box.on_snapshot(bench.safety.become("B"))
    session = bench.box.event_recorder.session
    assert session is not None
    assert (session.number, session.energy_mwh) == (5, 0), "nothing is counted in two sessions"


def test_a_number_that_peers_know_is_not_given_again() -> None:
    assert number(restarted(ReportedState(latest=6), "B", next_session=4)) == 7
    bench = restarted(ReportedState(latest=6), "A", next_session=4)
    bench.box.on_snapshot(bench.safety.become("B"))
    assert number(bench) == 7


def test_a_box_that_knows_more_than_its_peers_goes_on_as_it_is() -> None:
    assert number(restarted(ReportedState(latest=2), "B", session=STALE, next_session=4)) == 3
    assert number(restarted(ReportedState(session=3, latest=3), "B", session=STALE, next_session=4)) == 3
    assert number(restarted(NOTHING_REPORTED, "B")) == 1
