"""The state machine of the wallbox: every decision about contactor and pilot is made in this file.

Theory of operation. The vehicle speaks by the pilot's voltage, the box by its duty. The box is in one of seven phases;
TRANSITIONS says which follows which, and on what: of several conditions that hold, the first row wins. What a phase
drives stands in `_generator` and in CLOSED_PHASES. The vehicle's state and what the generator does make the nine states
of the standard, see `evse_state`.

The other modules of this package are smaller machines of the same shape, each with one question: what does the vehicle
show (pilot_monitor), who permits and until when (lease), how much (limits, temperature), is the contactor where it was
told to be (contactor_monitor), does the box work at all (selftest, rcd_monitor), is the current right (overcurrent,
supply), is the plug held (lock_control), does the vehicle sleep (wakeup), what is wrong and what clears it (faults).
They answer; only `step` acts on the answers.

One step is one tick: everything is advanced first, then the faults are collected, then at most one transition is
taken, then the outputs follow from the phase. A fault that opens the contactor does so in the tick that saw it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum
from typing import TYPE_CHECKING

from evse_pi.core.channel_proof import SPARE_NS, ProofStage, proof_ns
from evse_pi.core.faults import RETESTED, Clear, Fault, FaultBook, latched
from evse_pi.core.io_records import SAFE_OUTPUTS, Outputs, PilotOutput
from evse_pi.core.limits import Limit, Offer
from evse_pi.core.monitors import ControlContext, Monitors, first_monitors
from evse_pi.core.pilot import DiodeVerdict
from evse_pi.core.pilot_monitor import ASKING, CABLE_EXPECTED_NS, STATE_B_NS
from evse_pi.core.rcd_monitor import RECLOSE_WAIT_NS
from evse_pi.core.records import Request
from evse_pi.core.states import EvseState, LimitSource, PilotMode, PilotState, Reason
from evse_pi.core.transition_log import TransitionLog
from evse_pi.core.wakeup import Waking
from hal.units import MILLISECOND, SECOND, DutyPpm, Milliamps

if TYPE_CHECKING:
    from collections.abc import Container, Iterable

    from evse_pi.core.io_records import Inputs
    from evse_pi.core.machine_settings import MachineSettings

STOP_GRACE_NS = 6 * SECOND
"""From the end of the offer to opening under load. Source: sequence 10.2."""
CLOSE_AFTER_NS = 500 * MILLISECOND
"""C shorter than this is a toggle or a glitch, 200 to 250 ms are seen; sequence 4 asks for power within 3 s of C."""


class Phase(Enum):
    """What the box is doing."""

    TESTING = "proves itself"
    STANDBY = "offers nothing"
    OFFERING = "offers current, contactor open"
    WAKING = "wakes a vehicle that ignores the offer"
    CHARGING = "contactor closed"
    STOPPING = "offers nothing any more, contactor closed until the vehicle lets go"
    FAULTED = "shows state F after a fault"


class Condition(Enum):
    """What can make the box go to another phase."""

    FAULT = "a fault that opens is active"
    TEST_OVER = "the self-test has passed or failed"
    TEST_DUE = "a self-test is wanted, the line is not shorted and its supply not failed"
    RELEASED = "the vehicle does not ask for power, and charging is not allowed"
    LET_GO = "the vehicle does not ask for power"
    GONE = "no vehicle is seen"
    REFUSED = "charging is not allowed"
    OFFERABLE = "vehicle there, charging allowed, 5 s since the last change of the pilot"
    CLOSABLE = "vehicle asks, diode seen, contacts cool"
    WAKE_DUE = "the vehicle sleeps"
    WOKEN = "the vehicle asks, or the step was held for long enough"
    F_OVER = "state F was shown for 300 ms"
    GRACE_OVER = "the vehicle had 6 s"


TRANSITIONS: dict[Phase, tuple[tuple[Condition, Phase], ...]] = {
    Phase.TESTING: ((Condition.TEST_OVER, Phase.STANDBY),),
    Phase.STANDBY: (
        (Condition.TEST_DUE, Phase.TESTING),
        (Condition.OFFERABLE, Phase.OFFERING),
    ),
    Phase.OFFERING: (
        (Condition.FAULT, Phase.FAULTED),
        (Condition.GONE, Phase.STANDBY),
        (Condition.TEST_DUE, Phase.TESTING),
        (Condition.REFUSED, Phase.STANDBY),
        (Condition.CLOSABLE, Phase.CHARGING),
        (Condition.WAKE_DUE, Phase.WAKING),
    ),
    Phase.WAKING: (
        (Condition.GONE, Phase.STANDBY),
        (Condition.TEST_DUE, Phase.TESTING),
        (Condition.REFUSED, Phase.STANDBY),
        (Condition.WOKEN, Phase.STANDBY),
    ),
    Phase.CHARGING: (
        (Condition.FAULT, Phase.FAULTED),
        (Condition.GONE, Phase.STANDBY),
        (Condition.RELEASED, Phase.STANDBY),
        (Condition.LET_GO, Phase.OFFERING),
        (Condition.REFUSED, Phase.STOPPING),
    ),
    Phase.STOPPING: (
        (Condition.FAULT, Phase.FAULTED),
        (Condition.LET_GO, Phase.STANDBY),
        (Condition.GRACE_OVER, Phase.STANDBY),
    ),
    Phase.FAULTED: ((Condition.F_OVER, Phase.STANDBY),),
}

TOLD_OF_FAULTS = (Reason.FAULT, Reason.RETRY_WAIT, Reason.TRYING_AGAIN, Reason.KEPT_AFTER_REPEATS)
_ASKED_FOR_BY_WAKING = (Reason.RCD_TEST, Reason.PWM_SETTLING)
"""A step of the wake-up that hid the vehicle asks for them by itself: they end no ladder and begin none."""
CLOSED_PHASES = (Phase.CHARGING, Phase.STOPPING)
_OFFERING_PHASES = (Phase.OFFERING, Phase.CHARGING)
_HIGH, _LOW = PilotOutput(PilotMode.HIGH, DutyPpm(0)), PilotOutput(PilotMode.LOW, DutyPpm(0))
_STEADY = {
    PilotState.A: EvseState.A,
    PilotState.B: EvseState.B1,
    PilotState.C: EvseState.C1,
    PilotState.D: EvseState.D1,
}
_OSCILLATING = {
    PilotState.A: EvseState.A,
    PilotState.B: EvseState.B2,
    PilotState.C: EvseState.C2,
    PilotState.D: EvseState.D2,
}


def evse_state(pilot: PilotState, mode: PilotMode) -> EvseState:
    """Return the state of the standard; a line that was never read, or no longer can be, counts as not available."""
    if mode is PilotMode.LOW or pilot in (PilotState.INVALID, PilotState.F):
        return EvseState.F
    return (_OSCILLATING if mode is PilotMode.PWM else _STEADY).get(pilot, EvseState.E)


@dataclass(frozen=True, slots=True)
class MachineStatus:
    """The state to report: the limit that wins, whether charging is permitted, and the reason for the state."""

    evse_state: EvseState
    limit: Limit
    permitted: bool
    reason: Reason
    reason_until_ns: int = 0


@dataclass(frozen=True, slots=True)
class MachineState:
    """Everything that one tick hands to the next; `since_ns` is when the phase began."""

    phase: Phase
    since_ns: int
    watch: Monitors
    book: FaultBook
    offer: Offer
    waking: Waking
    status: MachineStatus
    journal: TransitionLog
    outputs: Outputs


def initial(now_ns: int, former: Iterable[Fault] = (), *, powered_up: bool = False) -> MachineState:
    """Return the state to start with: safe outputs and a self-test.

    `former` are faults that outlived a restart; `powered_up` says that the box has just been switched on, and nothing
    was watched before: else a device that says tripped has tripped.
    """
    former = frozenset(former)
    return MachineState(
        phase=Phase.TESTING,
        since_ns=now_ns,
        watch=first_monitors(now_ns, former, powered_up=powered_up),
        book=latched(former, now_ns),
        offer=Offer(),
        waking=Waking(0, now_ns, now_ns),
        status=MachineStatus(
            EvseState.F, Limit(LimitSource.LEASE, Milliamps(0)), permitted=False, reason=Reason.SELF_TEST
        ),
        journal=TransitionLog(),
        outputs=SAFE_OUTPUTS,
    )


def step(state: MachineState, inputs: Inputs, settings: MachineSettings) -> tuple[MachineState, Outputs]:
    """Return the state after one tick and what the drivers shall do.

    Hazard: H-01 to H-07 and H-13 to H-15; the contactor is closed in no phase but CHARGING and STOPPING.
    """
    now_ns = inputs.now_ns
    doing = ControlContext(
        state.outputs, state.offer.reference_ma(), standby=state.phase is Phase.STANDBY, faults=state.book.active
    )
    watch = state.watch.advance(inputs, settings, doing)
    present, held = watch.faults(inputs, settings), watch.recurrence.held(now_ns)
    book = state.book.advance(now_ns, present, _clearing(watch, now_ns), watch.released, held)
    if state.watch.contactor.closed and not book.active <= state.book.active:
        recurrence = watch.recurrence.ended(now_ns, book.active - state.book.active)
        watch = replace(watch, recurrence=recurrence)
    if not RETESTED.isdisjoint(state.book.active - book.active):
        watch = replace(watch, tests=watch.tests.again())
    limit = watch.limit(settings, now_ns)
    refusal = _refusal(watch, book, limit, settings, now_ns)
    refused_otherwise = refusal is not None and refusal[0] not in _ASKED_FOR_BY_WAKING
    waking = _waking(state, watch, settings, now_ns, refused=refused_otherwise)
    seen = MachineState(
        state.phase, state.since_ns, watch, book, state.offer, waking, state.status, state.journal, state.outputs
    )
    seen = _proven(seen, inputs, settings, wanted=refusal is None)
    phase = _next_phase(seen, settings, now_ns, refused=refusal is not None)
    moved = _act(seen, phase, limit, settings, now_ns)
    return _told(moved, limit, refusal, settings, now_ns), moved.outputs


def _next_phase(state: MachineState, settings: MachineSettings, now_ns: int, *, refused: bool) -> Phase:
    """Return the phase that the table names for what is the case."""
    watch = state.watch
    asking, connected = watch.pilot.asking(now_ns), watch.pilot.connected
    holds = {
        Condition.FAULT: state.book.opening,
        Condition.TEST_OVER: not watch.tests.running,
        Condition.TEST_DUE: watch.tests.due(now_ns) and watch.pilot.testable,
        Condition.RELEASED: refused and not asking,
        Condition.LET_GO: not asking,
        Condition.GONE: not connected,
        Condition.REFUSED: refused,
        Condition.OFFERABLE: connected and not refused and now_ns >= state.offer.raisable_ns,
        Condition.CLOSABLE: asking and _closable(state, settings, now_ns),
        Condition.WAKE_DUE: state.waking.due(now_ns, settings.wake_up),
        Condition.WOKEN: state.waking.over(now_ns),
        Condition.F_OVER: now_ns - state.since_ns >= settings.state_f_ns,
        Condition.GRACE_OVER: now_ns - state.since_ns >= STOP_GRACE_NS,
    }
    return phase_after(state.phase, {condition for condition, is_so in holds.items() if is_so})


def phase_after(phase: Phase, holding: Container[Condition]) -> Phase:
    """Return the phase that follows when the conditions `holding` hold, `phase` itself if no row of it applies."""
    for condition, following in TRANSITIONS[phase]:
        if condition in holding:
            return following
    return phase


def _proven(state: MachineState, inputs: Inputs, settings: MachineSettings, *, wanted: bool) -> MachineState:
    """Return the state with one more look at the coil's two switches, in time for the close that is `wanted`."""
    watch, now_ns = state.watch, inputs.now_ns
    soon_ns = now_ns + proof_ns(settings.board) + SPARE_NS
    asked = wanted and state.phase is Phase.OFFERING and watch.pilot.asking(now_ns) and not state.book.opening
    proven = watch.prove(inputs, settings.board, wanted=asked and _permissible(state, settings, soon_ns))
    return state if proven is watch else replace(state, watch=proven)


def _closable(state: MachineState, settings: MachineSettings, now_ns: int) -> bool:
    """Return whether nothing speaks against closing for a vehicle that asks and is allowed to charge."""
    ready = state.watch.contactor.apart and state.watch.proof.proven(settings.board)
    return ready and _permissible(state, settings, now_ns)


def _permissible(state: MachineState, settings: MachineSettings, now_ns: int) -> bool:
    """Return whether the diode, the contacts' rest and the time that C has been shown allow to close at `now_ns`."""
    pilot, rested_ns = state.watch.pilot, state.watch.contactor.rested_ns(settings.board.contactor_min_off_ns)
    asked_ns = max(pilot.since_ns, state.since_ns)
    return now_ns - asked_ns >= CLOSE_AFTER_NS and pilot.diode.verdict is DiodeVerdict.OK and now_ns >= rested_ns


def _refusal(
    watch: Monitors, book: FaultBook, limit: Limit, settings: MachineSettings, now_ns: int
) -> tuple[Reason, int] | None:
    """Return the first reason not to charge and when it ends, 0 for not known; None when charging is allowed."""
    demand = watch.lease.demand
    if book.active:
        return _fault_reason(watch, book, settings)
    if not watch.tests.passed:
        return Reason.SELF_TEST, 0
    if demand is None or not watch.lease.valid(now_ns):
        return Reason.NO_LEASE, 0
    if not demand.permitted:
        return Reason.NOT_PERMITTED, 0
    if limit.source is LimitSource.CABLE and not limit.current_ma:
        return Reason.READING_CABLE, watch.pilot.since_ns + CABLE_EXPECTED_NS
    if not limit.chargeable:
        return Reason.LIMIT_BELOW_MINIMUM, 0
    if watch.pilot.connected and not watch.pilot.proof.given:
        # a vehicle in B is offered nothing before, so that it cannot ask too early
        asks = watch.pilot.state in ASKING or watch.pilot.proof.crept
        return (Reason.STATE_B_NOT_SEEN, 0) if asks else (Reason.PWM_SETTLING, watch.pilot.since_ns + STATE_B_NS)
    if not watch.contactor.closed and watch.pilot.connected and now_ns < watch.vehicle_doubt.pause_ns:
        return Reason.VEHICLE_ASKED, watch.vehicle_doubt.pause_ns
    if not watch.contactor.closed and now_ns < watch.budgets.closable_ns:
        return Reason.TOO_MANY_STOPS, watch.budgets.closable_ns
    if settings.board.rcd_fitted and not watch.contactor.closed and not watch.rcd.ready(now_ns):
        return Reason.RCD_TEST, 0
    if settings.board.lock_fitted and not watch.lock.holding:
        return Reason.LOCKING, 0
    return None


def _fault_reason(watch: Monitors, book: FaultBook, settings: MachineSettings) -> tuple[Reason, int]:
    """Return FAULT, or that a fault is kept, or when the box itself will reset a trip or try again.

    A time is told only where the conditions are gone: while one lasts, the box does not try again at any time.
    """
    recurrence, clears_ns = watch.recurrence, book.clears_by_itself_ns
    if not book.active.isdisjoint(recurrence.kept):
        return Reason.KEPT_AFTER_REPEATS, 0
    if clears_ns is not None and recurrence.until_ns(book.active):
        return Reason.TRYING_AGAIN, max(clears_ns, recurrence.until_ns(book.active))
    if book.active == {Fault.OVERCURRENT} and watch.overcurrent.retry_ns is not None:
        return Reason.TRYING_AGAIN, watch.overcurrent.retry_ns
    rcd = watch.rcd
    alone = book.active == {Fault.RCD_TRIPPED} and rcd.tripped_ns is not None
    if alone and rcd.reclosures < settings.installation.rcd_reclosures and not rcd.locked_out:
        return Reason.RETRY_WAIT, (rcd.tripped_ns or 0) + RECLOSE_WAIT_NS
    return Reason.FAULT, 0


def _clearing(watch: Monitors, now_ns: int) -> Clear:
    """Return the ways of clearing a fault that are open in this tick."""
    clearing = Clear.RESTART
    if watch.unplugged(now_ns):
        clearing |= Clear.ON_UNPLUG
    if Request.CLEAR_USER in watch.lease.orders:
        clearing |= Clear.BY_USER
    if Request.CLEAR_INSTALLER in watch.lease.orders:
        clearing |= Clear.BY_INSTALLER
    return clearing


def _waking(state: MachineState, watch: Monitors, settings: MachineSettings, now_ns: int, *, refused: bool) -> Waking:
    """Return where the wake-up ladder stands: at its foot after plug-in, after C, for a new offer and on request.

    A vehicle that asks takes the box off the ladder: no step is due then, and one that is being taken is over.
    """
    unknown = watch.pilot.state is PilotState.INVALID
    if not (watch.pilot.connected or unknown) or watch.pilot.asking(now_ns):
        return state.waking.asked(now_ns)
    if Request.RESTART_WAKE_UP in watch.lease.orders and state.waking.holding is None:
        return state.waking.restarted(now_ns - settings.wake_up.patience_ns)
    return state.waking.restarted(now_ns) if refused else state.waking


def _act(state: MachineState, phase: Phase, limit: Limit, settings: MachineSettings, now_ns: int) -> MachineState:
    """Return the state with `phase` entered, or kept, and the outputs that follow from it."""
    watch, waking = state.watch, state.waking
    entered = phase is not state.phase
    if entered and phase is Phase.TESTING:
        watch = replace(watch, tests=watch.tests.begun(now_ns))
    if entered and phase is Phase.WAKING:
        waking = waking.begun(now_ns, settings.wake_up)
    if entered and state.phase is Phase.WAKING and waking.holding and waking.holding.mode is PilotMode.LOW:
        watch = replace(watch, pilot=watch.pilot.forgotten(now_ns), rcd=watch.rcd.unplugged())
    if entered and phase is Phase.OFFERING and state.phase is Phase.STANDBY:
        waking = waking.offered(now_ns)
    closed = phase in CLOSED_PHASES
    loaded = watch.loaded(now_ns, settings.board)
    eased = watch.pilot.state is PilotState.B and not loaded
    contactor = watch.contactor.order(now_ns, closed=closed, loaded=loaded, eased=eased)
    if contactor is not watch.contactor:
        ours = not closed and (state.phase is Phase.STOPPING or phase is Phase.FAULTED)
        watch = replace(watch, contactor=contactor, budgets=watch.budgets.stopped(now_ns) if ours else watch.budgets)
    if phase is not Phase.OFFERING and watch.proof.stage is not ProofStage.IDLE:
        watch = replace(watch, proof=watch.proof.stopped(now_ns))
    offer = state.offer.advance(now_ns, limit.current_ma if phase in _OFFERING_PHASES else Milliamps(0))
    since_ns = now_ns if entered else state.since_ns
    outputs = Outputs(
        closed,
        _generator(phase, watch, offer, waking),
        watch.lock.motor if settings.board.lock_fitted else None,
        watch.rcd.injecting,
        watch.rcd.pulsing,
        watch.weld_output.driving,
        coil_returned=closed or watch.proof.returned or watch.rcd.coil_returned,
        gate_fed=closed or watch.proof.gate_fed,
    )
    return MachineState(phase, since_ns, watch, state.book, offer, waking, state.status, state.journal, outputs)


def _generator(phase: Phase, watch: Monitors, offer: Offer, waking: Waking) -> PilotOutput:
    """Return what the generator does in `phase`; it oscillates only to offer a current."""
    if phase in _OFFERING_PHASES and offer.offered_ma:
        return PilotOutput(PilotMode.PWM, offer.duty_ppm)
    if phase is Phase.TESTING:
        return _LOW if watch.tests.mode is PilotMode.LOW else _HIGH
    if phase is Phase.WAKING and waking.holding is not None:
        return _LOW if waking.holding.mode is PilotMode.LOW else _HIGH
    return _LOW if phase is Phase.FAULTED else _HIGH


def _told(
    state: MachineState, limit: Limit, refusal: tuple[Reason, int] | None, settings: MachineSettings, now_ns: int
) -> MachineState:
    """Return the state with its status and its journal brought up to date."""
    watch, demand = state.watch, state.watch.lease.demand
    mode = state.outputs.pilot.mode
    reason, until_ns = _reason(state, refusal, settings, now_ns)
    status = MachineStatus(
        evse_state(watch.pilot.state, mode),
        limit,
        demand is not None and demand.permitted and watch.lease.valid(now_ns),
        reason,
        until_ns,
    )
    shown = (
        status.evse_state,
        watch.pilot.state,
        state.outputs.close_ordered,
        state.offer.offered_ma,
        state.book.active,
        reason,
    )
    return replace(state, status=status, journal=state.journal.note(now_ns, shown))


def _reason(
    state: MachineState, refusal: tuple[Reason, int] | None, settings: MachineSettings, now_ns: int
) -> tuple[Reason, int]:
    """Return why current cannot flow, or that it can, and until when that holds, 0 for not known."""
    watch, phase = state.watch, state.phase
    if phase is Phase.CHARGING:
        return (Reason.CHARGING if watch.contactor.made else Reason.STARTING), 0
    if phase is Phase.STOPPING:
        return Reason.STOPPING, state.since_ns + STOP_GRACE_NS
    if phase is Phase.TESTING:
        return (Reason.RCM_STARTING, watch.rcd.awake_ns) if watch.rcd.starting else (Reason.SELF_TEST, 0)
    if refusal is not None and refusal[0] in TOLD_OF_FAULTS:
        return refusal
    if watch.load.feeding:
        return Reason.VEHICLE_FEEDS, 0
    if phase is Phase.FAULTED:
        return Reason.STATE_F_HOLD, state.since_ns + settings.state_f_ns
    if phase is Phase.WAKING and state.waking.holding is not None:
        return Reason.WAKING_VEHICLE, state.since_ns + state.waking.holding.hold_ns
    if not watch.pilot.connected:
        return (Reason.NO_VEHICLE if watch.pilot.state is PilotState.A else Reason.PILOT_UNCERTAIN), 0
    if refusal is not None:
        return refusal
    if phase is Phase.STANDBY:
        return Reason.PWM_SETTLING, state.offer.raisable_ns
    if not watch.pilot.asking(now_ns):
        return Reason.VEHICLE_NOT_READY, 0
    cool_ns = watch.contactor.rested_ns(settings.board.contactor_min_off_ns)
    return (Reason.MINIMUM_OFF_TIME, cool_ns) if now_ns < cool_ns else (Reason.STARTING, 0)
