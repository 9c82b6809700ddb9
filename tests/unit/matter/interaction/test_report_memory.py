"""The figures of docs/SECURITY.md for reports that are not taken yet: 4 MiB in all, shared by peer and group.

A unit is 16 KiB; the figures are written here as they stand on the page, so that a change of one is a change of both.
"""

from __future__ import annotations

from contextlib import ExitStack
from typing import Any, NamedTuple

import pytest

from evse_pi.matter.channel.shares import Holder
from evse_pi.matter.interaction.report import ReportMemory
from evse_pi.matter.wire.status_code import MatterStatus, StatusCode

UNIT = bytes(16_384)
ALL_FABRICS = range(1, 17)  # what BasicInformation and OperationalCredentials say that this node has room for


class Reader(NamedTuple):
    """A session as far as it counts here."""

    fabric: int
    administers: bool
    peer: int


def memory() -> ReportMemory:
    return ReportMemory(lambda session: Holder((session.fabric, session.administers), session))  # type: ignore[attr-defined]


def hold(kept: ExitStack, of: ReportMemory, reader: Reader, units: int) -> bool:
    """Hold a report of so many units; return whether there was room. Of one message it would cost nothing."""
    payloads = [UNIT] * (units - 1) + [UNIT[:8_192]] * 2
    told: StatusCode | None = None
    try:
        kept.enter_context(of.holding(reader, payloads))  # type: ignore[arg-type]
    except MatterStatus as refusal:
        told = StatusCode(refusal.status)
    assert told in (None, StatusCode.RESOURCE_EXHAUSTED)
    return told is None


def test_a_peer_holds_768_kib_and_not_a_byte_more() -> None:
    with ExitStack() as kept:
        one = memory()
        assert hold(kept, one, Reader(1, False, 1), 48)
        assert not hold(kept, one, Reader(1, False, 1), 1)
    reader: Any = Reader(1, False, 1)
    with memory().holding(reader, [UNIT] * 48):
        pass
    with pytest.raises(MatterStatus), memory().holding(reader, [*[UNIT] * 48, b"x"]):
        pass


def test_a_group_holds_1_mib_and_not_a_unit_more() -> None:
    with ExitStack() as kept:
        one = memory()
        assert hold(kept, one, Reader(1, False, 1), 32)
        assert hold(kept, one, Reader(1, False, 2), 32)
        assert not hold(kept, one, Reader(1, False, 3), 1)
        assert hold(kept, one, Reader(1, True, 4), 1), "administrators of the same fabric"


def test_all_together_hold_4_mib_of_which_64_kib_are_kept_for_each_group() -> None:
    """Administrators and others of sixteen fabrics, and commissioners, each as greedy as it can be."""
    groups = [(fabric, administers) for fabric in ALL_FABRICS for administers in (True, False)] + [(0, False)]
    with ExitStack() as kept:
        one = memory()
        held = [sum(hold(kept, one, Reader(*group, peer), 1) for peer in (1, 2) for _ in range(48)) for group in groups]
        assert held == [64, 64, 8, *[4] * 30]
        assert sum(held) == 256


@pytest.mark.parametrize(("octets", "free"), [([16_384 * 60], True), ([16_384 * 60, 1], False)])
def test_a_report_of_one_message_costs_nothing(octets: list[int], *, free: bool) -> None:
    payloads: list[Any] = [bytes(each) for each in octets]
    reader: Any = Reader(1, False, 1)
    if free:
        with memory().holding(reader, payloads):
            pass
    else:
        with pytest.raises(MatterStatus), memory().holding(reader, payloads):
            pass
