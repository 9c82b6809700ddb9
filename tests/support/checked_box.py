"""The ideal wallbox under watch: what must hold after every tick of the state machine. Numbers are literal."""

from __future__ import annotations

from evse_pi.charging.evse_status import EvseStatus, Permission, SafetyReport, decide_status
from evse_pi.core.faults import FAULTS, Clear, Fault, Severity
from evse_pi.core.records import Request
from evse_pi.core.states import FaultState, MatterState, PilotMode, PilotState, SupplyState
from tests.support.ideal_box import MS, IdealBox, S

CABLES = {1_500: 13_000, 680: 20_000, 220: 32_000, 100: 63_000}


def car_reads(duty_ppm: int) -> int:
    """Return what a vehicle may draw at a duty cycle, in mA."""
    if duty_ppm <= 850_000:
        return duty_ppm * 6 // 100
    return (duty_ppm - 640_000) // 4


class CheckedBox(IdealBox):
    """The ideal box, which checks every invariant after every tick."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.asking_ns = -(10**18)
        self.allowed_ns = -(10**18)
        self.closed_ns = -(10**18)
        self.unplugged_ns = self.gone_long_ns = self.now_ns
        self.gone_ns: dict[Fault, int] = {}
        self.told: list[int] = []
        self.sound_ns = self.unsound_ns = self.ordered_ns = self.now_ns

    def tick(self) -> None:
        was_closed, before, number = self.closed, self.faults, self.state.watch.lease.order_number
        super().tick()
        ordered = number is not None and number != self.state.watch.lease.order_number
        self._remember()
        self.check_closed(was_closed)
        self.check_offer()
        self.check_faults(before, self.request if ordered else Request.NONE)
        self.check_views()
        self.check_plug()
        if self.settings.board.coil_channels is not None:
            self.check_coil(was_closed)
        self.told += [t.number for t in self.state.journal.transitions if not self.told or t.number > self.told[-1]]

    def restart(self) -> None:
        super().restart()
        self.told, self.gone_ns = [], {}
        self.asking_ns = -(10**18)

    def _remember(self) -> None:
        if self.vehicle in ("C", "D") and not self.garbled:
            self.asking_ns = self.now_ns
        demand = self.demand
        valid = demand is not None and demand.valid_until_ns > self.now_ns and demand.permitted
        soft = any(FAULTS[fault].severity is Severity.STOP for fault in self.faults)
        if demand is not None and valid and 6_000 <= demand.offered_current_ma <= 80_000 and not soft:
            self.allowed_ns = self.now_ns
        if self.vehicle != "A" and not self.garbled:  # one that comes and goes unseen was never there
            self.unplugged_ns = self.now_ns
        elif self.now_ns - self.unplugged_ns >= 1 * S:
            self.gone_long_ns = self.now_ns
        sources = self.failures | self.alarms
        for fault in self.faults:
            self.gone_ns[fault] = self.now_ns if fault in sources else self.gone_ns.get(fault, self.now_ns)

    def check_closed(self, was_closed: bool) -> None:
        if not self.closed:
            return
        pilot = self.state.watch.pilot
        allowed = (PilotState.C, PilotState.D) if self.settings.installation.ventilated else (PilotState.C,)
        assert pilot.state in allowed, "I1"
        assert self.state.watch.tests.passed, "I1"
        assert all(FAULTS[fault].severity is Severity.STOP for fault in self.faults), "I1, I4"
        assert self.now_ns - self.allowed_ns <= 6_100 * MS, "I1, I6"
        assert not self.failures, "I4"
        assert self.now_ns - self.asking_ns + self.settings.board.contactor_release_ns <= 100 * MS, "I2"
        if not was_closed:
            assert self.now_ns - self.closed_ns >= 5 * S, "I9"
            assert self.now_ns - self.started_ns >= 10 * S, "I9"
            assert self.diode, "H-06"
            self.closed_ns = self.now_ns
            board = self.settings.board
            assert not board.lock_fitted or self.locked, "H-13"

    def check_offer(self) -> None:
        offered_ma = self.state.offer.offered_ma
        if self.mode is not PilotMode.PWM:
            assert offered_ma == 0
            return
        assert self.state.watch.pilot.state in (PilotState.B, PilotState.C, PilotState.D)
        house, board = self.settings.installation, self.settings.board
        assert self.demand is not None
        limits: list[int] = [house.circuit_capacity_ma, board.rated_current_ma, self.demand.offered_current_ma]
        limits.append(board.tethered_cable_ma or CABLES[self.ohms or 0])
        assert 6_000 <= car_reads(self.outputs.pilot.duty_ppm) <= offered_ma <= min(limits), "I3"

    def check_faults(self, before: frozenset[Fault], ordered: Request) -> None:
        for fault in before - self.faults:
            clear = FAULTS[fault].clear
            ways = [
                Clear.ON_UNPLUG in clear and self.now_ns - self.gone_long_ns <= 30 * MS,
                Clear.BY_USER in clear and Request.CLEAR_USER in ordered,
                Clear.BY_INSTALLER in clear and Request.CLEAR_INSTALLER in ordered,
                fault is Fault.RCD_TRIPPED and not self.rcd_latched,
            ]
            assert fault not in self.failures | self.alarms, "I5"
            gone_long = self.now_ns - self.gone_ns.pop(fault) >= FAULTS[fault].clear_delay_ns
            assert any(ways) or (Clear.WHEN_GONE in clear and gone_long), f"I5 {fault.name}"

    def check_views(self) -> None:
        status = self.state.status
        permission = Permission(status.permitted, diagnosing=self.state.watch.tests.running)
        report = SafetyReport(self.state.watch.pilot.state, self.faults, self.closed)
        view = decide_status(report, permission, EvseStatus())
        faulty = view.fault is not FaultState.NO_ERROR
        assert faulty == bool(self.faults), "I7"
        assert faulty == (view.supply is SupplyState.DISABLED_ERROR) == (view.state is MatterState.FAULT), "I7"

    def check_coil(self, was_closed: bool) -> None:
        """One switch alone never closes, and each is shown before a close: docs/boards/reference.md, "Contactor"."""
        outputs, coil = self.outputs, self.coil
        assert self.closed or not (outputs.gate_fed and outputs.coil_returned), "H-09"
        if coil.sound:
            self.sound_ns = self.now_ns
        else:
            self.unsound_ns = self.now_ns
        if self.closed:
            assert outputs.gate_fed, "H-09"
            self.ordered_ns = self.now_ns
            began = not was_closed
            assert not began or self.now_ns - self.sound_ns <= 130 * MS, "H-09: what the proof must show is not there"
        elif self.contacts_closed:
            # a gate holds for 58 ms at most, or 80 ms where it is wrong, and the contactor lets go within 20 ms
            assert self.now_ns - self.ordered_ns <= 110 * MS, "H-02"

    def check_plug(self) -> None:
        outputs = self.outputs
        assert not (outputs.close_ordered and (outputs.rcd_test or outputs.rcd_reset)), "H-05"
        if self.contacts_closed:
            assert outputs.lock is not False, "H-13"
