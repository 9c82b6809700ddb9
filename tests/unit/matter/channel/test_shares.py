"""Shares of bounded tables: whatever the others hold, some room is left for each."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evse_pi.matter.channel.shares import GROUPS, Holder, HostShares, Shares, host_of

if TYPE_CHECKING:
    from collections.abc import Hashable

holders = st.builds(Holder, st.tuples(st.integers(0, 4), st.booleans()), st.integers(0, 5))


@given(st.lists(st.tuples(holders, st.integers(1, 3), st.booleans()), max_size=200))
def test_a_group_below_its_own_room_is_never_refused_and_nothing_is_lost_or_exceeded(
    steps: list[tuple[Holder, int, bool]],
) -> None:
    shares = Shares(total=GROUPS * 2 + 10, own=2, per_group=8, per_peer=6)
    held: list[tuple[Holder, int]] = []
    for holder, places, gives_back in steps:
        if gives_back and held:
            shares.give_back(*held.pop(0))
        of_group = sum(count for other, count in held if other.group == holder.group)
        of_peer = sum(count for other, count in held if other.peer == holder.peer)
        taken = shares.take(holder, places)
        if of_group + places <= 2 and of_peer + places <= 6:
            assert taken
        if taken:
            held.append((holder, places))
            assert of_group + places <= 8
            assert of_peer + places <= 6
        assert shares.taken == sum(count for _, count in held) <= GROUPS * 2 + 10
    for holder, places in held:
        shares.give_back(holder, places)
    assert (shares.taken, len(shares._groups), len(shares._peers)) == (0, 0, 0)


def test_more_own_room_than_there_is_is_a_mistake_by_name() -> None:
    with pytest.raises(ValueError, match=f"own=3 of total={2 * GROUPS}: at most 2 for each of {GROUPS} groups"):
        Shares(total=2 * GROUPS, own=3, per_group=8, per_peer=8)


@pytest.mark.parametrize(
    ("address", "host"),
    [
        (("fe80::1", 5540, 0, 2), ("fe80::1", 2)),
        (("fe80::1", 41000, 7, 2), ("fe80::1", 2)),
        (("::ffff:192.0.2.7", 5540, 0, 0), ("::ffff:192.0.2.7", 0)),
        (("192.0.2.7", 5540), ("192.0.2.7",)),
        ("pipe", "pipe"),
    ],
)
def test_a_host_is_an_address_without_its_port_on_its_interface(address: Hashable, host: Hashable) -> None:
    assert host_of(address) == host


def test_hosts_have_places_of_their_own() -> None:
    shares = HostShares(total=3, per_host=2)
    assert [shares.take(("a", port)) for port in (1, 2, 3)] == [True, True, False]
    assert [shares.take((host, 1)) for host in ("b", "c")] == [True, False]
    shares.give_back(("a", 9))
    assert shares.take(("c", 1))
