"""The box as the Matter clusters see it."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from evse_pi.charging.demand_arbiter import ExpiryPolicy, LimitRequest
from evse_pi.charging.history_rows import setting_row
from evse_pi.charging.metering import NO_ENERGY, fresh
from evse_pi.charging.modes import MODE_SOURCES
from evse_pi.charging.stored_fields import Fields, UnknownRecord
from evse_pi.core.country import USUAL_RANDOM_DELAY_S
from evse_pi.core.duty import MAX_OFFER_MA, MIN_OFFER_MA
from evse_pi.core.installation_limits import DEFAULT_VOLTAGE_MV
from evse_pi.core.records import Request
from evse_pi.core.states import LimitSource, PilotState, Reason
from evse_pi.device.charge_point_view import (
    EVSE_ENDPOINT,
    NO_DISCHARGE_MA,
    NO_VEHICLE_DATA,
    ChargePointView,
    SelfTestView,
)
from evse_pi.device.charging_plan_memory import held_back, recalled
from evse_pi.device.energy_evse_memory import NOTHING_KEPT, PersistedState, asks_of, decode, record_key
from evse_pi.matter.environment import MATTER_EPOCH_UNIX_S
from evse_pi.matter.model.observable import Observable
from hal.units import SECOND, Milliamps, MilliwattHours

if TYPE_CHECKING:
    from collections.abc import Callable

    from evse_pi.charging.charge_point import ChargePoint
    from evse_pi.charging.history_rows import Row
    from evse_pi.core.records import Snapshot, Transition
    from evse_pi.device.charge_point_view import VehicleData
    from evse_pi.device.charging_plan_memory import KeptPlan
    from evse_pi.device.energy_evse_memory import ReportedState
    from evse_pi.matter.storage import KeyValueStore

log = logging.getLogger(__name__)

ASKS = "asks"
SELF_TEST = "self_test"
LASTING = (LimitSource.ENABLE_CHARGING, LimitSource.USER_MAXIMUM)
"""Whose asks hold from the first demand on, before the clusters have come up."""
STORED = (*LASTING, *MODE_SOURCES)
PROVISIONAL_NS = 30 * SECOND
"""For so long a plan of the former life holds; the planner speaks again by then, or nobody does."""
_NOTHING: frozenset[Any] = frozenset()


@dataclass(frozen=True, slots=True)
class Recalled:
    """What cluster and planner kept in a former life, and whether a controller owned the box then."""

    kept: PersistedState = NOTHING_KEPT
    commissioned: bool = False
    plan: KeptPlan | None = None


UNREADABLE = Recalled(commissioned=True)


def recall_cluster(store: KeyValueStore | None) -> Recalled:
    """Return what the cluster kept; it was stored before anybody was answered.

    Where that cannot be read (None), a controller may have taken its permission back: nothing is granted then.
    """
    if store is None:
        log.warning("what controllers had set is not known: nothing is granted")
        return UNREADABLE
    record = store.get(record_key(EVSE_ENDPOINT))
    commissioned = any(key.endswith("/record") for key in store.keys("fabric/"))
    plan = recalled(store)
    try:
        return Recalled(NOTHING_KEPT if record is None else decode(record), commissioned, plan)
    except UnknownRecord as error:
        log.warning("what controllers had set cannot be read, and nothing is granted: %s", error)
        return Recalled(NOTHING_KEPT, commissioned, plan)


class ChargePointAdapter:
    """The `ChargePointInterface` of the clusters, made of the box; `renew` has a new demand sent at once."""

    def __init__(self, box: ChargePoint, renew: Callable[[], None]) -> None:
        self.changed: Observable[ChargePointView] = Observable("charger")
        self.vehicle = NO_VEHICLE_DATA
        self.rated_discharge_ma = NO_DISCHARGE_MA
        self._box = box
        self._renew = renew
        self._tested_ns: int | None = None
        self._soon: asyncio.Handle | None = None
        self._told: ReportedState | None = None
        box.event_recorder.on_transition.append(self._passed)

    @property
    def kernel_boot_id(self) -> str:
        """Return a name of this life of the machine."""
        return self._box.clock.kernel_boot_id

    def restore_requests(self, asks: tuple[StoredAsk, ...] | None) -> None:
        """Take up the asks of a former life of this process, None where they cannot be read.

        After a power cut nothing starts before the planner has spoken, nor does it where nobody knows what was asked.
        """
        until_ns = self._box.clock.monotonic_ns() + PROVISIONAL_NS
        for each in asks or ():
            ask = self._resumed(each)
            planned = replace(ask, until_ns=min(ask.until_ns or until_ns, until_ns), lapse=ExpiryPolicy.FORGOTTEN)
            self._box.arbiter.put(planned if ask.source in MODE_SOURCES else ask)
        if asks is None or any(each.kernel_boot_id not in (None, self.kernel_boot_id) for each in asks):
            self._box.arbiter.put(LimitRequest(LimitSource.RANDOM_DELAY, permitted=False, until_ns=until_ns))

    def apply_recalled(self, former: Recalled) -> None:
        """Ask as the cluster will once it has come up; asks are noted too late for a power cut, a grant never is."""
        self._told = former.kept.told
        until_ns = self._box.clock.monotonic_ns() + PROVISIONAL_NS
        for source in held_back(former.plan, self.kernel_boot_id):
            self._box.arbiter.put(LimitRequest(source, permitted=False, until_ns=until_ns))
        if not former.commissioned:
            self.forget_asks()
            return
        unix_s, now_ns = self._box.clock.unix_s(), self._box.clock.monotonic_ns()
        now_s = None if unix_s is None else unix_s - MATTER_EPOCH_UNIX_S
        grant, installation = former.kept.grant.expired(now_s), self._box.installation
        capacity_ma = 0 if installation is None else installation.circuit_capacity_ma
        for ask in asks_of(grant, capacity_ma, now_ns, now_s, permitted=grant.charging(now_s)):
            self._box.arbiter.put(ask)

    def forget_asks(self) -> None:
        """Drop the asks of a former life, because nobody speaks for their sources any more."""
        for source in LASTING:
            self._box.arbiter.withdraw(source)

    def view(self) -> ChargePointView:
        """Return the box as it is now."""
        box, snapshot = self._box, self._box.snapshot
        now_ns, installation = box.clock.monotonic_ns(), box.installation
        power_mw, estimated = box.power_mw()
        heat, reading = box.temperature, box.reading
        return ChargePointView(
            now_ns=now_ns,
            heard=box.safety_online(),
            pilot=PilotState.INVALID if snapshot is None else snapshot.pilot_state,
            contacts_closed=snapshot is not None and _made(snapshot),
            offered_current_ma=Milliamps(0) if snapshot is None else snapshot.offered_current_ma,
            permitted=snapshot is not None and snapshot.permitted,
            reason=Reason.STARTING if snapshot is None else snapshot.reason,
            reason_until_ns=0 if snapshot is None else snapshot.reason_until_ns,
            faults=_NOTHING if snapshot is None else snapshot.faults,
            limits=box.limits(),
            cable_ma=None if snapshot is None else snapshot.cable_ma or None,
            rated_current_ma=box.ratings.rated_current_ma,
            circuit_capacity_ma=Milliamps(0) if installation is None else installation.circuit_capacity_ma,
            phases=box.ratings.phases if installation is None else installation.phases,
            voltage_mv=DEFAULT_VOLTAGE_MV if installation is None else installation.nominal_voltage_mv,
            self_test=self._self_test(snapshot),
            session=box.event_recorder.session,
            last_session=box.event_recorder.last_session,
            meter_fitted=box.ratings.meter_fitted,
            meter=reading if reading is not None and fresh(reading.read_ns, now_ns) else None,
            power_mw=power_mw,
            power_estimated=estimated,
            temperature=heat.centi_celsius if heat is not None and fresh(heat.at_ns, now_ns) else None,
            vehicle=self.vehicle,
            random_delay_s=USUAL_RANDOM_DELAY_S if installation is None else installation.random_delay_s,
            rated_discharge_ma=self.rated_discharge_ma,
        )

    def ask(self, ask: LimitRequest) -> None:
        """Put an ask in the book, have it sent and, where it lasts, remembered."""
        self._box.arbiter.put(ask)
        self._asked(ask.source)

    def withdraw(self, source: LimitSource) -> None:
        """Take an ask out of the book."""
        self._box.arbiter.withdraw(source)
        self._asked(source)

    def ask_of(self, source: LimitSource) -> LimitRequest | None:
        """Return what `source` asks now."""
        return self._box.arbiter.ask_of(source)

    def release_owner(self) -> None:
        """Let the owner's refusal go, because somebody else carries it out; the owner's limit stays."""
        self._box.set_owner(permitted=True, limit_ma=self._box.owner.limit_ma)
        self._renew()

    def start_self_test(self) -> None:
        """Order a self-test; what it finds is kept."""
        self._tested_ns = self._box.clock.monotonic_ns()
        self._box.order(Request.SELF_TEST)
        self._renew()

    @property
    def offering(self) -> bool:
        """Whether everybody whose word counts lets the box offer current now."""
        winner = self._box.arbiter.limits(self._box.clock.monotonic_ns())[0]
        return winner.permitted and (winner.limit_ma is None or winner.limit_ma >= MIN_OFFER_MA)

    def clear_faults(self) -> None:
        """Acknowledge faults as an installer does who has repaired what was wrong; what is still wrong stays."""
        self._box.order(Request.CLEAR_USER | Request.CLEAR_INSTALLER)
        self._renew()

    def set_vehicle(self, vehicle: VehicleData) -> None:
        """Take in what the vehicle told of itself."""
        self.vehicle = vehicle
        self.refresh()

    def identify(self, *, active: bool) -> None:
        """Blink the status LED, or let it show the box again."""
        if active is not self._box.identifying:
            self._box.identifying = active
            self._renew()

    def tell_time(self, unix_us: int) -> None:
        """Take an administrator's word for the time of day. Units: microseconds since 1970."""
        self._box.clock.tell(unix_us // 1_000_000)

    def refresh(self) -> None:
        """Tell the view, because a snapshot came or a second passed."""
        self._soon = None
        self._reconcile()
        view = self.view()
        self._keep_test(view.self_test)
        self.changed.emit(view)

    def _reconcile(self) -> None:
        """Bring the sessions in line with what peers were told, once the box has heard what it missed."""
        snapshot, event_recorder = self._box.snapshot, self._box.event_recorder
        if self._told is not None and snapshot is not None:
            told, self._told = self._told, None
            energy_mwh = NO_ENERGY if told.transfer is None else MilliwattHours(told.transfer.energy_mwh)
            event_recorder.reconcile(told.session, told.latest, energy_mwh)
            event_recorder.on_snapshot(snapshot)

    def _passed(self, change: Transition) -> None:
        """Tell the view as it was right after a transition, of which a snapshot may bring several."""
        if not self.changed or self._told is not None:
            return
        view = self.view()
        self.changed.emit(
            replace(
                view,
                pilot=change.pilot_state,
                contacts_closed=_made(change),
                offered_current_ma=change.offered_current_ma,
                faults=change.faults,
                reason=change.reason,
            )
        )

    def _asked(self, source: LimitSource) -> None:
        if source in STORED:
            urgent, said = source is not LimitSource.POWER_ADJUSTMENT, source in LASTING
            self._box.event_recorder.write_queue.note(self._asks_row(), urgent=urgent, said=said)
        self._renew()
        if self._soon is None:
            self._soon = asyncio.get_running_loop().call_soon(self.refresh)

    def _self_test(self, snapshot: Snapshot | None) -> SelfTestView:
        ordered = bool(self._box.requests.outstanding & Request.SELF_TEST)
        if snapshot is None:
            return SelfTestView(ordered, running=False, passed=False)
        return SelfTestView(ordered, snapshot.self_test_running, snapshot.self_test_passed, snapshot.evidence)

    def _keep_test(self, test: SelfTestView) -> None:
        """Keep the evidence of an ordered self-test once it is over."""
        if self._tested_ns is None or test.ordered or test.running or not (test.passed or self._faulty()):
            return
        self._tested_ns = None
        evidence = [[each.check.name, each.measured, each.lowest, each.highest] for each in test.evidence]
        kept = {"unix_s": self._box.clock.unix_s(), "passed": test.passed, "evidence": evidence}
        self._box.event_recorder.write_queue.note(setting_row(SELF_TEST, kept), urgent=True)
        log.info("self-test over passed=%s checks=%d", test.passed, len(evidence))

    def _faulty(self) -> bool:
        return self._box.snapshot is not None and bool(self._box.snapshot.faults)

    def _asks_row(self) -> Row:
        asks = [self._box.arbiter.ask_of(source) for source in STORED]
        return setting_row(ASKS, [self._fields_of(ask) for ask in asks if ask is not None])

    def _fields_of(self, ask: LimitRequest) -> dict[str, Any]:
        """Return an ask as it is stored; its end stands on the calendar, if that is known."""
        until, unix_s = ask.until_ns, self._box.clock.unix_s()
        if until is not None and unix_s is not None:
            until = unix_s + (until - self._box.clock.monotonic_ns()) // SECOND
        return {
            "source": ask.source.name,
            "permitted": ask.permitted,
            "limit_ma": ask.limit_ma,
            "until_unix_s": until if unix_s is not None else None,
            "lapse": ask.lapse.name,
            "machine_boot": self.kernel_boot_id,
        }

    def _resumed(self, stored: StoredAsk) -> LimitRequest:
        """Return a stored ask as it holds now; an end that no clock can tell has not come yet."""
        unix_s, until_ns = self._box.clock.unix_s(), None
        if stored.until_unix_s is not None and unix_s is not None:
            until_ns = self._box.clock.monotonic_ns() + (stored.until_unix_s - unix_s) * SECOND
        return replace(stored.ask, until_ns=until_ns)


@dataclass(frozen=True, slots=True)
class StoredAsk:
    """An ask of a former life: its end stands on the calendar, if it was known."""

    ask: LimitRequest
    until_unix_s: int | None
    kernel_boot_id: str | None


def stored_asks(setting: Any) -> tuple[StoredAsk, ...]:
    """Return the asks that a setting holds. Raises: UnknownRecord."""
    if not isinstance(setting, list):
        raise UnknownRecord("no list of asks")
    return tuple(_stored_ask(Fields(each)) for each in setting)


def _stored_ask(fields: Fields) -> StoredAsk:
    source, limit_ma = fields.member("source", LimitSource), fields.optional_integer("limit_ma", 0, MAX_OFFER_MA)
    if source not in STORED:
        raise UnknownRecord(f"source: {source.name} stores no asks")
    limit = None if limit_ma is None else Milliamps(limit_ma)
    ask = LimitRequest(source, fields.boolean("permitted"), limit, lapse=fields.member("lapse", ExpiryPolicy))
    return StoredAsk(ask, fields.optional_unix_s("until_unix_s"), fields.text("machine_boot"))


def _made(told: Snapshot | Transition) -> bool:
    """Return whether current can flow: the contacts take some 20 ms to follow the order."""
    return told.close_ordered and told.reason is not Reason.STARTING
