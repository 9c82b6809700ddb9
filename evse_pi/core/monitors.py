"""All smaller machines of the box, and what they say together."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from evse_pi.core.budgets import Budgets
from evse_pi.core.channel_proof import FOLLOWS_NS, ChannelProof, ProofStage
from evse_pi.core.coil_node import LOW_MV, CoilNode, CoilOrders, NodeLevel
from evse_pi.core.contactor_monitor import ContactorMonitor
from evse_pi.core.duty import MIN_OFFER_MA
from evse_pi.core.evidence import Check, Evidence
from evse_pi.core.faults import NO_FAULTS, Fault
from evse_pi.core.installation_limits import fit_for_purpose
from evse_pi.core.lease import Lease, SensorTrust
from evse_pi.core.limits import Limit, fixed_limits, tightest
from evse_pi.core.load_monitor import LoadMonitor
from evse_pi.core.lock_control import LockControl
from evse_pi.core.overcurrent import Overcurrent
from evse_pi.core.pilot_monitor import CableMonitor, PilotMonitor
from evse_pi.core.rcd_monitor import CoilLook, RcdMonitor
from evse_pi.core.records import Request
from evse_pi.core.recurrence import Recurrence
from evse_pi.core.selftest import SelfTest
from evse_pi.core.states import LimitSource, PilotState
from evse_pi.core.supply import Supply
from evse_pi.core.temperature import FULL, TOO_HOT, Derating
from evse_pi.core.tick_view import TickView
from evse_pi.core.vehicle_doubt import LOADED_MA, VehicleDoubt, levelled_mv
from evse_pi.core.weld_control import WeldControl, first_weld_control, seen_by_one_sense, weld_seen
from evse_pi.core.wiring_monitor import WiringMonitor
from hal.units import MILLISECOND, SECOND, Milliamps

if TYPE_CHECKING:
    from evse_pi.core.board_ratings import BoardRatings
    from evse_pi.core.io_records import Inputs, Outputs
    from evse_pi.core.machine_settings import MachineSettings
    from evse_pi.core.records import MeterSample

PARTED_NS = 60 * MILLISECOND  # by then a load side without mains is known to be dead
UNPLUGGED_NS = SECOND  # a plug that bounces for a moment clears nothing
_DARK = frozenset((Fault.PHASE_LOST, Fault.SUPPLY_LOST))
_RCD_TRIPPED, _OVERCURRENT = frozenset((Fault.RCD_TRIPPED,)), frozenset((Fault.OVERCURRENT,))


@dataclass(frozen=True, slots=True)
class ControlContext:
    """What the box was doing when this tick's inputs were read.

    `outputs` are what was driven, `reference_ma` is the highest current that the vehicle may rightly draw, `standby`
    that the box neither offers nor tests itself.
    """

    outputs: Outputs
    reference_ma: Milliamps
    standby: bool
    faults: frozenset[Fault]


@dataclass(frozen=True, slots=True)
class Monitors:
    """What the smaller machines know."""

    pilot: PilotMonitor
    cable: CableMonitor
    lease: Lease
    contactor: ContactorMonitor
    tests: SelfTest
    rcd: RcdMonitor
    lock: LockControl
    derating: Derating
    supply: Supply
    overcurrent: Overcurrent
    budgets: Budgets = field(default_factory=Budgets)
    recurrence: Recurrence = field(default_factory=Recurrence)
    meter_trust: SensorTrust = field(default_factory=SensorTrust)
    heat_trust: SensorTrust = field(default_factory=SensorTrust)
    load: LoadMonitor = field(default_factory=LoadMonitor)
    weld_output: WeldControl = field(default_factory=WeldControl)
    wiring: WiringMonitor = field(default_factory=WiringMonitor)
    coil: CoilNode = field(default_factory=CoilNode)
    proof: ChannelProof = field(default_factory=ChannelProof)
    vehicle_doubt: VehicleDoubt = field(default_factory=VehicleDoubt)

    def advance(self, inputs: Inputs, settings: MachineSettings, doing: ControlContext) -> Monitors:
        """Return what they know after this tick."""
        now_ns, board = inputs.now_ns, settings.board
        seen = self._look(inputs, settings, doing)
        pilot, cable, lease, contactor = seen.pilot, seen.cable, seen.lease, seen.contactor
        if board.load_phases:
            inputs = replace(inputs, load_live=seen.load.sense.live)
        tests, budgets = self._begin_test(lease.orders, now_ns, closed=contactor.closed)
        rcd, budgets = self._follow_rcd(seen, inputs, settings, doing, budgets)
        lock = self.lock
        if board.lock_fitted:
            lock = lock.follow(inputs, seen, settings, welded=Fault.CONTACTOR_WELDED in doing.faults)
        heat = lease.temperature(now_ns) if board.temperature_fitted else None
        person = lease.orders & (Request.CLEAR_USER | Request.CLEAR_INSTALLER)
        doubt = self._doubt_vehicle(inputs, seen)
        if doubt.asked and not self.vehicle_doubt.asked:
            pilot = pilot.questioned()
        return Monitors(
            pilot,
            cable,
            lease,
            contactor,
            tests.advance(inputs, pilot, cable, rcd, settings, tripped=Fault.RCD_TRIPPED in doing.faults),
            rcd,
            lock,
            self.derating.advance(heat.centi_celsius if heat else None, settings.temperature),
            self.supply.advance(now_ns, seen.meter, settings),
            self._follow_overcurrent(seen, now_ns, settings, doing),
            budgets,
            Recurrence() if person or self.unplugged(now_ns) else self.recurrence,
            self.meter_trust.advance(lease.meter(now_ns)),
            self.heat_trust.advance(lease.temperature(now_ns)),
            seen.load,
            self._tell_upstream(inputs, contactor, seen.load, board, doing.faults),
            self._compare_wiring(now_ns, contactor, seen.load, seen.meter, settings),
            seen.coil,
            self.proof,
            doubt,
        )

    def _look(self, inputs: Inputs, settings: MachineSettings, doing: ControlContext) -> TickView:
        """Return what this tick's inputs show."""
        now_ns, board = inputs.now_ns, settings.board
        cable_in = not board.proximity_fitted or self.cable.in_place(now_ns)
        pilot = self.pilot.advance(now_ns, inputs.pilot, doing.outputs.pilot, board.pilot_supply_mv, cable_in=cable_in)
        cable = self.cable
        if board.proximity_fitted:
            cable = cable.advance(now_ns, inputs.proximity_ohms, connected=pilot.state is not PilotState.A)
        lease = self.lease.advance(now_ns, inputs.demand)
        contactor, load = self._look_behind(inputs, settings)
        coil = self._look_at_coil(inputs, doing.outputs, board)
        if Request.CLEAR_INSTALLER in lease.orders:
            coil = coil.forgiven()
        return TickView(pilot, cable, lease, contactor, load, coil, lease.meter(now_ns) if board.meter_fitted else None)

    def _begin_test(self, orders: Request, now_ns: int, *, closed: bool) -> tuple[SelfTest, Budgets]:
        """Return self-test and budgets after this tick's orders. A test that no installer asked for has a budget."""
        tests = _ordered(self.tests, orders, closed=closed)
        if Request.CLEAR_INSTALLER in orders:
            return tests, self.budgets.forgiven()
        if not tests.wanted or self.tests.wanted:
            return tests, self.budgets
        if self.budgets.may_test(now_ns):
            return tests, self.budgets.tested(now_ns)
        return self.tests, self.budgets  # the whole order is refused, what it would have forgiven as well

    def _follow_rcd(
        self, seen: TickView, inputs: Inputs, settings: MachineSettings, doing: ControlContext, budgets: Budgets
    ) -> tuple[RcdMonitor, Budgets]:
        """Return the residual current device after this tick and its orders, and the budgets that trips count in."""
        now_ns, contactor = inputs.now_ns, seen.contactor
        if not settings.board.rcd_fitted:
            return self.rcd, budgets
        closed_ns = contactor.ordered_ns if contactor.closed else None
        look = _coil_look(inputs, seen.coil)
        rcd = self.rcd.advance(now_ns, tripped=inputs.rcd_tripped, closed_ns=closed_ns, dead=contactor.apart, coil=look)
        if rcd.tripped_ns is not None and self.rcd.tripped_ns is None:
            budgets = budgets.tripped(now_ns)
        ordered = self._order_rcd(rcd, seen.lease.orders, settings, doing, now_ns)
        if rcd.idle and ordered.acknowledged:
            budgets = budgets.reset(now_ns)
        return ordered, budgets

    def _follow_overcurrent(
        self, seen: TickView, now_ns: int, settings: MachineSettings, doing: ControlContext
    ) -> Overcurrent:
        """Return what is known of a vehicle that draws too much; the next vehicle is not judged by the last one's."""
        board = settings.board
        bearable_ma = min(
            board.rated_current_ma,
            settings.installation.circuit_capacity_ma,
            seen.cable.rating_ma if board.tethered_cable_ma is None else board.tethered_cable_ma,
        )
        former = Overcurrent() if self.unplugged(now_ns) else self.overcurrent
        return former.advance(
            now_ns, seen.meter, doing.reference_ma, bearable_ma=bearable_ma, closed=seen.contactor.closed
        )

    def _doubt_vehicle(self, inputs: Inputs, seen: TickView) -> VehicleDoubt:
        """Return what speaks against a vehicle behind a closed contactor; one that has left has no past."""
        if self.unplugged(inputs.now_ns):
            return VehicleDoubt()
        if not seen.contactor.closed:
            return self.vehicle_doubt.opened(at_once=Request.RESTART_WAKE_UP in seen.lease.orders)
        high_mv = levelled_mv(inputs.pilot) if seen.pilot.asked_just_now else None
        return self.vehicle_doubt.advance(inputs.now_ns, seen.contactor.ordered_ns, high_mv, seen.meter)

    def _look_behind(self, inputs: Inputs, settings: MachineSettings) -> tuple[ContactorMonitor, LoadMonitor]:
        """Return contactor and load side after this tick's look at both."""
        now_ns, board, sense = inputs.now_ns, settings.board, self.load.sense
        if board.load_phases:
            sense = sense.advance(now_ns, inputs.load)
        elif board.load_sense_fitted:
            sense = sense.advance_couplers(inputs.load_live)
        contactor = self.contactor.watch(now_ns, inputs.mirror_closed, sense, board)
        return contactor, self.load.advance(now_ns, sense, contactor, board, settings.installation)

    def _compare_wiring(
        self,
        now_ns: int,
        contactor: ContactorMonitor,
        load: LoadMonitor,
        meter: MeterSample | None,
        settings: MachineSettings,
    ) -> WiringMonitor:
        """Return what is known of live and neutral, on a board that sees each phase against earth and has a meter."""
        board, installation = settings.board, settings.installation
        if not board.load_phases or not board.meter_fitted or installation.unearthed:
            return self.wiring
        return self.wiring.advance(now_ns, load.sense, contactor, meter, installation.phases)

    def _tell_upstream(
        self,
        inputs: Inputs,
        contactor: ContactorMonitor,
        load: LoadMonitor,
        board: BoardRatings,
        faults: frozenset[Fault],
    ) -> WeldControl:
        """Return the weld output after this tick.

        Couplers do not see one pole alone, so there the load side counts as dead only with the contacts apart.
        """
        if not board.weld_output_fitted:
            return self.weld_output
        dead = load.sense.dead if board.load_phases else contactor.apart
        seen = None if seen_by_one_sense(contactor, load, board) else weld_seen(contactor, load)
        return self.weld_output.advance(inputs.now_ns, faults, seen, inputs.weld_output_closed, dead=dead)

    def _look_at_coil(self, inputs: Inputs, outputs: Outputs, board: BoardRatings) -> CoilNode:
        """Return the coil's node after this tick, and what the mirror contact says of a switch that is on alone."""
        coil, channels = self.coil, board.coil_channels
        if channels is None:
            return coil
        found = self.proof.judged_by_mirror(inputs.now_ns, inputs.mirror_closed, board)
        if found is not None:
            coil = coil.blamed(found)
        if inputs.coil is None:
            return coil.unread()
        undecided = self.rcd.decides_return or (inputs.rcd_tripped and outputs.coil_returned)
        orders = CoilOrders(
            outputs.gate_fed,
            None if undecided else outputs.coil_returned,
            inputs.emergency_stop,
            inputs.mirror_closed,
            board.contactor_release_ns,
        )
        return coil.advance(inputs.coil, orders, channels)

    def _order_rcd(
        self, rcd: RcdMonitor, orders: Request, settings: MachineSettings, doing: ControlContext, now_ns: int
    ) -> RcdMonitor:
        """Return the device after orders and with what is due begun: only under a contactor that is proven open.

        No test resets a trip: that is for a person, or for the installation's own rule. Hazard: H-14.
        """
        if self.pilot.state is PilotState.A:
            rcd = rcd.unplugged()
        if Request.CLEAR_INSTALLER in orders:
            rcd = rcd.forgiven()
        if not self.contactor.apart or not rcd.idle:
            return rcd
        locked = Fault.RCD_TRIPS_REPEATED in doing.faults and Request.CLEAR_INSTALLER not in orders
        if Fault.RCD_TRIPPED in doing.faults and Request.CLEAR_USER in orders and not locked:
            return rcd.reset(now_ns, by_user=True)
        if rcd.reclosable(now_ns, settings.installation.rcd_reclosures):
            return rcd.reset(now_ns, by_user=False)
        if Fault.RCD_TRIPPED in doing.faults or rcd.tripped_ns is not None:
            return rcd
        if self.tests.wants_rcd:
            return rcd.test(now_ns)
        due = self.pilot.connected and self.tests.passed and not rcd.tested(now_ns)
        gated = self.coil.level is NodeLevel.HIGH  # the gate has not let go yet, and the latch's path cannot be seen
        return rcd.test(now_ns) if due and doing.standby and not doing.faults and not gated else rcd

    def prove(self, inputs: Inputs, board: BoardRatings, *, wanted: bool) -> Monitors:
        """Return what is known after one more look at the coil's switches; a close is `wanted` soon.

        It begins with contacts that are proven open and a gate that has let go; what moves after that is for the proof
        to judge.
        """
        now_ns, proof = inputs.now_ns, self.proof
        ready = self.contactor.apart and proof.gate_rests(now_ns, self.contactor.opened_ns, board)
        if wanted and (ready or proof.stage is not ProofStage.IDLE):
            proof = proof.advance(now_ns, self.coil, inputs.mirror_closed, board)
        else:
            proof = proof.stopped(now_ns)
        return self if proof is self.proof else replace(self, proof=proof)

    def faults(self, inputs: Inputs, settings: MachineSettings) -> frozenset[Fault]:
        """Return every fault whose condition holds in this tick."""
        now_ns, board = inputs.now_ns, settings.board
        found = inputs.failures | inputs.alarms
        found |= self.pilot.faults(now_ns, closed=self.contactor.closed)
        behind = self.load.faults(now_ns)
        behind = behind - _DARK if self.wiring.explains(now_ns) else behind
        found |= self._contactor_faults(now_ns, board) | behind | self.wiring.faults() | self.weld_output.faults(now_ns)
        found |= self.lease.faults(
            now_ns, meter=self._blind_meter(board, now_ns), temperature=self._blind_heat(board, now_ns)
        )
        found |= self.rcd.faults() | self.tests.failed | self.supply.bad | self.budgets.faults()
        if board.proximity_fitted:
            found |= self.cable.faults(now_ns, self.pilot)
        if not fit_for_purpose(board, settings.installation):
            found |= {Fault.INSTALLATION_INVALID}
        if inputs.emergency_stop:
            found |= {Fault.EMERGENCY_STOP}
        if self.pilot.state is PilotState.D and not settings.installation.ventilated:
            found |= {Fault.VENTILATION_REQUIRED}
        if self.lock.failed:
            found |= {Fault.LOCK_FAILED}
        if self.derating.too_hot:
            found |= {Fault.OVER_TEMPERATURE}
        if self.overcurrent.tripped:
            found |= {Fault.OVERCURRENT}
        return found

    def _contactor_faults(self, now_ns: int, board: BoardRatings) -> frozenset[Fault]:
        """Return what is wrong with contactor, coil and supply, each by its own name.

        Contacts that part by themselves once they had closed have lost their coil's supply, for a moment or for longer.
        Contacts that are closed by a switch which was found wrong are no weld, until it has had its time to let go.
        """
        found, wrong = self.contactor.faults(now_ns), self.coil.faults
        channels = board.coil_channels
        if channels is None:
            return found
        if channels.supply_mv and Fault.CONTACTOR_FAILED_TO_CLOSE in found and self.contactor.parted:
            live, looked_ns = self.load.sense.live is True, now_ns - (self.contactor.dry_ns or now_ns)
            if not live or looked_ns < PARTED_NS:  # behind a load side that stays live the mirror contact is wrong
                found -= {Fault.CONTACTOR_FAILED_TO_CLOSE}
            if not live and Fault.CONTACTOR_CHANNEL not in wrong:
                found |= {Fault.SUPPLY_24V}
        lets_go_ns = channels.hold_max_ns + board.contactor_release_ns + FOLLOWS_NS
        opening = now_ns - self.contactor.ordered_ns < lets_go_ns
        if wrong and (opening or self.proof.excuses(now_ns, board)):
            found -= {Fault.CONTACTOR_WELDED}
        return found | wrong

    def evidence(self, board: BoardRatings) -> tuple[Evidence, ...]:
        """Return what the last self-test measured, what was found wrong with the coil, and how long its gate holds.

        What is measured all the time bears the self-test's own instant, by which one is told from the next.
        """
        channels = board.coil_channels
        if channels is None:
            return self.tests.evidence
        now_ns = max((each.at_ns for each in self.tests.evidence), default=0)
        found: tuple[Evidence, ...] = () if self.coil.found is None else (self.coil.found,)
        if self.rcd.uncut:
            found += (Evidence(Check.RCD_CUTS_COIL, now_ns, 0, LOW_MV, self.coil.rest_mv),)
        if self.coil.rest_mv and channels.supply_mv:
            found += (Evidence(Check.COIL_SUPPLY, now_ns, 2 * self.coil.rest_mv, *channels.supply_mv),)
        told = {each.check for each in found}
        holds = (each for each in self.coil.gate.evidence(now_ns, channels) if each.check not in told)
        return (*self.tests.evidence, *found, *holds)

    @property
    def released(self) -> frozenset[Fault]:
        """The faults that their own policy lets go in this tick."""
        released = _RCD_TRIPPED if self.rcd.released else NO_FAULTS
        return released | _OVERCURRENT if self.overcurrent.released else released

    def unplugged(self, now_ns: int) -> bool:
        """Return whether the vehicle is surely gone."""
        return self.pilot.state is PilotState.A and now_ns - self.pilot.since_ns >= UNPLUGGED_NS

    def limit(self, settings: MachineSettings, now_ns: int) -> Limit:
        """Return the limit that wins now. Hazard: H-04 overload of circuit, cable or box."""
        board, demand, cable_ma = settings.board, self.lease.demand, self.cable_ma(settings.board)
        capacity_ma = settings.installation.circuit_capacity_ma
        limits = fixed_limits(board.rated_current_ma, capacity_ma, cable_ma)
        if self.derating.level != FULL:
            full_ma = min(board.rated_current_ma, capacity_ma, cable_ma)
            limits.append(Limit(LimitSource.TEMPERATURE, self.derating.limit_ma(full_ma)))
        if self.overcurrent.cap_ma is not None:
            limits.append(Limit(LimitSource.OVERCURRENT, self.overcurrent.cap_ma))
        if self.pilot.duty.lowered:
            limits.append(Limit(LimitSource.PILOT, Milliamps(MIN_OFFER_MA)))
        if demand is None or not self.lease.valid(now_ns):
            limits.append(Limit(LimitSource.LEASE, Milliamps(0)))
        else:
            limits.append(Limit(demand.limit_source, demand.offered_current_ma))
            if self._blind_meter(board, now_ns) or self._blind_heat(board, now_ns):
                limits.append(Limit(LimitSource.STALE_SENSOR, Milliamps(0)))
        return tightest(limits)

    def cable_ma(self, board: BoardRatings) -> Milliamps:
        """Return what the fixed or the plugged cable may carry, 0 where none is known."""
        return self.cable.rating_ma if board.tethered_cable_ma is None else board.tethered_cable_ma

    def loaded(self, now_ns: int, board: BoardRatings) -> bool:
        """Return whether contacts that open now break a current: by the meter, by the pilot where there is none.

        What a node says of a meter that the board does not have counts for nothing.

        A vehicle that shows B has ended its current first. Source: IEC 61851-1 Table A.6 sequence 8.1.
        """
        sample, pilot = self.lease.meter(now_ns) if board.meter_fitted else None, self.pilot
        if pilot.state is PilotState.B and pilot.doubted is None:
            return False
        if sample is not None and sample.current_ma:
            return max(map(abs, sample.current_ma)) >= LOADED_MA
        return pilot.asking(now_ns) or pilot.doubted is not None

    def _blind_meter(self, board: BoardRatings, now_ns: int) -> bool:
        return board.meter_fitted and (self.lease.meter(now_ns) is None or not self.meter_trust.trusted)

    def _blind_heat(self, board: BoardRatings, now_ns: int) -> bool:
        return board.temperature_fitted and (self.lease.temperature(now_ns) is None or not self.heat_trust.trusted)


def first_monitors(now_ns: int, former: frozenset[Fault], *, powered_up: bool) -> Monitors:
    """Return what is known at the start: the `former` faults, and a self-test has begun.

    `powered_up` says that the box has just been switched on, and its residual current device with it.
    """
    return Monitors(
        pilot=PilotMonitor(since_ns=now_ns, seen_ns=now_ns),
        cable=CableMonitor(since_ns=now_ns),
        lease=Lease(),
        contactor=ContactorMonitor(ordered_ns=now_ns, opened_ns=now_ns),
        tests=SelfTest().begun(now_ns),
        rcd=RcdMonitor.switched_on(now_ns) if powered_up and Fault.RCD_TRIPPED not in former else RcdMonitor(),
        lock=LockControl(),
        derating=Derating(TOO_HOT) if Fault.OVER_TEMPERATURE in former else Derating(),
        supply=Supply(),
        overcurrent=Overcurrent(),
        weld_output=first_weld_control(former),
    )


def _coil_look(inputs: Inputs, coil: CoilNode) -> CoilLook | None:
    """Return what the residual current device's test sees of the coil, nothing while its supply is cut on purpose."""
    if inputs.coil is None or inputs.emergency_stop:
        return None
    return CoilLook(at_rest=coil.level is NodeLevel.HALF, at_ground=coil.level is NodeLevel.LOW)


def _ordered(tests: SelfTest, orders: Request, *, closed: bool) -> SelfTest:
    """Return the self-test after this tick's orders."""
    if orders & (Request.CLEAR_USER | Request.CLEAR_INSTALLER):
        tests = tests.forgiven()
    return tests.again() if Request.SELF_TEST in orders and not closed else tests
