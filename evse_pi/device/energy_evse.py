"""The Energy EVSE cluster: a projection of the charge point, and commands into it.

A command checks its request, changes the charge point once, and shows what follows. The rules stand in
`energy_evse_rules`, the attributes in `energy_evse_attributes`; what controllers have set belongs to the charge point.
"""

from __future__ import annotations

from contextvars import Context
from dataclasses import replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Self

from evse_pi.charging.controller_permission import NotStored
from evse_pi.charging.evse_status import EvseStatus
from evse_pi.charging.settings import NOTHING_SET
from evse_pi.charging.targets import merged
from evse_pi.core.states import MatterState
from evse_pi.device import energy_evse_rules as rules
from evse_pi.device.energy_evse_attributes import attributes_of, planned_attributes
from evse_pi.device.energy_evse_rules import PublishedState
from evse_pi.device.energy_evse_schema import SCHEMA
from evse_pi.device.reported_state import NOTHING_REPORTED, encode, recall_reported, record_key
from evse_pi.matter.model.cluster_server import ClusterServer
from evse_pi.matter.model.transaction import transaction
from evse_pi.matter.wire.status_code import MatterStatus, StatusCode
from hal.units import SECOND

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from enum import IntFlag

    from evse_pi.charging.settings import ChargingSettings
    from evse_pi.device.charge_point_view import ChargePointInterface, ChargePointView
    from evse_pi.device.energy_evse_rules import EvseEvent, Projection
    from evse_pi.device.reported_state import ReportedState, SessionTotals
    from evse_pi.matter.identity.accessor import Accessor

SESSION_REPORT_NS = 20 * SECOND  # a few reports a minute, and only while energy flows
OPTIONAL = ("UserMaximumChargeCurrent", "RandomizationDelayWindow", "ApproximateEVEfficiency", "StartDiagnostics")
STORED = ("approximate_ev_efficiency",)
"""The attributes that are stored here; every other one follows from the charge point, or from what peers were told."""

_NOTHING_DISCHARGED: Mapping[str, Mapping[str, int]] = MappingProxyType(
    {"energy_transfer_stopped": {"energyDischarged": 0}, "ev_not_detected": {"sessionEnergyDischarged": 0}}
)
"""What the events of a cluster with V2X say in addition, of a box that takes no energy from a vehicle."""


class EnergyEvseServer(ClusterServer, enable=OPTIONAL):
    """The cluster's behaviour. While no controller is commissioned, the owner decides, and the cluster only shows."""

    schema = SCHEMA

    class Internal:
        """What the next view is compared with: what was shown, what peers know by events, the last session report."""

        shown = PublishedState()
        reported: ReportedState = NOTHING_REPORTED
        figures_ns = 0

    def __init__(self, charger: ChargePointInterface, **state: Any) -> None:
        """Make the server of `charger`."""
        super().__init__(**state)
        self._charger = charger

    @classmethod
    def with_features(cls, *features: str | IntFlag) -> type[Self]:
        """Return this class with these features; a reader of cards tells of them, though it need not."""
        kind = super().with_features(*features)
        return kind.enable(events=("RFID",)) if "RFID" in kind.cluster.features else kind

    def initialize(self) -> None:
        """Take up what peers were told, and follow the charge point."""
        reported = recall_reported(self.node.store, self.endpoint.id)
        known = MatterState.NOT_PLUGGED_IN if reported.session is None else MatterState.PLUGGED_IN_NO_DEMAND
        if reported.transfer is not None:
            known = MatterState.PLUGGED_IN_CHARGING
        self.internal.reported = reported
        self.internal.shown = PublishedState(EvseStatus(fault=reported.fault), rules.latest_session_id(reported), known)
        self.react_to(self._charger.changed, self.follow)
        self.follow(self._charger.view())

    def reset(self) -> None:
        """Forget what controllers and users have set; the vehicle that is plugged in stays what it is."""
        with transaction():
            for key in STORED:
                attribute = self.schema_guard.attribute(key)
                self.assign(attribute, attribute.default)
        self.internal.reported = replace(self.internal.reported, latest=0)
        self._apply(NOTHING_SET)

    # Commands. Whatever they change is stored before they are answered; what permits or plans, before it is in force.

    def disable(self) -> None:
        """Take every permission back; the wish is kept even where the supply cannot become Disabled now."""
        self._apply(self._charger.view().settings.disabled())
        rules.check_supply(self.internal.shown.status)

    async def enable_charging(self, request: Any) -> None:
        """Permit charging within limits, until a time or for good."""

        def enabled(settings: ChargingSettings) -> ChargingSettings:
            until, minimum_ma = request.chargingEnabledUntil, request.minimumChargeCurrent
            changed = rules.charging_enabled(settings, until, minimum_ma, request.maximumChargeCurrent)
            rules.check_supply(self.internal.shown.status)
            return changed

        await self._apply_stored(enabled, starts=True)

    async def enable_discharging(self, request: Any) -> None:
        """Permit discharging; this box's contactor and pilot do not know the direction, so nothing else follows."""

        def enabled(settings: ChargingSettings) -> ChargingSettings:
            until, maximum_ma = request.dischargingEnabledUntil, request.maximumDischargeCurrent
            changed = rules.discharging_enabled(settings, until, maximum_ma)
            rules.check_supply(self.internal.shown.status)
            return changed

        await self._apply_stored(enabled)

    def start_diagnostics(self) -> None:
        """Have the safety process test the box; SupplyState tells when it is done."""
        rules.check_diagnostics(self.internal.shown.status)
        self._charger.want_self_test()
        self.follow(self._charger.view())

    async def set_targets(self, request: Any) -> None:
        """Replace the targets of the days that the request names."""
        new = rules.schedules_of(request, soc="SOC" in self.cluster.features)
        await self._apply_stored(lambda settings: replace(settings, targets=merged(settings.targets, new)))

    def get_targets(self) -> Any:
        """Return all targets."""
        return rules.targets_response(self._charger.view().settings.targets)

    async def clear_targets(self) -> None:
        """Forget all targets."""
        await self._apply_stored(lambda settings: replace(settings, targets=()))

    def write_user_maximum_charge_current(self, current_ma: int) -> None:
        """Take the user's wish; how far it acts depends on the limits of the last EnableCharging."""
        self._apply(replace(self._charger.view().settings, user_maximum_ma=current_ma))

    def write_randomization_delay_window(self, window_s: int) -> None:
        """Take the window, with which is planned from now on."""
        self._apply(replace(self._charger.view().settings, window_s=window_s))

    def _apply(self, settings: ChargingSettings) -> None:
        """Change the charge point at once, and show what follows."""
        self._charger.apply(settings)
        self.follow(self._charger.view())

    async def _apply_stored(
        self, change: Callable[[ChargingSettings], ChargingSettings], *, starts: bool = False
    ) -> None:
        """Change the charge point once that is stored, and show what follows.

        Raises: MatterStatus FAILURE where nothing has changed. Whatever `change` raises.
        """
        try:
            await self._charger.apply_stored(change, starts=starts)
        except NotStored as error:
            raise MatterStatus(StatusCode.FAILURE, str(error)) from error
        self.follow(self._charger.view())

    # The session as it is now; `follow` decides what is reported of it, and when.

    def read_session_duration(self, _accessor: Accessor | None) -> int | None:
        """Return how long the session lasts, or lasted, in s."""
        figures = self._figures()
        return None if figures is None else figures.duration_s

    def read_session_energy_charged(self, _accessor: Accessor | None) -> int | None:
        """Return what the session has charged so far, or had charged."""
        figures = self._figures()
        return None if figures is None else figures.energy_mwh

    def _figures(self) -> SessionTotals | None:
        """Return the figures of the present session or the last one, as far as SessionID speaks of it."""
        if self.internal.shown.session_id is None:
            return None
        return rules.figures_of(self._charger.view()) or self.internal.reported.figures

    # People and the vehicle.

    def card_read(self, uid: bytes) -> None:
        """Tell that a card was held to the reader.

        Raises: ValueError for an identifier that no card has. Source: ISO 14443A.
        """
        if len(uid) not in (4, 7, 10):
            raise ValueError(f"uid of {len(uid)} bytes: a card has 4, 7 or 10")
        self.events.rfid.emit(uid=uid)

    # The projection.

    def follow(self, view: ChargePointView) -> None:
        """Show what `view` means, and tell what has happened since the one before."""
        outcome = rules.advance(self.internal.shown, self.internal.reported, view)
        attributes = {key: value for key, value in attributes_of(view, outcome).items() if key in self.defaults}
        attributes |= planned_attributes(view.next_charge)
        figures = self._figures_due(view, outcome)
        news = any(getattr(self.state, key) != value for key, value in attributes.items())
        told = outcome.reported != self.internal.reported
        self.internal.shown, self.internal.reported = outcome.shown, outcome.reported
        if news or told or figures or outcome.events:
            # In a context of its own: it holds whatever becomes of the request that it came by.
            Context().run(self._publish, attributes | figures, tuple(figures), outcome.events)

    def _figures_due(self, view: ChargePointView, outcome: Projection) -> dict[str, int]:
        """Return the session's figures where they are to be reported: at every boundary, and while energy flows."""
        flows = outcome.shown.status.state is MatterState.PLUGGED_IN_CHARGING
        due = outcome.boundary or (flows and view.now_ns - self.internal.figures_ns >= SESSION_REPORT_NS)
        figures = rules.figures_of(view)
        if figures is None or not due:
            return {}
        self.internal.figures_ns = view.now_ns
        told = {"session_duration": figures.duration_s, "session_energy_charged": figures.energy_mwh}
        return {**told, "session_energy_discharged": 0} if "V2X" in self.cluster.features else told

    def _publish(self, attributes: Mapping[str, Any], figures: tuple[str, ...], events: tuple[EvseEvent, ...]) -> None:
        """Store, publish and tell in one step."""
        more: dict[str, Mapping[str, int]] = {}
        if "V2X" in self.cluster.features:
            started = {"maximumDischargeCurrent": attributes["maximum_discharge_current"]}
            more = {**_NOTHING_DISCHARGED, "energy_transfer_started": started}
        with transaction():
            for key, value in attributes.items():
                setattr(self.state, key, value)
            self.publish(*figures)
            for event in events:
                getattr(self.events, event.event).emit(**event.fields, **more.get(event.event, {}))

    def records(self, values: Mapping[int, Any]) -> list[tuple[str, bytes]]:
        """Return what is to be stored with `values`: those that follow from nothing else, and what peers know."""
        own = {self.schema_guard.attribute(key).id for key in STORED if key in self.defaults}
        rows = super().records({key: value for key, value in values.items() if key in own})
        return [*rows, (record_key(self.endpoint.id), encode(self.internal.reported))]
