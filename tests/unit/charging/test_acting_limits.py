"""The one list of limits, and that status and clusters show parts of it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from evse_pi.api.status import Board
from evse_pi.charging.acting_limits import ActingLimit, lowest_ceiling_ma, offerable_ma
from evse_pi.charging.charge_point import ChargePoint
from evse_pi.charging.demand_arbiter import ExpiryPolicy, LimitRequest
from evse_pi.charging.startup_state import StartupState
from evse_pi.core.states import LimitSource
from evse_pi.installation.files import SIMULATED_INSTALLATION
from evse_pi.node.box_status import NodeStatus, status
from evse_pi.node.charge_point_adapter import ChargePointAdapter
from evse_pi.sim.harness.virtual_clock import VirtualClock
from hal.units import SECOND, Milliamps
from tests.support.node_box import RATINGS, FakeSafety, HandWriter

HOUR_NS = 3_600 * SECOND


def charge_point() -> tuple[ChargePoint, FakeSafety, VirtualClock]:
    clock = VirtualClock()
    return ChargePoint(clock, RATINGS, SIMULATED_INSTALLATION, StartupState(), HandWriter()), FakeSafety(clock), clock


def hot(safety: FakeSafety, source: LimitSource, limit_ma: int) -> object:
    snapshot = safety.snapshot(limit_source=source, limit_ma=Milliamps(limit_ma))
    return replace(snapshot, cable_ma=Milliamps(20_000))


@pytest.mark.parametrize("silent_s", [0, 60])
def test_status_and_clusters_show_the_same_limits_and_silence_lifts_none(silent_s: int) -> None:
    point, safety, clock = charge_point()
    point.on_snapshot(hot(safety, LimitSource.TEMPERATURE, 12_000))  # type: ignore[arg-type]
    point.arbiter.put(LimitRequest(LimitSource.USER_MAXIMUM, limit_ma=Milliamps(16_000)))
    point.arbiter.put(LimitRequest(LimitSource.SCHEDULE, permitted=False, until_ns=clock.now_ns + HOUR_NS))
    clock.advance_s(silent_s)
    told = status(point, NodeStatus(Board("simulated", "simulated"), "0", owner_permits=True)).limits
    shown = ChargePointAdapter(point, lambda: None).view().limits
    assert sorted((each.source, each.limit_ma, each.permitted) for each in told) == [
        (LimitSource.BOARD, 32_000, True),
        (LimitSource.CIRCUIT_CAPACITY, 32_000, True),
        (LimitSource.CABLE, 20_000, True),
        (LimitSource.TEMPERATURE, 12_000, True),
        (LimitSource.OWNER, None, True),
        (LimitSource.USER_MAXIMUM, 16_000, True),
        (LimitSource.SCHEDULE, None, False),
    ]
    assert [(each.source, each.limit_ma, each.judged) for each in told] == [
        (each.source, each.limit_ma, each.judged) for each in shown
    ]
    assert [each.source for each in told if each.wins] == ([] if silent_s else [LimitSource.TEMPERATURE])
    assert [each.in_s for each in told if each.source is LimitSource.SCHEDULE] == [3_600 - silent_s]
    assert lowest_ceiling_ma(shown) == 12_000
    assert lowest_ceiling_ma(shown, without=LimitSource.TEMPERATURE) == 16_000


def test_a_late_demand_is_shown_and_is_no_ceiling_of_the_charge() -> None:
    point, safety, _ = charge_point()
    point.on_snapshot(hot(safety, LimitSource.LEASE, 0))  # type: ignore[arg-type]
    assert (LimitSource.LEASE, 0) in [(each.source, each.limit_ma) for each in point.limits()]
    assert lowest_ceiling_ma(point.limits()) == 20_000


def test_while_no_cable_is_plugged_in_the_ceiling_is_what_will_be_offered_to_one() -> None:
    point, safety, _ = charge_point()
    unplugged = safety.snapshot(limit_source=LimitSource.CABLE, limit_ma=Milliamps(0))
    point.on_snapshot(replace(unplugged, cable_ma=Milliamps(0)))
    assert (LimitSource.CABLE, 0) in [(each.source, each.limit_ma) for each in point.limits()]
    assert lowest_ceiling_ma(point.limits()) == 32_000


def test_a_request_sets_no_ceiling_once_its_time_is_over() -> None:
    point, _, clock = charge_point()
    end_ns = clock.now_ns + HOUR_NS
    for source, policy in (
        (LimitSource.POWER_ADJUSTMENT, ExpiryPolicy.FORGOTTEN),
        (LimitSource.ENABLE_CHARGING, ExpiryPolicy.STOPPED),
    ):
        point.arbiter.put(LimitRequest(source, limit_ma=Milliamps(8_000), until_ns=end_ns, on_expiry=policy))
    assert lowest_ceiling_ma(point.limits()) == 8_000
    clock.advance_s(3_600)
    assert lowest_ceiling_ma(point.limits()) == 32_000
    over = {each.source: each for each in point.limits() if each.expired}
    assert [over[LimitSource.POWER_ADJUSTMENT].counts, over[LimitSource.ENABLE_CHARGING].counts] == [False, True]
    assert not over[LimitSource.ENABLE_CHARGING].permitted


@pytest.mark.parametrize(
    ("limit_ma", "offered_ma"),
    [
        (None, 0),
        (0, 0),
        (5_999, 0),
        (6_000, 6_000),
        (10_000, 10_000),
        (51_700, 51_000),
        (80_000, 80_000),
        (99_000, 80_000),
    ],
)
def test_the_pilot_offers_between_6_and_80_a_with_a_step_at_51(limit_ma: int | None, offered_ma: int) -> None:
    """Source: IEC 61851-1 Annex A, Table A.8."""
    assert offerable_ma(None if limit_ma is None else Milliamps(limit_ma)) == offered_ma


def test_a_limit_without_a_current_is_no_ceiling() -> None:
    assert lowest_ceiling_ma([ActingLimit(LimitSource.OWNER)]) is None
