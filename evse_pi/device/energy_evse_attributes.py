"""The attributes of the Energy EVSE cluster as a function of the view of the charge point."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from evse_pi.device.matter_time import matter_until_s
from evse_pi.matter.environment import MATTER_EPOCH_UNIX_S

if TYPE_CHECKING:
    from evse_pi.charging.charging_planner import NextCharge
    from evse_pi.device.charge_point_view import ChargePointView
    from evse_pi.device.energy_evse_rules import Projection


def attributes_of(view: ChargePointView, outcome: Projection) -> dict[str, Any]:
    """Return what follows from the charge point, of all features."""
    settings, vehicle, shown = view.settings, view.vehicle, outcome.shown
    user_ma = view.circuit_capacity_ma if settings.user_maximum_ma is None else settings.user_maximum_ma
    return {
        "state": shown.status.state,
        "supply_state": shown.status.supply,
        "fault_state": shown.status.fault,
        "charging_enabled_until": matter_until_s(settings.charging_until_s),
        "discharging_enabled_until": matter_until_s(settings.discharging_until_s),
        "circuit_capacity": view.circuit_capacity_ma,
        "minimum_charge_current": settings.minimum_ma,
        "maximum_charge_current": outcome.maximum_ma,
        "maximum_discharge_current": outcome.maximum_discharge_ma,
        "user_maximum_charge_current": user_ma,
        "randomization_delay_window": view.random_delay_s if settings.window_s is None else settings.window_s,
        "state_of_charge": vehicle.state_of_charge_percent,
        "battery_capacity": vehicle.battery_capacity_mwh,
        "vehicle_id": vehicle.identifier,
        "session_id": shown.session_id,
        "session_energy_discharged": None if shown.session_id is None else 0,
    }


def planned_attributes(plan: NextCharge) -> dict[str, Any]:
    """Return the next planned charge."""
    return {
        "next_charge_start_time": _epoch_s(plan.start_s),
        "next_charge_target_time": _epoch_s(plan.target_s),
        "next_charge_required_energy": plan.required_energy_mwh,
        "next_charge_target_soc": plan.target_soc_percent,
    }


def _epoch_s(unix_s: int | None) -> int | None:
    return None if unix_s is None else unix_s - MATTER_EPOCH_UNIX_S
