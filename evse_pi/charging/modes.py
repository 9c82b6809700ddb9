"""What each mode of charging asks of the box: a pure map from plan, delay and power adjustment to limit requests."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

from evse_pi.charging.demand_arbiter import ExpiryPolicy, LimitRequest
from evse_pi.charging.schedule import PlanStatus
from evse_pi.core.duty import MAX_OFFER_MA, MIN_OFFER_MA
from evse_pi.core.states import LimitSource
from hal.units import SECOND, Milliamps

if TYPE_CHECKING:
    from evse_pi.charging.random_delay import RandomDelay
    from evse_pi.charging.schedule import Plan
    from hal.units import Millivolts

GRACE_NS = 5 * SECOND
"""A hold outlives its end by this: the planner lifts it in time, and without the planner it expires."""


class ChargeMode(Enum):
    """When to charge."""

    MANUAL = "at once"
    TIME_OF_USE = "as late as the targets allow"
    SOLAR = "as much as the energy manager says"


@dataclass(frozen=True, slots=True)
class Adjustment:
    """The current that an energy manager wants per phase, until then. Units: ns of CLOCK_MONOTONIC."""

    current_ma: Milliamps
    until_ns: int


@dataclass(frozen=True, slots=True)
class PowerAdjustment:
    """The power that an energy manager wants, until then. Units: mW, ns of CLOCK_MONOTONIC."""

    power_mw: int
    until_ns: int

    def as_current(self, voltage_mv: Millivolts, phases: int) -> Adjustment:
        """Return it as the current of this supply."""
        return Adjustment(adjusted_current_ma(self.power_mw, voltage_mv, phases), self.until_ns)


MODE_SOURCES = (LimitSource.SCHEDULE, LimitSource.RANDOM_DELAY, LimitSource.POWER_ADJUSTMENT)
"""The limit sources in whose name a mode asks; those without a request are withdrawn."""


def mode_requests(
    mode: ChargeMode,
    plan: Plan,
    delay: RandomDelay | None,
    adjustment: Adjustment | None,
    now_ns: int,
    now_s: int | None,
) -> dict[LimitSource, LimitRequest]:
    """Return what to ask for. Units: `now_s` in s since 1970, None while the time is unknown."""
    requests = []
    if delay is not None and delay.running(now_ns):
        requests.append(LimitRequest(LimitSource.RANDOM_DELAY, permitted=False, until_ns=delay.until_ns))
    if mode is ChargeMode.TIME_OF_USE and plan.holds:
        requests.append(_hold(plan, now_ns, now_s))
    if mode is ChargeMode.SOLAR:
        requests.append(_solar(adjustment, now_ns))
    return {request.source: request for request in requests}


def adjusted_current_ma(power_mw: int, voltage_mv: Millivolts, phases: int) -> Milliamps:
    """Return the current per phase that gives no more than `power_mw`, at most what a pilot can offer."""
    return Milliamps(min(power_mw * 1000 // (voltage_mv * phases), MAX_OFFER_MA))


def _hold(plan: Plan, now_ns: int, now_s: int | None) -> LimitRequest:
    """Return the request to wait for the plan's start, or where the target is reached, for the next target."""
    until_s = plan.due.at_s if plan.status is PlanStatus.REACHED and plan.due is not None else plan.start_s
    if until_s is None or now_s is None:
        return LimitRequest(LimitSource.SCHEDULE, permitted=False)
    until_ns = now_ns + max(until_s - now_s, 0) * SECOND + GRACE_NS
    return LimitRequest(LimitSource.SCHEDULE, permitted=False, until_ns=until_ns)


def surplus(adjustment: Adjustment | None, now_ns: int) -> bool:
    """Return whether an energy manager leaves enough to charge with; while it asks for nothing there is none."""
    return adjustment is not None and now_ns < adjustment.until_ns and adjustment.current_ma >= MIN_OFFER_MA


def _solar(adjustment: Adjustment | None, now_ns: int) -> LimitRequest:
    """Return the request to follow the energy manager."""
    if adjustment is None or not surplus(adjustment, now_ns):
        return LimitRequest(LimitSource.POWER_ADJUSTMENT, permitted=False)
    return LimitRequest(
        LimitSource.POWER_ADJUSTMENT,
        limit_ma=adjustment.current_ma,
        until_ns=adjustment.until_ns,
        on_expiry=ExpiryPolicy.STOPPED,
    )
