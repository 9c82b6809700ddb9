from __future__ import annotations

import pytest

from evse_pi.charging.demand_arbiter import DemandArbiter, ExpiryPolicy, LimitRequest
from evse_pi.core.states import LimitSource
from hal.units import SECOND, Milliamps

OWNER, ENABLE, USER = LimitSource.OWNER, LimitSource.ENABLE_CHARGING, LimitSource.USER_MAXIMUM


def ask(source: LimitSource, limit_ma: int | None = None, **fields: object) -> LimitRequest:
    return LimitRequest(source, limit_ma=None if limit_ma is None else Milliamps(limit_ma), **fields)  # type: ignore[arg-type]


def test_a_box_without_controller_permits_all_that_the_installation_allows() -> None:
    demand = DemandArbiter().compose(5)
    assert (demand.permitted, demand.offered_current_ma, demand.limit_source) == (True, 80_000, OWNER)


def test_a_demand_is_good_for_15_seconds_and_numbered() -> None:
    book = DemandArbiter()
    first, second = book.compose(0), book.compose(2 * SECOND)
    assert (first.valid_until_ns, second.valid_until_ns) == (15 * SECOND, 17 * SECOND)
    assert second.number == first.number + 1


def test_the_lowest_limit_wins_and_is_named() -> None:
    book = DemandArbiter([ask(OWNER, 20_000), ask(ENABLE, 16_000), ask(USER, 10_000)])
    demand = book.compose(0)
    assert (demand.offered_current_ma, demand.limit_source) == (10_000, USER)
    assert book.limits(0)[0].source is USER


def test_who_forbids_wins_over_every_limit() -> None:
    book = DemandArbiter([ask(OWNER, 6_000), ask(ENABLE, permitted=False)])
    demand = book.compose(0)
    assert (demand.permitted, demand.offered_current_ma, demand.limit_source) == (False, 0, ENABLE)


def test_an_expired_limit_never_counts() -> None:
    book = DemandArbiter([ask(OWNER), ask(LimitSource.POWER_ADJUSTMENT, 8_000, until_ns=10)])
    assert book.compose(9).offered_current_ma == 8_000
    assert book.compose(10).offered_current_ma == 80_000
    assert [limit.counts for limit in book.limits(10) if limit.source is LimitSource.POWER_ADJUSTMENT] == [False]


def test_a_permission_that_lapses_stops_charging() -> None:
    book = DemandArbiter([ask(OWNER), ask(ENABLE, 16_000, until_ns=10, on_expiry=ExpiryPolicy.STOPPED)])
    assert book.compose(9).permitted
    late = book.compose(10)
    assert (late.permitted, late.limit_source) == (False, ENABLE)
    book.put(ask(ENABLE, 16_000, until_ns=99, on_expiry=ExpiryPolicy.STOPPED))
    assert book.compose(10).permitted


def test_the_next_expiry_is_the_soonest_that_is_still_to_come() -> None:
    book = DemandArbiter([ask(USER, 8_000, until_ns=30), ask(ENABLE, 8_000, until_ns=20), ask(OWNER, until_ns=5)])
    assert book.next_expiry_ns(10) == 20
    assert book.next_expiry_ns(30) is None


def test_what_is_withdrawn_is_forgotten_and_the_owner_falls_back_to_plug_and_charge() -> None:
    book = DemandArbiter([ask(OWNER, permitted=False), ask(USER, 8_000)])
    book.withdraw(USER)
    book.withdraw(USER)
    book.withdraw(OWNER)
    assert book.compose(0).permitted
    assert book.request_of(USER) is None


@pytest.mark.parametrize("source", [source for source in LimitSource if source < OWNER])
def test_no_request_is_taken_in_the_name_of_the_safety_process(source: LimitSource) -> None:
    with pytest.raises(ValueError, match=source.name):
        DemandArbiter().put(ask(source, 10_000))


@pytest.mark.parametrize("limit_ma", [-1, 80_001])
def test_a_limit_that_cannot_be_is_refused(limit_ma: int) -> None:
    with pytest.raises(ValueError, match="0 to 80000 mA"):
        DemandArbiter().put(ask(OWNER, limit_ma))


# --- the pause after an automatic stop ---


def asked(source: LimitSource, limit_ma: int | None = None, *, permitted: bool = True) -> LimitRequest:
    return LimitRequest(source, permitted, None if limit_ma is None else Milliamps(limit_ma))


STOPS = [asked(LimitSource.SCHEDULE, permitted=False), asked(LimitSource.POWER_ADJUSTMENT, 0)]
GOES = [asked(LimitSource.SCHEDULE), asked(LimitSource.POWER_ADJUSTMENT, 16_000)]
MINUTES = 60 * SECOND


def stopped(stop: LimitRequest) -> DemandArbiter:
    """Return an arbiter that offered and was stopped at 0."""
    book = DemandArbiter()
    assert book.compose(-SECOND).permitted
    book.put(stop)
    demand = book.compose(0)
    assert (demand.limit_source, demand.offered_current_ma) == (stop.source, 0)
    return book


@pytest.mark.parametrize(("stop", "go"), list(zip(STOPS, GOES, strict=True)), ids=lambda ask: ask.source.name)
def test_what_stopped_by_itself_resumes_five_minutes_later_at_the_earliest(
    stop: LimitRequest, go: LimitRequest
) -> None:
    """openWB/core issue 3796: vehicles fail when the offer toggles within about five minutes."""
    book = stopped(stop)
    book.put(go)
    for at_ns in (SECOND, 5 * MINUTES - 1):
        demand, (first, *_) = book.compose(at_ns), book.limits(at_ns)
        assert (demand.permitted, demand.limit_source) == (False, LimitSource.RESUME_PAUSE)
        assert (first.source, first.until_ns) == (LimitSource.RESUME_PAUSE, 5 * MINUTES)
        assert [limit.source for limit in book.limits(at_ns)].count(LimitSource.RESUME_PAUSE) == 1
        assert not book.offers(at_ns)
        assert book.next_expiry_ns(at_ns) == 5 * MINUTES
    assert book.compose(5 * MINUTES).permitted
    assert book.limits(5 * MINUTES)[0].source is not LimitSource.RESUME_PAUSE


@pytest.mark.parametrize(("stop", "go"), list(zip(STOPS, GOES, strict=True)), ids=lambda ask: ask.source.name)
def test_a_manager_that_stops_again_and_again_delays_the_next_offer_by_five_minutes_at_most(
    stop: LimitRequest, go: LimitRequest
) -> None:
    """A manager that follows the sun: 4 minutes of surplus, 10 s without, for 8 hours."""
    book, ended_ns, offers, ends = stopped(stop), 0, False, 0
    for at_s in range(2, 8 * 3_600, 2):
        permits = at_s % 250 >= 10
        book.put(go if permits else stop)
        offers, offered = book.compose(at_s * SECOND).offered_current_ma > 0, offers
        if offered and not offers:
            ended_ns, ends = at_s * SECOND, ends + 1
        assert offers == (permits and at_s * SECOND - ended_ns >= 5 * MINUTES), at_s
    assert ends > 50


def test_a_stop_that_was_longer_delays_nothing() -> None:
    book = stopped(STOPS[0])
    book.compose(6 * MINUTES)
    book.put(GOES[0])
    assert book.compose(6 * MINUTES + 1).permitted


@pytest.mark.parametrize("current_ma", [6_000, 10_000])
def test_no_lower_offer_and_no_stop_is_delayed(current_ma: int) -> None:
    book = stopped(STOPS[1])
    book.put(GOES[1])
    assert book.compose(5 * MINUTES).permitted
    book.put(asked(LimitSource.POWER_ADJUSTMENT, current_ma))
    assert book.compose(5 * MINUTES + 1).offered_current_ma == current_ma
    book.put(STOPS[1])
    assert book.compose(5 * MINUTES + 2).offered_current_ma == 0


@pytest.mark.parametrize("source", [LimitSource.OWNER, LimitSource.ENABLE_CHARGING, LimitSource.USER_MAXIMUM])
def test_an_order_of_a_person_or_a_controller_ends_the_pause_and_its_stops_begin_none(source: LimitSource) -> None:
    book = stopped(STOPS[0])
    book.put(GOES[0])
    assert not book.compose(SECOND).permitted
    book.put(asked(source, 20_000))
    assert book.compose(2 * SECOND).permitted
    book.put(asked(source, 20_000, permitted=False))
    assert book.compose(3 * SECOND).limit_source is source
    book.put(asked(source, 20_000))
    assert book.compose(4 * SECOND).permitted


def test_while_another_source_forbids_the_pause_is_not_the_reason_shown() -> None:
    book = stopped(STOPS[0])
    assert book.compose(SECOND).limit_source is LimitSource.SCHEDULE
    assert book.limits(SECOND)[0].source is LimitSource.SCHEDULE


def test_a_mode_that_a_person_has_just_chosen_stops_without_a_pause() -> None:
    book = DemandArbiter()
    assert book.compose(0).permitted
    book.resume_at_once()
    book.put(STOPS[0])
    assert not book.compose(SECOND).permitted
    book.put(GOES[0])
    assert book.compose(2 * SECOND).permitted
    book.put(STOPS[0])
    book.compose(3 * SECOND)
    book.put(GOES[0])
    assert book.compose(4 * SECOND).limit_source is LimitSource.RESUME_PAUSE
