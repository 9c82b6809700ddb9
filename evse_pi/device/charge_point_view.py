"""The box as the clusters see it: one read-only view, and the few things they may ask for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from evse_pi.charging.charging_planner import UNPLANNED, NextCharge
from evse_pi.charging.evse_status import NOTHING_DECIDED, EvseStatus, Permission
from evse_pi.charging.settings import NOTHING_SET
from evse_pi.charging.vehicle_data import NO_VEHICLE_DATA, VehicleData
from evse_pi.core.country import USUAL_RANDOM_DELAY_S
from hal.units import Milliamps

if TYPE_CHECKING:
    from collections.abc import Callable

    from evse_pi.charging.acting_limits import ActingLimit
    from evse_pi.charging.modes import PowerAdjustment
    from evse_pi.charging.self_test import SelfTestView
    from evse_pi.charging.session import Session
    from evse_pi.charging.settings import ChargingSettings
    from evse_pi.core.faults import Fault
    from evse_pi.core.states import PilotState, Reason
    from evse_pi.matter.model.observable import Observable
    from hal.interfaces import MeterReading
    from hal.units import CentiCelsius, Millivolts, Milliwatts

EVSE_ENDPOINT = 1


NO_DISCHARGE_MA = Milliamps(0)
NOTHING_PERMITTED = Permission(charging=False)


@dataclass(frozen=True, slots=True)
class ChargePointView:
    """All there is to know of the box at `now_ns`.

    `safety_online` is false while the safety process is silent: what only it knows is then what it said last.
    `current_may_flow` says that current can flow: it was told to close, and its contacts have. `limits` are all that
    count now, of the safety process and of every request that limits, each with its owner; `offered_current_ma` is
    what the pilot signals. `cable_ma` is None without a cable, `meter` and `temperature` are None unless fresh.
    `session` is the vehicle's that is plugged in, `last_session` the one before. `power_mw` is None when unknown,
    and estimated from the offer where no meter is fitted. `circuit_capacity_ma` is 0 until an installer has set it, and
    so is the window of the random delay, `random_delay_s`, its usual one. No board takes current from a vehicle as yet.
    `status` is State, SupplyState and FaultState as the charge point has decided them.
    `settings` are those of controllers and users, `permission` is what is permitted now, by controller or owner.
    `unix_s` is the time in s since 1970, None while it is unknown, `next_charge` what is planned.
    """

    now_ns: int
    safety_online: bool
    pilot: PilotState
    current_may_flow: bool
    offered_current_ma: Milliamps
    permitted: bool
    reason: Reason
    reason_until_ns: int
    faults: frozenset[Fault]
    limits: tuple[ActingLimit, ...]
    cable_ma: Milliamps | None
    rated_current_ma: Milliamps
    circuit_capacity_ma: Milliamps
    phases: int
    voltage_mv: Millivolts
    self_test: SelfTestView
    session: Session | None
    last_session: Session | None
    meter_fitted: bool
    meter: MeterReading | None
    power_mw: Milliwatts | None
    power_estimated: bool
    temperature: CentiCelsius | None
    vehicle: VehicleData = NO_VEHICLE_DATA
    random_delay_s: int = USUAL_RANDOM_DELAY_S
    rated_discharge_ma: Milliamps = NO_DISCHARGE_MA
    status: EvseStatus = NOTHING_DECIDED
    settings: ChargingSettings = NOTHING_SET
    permission: Permission = NOTHING_PERMITTED
    unix_s: int | None = None
    next_charge: NextCharge = UNPLANNED


class ChargePointInterface(Protocol):
    """The box. `changed` emits a view for every transition in its order, after every request, and once a second.

    It never emits while a view is being reacted to: what a reaction changes is told after all have reacted.
    """

    @property
    def changed(self) -> Observable[ChargePointView]:
        """Return what emits the view after each change."""

    def view(self) -> ChargePointView:
        """Return the box as it is now."""

    def refresh_soon(self) -> None:
        """Have `changed` emit the view once the present reactions have run."""

    def apply(self, settings: ChargingSettings) -> None:
        """Put `settings` in force at once, and have them stored."""

    async def apply_stored(
        self, change: Callable[[ChargingSettings], ChargingSettings], *, starts: bool = False
    ) -> None:
        """Put what `change` makes of the settings in force once it is stored; `starts` has no random delay hold it up.

        Raises: NotStored where nothing has changed. Whatever `change` raises.
        """

    def adjust_power(self, adjustment: PowerAdjustment | None) -> None:
        """Charge with the power that an energy manager wants, as far as the mode follows it; None ends that."""

    def want_self_test(self) -> None:
        """Have the safety process test the box once its contactor is open; the view tells when it has."""

    def identify(self, *, active: bool) -> None:
        """Blink the status LED so that a person finds this box, or end that."""
