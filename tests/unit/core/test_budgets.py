"""The numbers of the budgets, literal as in docs/SAFETY.md."""

from __future__ import annotations

import pytest

from evse_pi.core.budgets import ORDERED_TESTS, STOPS, Budget, Budgets, Rule

S = 1_000_000_000
MINUTE, HOUR = 60 * S, 3600 * S
FIRST = 1_000 * S


def spent(rule: Rule, times: int, every_ns: int = 1) -> Budget:
    """Return a budget after so many uses in a row."""
    budget = Budget()
    for number in range(times):
        budget = budget.spent(rule, FIRST + number * every_ns)
    return budget


@pytest.mark.hazard("H-15")
@pytest.mark.hazard("H-05")
@pytest.mark.parametrize(
    ("rule", "pauses_s"),
    [
        (STOPS, [30, 60, 120, 240, 480, 960, 1_800, 1_800]),
        (ORDERED_TESTS, [60, 120, 240, 480, 960, 1_920, 3_600, 3_600]),
    ],
)
def test_ten_uses_are_free_and_each_further_one_doubles_the_pause(rule: Rule, pauses_s: list[int]) -> None:
    assert spent(rule, 9).ready_ns(rule) <= FIRST
    told = [(spent(rule, 10 + further).ready_ns(rule) - FIRST - 9 - further) // S for further in range(len(pauses_s))]
    assert told == pauses_s


@pytest.mark.parametrize(("rule", "forgive_ns"), [(STOPS, 10 * MINUTE), (ORDERED_TESTS, HOUR)])
def test_one_use_is_forgiven_every_so_often(rule: Rule, forgive_ns: int) -> None:
    full = spent(rule, 10)
    assert full.spent(rule, FIRST + forgive_ns - 1).used == 11
    assert full.spent(rule, FIRST + forgive_ns).used == 10
    assert full.spent(rule, FIRST + 10 * forgive_ns).used == 1


@pytest.mark.hazard("H-14")
@pytest.mark.parametrize(("resets", "after_ns", "locked"), [
    (2, MINUTE, False), (3, MINUTE, True), (3, HOUR, True), (3, 24 * HOUR - 1, True), (3, 24 * HOUR, False),
])  # fmt: skip
def test_three_resets_within_a_day_are_the_last(resets: int, after_ns: int, locked: bool) -> None:
    budgets = Budgets()
    for number in range(resets):
        budgets = budgets.tripped(FIRST + 8 * number * HOUR).reset(FIRST + 8 * number * HOUR)
    budgets = budgets.tripped(budgets.reset_ns + after_ns)
    assert budgets.locked is locked
    assert not budgets.forgiven().locked
