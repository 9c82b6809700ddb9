"""Views of a charge point as a test writes them, for clusters that only show what they are told. It has no rules."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from evse_pi.charging.acting_limits import ActingLimit
from evse_pi.charging.self_test import SelfTestView
from evse_pi.core.states import LimitSource, PilotState, Reason
from evse_pi.device.charge_point_view import ChargePointView
from evse_pi.matter.model.observable import Observable
from hal.units import SECOND, Milliamps, Millivolts

IDLE = ChargePointView(
    now_ns=1_000 * SECOND,
    safety_online=True,
    pilot=PilotState.A,
    current_may_flow=False,
    offered_current_ma=Milliamps(0),
    permitted=False,
    reason=Reason.NO_VEHICLE,
    reason_until_ns=0,
    faults=frozenset(),
    limits=(
        ActingLimit(LimitSource.BOARD, Milliamps(32_000)),
        ActingLimit(LimitSource.CIRCUIT_CAPACITY, Milliamps(32_000)),
    ),
    cable_ma=None,
    rated_current_ma=Milliamps(32_000),
    circuit_capacity_ma=Milliamps(32_000),
    phases=3,
    voltage_mv=Millivolts(230_000),
    self_test=SelfTestView(ordered=False, running=False, passed=True),
    session=None,
    last_session=None,
    meter_fitted=True,
    meter=None,
    power_mw=None,
    power_estimated=False,
    temperature=None,
)


class ShownViews:
    """Tells a view after each change to it."""

    def __init__(self, view: ChargePointView = IDLE) -> None:
        self.changed: Observable[ChargePointView] = Observable("charger")
        self._view = view

    def view(self) -> ChargePointView:
        return self._view

    def become(self, **changes: Any) -> None:
        """Change the view and tell it."""
        self._view = replace(self._view, **changes)
        self.changed.emit(self._view)

    def spend(self, seconds: int, energy_mwh: int = 0) -> None:
        """Let time pass, and energy flow into the session."""
        session = self._view.session
        if session is not None:
            session = session.add(energy_mwh, estimated=False)
        self.become(now_ns=self._view.now_ns + seconds * SECOND, session=session)
