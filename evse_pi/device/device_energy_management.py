"""The Device Energy Management cluster: an energy manager adjusts the power that the box charges with.

Power can be adjusted in solar mode, while a vehicle is there and charging is permitted; in the other modes an energy
manager is told that it cannot be, instead of being obeyed in appearance only.
"""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from evse_pi.charging.acting_limits import lowest_ceiling_ma
from evse_pi.charging.modes import ChargeMode, PowerAdjustment
from evse_pi.core.duty import MIN_OFFER_MA
from evse_pi.core.states import LimitSource
from evse_pi.device.device_energy_management_mode import DeviceEnergyManagementModeServer
from evse_pi.device.energy_evse import EnergyEvseServer
from evse_pi.device.energy_evse_mode import EnergyEvseModeServer
from evse_pi.matter.model.cluster_server import ClusterServer
from evse_pi.matter.model.declaration import Attribute, ClusterSchema, Command, Event, Feature, Field, Struct
from evse_pi.matter.wire.chip_objects import DeviceEnergyManagement
from evse_pi.matter.wire.status_code import MatterStatus, StatusCode
from hal.units import SECOND

if TYPE_CHECKING:
    from evse_pi.device.charge_point_view import ChargePointInterface, ChargePointView
    from evse_pi.matter.model.event_source import Change

_Enums = DeviceEnergyManagement.Enums
_Structs = DeviceEnergyManagement.Structs
_Cause, _Reason, _State = _Enums.CauseEnum, _Enums.PowerAdjustReasonEnum, _Enums.ESAStateEnum
_OptOut, _For = _Enums.OptOutStateEnum, _Enums.AdjustmentCauseEnum

SHORTEST_S, LONGEST_S = 10, 86_400
"""A vehicle has 5 s to follow a change, and a higher offer waits 5 s for the end of the last one."""
REPORT_S = 10.0  # Source: Matter Application Cluster Specification, PowerAdjustmentCapability

_REASONS = {
    _For.kLocalOptimization: _Reason.kLocalOptimizationAdjustment,
    _For.kGridOptimization: _Reason.kGridOptimizationAdjustment,
}
_REFUSALS = {
    _OptOut.kNoOptOut: (),
    _OptOut.kLocalOptOut: (_For.kLocalOptimization,),
    _OptOut.kGridOptOut: (_For.kGridOptimization,),
    _OptOut.kOptOut: (_For.kLocalOptimization, _For.kGridOptimization),
}

SCHEMA = ClusterSchema(
    DeviceEnergyManagement,
    revision=4,
    features=(
        Feature("PA", "PowerAdjustment"),
        Feature("PFR", "PowerForecastReporting", "STA | PAU | FA | CON, O"),
        Feature("SFR", "StateForecastReporting", "[!PA]"),
        Feature("STA", "StartTimeAdjustment"),
        Feature("PAU", "Pausable"),
        Feature("FA", "ForecastAdjustment"),
        Feature("CON", "ConstraintBasedAdjustment"),
    ),
    attributes=(
        Attribute("ESAType", "enum8", "R V", "F", default=_Enums.ESATypeEnum.kEvse),
        Attribute("ESACanGenerate", "bool", "R V", "F", default=False),
        Attribute("ESAState", "enum8", default=_State.kOffline),
        Attribute("AbsMinPower", "power-mw", default=0),
        Attribute("AbsMaxPower", "power-mw", default=0),
        Attribute("PowerAdjustmentCapability", "struct", "R V", "X Q", "PA", default=None),
        Attribute("Forecast", "struct", "R V", "X Q", "PFR | SFR", default=None),
        Attribute("OptOutState", "enum8", "R V", "", "PA | STA | PAU | FA | CON", default=_OptOut.kNoOptOut),
    ),
    commands=(
        Command(
            "PowerAdjustRequest",
            conformance="PA",
            fields=(Field("power", "power-mw"), Field("duration", "elapsed-s")),
        ),
        Command("CancelPowerAdjustRequest", conformance="PA"),
        Command("StartTimeAdjustRequest", conformance="STA"),
        Command("PauseRequest", conformance="PAU"),
        Command("ResumeRequest", conformance="PAU"),
        Command("ModifyForecastRequest", conformance="FA"),
        Command("RequestConstraintBasedForecast", conformance="CON"),
        Command("CancelRequest", conformance="STA | FA | CON"),
    ),
    events=(
        Event("PowerAdjustStart", "info", conformance="PA"),
        Event("PowerAdjustEnd", "info", conformance="PA"),
        Event("Paused", "info", conformance="PAU"),
        Event("Resumed", "info", conformance="PAU"),
    ),
    structs=(
        Struct("PowerAdjustCapabilityStruct", (Field("powerAdjustCapability", "list", "max 8"),)),
        Struct(
            "PowerAdjustStruct",
            (
                Field("minPower", "power-mw"),
                Field("maxPower", "power-mw"),
                Field("minDuration", "elapsed-s"),
                Field("maxDuration", "elapsed-s"),
            ),
        ),
        Struct(
            "ForecastStruct",
            (
                Field("forecastID", "uint32"),
                Field("activeSlotNumber", "uint16"),
                Field("startTime", "epoch-s"),
                Field("endTime", "epoch-s"),
                Field("earliestStartTime", "epoch-s"),
                Field("latestEndTime", "epoch-s"),
                Field("slots", "list", "max 10"),
            ),
        ),
        Struct(
            "SlotStruct",
            (
                Field("minDuration", "elapsed-s"),
                Field("maxDuration", "elapsed-s"),
                Field("defaultDuration", "elapsed-s"),
                Field("elapsedSlotTime", "elapsed-s"),
                Field("remainingSlotTime", "elapsed-s"),
                Field("minPauseDuration", "elapsed-s"),
                Field("maxPauseDuration", "elapsed-s"),
                Field("manufacturerESAState", "uint16"),
                Field("nominalPower", "power-mw"),
                Field("minPower", "power-mw"),
                Field("maxPower", "power-mw"),
                Field("nominalEnergy", "energy-mwh"),
                Field("costs", "list", "max 5"),
                Field("minPowerAdjustment", "power-mw"),
                Field("maxPowerAdjustment", "power-mw"),
                Field("minDurationAdjustment", "elapsed-s"),
                Field("maxDurationAdjustment", "elapsed-s"),
            ),
        ),
        Struct(
            "CostStruct",
            (
                Field("value", "int32"),
                Field("decimalPoints", "uint8"),
                Field("currency", "uint16", "max 999"),
            ),
        ),
        Struct("StartTimeAdjustRequest", (Field("requestedStartTime", "epoch-s"),)),
        Struct("PauseRequest", (Field("duration", "elapsed-s"),)),
        Struct(
            "ModifyForecastRequest",
            (
                Field("forecastID", "uint32"),
                Field("slotAdjustments", "list", "max 10"),
            ),
        ),
        Struct(
            "SlotAdjustmentStruct",
            (
                Field("slotIndex", "uint8"),
                Field("nominalPower", "power-mw"),
                Field("duration", "elapsed-s"),
            ),
        ),
        Struct("RequestConstraintBasedForecast", (Field("constraints", "list", "max 10"),)),
        Struct(
            "ConstraintsStruct",
            (
                Field("startTime", "epoch-s"),
                Field("duration", "elapsed-s", "max 86400"),
                Field("nominalPower", "power-mw"),
                Field("maximumEnergy", "energy-mwh"),
                Field("loadControl", "int8"),
            ),
        ),
        Struct(
            "PowerAdjustEnd",
            (
                Field("duration", "elapsed-s"),
                Field("energyUse", "energy-mwh"),
            ),
        ),
    ),
)


@dataclass(frozen=True, slots=True)
class Active:
    """The adjustment that is in force. Units: instants in ns of CLOCK_MONOTONIC."""

    power_mw: int
    reason: int
    since_ns: int
    until_ns: int
    session: int
    energy_mwh: int


@dataclass(frozen=True, slots=True)
class Range:
    """Powers and durations that may be asked for."""

    min_mw: int
    max_mw: int

    def holds(self, power_mw: int, duration_s: int) -> bool:
        """Return whether a request lies in it."""
        return self.min_mw <= power_mw <= self.max_mw and SHORTEST_S <= duration_s <= LONGEST_S


def power_range(view: ChargePointView, minimum_ma: int) -> tuple[int, int]:
    """Return the least and the greatest power that the box can charge with now, but for an adjustment; in mW.

    The least is that of `minimum_ma`, MinimumChargeCurrent. Where the limits leave less than 6 A, both are 0.
    """
    limit_ma = lowest_ceiling_ma(view.limits, without=LimitSource.POWER_ADJUSTMENT)
    if limit_ma is None or limit_ma < MIN_OFFER_MA:
        return 0, 0
    least_ma = min(max(minimum_ma, MIN_OFFER_MA), limit_ma)
    least, most = (current_ma * view.voltage_mv * view.phases for current_ma in (least_ma, limit_ma))
    return -(-least // 1000), most // 1000


def ranges(view: ChargePointView, minimum_ma: int) -> list[Range]:
    """Return what can be asked at present: a power between least and most, or none at all."""
    least_mw, most_mw = power_range(view, minimum_ma)
    pause = Range(0, 0)
    return [Range(least_mw, most_mw), pause] if most_mw else [pause]


class DeviceEnergyManagementServer(ClusterServer, features=("PA",)):
    """The cluster's behaviour; the charge point charges with the power that is asked for."""

    schema = SCHEMA
    dependencies = (EnergyEvseServer, EnergyEvseModeServer, DeviceEnergyManagementModeServer)
    quiet_interval_s = MappingProxyType({"power_adjustment_capability": REPORT_S})

    class Internal:
        """What no peer sees."""

        active: Active | None = None

    def __init__(self, charger: ChargePointInterface, **state: Any) -> None:
        """Make the server of `charger`."""
        super().__init__(**state)
        self._charger = charger

    def initialize(self) -> None:
        """Follow the box, the least current and the two modes."""
        evse = self.endpoint.server(EnergyEvseServer)
        modes = self.endpoint.server(DeviceEnergyManagementModeServer)
        charging = self.endpoint.server(EnergyEvseModeServer)
        self.react_to(self._charger.changed, self.follow)
        for told in (
            evse.events.minimum_charge_current_changed,
            charging.events.current_mode_changed,
            modes.events.current_mode_changed,
        ):
            self.react_to(told, self._look)
        self._charger.adjust_power(None)  # an energy manager has to ask again after every start of the cluster
        self.follow(self._charger.view())

    # Commands.

    def power_adjust_request(self, request: Any) -> None:
        """Charge with another power for a while; a further request takes the place of the one before."""
        view = self._charger.view()
        if request.cause in _REFUSALS[self._opt_out()]:
            raise MatterStatus(StatusCode.CONSTRAINT_ERROR, f"cause {request.cause.name}: the user has opted out of it")
        if not self._adjustable(view):
            raise MatterStatus(StatusCode.CONSTRAINT_ERROR, "power cannot be adjusted now")
        if not any(one.holds(request.power, request.duration) for one in ranges(view, self._minimum_ma)):
            reason = f"power {request.power} mW for {request.duration} s is outside PowerAdjustmentCapability"
            raise MatterStatus(StatusCode.CONSTRAINT_ERROR, reason)
        before, until_ns = self.internal.active, view.now_ns + request.duration * SECOND
        session = view.session
        if before is None:
            number, energy_mwh = (0, 0) if session is None else (session.number, session.energy_mwh)
            before = Active(0, 0, view.now_ns, 0, number, energy_mwh)
            self.events.power_adjust_start.emit()
        self.internal.active = Active(
            request.power, _REASONS[request.cause], before.since_ns, until_ns, before.session, before.energy_mwh
        )
        self._act(view)

    def cancel_power_adjust_request(self) -> None:
        """End the adjustment before its time."""
        if self.internal.active is None:
            raise MatterStatus(StatusCode.INVALID_IN_STATE, "no power adjustment is active")
        self._end(_Cause.kCancelled, self._charger.view())

    # The box and the user.

    def follow(self, view: ChargePointView) -> None:
        """Show what the box can do, and end an adjustment that is over."""
        cause = self._over(view)
        if cause is None:
            self._show(view)
        else:
            self._end(cause, view)

    def _over(self, view: ChargePointView) -> Any:
        """Return why the active adjustment has come to its end, None while it has not."""
        active = self.internal.active
        if active is None:
            return None
        if view.faults:
            return _Cause.kFault
        opted_out = any(_REASONS[cause] == active.reason for cause in _REFUSALS[self._opt_out()])
        if opted_out or view.settings.mode is not ChargeMode.SOLAR:
            return _Cause.kUserOptOut
        if not self._adjustable(view):
            return _Cause.kOffline
        return _Cause.kNormalCompletion if view.now_ns >= active.until_ns else None

    def _end(self, cause: Any, view: ChargePointView) -> None:
        active = self.internal.active
        session = next(
            (one for one in (view.session, view.last_session) if one is not None and one.number == active.session), None
        )
        used_mwh = 0 if session is None else max(session.energy_mwh - active.energy_mwh, 0)
        duration_s = max(min(view.now_ns, active.until_ns) - active.since_ns, 0) // SECOND
        self.internal.active = None
        self.events.power_adjust_end.emit(cause=cause, duration=duration_s, energyUse=used_mwh)
        self._act(view)

    def _act(self, view: ChargePointView) -> None:
        """Show the change at once, and have the charge point follow it."""
        self._show(view)
        self.publish("power_adjustment_capability")
        active = self.internal.active
        self._charger.adjust_power(None if active is None else PowerAdjustment(active.power_mw, active.until_ns))

    def _show(self, view: ChargePointView) -> None:
        active = self.internal.active
        least_mw, most_mw = power_range(view, self._minimum_ma)
        self.state.esa_state = _state(view, adjusting=active is not None)
        self.state.abs_min_power = least_mw
        self.state.abs_max_power = most_mw
        self.state.opt_out_state = self._opt_out()
        self.state.power_adjustment_capability = self._capability(view) if self._adjustable(view) else None

    def _capability(self, view: ChargePointView) -> Any:
        active = self.internal.active
        found = ranges(view, self._minimum_ma)
        offers = [_Structs.PowerAdjustStruct(one.min_mw, one.max_mw, SHORTEST_S, LONGEST_S) for one in found]
        return _Structs.PowerAdjustCapabilityStruct(offers, _Reason.kNoAdjustment if active is None else active.reason)

    def _adjustable(self, view: ChargePointView) -> bool:
        usable = view.safety_online and not view.faults and view.session is not None
        return usable and view.permission.charging and view.settings.mode is ChargeMode.SOLAR

    @property
    def _minimum_ma(self) -> int:
        least_ma: int = self.endpoint.server(EnergyEvseServer).state.minimum_charge_current
        return least_ma

    def _opt_out(self) -> Any:
        return _OptOut(self.endpoint.server(DeviceEnergyManagementModeServer).opt_out)

    def _look(self, _change: Change) -> None:
        self.follow(self._charger.view())


def _state(view: ChargePointView, *, adjusting: bool) -> Any:
    """Return ESAState: offline while the state of the box is unknown."""
    if view.faults:
        return _State.kFault
    if not view.safety_online:
        return _State.kOffline
    return _State.kPowerAdjustActive if adjusting else _State.kOnline
