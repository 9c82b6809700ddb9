"""How long the gate holds: 42 to 58 ms after the last edge, and one comes every 10 ms (docs/boards/reference.md)."""

from __future__ import annotations

import pytest

from evse_pi.core.board_ratings import CoilChannels
from evse_pi.core.evidence import Check
from evse_pi.core.gate_hold import GateHold
from hal.units import Millivolts

pytestmark = pytest.mark.hazard("H-09")

MS = 1_000_000
CHANNELS = CoilChannels(42 * MS, 58 * MS, 30 * MS, (Millivolts(20_400), Millivolts(28_800)))
LAST_MS = 1_000


def fed(since_ms: int = 500, until_ms: int = LAST_MS, every_ms: int = 10) -> GateHold:
    """Return a gate that got an edge every 10 ms until `until_ms`."""
    gate = GateHold()
    for at_ms in range(since_ms, until_ms + 1, every_ms):
        gate = gate.pulsed(at_ms * MS, CHANNELS).begun(CHANNELS)
    return gate


def opened(hold_ms: int, gate: GateHold | None = None, offset_ms: int = 10) -> GateHold:
    """Return a gate after an opening whose gate holds for so long, read in ticks of 10 ms."""
    gate = gate or fed()
    for after_ms in range(offset_ms, 161, 10):
        at_ns = (LAST_MS + after_ms) * MS
        gate = gate.high(at_ns, CHANNELS) if after_ms < hold_ms else gate.rested(at_ns, CHANNELS)
    return gate


@pytest.mark.parametrize("hold_ms", [43, 50, 57])
@pytest.mark.parametrize("offset_ms", [1, 5, 10])
def test_a_hold_of_the_page_is_measured_to_one_tick_and_is_right(hold_ms: int, offset_ms: int) -> None:
    gate = opened(hold_ms, offset_ms=offset_ms)
    assert gate.wrong is None
    assert gate.seen_ns is not None
    most_ns, least_ns = gate.seen_ns
    assert least_ns <= hold_ms * MS <= most_ns
    assert most_ns - least_ns == 10 * MS
    assert not gate.due


@pytest.mark.parametrize("offset_ms", [1, 5, 10])
@pytest.mark.parametrize("hold_ms", [1, 20, 31])
def test_a_hold_that_is_a_tick_too_short_is_found_whenever_it_is_read(hold_ms: int, offset_ms: int) -> None:
    wrong = opened(hold_ms, offset_ms=offset_ms).wrong
    assert wrong is not None
    assert (wrong.check, wrong.lowest) == (Check.GATE_HOLD_SHORTEST, 42)
    assert hold_ms <= wrong.measured < 42


@pytest.mark.parametrize("offset_ms", [1, 5, 10])
@pytest.mark.parametrize("hold_ms", [71, 100, 140])
def test_a_hold_that_is_a_tick_too_long_is_found_whenever_it_is_read(hold_ms: int, offset_ms: int) -> None:
    wrong = opened(hold_ms, offset_ms=offset_ms).wrong
    assert wrong is not None
    assert (wrong.check, wrong.highest) == (Check.GATE_HOLD_LONGEST, 58)
    assert 58 < wrong.measured <= hold_ms


@pytest.mark.parametrize(
    ("after_ms", "conducts"), [(0, True), (40, True), (42, None), (50, None), (58, None), (68, None), (69, False)]
)
def test_it_must_conduct_until_the_shortest_hold_and_must_not_after_the_longest(
    after_ms: int, conducts: bool | None
) -> None:
    assert fed().conducts((LAST_MS + after_ms) * MS, CHANNELS) is conducts


@pytest.mark.parametrize(("after_ms", "conducts"), [(0, None), (29, None), (30, None), (31, True)])
def test_after_its_first_edge_it_need_not_conduct_before_it_has_armed(after_ms: int, conducts: bool | None) -> None:
    gate = GateHold(fed_ns=0)
    for at_ms in range(LAST_MS, LAST_MS + after_ms + 1, 10):
        gate = gate.pulsed(at_ms * MS, CHANNELS)
    assert gate.conducts((LAST_MS + after_ms) * MS, CHANNELS) is conducts


@pytest.mark.parametrize(("gap_ms", "conducts"), [(10, True), (41, True), (42, None), (500, None)])
def test_an_edge_that_comes_after_the_shortest_hold_arms_it_again(gap_ms: int, conducts: bool | None) -> None:
    at_ns = (LAST_MS + gap_ms) * MS
    assert fed().pulsed(at_ns, CHANNELS).conducts(at_ns + MS, CHANNELS) is conducts


def test_edges_that_were_too_few_to_arm_it_measure_nothing() -> None:
    gate = opened(50, fed(since_ms=LAST_MS - 20))
    assert (gate.seen_ns, gate.wrong) == (None, None)


def test_a_supply_that_sags_to_a_half_for_a_moment_is_no_end_of_the_hold() -> None:
    gate = fed()
    for after_ms, high in ((10, True), (20, False), (30, True), (40, True), (50, True), (60, False), (80, False)):
        at_ns = (LAST_MS + after_ms) * MS
        gate = gate.high(at_ns, CHANNELS) if high else gate.rested(at_ns, CHANNELS)
    assert gate.wrong is None
    assert gate.seen_ns == (60 * MS, 50 * MS)


def test_a_gate_that_conducts_for_ever_has_no_hold() -> None:
    gate = opened(10_000)
    assert (gate.due, gate.seen_ns, gate.wrong) == (False, None, None)


def test_the_shortest_and_the_longest_hold_are_kept_and_shown_with_their_limits() -> None:
    gate = fed()
    for hold_ms in (45, 55, 50):
        gate = opened(hold_ms, GateHold(seen_ns=gate.seen_ns, fed_ns=gate.fed_ns, armed_ns=gate.armed_ns, due=True))
    shown = {each.check: (each.measured, each.lowest, each.highest) for each in gate.evidence(0, CHANNELS)}
    assert shown[Check.GATE_HOLD_SHORTEST][:2] == (50, 42)
    assert shown[Check.GATE_HOLD_LONGEST] == (50, 0, 58)
    assert fed().evidence(0, CHANNELS) == ()


def test_an_opening_that_cannot_be_read_measures_nothing() -> None:
    gate = opened(20, fed().given_up())
    assert (gate.seen_ns, gate.wrong) == (None, None)
