"""Whatever is asked by whomever, no demand permits more than every living ask does."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evse_pi.charging.demand_arbiter import DemandArbiter, ExpiryPolicy, LimitRequest
from evse_pi.core.records import decode_demand, encode_demand
from evse_pi.core.states import LimitSource
from hal.units import Milliamps

sources = st.sampled_from([source for source in LimitSource if source >= LimitSource.OWNER])
asks = st.builds(
    LimitRequest,
    source=sources,
    permitted=st.booleans(),
    limit_ma=st.none() | st.integers(0, 80_000).map(Milliamps),
    until_ns=st.none() | st.integers(0, 100),
    on_expiry=st.sampled_from(ExpiryPolicy),
)


def living(book: list[LimitRequest], now_ns: int) -> list[LimitRequest]:
    last = {ask.source: ask for ask in book}
    return [ask for ask in last.values() if ask.until_ns is None or now_ns < ask.until_ns]


def lapsed(book: list[LimitRequest], now_ns: int) -> list[LimitRequest]:
    last = {ask.source: ask for ask in book}
    return [ask for ask in last.values() if ask not in living(book, now_ns)]


@given(st.lists(asks, min_size=1, max_size=8), st.integers(0, 120))
def test_a_demand_is_the_least_of_all_living_asks_and_names_one_of_them(made: list[LimitRequest], now_ns: int) -> None:
    book = DemandArbiter()
    for ask in made:
        book.put(ask)
    present = [LimitRequest(LimitSource.OWNER), *made]
    demand = book.compose(now_ns)
    stops = any(ask.on_expiry is ExpiryPolicy.STOPPED for ask in lapsed(present, now_ns))
    allowed = all(ask.permitted for ask in living(present, now_ns)) and not stops
    assert demand.permitted == allowed
    if not allowed:
        assert demand.offered_current_ma == 0
        return
    limits = [ask.limit_ma for ask in living(present, now_ns) if ask.limit_ma is not None]
    assert demand.offered_current_ma == min(limits, default=80_000)
    if limits:
        assert demand.limit_source in {
            ask.source for ask in living(present, now_ns) if ask.limit_ma == demand.offered_current_ma
        }


@given(st.lists(asks, min_size=1, max_size=8), st.integers(0, 120))
def test_the_first_limit_is_the_one_in_the_demand_and_each_is_shown_once(made: list[LimitRequest], now_ns: int) -> None:
    book = DemandArbiter(made)
    first, *others = book.limits(now_ns)
    assert first.source is book.compose(now_ns).limit_source
    assert first.counts or not any(limit.counts for limit in others)
    assert len({limit.source for limit in (first, *others)}) == 1 + len(others)


@given(st.lists(asks, min_size=1, max_size=8), st.integers(0, 120))
def test_a_current_is_offered_exactly_where_the_demand_asks_for_6_a_or_more(
    made: list[LimitRequest], now_ns: int
) -> None:
    """Source: IEC 61851-1 Annex A, no pilot signals less."""
    book = DemandArbiter(made)
    offers, demand = book.offers(now_ns), book.compose(now_ns)
    assert offers == (demand.permitted and demand.offered_current_ma >= 6_000)


@given(st.lists(asks, min_size=1, max_size=8), st.integers(0, 120))
def test_nothing_changes_before_the_next_expiry(made: list[LimitRequest], now_ns: int) -> None:
    book = DemandArbiter(made)
    until_ns = book.next_expiry_ns(now_ns)
    later_ns = 10**9 if until_ns is None else until_ns - 1
    first, second = book.compose(now_ns), book.compose(later_ns)
    assert (first.permitted, first.offered_current_ma) == (second.permitted, second.offered_current_ma)


@pytest.mark.hazard("H-10")
@given(st.lists(asks, min_size=1, max_size=8), st.integers(0, 120))
def test_no_demand_is_good_for_longer_than_the_permission_behind_it(made: list[LimitRequest], now_ns: int) -> None:
    book = DemandArbiter(made)
    demand = book.compose(now_ns)
    assert now_ns < demand.valid_until_ns <= now_ns + 15 * 10**9
    if demand.permitted:
        for later_ns in range(now_ns, min(demand.valid_until_ns, 200)):
            assert book.compose(later_ns).permitted


@given(st.lists(asks, min_size=1, max_size=8))
def test_every_demand_has_a_wire_form(made: list[LimitRequest]) -> None:
    demand = DemandArbiter(made).compose(0)
    assert decode_demand(encode_demand(demand)) == demand
