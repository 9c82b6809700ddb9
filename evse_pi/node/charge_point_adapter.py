"""The charge point as the Matter clusters see it."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from evse_pi.charging.charge_point import current_may_flow
from evse_pi.charging.event_recorder import ToldSessions
from evse_pi.charging.metering import NO_ENERGY, fresh
from evse_pi.core.records import Request
from evse_pi.core.states import PilotState, Reason
from evse_pi.device.charge_point_view import EVSE_ENDPOINT, NO_DISCHARGE_MA, ChargePointView
from evse_pi.device.reported_state import recall_reported
from evse_pi.matter.model.observable import Observable
from hal.units import Milliamps, MilliwattHours

if TYPE_CHECKING:
    from collections.abc import Callable

    from evse_pi.charging.charge_point import ChargePoint
    from evse_pi.charging.modes import PowerAdjustment
    from evse_pi.charging.settings import ChargingSettings
    from evse_pi.charging.vehicle_data import VehicleData
    from evse_pi.core.records import Transition
    from evse_pi.matter.storage import KeyValueStore

log = logging.getLogger(__name__)

_NOTHING: frozenset[Any] = frozenset()


class ChargePointAdapter:
    """The `ChargePointInterface` of the clusters, made of the charge point; `renew` has a new demand sent at once."""

    def __init__(self, box: ChargePoint, renew: Callable[[], None]) -> None:
        self.changed: Observable[ChargePointView] = Observable("charger")
        self.rated_discharge_ma = NO_DISCHARGE_MA
        self._box = box
        self._renew = renew
        self._soon: asyncio.Handle | None = None
        box.event_recorder.on_transition.append(self._passed)
        box.on_request = renew

    def recall(self, store: KeyValueStore) -> None:
        """Have fault and sessions go on from those that controllers were told of, as `store` has it."""
        told = recall_reported(store, EVSE_ENDPOINT)
        self._box.continue_fault(told.fault)
        energy_mwh = NO_ENERGY if told.transfer is None else MilliwattHours(told.transfer.energy_mwh)
        self._box.event_recorder.continue_sessions(ToldSessions(told.session, told.latest, energy_mwh))

    def view(self) -> ChargePointView:
        """Return the box as it is now."""
        box, snapshot = self._box, self._box.snapshot
        now_ns, installation = box.clock.monotonic_ns(), box.installation
        power_mw, estimated = box.power_mw()
        heat, reading, supply = box.temperature, box.reading, box.supply
        return ChargePointView(
            now_ns=now_ns,
            safety_online=box.safety_online(),
            pilot=PilotState.INVALID if snapshot is None else snapshot.pilot_state,
            current_may_flow=snapshot is not None and current_may_flow(snapshot),
            offered_current_ma=Milliamps(0) if snapshot is None else snapshot.offered_current_ma,
            permitted=snapshot is not None and snapshot.permitted,
            reason=Reason.STARTING if snapshot is None else snapshot.reason,
            reason_until_ns=0 if snapshot is None else snapshot.reason_until_ns,
            faults=_NOTHING if snapshot is None else snapshot.faults,
            limits=box.limits(),
            cable_ma=None if snapshot is None else snapshot.cable_ma or None,
            rated_current_ma=box.ratings.rated_current_ma,
            circuit_capacity_ma=Milliamps(0) if installation is None else installation.circuit_capacity_ma,
            phases=supply.phases,
            voltage_mv=supply.voltage_mv,
            self_test=box.self_test(),
            session=box.event_recorder.session,
            last_session=box.event_recorder.last_session,
            meter_fitted=box.ratings.meter_fitted,
            meter=reading if reading is not None and fresh(reading.read_ns, now_ns) else None,
            power_mw=power_mw,
            power_estimated=estimated,
            temperature=heat.centi_celsius if heat is not None and fresh(heat.at_ns, now_ns) else None,
            vehicle=box.vehicle,
            random_delay_s=supply.random_delay_s,
            rated_discharge_ma=self.rated_discharge_ma,
            status=box.status,
            settings=box.permission.in_force,
            permission=box.permission.now,
            unix_s=box.clock.unix_s(),
            next_charge=box.planner.next_charge,
        )

    def apply(self, settings: ChargingSettings) -> None:
        """Put `settings` in force at once, and have them stored."""
        self._box.apply(settings)
        self.refresh_soon()

    async def apply_stored(
        self, change: Callable[[ChargingSettings], ChargingSettings], *, starts: bool = False
    ) -> None:
        """Put what `change` makes of the settings in force once it is stored. Raises: NotStored."""
        await self._box.apply_stored(change, starts=starts)
        self.refresh_soon()

    def adjust_power(self, adjustment: PowerAdjustment | None) -> None:
        """Charge with the power that an energy manager wants; None ends that."""
        self._box.adjust_power(adjustment)
        self.refresh_soon()

    def commission(self, *, commissioned: bool) -> None:
        """Let a controller decide who may charge from now on, or the owner."""
        self._box.commission(commissioned=commissioned)
        self.refresh_soon()

    def want_self_test(self) -> None:
        """Have the safety process test the box once its contactor is open."""
        self._box.want_self_test()
        self._renew()

    @property
    def offering(self) -> bool:
        """Whether all whose requests count let the box offer current now."""
        return self._box.arbiter.offers(self._box.clock.monotonic_ns())

    def clear_faults(self) -> None:
        """Acknowledge faults as an installer does who has repaired what was wrong; what is still wrong stays."""
        self._box.order(Request.CLEAR_USER | Request.CLEAR_INSTALLER)
        self._renew()

    def set_vehicle(self, vehicle: VehicleData) -> None:
        """Take in what the vehicle told of itself."""
        self._box.vehicle = vehicle
        self.refresh_soon()

    def identify(self, *, active: bool) -> None:
        """Blink the status LED, or let it show the box again."""
        if active is not self._box.identifying:
            self._box.identifying = active
            self._renew()

    def tell_time(self, unix_us: int) -> None:
        """Take the time of day that an administrator sets. Units: microseconds since 1970."""
        self._box.clock.tell(unix_us // 1_000_000)

    def refresh(self) -> None:
        """Tell the view, because a snapshot came or a second passed. Only the event loop's own turns call it."""
        self._soon = None
        self.changed.emit(self.view())

    def refresh_soon(self) -> None:
        """Tell the view in a turn of its own, so that one reaction never runs within another."""
        if self._soon is None:
            self._soon = asyncio.get_running_loop().call_soon(self.refresh)

    def _passed(self, change: Transition) -> None:
        """Tell the view as it was right after a transition, of which a snapshot may bring several.

        Its status is that transition's already: the charge point hears of it first.
        """
        if not self.changed or not self._box.event_recorder.reconciled:
            return
        view = self.view()
        self.changed.emit(
            replace(
                view,
                pilot=change.pilot_state,
                current_may_flow=current_may_flow(change),
                offered_current_ma=change.offered_current_ma,
                faults=change.faults,
                reason=change.reason,
            )
        )
