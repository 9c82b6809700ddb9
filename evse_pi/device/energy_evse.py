"""The Energy EVSE cluster: shows the box to controllers, and lets them permit, limit and plan what it charges.

The rules stand in `energy_evse_rules`; this class moves their answers into attributes, events, the store and asks.
"""

from __future__ import annotations

import logging
import sqlite3
from contextvars import Context
from dataclasses import replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from evse_pi.charging.evse_status import EvseStatus, Permission
from evse_pi.charging.stored_fields import UnknownRecord
from evse_pi.charging.targets import merged
from evse_pi.core.duty import MAX_OFFER_MA, MIN_OFFER_MA
from evse_pi.core.states import LimitSource, MatterState
from evse_pi.device import energy_evse_rules as rules
from evse_pi.device.energy_evse_attributes import attributes_of, planned_attributes
from evse_pi.device.energy_evse_memory import PersistedState, asks_of, decode, encode, record_key
from evse_pi.device.energy_evse_rules import PublishedState
from evse_pi.device.energy_evse_schema import SCHEMA
from evse_pi.device.planner import NoPlanner, PlanningContext
from evse_pi.matter.environment import MATTER_EPOCH_UNIX_S
from evse_pi.matter.model.cluster_server import ClusterServer
from evse_pi.matter.model.transaction import transaction
from evse_pi.matter.wire.status_code import MatterStatus, Status
from hal.units import SECOND

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from evse_pi.charging.demand_arbiter import LimitRequest
    from evse_pi.charging.session import Session
    from evse_pi.device.charge_point_view import ChargePointInterface, ChargePointView
    from evse_pi.device.energy_evse_memory import ChargingSettings
    from evse_pi.device.energy_evse_rules import EvseEvent, Projection
    from evse_pi.device.planner import Planner
    from evse_pi.matter.environment import WallClock
    from evse_pi.matter.identity.accessor import Accessor

log = logging.getLogger(__name__)

SESSION_REPORT_NS = 20 * SECOND  # a few reports a minute, and only while energy flows
SELF_TEST_WITHIN_NS = 60 * SECOND  # one that never began, such as with a shorted pilot, is given up
SAME_END_NS = 2 * SECOND  # the clock is read to the second; less is no new end
OPTIONAL = ("UserMaximumChargeCurrent", "RandomizationDelayWindow", "ApproximateEVEfficiency", "StartDiagnostics")

_NOTHING_DISCHARGED: Mapping[str, Mapping[str, int]] = MappingProxyType(
    {"energy_transfer_stopped": {"energyDischarged": 0}, "ev_not_detected": {"sessionEnergyDischarged": 0}}
)
"""What the events of a cluster with V2X say in addition, of a box that takes no energy from a vehicle."""


class EnergyEvseServer(ClusterServer, enable=OPTIONAL):
    """The cluster's behaviour. While no controller governs the box, its owner does, and the cluster only shows."""

    schema = SCHEMA

    class Internal:
        """What no peer sees."""

        kept = PersistedState()
        shown = PublishedState()
        pending: PersistedState | None = None
        stored = PersistedState()
        boundary = False
        overdue = False
        spoken = 0
        lasting = True
        trouble: Exception | None = None
        reported_ns = 0
        test_since_ns: int | None = None
        test_ordered = False

    def __init__(
        self,
        charger: ChargePointInterface,
        clock: WallClock,
        *,
        commissioned: Callable[[], bool],
        planner: Planner | None = None,
        **state: Any,
    ) -> None:
        """Make the server; `governed` tells whether a controller's word counts now."""
        super().__init__(**state)
        self._charger = charger
        self._clock = clock
        self._commissioned = commissioned
        self._planner = planner or NoPlanner()

    def initialize(self) -> None:
        """Take up what was kept, and follow the box."""
        self.internal.kept = self.internal.stored = kept = self._recalled()
        known = MatterState.PLUGGED_IN_NO_DEMAND if kept.told.session is not None else MatterState.NOT_PLUGGED_IN
        if kept.told.transfer is not None:
            known = MatterState.PLUGGED_IN_CHARGING
        self.internal.shown = PublishedState(EvseStatus(fault=kept.told.fault), self.state.session_id, known)
        self.react_to(self._charger.changed, self.follow)
        self.follow(self._charger.view())

    def reset(self) -> None:
        """Forget what controllers and users have set; the vehicle that is plugged in stays what it is."""
        super().reset()
        self.internal.spoken += 1
        self.internal.shown = replace(self.internal.shown, session_id=None)
        self._settle(PersistedState(told=self.internal.kept.told))

    # Commands. Whatever they change is stored before they are answered; what permits or plans, before it is in force.

    def disable(self) -> None:
        """Take every permission back; the wish is kept even where the supply cannot become Disabled now."""
        self._forbid()
        rules.check_supply(self.internal.shown.status)

    async def enable_charging(self, request: Any) -> None:
        """Permit charging within limits, until a time or for good."""

        def granted(kept: PersistedState) -> PersistedState:
            until, minimum_ma = request.chargingEnabledUntil, request.minimumChargeCurrent
            grant = rules.charging_granted(kept.grant, until, minimum_ma, request.maximumChargeCurrent)
            rules.check_supply(self.internal.shown.status)
            return replace(kept, grant=grant)

        kept = await self._stored_first(granted)
        self._planner.start_now()
        self._settle(kept)

    async def enable_discharging(self, request: Any) -> None:
        """Permit discharging; this box's contactor and pilot do not know the direction, so nothing else follows."""

        def granted(kept: PersistedState) -> PersistedState:
            until, maximum_ma = request.dischargingEnabledUntil, request.maximumDischargeCurrent
            grant = rules.discharging_granted(kept.grant, until, maximum_ma)
            rules.check_supply(self.internal.shown.status)
            return replace(kept, grant=grant)

        self._settle(await self._stored_first(granted))

    def start_diagnostics(self) -> None:
        """Have the safety process test the box; SupplyState tells when it is done."""
        rules.check_diagnostics(self.internal.shown.status)
        self.internal.test_since_ns = self._charger.view().now_ns
        self.internal.test_ordered = False
        self._settle(self.internal.kept)

    async def set_targets(self, request: Any) -> None:
        """Replace the targets of the days that the request names."""
        new = rules.schedules_of(request, soc="SOC" in self.cluster.features)
        self._settle(await self._stored_first(lambda kept: replace(kept, targets=merged(kept.targets, new))))

    def get_targets(self) -> Any:
        """Return all targets."""
        return rules.targets_response(self.internal.kept.targets)

    async def clear_targets(self) -> None:
        """Forget all targets."""
        self._settle(await self._stored_first(lambda kept: replace(kept, targets=())))

    def write_user_maximum_charge_current(self, current_ma: int) -> None:
        """Take the user's wish; how far it acts depends on the limits of the last EnableCharging."""
        self.limit_for_user(current_ma)

    def limit_for_user(self, current_ma: int | None) -> None:
        """Take the user's maximum; None leaves it to the circuit's capacity."""
        kept = self.internal.kept
        self._settle(replace(kept, grant=replace(kept.grant, user_maximum_ma=current_ma)))

    def write_randomization_delay_window(self, window_s: int) -> None:
        """Take the window, and plan anew."""
        self._settle(replace(self.internal.kept, window_s=window_s))

    # The session as it is now; `follow` decides what is reported of it, and when.

    def read_session_duration(self, _accessor: Accessor | None) -> int | None:
        """Return how long the session lasts, or lasted, in s."""
        view = self._charger.view()
        session = self._last_session(view)
        return self._stored("session_duration") if session is None else session.duration_ns(view.now_ns) // SECOND

    def read_session_energy_charged(self, _accessor: Accessor | None) -> int | None:
        """Return what the session has charged so far, or had charged."""
        session = self._last_session(self._charger.view())
        return self._stored("session_energy_charged") if session is None else session.energy_mwh

    def _last_session(self, view: ChargePointView) -> Session | None:
        """Return the present session or the last one, as far as SessionID speaks of it."""
        return None if self.internal.shown.session_id is None else view.session or view.last_session

    def _stored(self, key: str) -> int | None:
        value: int | None = self._values[self.schema_guard.attribute(key).id]
        return value

    # The owner and the box.

    @property
    def user_maximum_ma(self) -> int | None:
        """The user's maximum, None while nobody has set one."""
        grant: ChargingSettings = self.internal.kept.grant
        return grant.user_maximum_ma

    @property
    def charging_permitted(self) -> bool:
        """Whether charging is permitted, whoever governs."""
        return self._permission().charging

    @property
    def notice(self) -> str | None:
        """What a person should know of the charging plan, None of nothing."""
        return self._planner.notice

    def permit(self) -> None:
        """Permit charging for good, with no limit but the installer's: the owner's word at the box."""
        grant = replace(self.internal.kept.grant, charging_until=None, minimum_ma=MIN_OFFER_MA, maximum_ma=MAX_OFFER_MA)
        self.internal.spoken += 1
        self._planner.start_now()
        self._settle(replace(self.internal.kept, grant=grant))

    def start(self) -> None:
        """Begin what a random delay or a plan holds up: the owner's word at the box."""
        self._planner.begin()
        self.refresh()

    def stop(self) -> None:
        """Take every permission back: the owner's word at the box."""
        self._forbid()

    def refresh(self) -> None:
        """Look anew at who governs, and at the box."""
        self.follow(self._charger.view())

    def card_read(self, uid: bytes) -> None:
        """Tell that a card was held to the reader.

        Raises: ValueError for an identifier that no card has. Source: ISO 14443A.
        """
        if len(uid) not in (4, 7, 10):
            raise ValueError(f"uid of {len(uid)} bytes: a card has 4, 7 or 10")
        self.events.rfid.emit(uid=uid)

    def follow(self, view: ChargePointView) -> None:
        """Show and tell what `view` means; where that cannot be stored now, it is shown nevertheless.

        Whoever asks for it while a change is being told is answered by another look once that has been told.
        """
        if self.internal.pending is not None:
            self.internal.overdue = True
            return
        try:
            self._settle(self.internal.kept, view)
            self.internal.trouble = None
        except (sqlite3.Error, OSError) as error:
            if self.internal.trouble is None:
                log.warning("state of the EVSE cannot be stored: %s", error)
            self.internal.trouble = error
            self._settle_unstored(self.internal.kept, view)

    def _forbid(self) -> None:
        """Take every permission back at once, whether or not that can be stored."""
        self.internal.spoken += 1
        kept = replace(self.internal.kept, grant=self.internal.kept.grant.disabled())
        try:
            self._settle(kept)
        except (sqlite3.Error, OSError):
            self._settle_unstored(kept)
            raise

    async def _stored_first(self, change: Callable[[PersistedState], PersistedState]) -> PersistedState:
        """Return what is kept after `change`, once it is stored; the caller puts it in force.

        Raises: MatterStatus FAILURE where the disk does not take it, or somebody else spoke meanwhile: nothing has
        changed then. Whatever `change` raises.
        """
        store = self.node.store
        self.internal.spoken += 1
        spoken = self.internal.spoken
        wanted = change(self.internal.kept)
        self._store(wanted)
        try:
            self._check_turn(spoken, settled=await store.settled(store.revision))
            return change(self.internal.kept)
        except BaseException:
            if self.internal.stored is wanted:
                self._store(self.internal.kept)
            raise

    def _check_turn(self, spoken: int, *, settled: bool) -> None:
        if not settled:
            raise MatterStatus(Status.FAILURE, "the disk does not take it; nothing has changed")
        if spoken != self.internal.spoken:
            raise MatterStatus(Status.FAILURE, "another command came before this one was stored")

    def _store(self, kept: PersistedState) -> None:
        with self.node.store.transaction() as changes:
            changes.put(record_key(self.endpoint.id), encode(kept))
        self.internal.stored = kept

    def _settle_unstored(self, kept: PersistedState, view: ChargePointView | None = None) -> None:
        """Put in force what the disk has just refused."""
        self.internal.lasting = False
        try:
            self._settle(kept, view)
        finally:
            self.internal.lasting = True

    def _settle(self, kept: PersistedState, view: ChargePointView | None = None) -> None:
        """Bring attributes, events, store and asks in line with the box and with what is kept from now on."""
        view = view or self._charger.view()
        now_s = self._now_s()
        if self._commissioned():
            kept = replace(kept, grant=kept.grant.expired(now_s))
        self._advance_test(view)
        permission = self._permission(kept)
        outcome = rules.advance(self.internal.shown, kept.told, view, kept.grant, permission)
        kept = replace(kept, told=outcome.told)
        values = attributes_of(view, kept, outcome)
        attributes = {key: value for key, value in values.items() if key in self.defaults}
        window_s = attributes["randomization_delay_window"]
        state, supply = outcome.shown.status.state, outcome.shown.status.supply
        situation = PlanningContext(view, now_s, state, supply, outcome.maximum_ma, window_s, kept.targets)
        attributes |= planned_attributes(self._planner.next_charge(situation))
        self._commit(kept, attributes, outcome, self._session_due(view, outcome))
        self._ask(view, kept.grant, permission, now_s)
        if self.internal.overdue:
            self.internal.overdue = False
            self.refresh()

    def _session_due(self, view: ChargePointView, outcome: Projection) -> dict[str, int]:
        """Return the session's figures where they are to be reported: at every boundary, and while energy flows."""
        boundary = any(happening.event != "fault" for happening in outcome.happenings)
        flows = outcome.shown.status.state is MatterState.PLUGGED_IN_CHARGING
        session = view.session or view.last_session
        due = boundary or (flows and view.now_ns - self.internal.reported_ns >= SESSION_REPORT_NS)
        if session is None or not due:
            return {}
        self.internal.reported_ns = view.now_ns
        return {
            "session_duration": session.duration_ns(view.now_ns) // SECOND,
            "session_energy_charged": session.energy_mwh,
        }

    def _commit(
        self, kept: PersistedState, attributes: dict[str, Any], outcome: Projection, session: dict[str, int]
    ) -> None:
        """Store, publish and tell in one step, at once, whatever becomes of the request that asked for it."""
        news = any(getattr(self.state, key) != value for key, value in attributes.items())
        if news or session or outcome.happenings or kept != self.internal.stored:
            self.internal.pending = kept
            self.internal.boundary = bool(outcome.happenings)
            try:
                Context().run(self._change, attributes | session, tuple(session), outcome.happenings)
            finally:
                self.internal.pending = None
            if self.internal.lasting:
                self.internal.stored = kept
        self.internal.kept = kept
        self.internal.shown = outcome.shown

    def _change(
        self, attributes: Mapping[str, Any], published: tuple[str, ...], happenings: tuple[EvseEvent, ...]
    ) -> None:
        more: dict[str, Mapping[str, int]] = {}
        if "V2X" in self.cluster.features:
            started = {"maximumDischargeCurrent": attributes["maximum_discharge_current"]}
            more = {**_NOTHING_DISCHARGED, "energy_transfer_started": started}
        with transaction():
            for key, value in attributes.items():
                setattr(self.state, key, value)
            self.publish(*published)
            for happening in happenings:
                source = getattr(self.events, happening.event)
                source.emit(**happening.fields, **more.get(happening.event, {}))

    def _advance_test(self, view: ChargePointView) -> None:
        """Order the self-test once the contactor is open, and note its end."""
        since_ns, test = self.internal.test_since_ns, view.self_test
        if since_ns is None:
            return
        if not self.internal.test_ordered:
            if not view.contacts_closed:
                self.internal.test_ordered = True
                self._charger.start_self_test()
        elif not test.ordered and not test.running and (test.passed or view.faults):
            self.internal.test_since_ns = None
        if view.now_ns - since_ns >= SELF_TEST_WITHIN_NS:
            self.internal.test_since_ns = None

    def _permission(self, kept: PersistedState | None = None) -> Permission:
        if not self._commissioned():
            owner = self._charger.ask_of(LimitSource.OWNER)
            return Permission(owner is None or owner.permitted, commissioned=False)
        grant, now_s = (kept or self.internal.kept).grant, self._now_s()
        return Permission(
            grant.charging(now_s), grant.discharging(now_s), diagnosing=self.internal.test_since_ns is not None
        )

    def _ask(self, view: ChargePointView, grant: ChargingSettings, permission: Permission, now_s: int | None) -> None:
        """Put the controller's and the user's word among the asks, or take both back when the owner governs."""
        if not permission.commissioned:
            for source in (LimitSource.ENABLE_CHARGING, LimitSource.USER_MAXIMUM):
                if self._charger.ask_of(source) is not None:
                    self._charger.withdraw(source)
            return
        permitted = permission.charging and not permission.diagnosing
        for ask in asks_of(grant, view.circuit_capacity_ma, view.now_ns, now_s, permitted=permitted):
            self._put(ask)

    def _put(self, wanted: LimitRequest) -> None:
        """Ask for what is not asked for already."""
        present = self._charger.ask_of(wanted.source)
        if present is not None and present.until_ns is not None and wanted.until_ns is not None:
            same_end = abs(present.until_ns - wanted.until_ns) < SAME_END_NS
            wanted = replace(wanted, until_ns=present.until_ns) if same_end else wanted
        if present != wanted:
            self._charger.ask(wanted)

    # The store.

    def records(self, values: Mapping[int, Any]) -> list[tuple[str, bytes]]:
        """Return what of `values` must be stored; of a running session only what it is at a boundary."""
        if not self.internal.lasting:
            return []
        session = {self.schema_guard.attribute(key).id for key in ("session_duration", "session_energy_charged")}
        if self.internal.boundary:
            values = {**{key: self._values[key] for key in session}, **values}
        else:
            values = {key: value for key, value in values.items() if key not in session}
        rows = super().records(values)
        pending = self.internal.pending
        if pending is not None and pending != self.internal.stored:
            rows.append((record_key(self.endpoint.id), encode(pending)))
        return rows

    def _recalled(self) -> PersistedState:
        record = self.node.store.get(record_key(self.endpoint.id))
        try:
            return PersistedState() if record is None else decode(record)
        except UnknownRecord as error:
            log.warning("what controllers had set cannot be read and is taken back: %s", error)
            return PersistedState()

    def _now_s(self) -> int | None:
        """Return the time in s since 2000, None while nobody knows it."""
        unix_us = self._clock.unix_us()
        return None if unix_us is None else unix_us // 1_000_000 - MATTER_EPOCH_UNIX_S
