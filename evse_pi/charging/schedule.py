"""When to charge so that the targets are reached, as late as possible and yet in time. No clock, no I/O.

`plan_charging` may be called at any time; what it must remember of a target stands in the `TargetProgress` that it
returns.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum, auto
from typing import TYPE_CHECKING

from evse_pi.charging.metering import offered_power_mw
from evse_pi.core.duty import MIN_OFFER_MA
from hal.units import Milliamps, Milliwatts

if TYPE_CHECKING:
    from evse_pi.charging.targets import Due, Target
    from hal.units import Millivolts

SLACK_S = 300
"""For the box's self-test, the vehicle's waking up and its ramp. With the usual window of 600 s a charge is planned
900 s earlier than its duration alone would have it."""
LOOK_AHEAD_S = 86_400  # a vehicle has most likely been away before a target that is later than this
EFFICIENCY_PERCENT = 90  # of the energy that leaves the socket, what a vehicle's charger puts into the battery
FULL_PERCENT = 100
HOUR_S = 3_600


class PlanStatus(Enum):
    """Where charging towards the next target stands."""

    NOTHING = auto()  # no target is set
    NO_CLOCK = auto()  # the time is unknown, so charging does not wait
    NO_POWER = auto()  # there is no current to charge with
    WAITING = auto()  # waits for its start
    BEGUN = auto()  # charges, and will be ready in time
    LATE = auto()  # charges, and cannot be ready in time
    REACHED = auto()  # has what was asked for


HOLDING = (PlanStatus.WAITING, PlanStatus.REACHED)


@dataclass(frozen=True, slots=True)
class PlanningInput:
    """What a plan is made from. Units: `now_s` in s since 1970, `window_s` is the random delay's.

    `energy_mwh` is what the session `session` has charged. State of charge and capacity are None where the vehicle
    does not tell.
    """

    now_s: int
    dues: tuple[Due, ...]
    session: int
    energy_mwh: int
    power_mw: Milliwatts
    window_s: int
    soc_percent: int | None = None
    capacity_mwh: int | None = None

    @property
    def soc_known(self) -> bool:
        """Whether the vehicle told its state of charge, and of what."""
        return self.soc_percent is not None and self.capacity_mwh is not None


@dataclass(frozen=True, slots=True)
class TargetProgress:
    """The next target: what the session had charged when it became the next, and when charging starts.

    `goal_s` is the target for which charging has begun, the next or one soon after it; None while it has not.
    """

    session: int
    due_s: int
    target: Target
    base_mwh: int
    start_s: int | None = None
    goal_s: int | None = None


@dataclass(frozen=True, slots=True)
class Plan:
    """What follows from a planning input. `delay_below_s` is the random delay that still leaves time enough."""

    status: PlanStatus
    due: Due | None = None
    start_s: int | None = None
    delay_below_s: int = 0

    @property
    def holds(self) -> bool:
        """Whether charging waits."""
        return self.status in HOLDING


UNPLANNED = Plan(PlanStatus.NOTHING)
CLOCKLESS = Plan(PlanStatus.NO_CLOCK)


def available_power_mw(current_ma: int, voltage_mv: Millivolts, phases: int) -> Milliwatts:
    """Return the power of the current that all limits allow; below 6 A there is none. Source: IEC 61851-1 Annex A."""
    return offered_power_mw(Milliamps(current_ma), voltage_mv, phases) if current_ma >= MIN_OFFER_MA else Milliwatts(0)


def goes_by_soc(target: Target, *, known: bool) -> bool:
    """Return whether a target goes by the state of charge: where that is `known`, or no energy stands for it.

    Source: Matter Application Cluster Specification 1.4.2, ChargingTargetStruct: each takes precedence in its case.
    """
    return target.soc_percent is not None and (known or target.added_energy_mwh is None)


def plan_charging(before: TargetProgress | None, planning_input: PlanningInput) -> tuple[TargetProgress | None, Plan]:
    """Return the next target's progress and the plan; `before` is the progress until now."""
    if not planning_input.dues:
        return None, UNPLANNED
    progress, first, now_s = _taken_up(before, planning_input), planning_input.dues[0], planning_input.now_s
    if planning_input.power_mw <= 0:
        return progress, Plan(PlanStatus.NO_POWER, first)
    durations = _durations(progress, planning_input)
    # Without the vehicle's state of charge the duration is unknown: waiting could miss the target, charging cannot.
    if durations[0][1] is None:
        start_s = now_s if progress.goal_s is None or progress.start_s is None else progress.start_s
        return replace(progress, start_s=start_s, goal_s=first.at_s), Plan(PlanStatus.BEGUN, first, start_s)
    wanting = [(due_s, lasts_s) for due_s, lasts_s in durations if lasts_s]
    # A charge that has begun goes on until its own target: a limit that rises or falls would else start and stop it.
    begun = progress.goal_s is not None and any(due_s == progress.goal_s for due_s, _ in wanting)
    # A later target can need an earlier start than the next one, so the one that must start first decides.
    goal_s, lasts_s = min(wanting, key=lambda one: one[0] - one[1], default=(0, 0))
    latest_s = goal_s - lasts_s - SLACK_S
    start_s = latest_s - planning_input.window_s
    if not begun and (not wanting or start_s >= first.at_s):
        return replace(progress, start_s=None, goal_s=None), Plan(PlanStatus.REACHED, first)
    if not begun and now_s < start_s:
        return replace(progress, start_s=start_s, goal_s=None), Plan(PlanStatus.WAITING, first, start_s)
    late = any(now_s + lasts_s > due_s for due_s, lasts_s in wanting)
    status = PlanStatus.LATE if late else PlanStatus.BEGUN
    if begun:
        return progress, Plan(status, first, progress.start_s)
    start_s = start_s if progress.start_s == start_s else now_s
    delay_below_s = min(planning_input.window_s, max(latest_s - now_s + 1, 0))
    return replace(progress, start_s=start_s, goal_s=goal_s), Plan(status, first, start_s, delay_below_s)


def begun(progress: TargetProgress, planning_input: PlanningInput) -> tuple[TargetProgress, Plan]:
    """Return `progress`, which waits, with its charging begun now for the first target that is not reached yet."""
    wanting = [due_s for due_s, lasts_s in _durations(progress, planning_input) if lasts_s]
    goal_s = min(wanting, default=None)
    again, plan = plan_charging(replace(progress, start_s=planning_input.now_s, goal_s=goal_s), planning_input)
    return again or progress, plan


def assess_target(before: TargetProgress | None, planning_input: PlanningInput) -> tuple[TargetProgress | None, Plan]:
    """Return the next target and whether it will be reached, where charging does not wait for a plan."""
    if not planning_input.dues:
        return None, UNPLANNED
    progress, first, now_s = _taken_up(before, planning_input), planning_input.dues[0], planning_input.now_s
    if planning_input.power_mw <= 0:
        return replace(progress, start_s=None, goal_s=None), Plan(PlanStatus.NO_POWER, first)
    lasts_s = _durations(progress, planning_input)[0][1]
    if lasts_s == 0:
        return replace(progress, start_s=None, goal_s=None), Plan(PlanStatus.REACHED, first)
    start_s = now_s if progress.goal_s is None or progress.start_s is None else progress.start_s
    late = lasts_s is not None and now_s + lasts_s > first.at_s
    status = PlanStatus.LATE if late else PlanStatus.BEGUN
    return replace(progress, start_s=start_s, goal_s=first.at_s), Plan(status, first, start_s)


def _taken_up(before: TargetProgress | None, planning_input: PlanningInput) -> TargetProgress:
    """Return the progress towards the next target: the previous one, unless session, time or target are others."""
    first = planning_input.dues[0]
    if before is None or (before.session, before.due_s) != (planning_input.session, first.at_s):
        return TargetProgress(planning_input.session, first.at_s, first.target, planning_input.energy_mwh)
    if before.target != first.target:
        return replace(before, target=first.target, start_s=None, goal_s=None)
    return before


def _durations(progress: TargetProgress, planning_input: PlanningInput) -> list[tuple[int, int | None]]:
    """Return how long to charge from now until each of the next targets is reached, None where that cannot be known."""
    found: list[tuple[int, int | None]] = []
    wanted_mwh = progress.base_mwh - planning_input.energy_mwh
    for due in planning_input.dues:
        if due.at_s - planning_input.dues[0].at_s >= LOOK_AHEAD_S:
            break
        target = due.target
        if not goes_by_soc(target, known=planning_input.soc_known):
            wanted_mwh = max(wanted_mwh + _at_socket(target.added_energy_mwh or 0), 0)
        elif planning_input.soc_percent is None or planning_input.capacity_mwh is None or target.soc_percent is None:
            found.append((due.at_s, None))
            continue
        else:
            last_percent = 1 if target.soc_percent == FULL_PERCENT else 0  # its end is the vehicle's to tell
            missing_percent = max(target.soc_percent - planning_input.soc_percent, last_percent)
            wanted_mwh = max(wanted_mwh, _at_socket(-(-missing_percent * planning_input.capacity_mwh // 100)), 0)
        found.append((due.at_s, -(-wanted_mwh * HOUR_S // planning_input.power_mw)))
    return found


def _at_socket(battery_mwh: int) -> int:
    """Return the energy that has to leave the socket for so much in the battery."""
    return -(-battery_mwh * 100 // EFFICIENCY_PERCENT)
