"""What the EVSE cluster asks of the planner, which decides when to charge, and what it is answered."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from evse_pi.charging.targets import DaySchedule
    from evse_pi.core.states import MatterState, SupplyState
    from evse_pi.device.charge_point_view import ChargePointView


@dataclass(frozen=True, slots=True)
class PlanningContext:
    """What a plan is made from. Units: `now_s` in s since 2000, None while the time is unknown."""

    view: ChargePointView
    now_s: int | None
    state: MatterState | None
    supply: SupplyState
    maximum_charge_ma: int
    randomization_window_s: int
    targets: tuple[DaySchedule, ...]


@dataclass(frozen=True, slots=True)
class NextCharge:
    """The next planned charge as the cluster publishes it; nothing is planned where all are None.

    Units: times in s since 2000.
    """

    start_time: int | None = None
    target_time: int | None = None
    required_energy_mwh: int | None = None
    target_soc_percent: int | None = None


UNPLANNED = NextCharge()


class Planner(Protocol):
    """Decides when to charge; asked after every change and once a second."""

    def next_charge(self, context: PlanningContext) -> NextCharge:
        """Return the plan that follows from the situation, and act on it in the name of its own limit sources."""

    @property
    def notice(self) -> str | None:
        """What a person should know of the plan, None of nothing."""

    def start_now(self) -> None:
        """Take note that a person or a controller has just asked for charging, which no delay may hold up."""

    def begin(self) -> None:
        """Take note that a person wants charging now, which neither a delay nor a planned start may hold up."""


class NoPlanner:
    """Plans nothing: whatever is permitted and demanded begins at once."""

    notice: str | None = None

    def next_charge(self, context: PlanningContext) -> NextCharge:  # noqa: ARG002 (nothing depends on it)
        """Return that nothing is planned."""
        return UNPLANNED

    def start_now(self) -> None:
        """Do nothing: there is no delay to skip."""

    def begin(self) -> None:
        """Do nothing: there is no planned start to skip."""
