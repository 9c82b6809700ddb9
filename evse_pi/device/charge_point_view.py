"""The box as the clusters see it: one read-only view, and the few things they may ask for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from evse_pi.core.country import USUAL_RANDOM_DELAY_S
from hal.units import Milliamps

if TYPE_CHECKING:
    from evse_pi.charging.demand_arbiter import LimitRequest
    from evse_pi.charging.limits import ActingLimit
    from evse_pi.charging.session import Session
    from evse_pi.core.evidence import Evidence
    from evse_pi.core.faults import Fault
    from evse_pi.core.states import LimitSource, PilotState, Reason
    from evse_pi.matter.model.observable import Observable
    from hal.interfaces import MeterReading
    from hal.units import CentiCelsius, Millivolts, MilliwattHours, Milliwatts

EVSE_ENDPOINT = 1


@dataclass(frozen=True, slots=True)
class VehicleData:
    """What the vehicle told of itself; a control pilot alone tells nothing of it, so None is the rule."""

    state_of_charge_percent: int | None = None
    battery_capacity_mwh: MilliwattHours | None = None
    identifier: str | None = None


NO_VEHICLE_DATA = VehicleData()
NO_DISCHARGE_MA = Milliamps(0)


@dataclass(frozen=True, slots=True)
class SelfTestView:
    """Where the self-test is; `ordered` says that one was asked for which the safety process has not heard of yet."""

    ordered: bool
    running: bool
    passed: bool
    evidence: tuple[Evidence, ...] = ()


@dataclass(frozen=True, slots=True)
class ChargePointView:
    """All there is to know of the box at `now_ns`.

    `heard` is false while the safety process is silent: what only it knows is then what it said last.
    `contacts_closed` says that current can flow: it was told to close, and its contacts have. `limits` are all that
    count now, of the safety process and of every ask that limits, each with its owner; `offered_current_ma` is
    what the pilot signals. `cable_ma` is None without a cable, `meter` and `temperature` are None unless fresh.
    `session` is the vehicle's that is plugged in, `last_session` the one before. `power_mw` is None when nobody knows,
    and estimated from the offer where no meter is fitted. `circuit_capacity_ma` is 0 until an installer has set it, and
    so is the window of the random delay, `random_delay_s`, its usual one. No board takes current from a vehicle as yet.
    """

    now_ns: int
    heard: bool
    pilot: PilotState
    contacts_closed: bool
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


class ChargePointInterface(Protocol):
    """The box. `changed` emits a view for every transition in its order, after every ask, and once a second."""

    @property
    def changed(self) -> Observable[ChargePointView]:
        """Return what emits the view after each change."""

    def view(self) -> ChargePointView:
        """Return the box as it is now."""

    def ask(self, ask: LimitRequest) -> None:
        """Put an ask in the name of its source, in place of that source's last one.

        Raises: ValueError for a source that is not the node's, or a limit outside 0 to 80 A.
        """

    def withdraw(self, source: LimitSource) -> None:
        """Forget what `source` asked."""

    def ask_of(self, source: LimitSource) -> LimitRequest | None:
        """Return what `source` asks now."""

    def start_self_test(self) -> None:
        """Have the safety process test the box once; the view tells when it has."""

    def identify(self, *, active: bool) -> None:
        """Blink the status LED so that a person finds this box, or end that."""
