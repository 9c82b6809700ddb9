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
    assert [limit.source for limit in book.limits(0) if limit.wins] == [USER]


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
    book = DemandArbiter([ask(OWNER), ask(ENABLE, 16_000, until_ns=10, lapse=ExpiryPolicy.STOPPED)])
    assert book.compose(9).permitted
    late = book.compose(10)
    assert (late.permitted, late.limit_source) == (False, ENABLE)
    book.put(ask(ENABLE, 16_000, until_ns=99, lapse=ExpiryPolicy.STOPPED))
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
    assert book.ask_of(USER) is None


@pytest.mark.parametrize("source", [source for source in LimitSource if source < OWNER])
def test_nobody_asks_in_the_name_of_the_safety_process(source: LimitSource) -> None:
    with pytest.raises(ValueError, match=source.name):
        DemandArbiter().put(ask(source, 10_000))


@pytest.mark.parametrize("limit_ma", [-1, 80_001])
def test_a_limit_that_cannot_be_is_refused(limit_ma: int) -> None:
    with pytest.raises(ValueError, match="0 to 80000 mA"):
        DemandArbiter().put(ask(OWNER, limit_ma))
