"""Requests from before a restart: what holds from the first demand on, and for how long."""

from __future__ import annotations

import json

import pytest

from evse_pi.charging.charge_point import ChargePoint
from evse_pi.charging.demand_arbiter import ExpiryPolicy, LimitRequest
from evse_pi.charging.startup_state import StartupState
from evse_pi.charging.stored_fields import UnknownRecord
from evse_pi.core.states import LimitSource
from evse_pi.node.charge_point_adapter import ASKS, PROVISIONAL_NS, ChargePointAdapter, stored_asks
from hal.units import SECOND
from tests.support.node_box import RATINGS, HandClock, HandWriter

HOUR_NS = 3_600 * SECOND


def box(clock: HandClock) -> tuple[ChargePoint, ChargePointAdapter]:
    made = ChargePoint(clock, RATINGS, None, StartupState(), HandWriter())
    return made, ChargePointAdapter(made, lambda: None)


def restarted(clock: HandClock, *asks: LimitRequest) -> ChargePoint:
    """Return the box after a restart of the process, before any request."""
    before, charger = box(clock)
    for ask in asks:
        charger.ask(ask)
    rows = before.event_recorder.write_queue.take(clock.monotonic_ns(), all_rows=True)
    stored = next(json.loads(str(row.values["value"])) for row in rows if row.values["name"] == ASKS)
    clock.advance(5)
    after, charger = box(clock)
    charger.restore_requests(stored_asks(stored))
    return after


@pytest.mark.parametrize("source", [LimitSource.SCHEDULE, LimitSource.RANDOM_DELAY, LimitSource.POWER_ADJUSTMENT])
async def test_what_a_mode_holds_back_is_held_back_until_the_planner_speaks_but_not_for_ever(
    source: LimitSource,
) -> None:
    clock = HandClock()
    held = LimitRequest(source, permitted=False, until_ns=clock.monotonic_ns() + HOUR_NS, lapse=ExpiryPolicy.STOPPED)
    for hold in (held, LimitRequest(source, permitted=False)):
        after = restarted(clock, hold)
        assert not after.arbiter.compose(clock.monotonic_ns()).permitted
        assert after.arbiter.compose(clock.monotonic_ns() + PROVISIONAL_NS).permitted


async def test_a_delay_that_is_over_sooner_holds_no_longer() -> None:
    clock = HandClock()
    after = restarted(
        clock,
        LimitRequest(LimitSource.RANDOM_DELAY, permitted=False, until_ns=clock.monotonic_ns() + 8 * SECOND),
    )
    assert not after.arbiter.compose(clock.monotonic_ns()).permitted
    assert after.arbiter.compose(clock.monotonic_ns() + 3 * SECOND).permitted


async def test_where_what_was_asked_cannot_be_read_nothing_starts_before_the_planner_could_speak() -> None:
    clock = HandClock()
    after, charger = box(clock)
    charger.restore_requests(None)
    assert not after.arbiter.compose(clock.monotonic_ns()).permitted
    assert after.arbiter.compose(clock.monotonic_ns() + PROVISIONAL_NS).permitted


@pytest.mark.parametrize("source", [LimitSource.OWNER, LimitSource.ENABLE_CHARGING, LimitSource.USER_MAXIMUM])
def test_a_stored_request_of_anybody_but_the_planner_is_not_taken(source: LimitSource) -> None:
    fields = {"source": source.name, "permitted": True, "limit_ma": None, "until_unix_s": None}
    with pytest.raises(UnknownRecord, match=source.name):
        stored_asks([{**fields, "lapse": "FORGOTTEN", "machine_boot": "first"}])
