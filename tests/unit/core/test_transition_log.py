"""The table of phases, for every set of conditions that can hold at once: what must never follow from any of them."""

from __future__ import annotations

from itertools import combinations

import pytest

from evse_pi.core.machine import CLOSED_PHASES, TRANSITIONS, Condition, Phase, phase_after

OFFERING = (Phase.OFFERING, Phase.CHARGING)
C = Condition


def possible(holding: frozenset[Condition]) -> bool:
    """Return whether the conditions do not contradict each other by what they mean."""
    return (
        (C.RELEASED in holding) is ({C.LET_GO, C.REFUSED} <= holding)
        and not {C.LET_GO, C.CLOSABLE} <= holding
        and (C.GONE not in holding or C.LET_GO in holding)
        and not {C.GONE, C.OFFERABLE} <= holding
        and not {C.REFUSED, C.OFFERABLE} <= holding
        and (C.FAULT not in holding or C.REFUSED in holding)
        and (C.TEST_DUE not in holding or C.REFUSED in holding)
    )


SETS = [
    frozenset(chosen) for size in range(len(C) + 1) for chosen in combinations(C, size) if possible(frozenset(chosen))
]


@pytest.mark.hazard("H-02")
@pytest.mark.hazard("H-04")
@pytest.mark.parametrize("phase", list(Phase), ids=lambda phase: phase.name)
def test_whatever_holds_at_once_nothing_unsafe_follows(phase: Phase) -> None:
    assert len(SETS) > 400
    for holding in SETS:
        after = phase_after(phase, holding)
        if after in CLOSED_PHASES:
            assert not holding & {C.FAULT, C.GONE, C.LET_GO}, f"stays or becomes closed: {after} on {holding}"
            assert phase in CLOSED_PHASES or (C.CLOSABLE in holding and C.REFUSED not in holding), holding
        if after in OFFERING:
            assert C.REFUSED not in holding, f"offers although refused: {after} on {holding}"
            assert C.GONE not in holding, holding
        if phase in CLOSED_PHASES and C.FAULT in holding:
            assert after is Phase.FAULTED, holding


def test_every_condition_is_used_and_every_phase_can_be_left() -> None:
    assert {condition for rows in TRANSITIONS.values() for condition, _ in rows} == set(C)
    assert all(TRANSITIONS[phase] for phase in Phase)
