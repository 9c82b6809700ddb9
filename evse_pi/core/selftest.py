"""What the box must prove of itself before it may charge, with the contactor open, whatever is plugged in."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum
from typing import TYPE_CHECKING

from evse_pi.core.cable_coding import Cable
from evse_pi.core.evidence import Check, Evidence
from evse_pi.core.faults import FAULTS, NO_FAULTS, Clear, Fault
from evse_pi.core.rcd_monitor import RESET_LIMIT_NS, TRIP_LIMIT_NS
from evse_pi.core.states import PilotMode, PilotState
from hal.units import MILLISECOND, SECOND

if TYPE_CHECKING:
    from evse_pi.core.io_records import Inputs
    from evse_pi.core.machine_settings import MachineSettings
    from evse_pi.core.pilot_monitor import CableMonitor, PilotMonitor
    from evse_pi.core.rcd_monitor import RcdMonitor

RAIL_WINDOWS = 3
STAGE_LIMIT_NS = 2 * SECOND
RETRY_NS = 60 * SECOND
LOW_RAIL_MV = (-13_000, -11_000)
HIGH_RAIL_MV = {  # unplugged it is the rail itself, else what a vehicle within tolerance makes of it
    PilotState.A: (11_000, 13_000),
    PilotState.B: (7_450, 11_000),
    PilotState.C: (4_000, 7_550),
    PilotState.D: (2_000, 4_200),
}


class Stage(Enum):
    """Where the self-test is."""

    DUE = "not yet run"
    LOW_RAIL = "-12 V must be seen"
    CONTACTOR = "must be open, and the load side dead"
    RCD = "must trip and reset"
    HIGH_RAIL = "+12 V must be seen, or what the vehicle makes of it"
    PASSED = "passed"
    FAILED = "failed"


_RUNNING = (Stage.LOW_RAIL, Stage.CONTACTOR, Stage.RCD, Stage.HIGH_RAIL)


@dataclass(frozen=True, slots=True)
class SelfTest:
    """The stage since `since_ns`, the windows in a row that agree, and what the last run found.

    `failed` are the faults of the last run that failed; they stay until a later one passes.
    """

    stage: Stage = Stage.DUE
    since_ns: int = 0
    windows: int = 0
    evidence: tuple[Evidence, ...] = ()
    failed: frozenset[Fault] = NO_FAULTS

    @property
    def running(self) -> bool:
        """It is under way."""
        return self.stage in _RUNNING

    @property
    def passed(self) -> bool:
        """The last run passed, and nothing has asked for another."""
        return self.stage is Stage.PASSED

    @property
    def wanted(self) -> bool:
        """A run is due that has not begun."""
        return self.stage is Stage.DUE

    @property
    def wants_rcd(self) -> bool:
        """The residual current device's test is the next thing to do."""
        return self.stage is Stage.RCD and self.windows == 0

    @property
    def mode(self) -> PilotMode:
        """What the generator shall do for it."""
        return PilotMode.HIGH if self.stage is Stage.HIGH_RAIL else PilotMode.LOW

    def due(self, now_ns: int) -> bool:
        """Return whether a run should begin; one that failed for what may pass by itself is repeated every minute."""
        if self.stage is Stage.FAILED:
            passing = all(Clear.WHEN_GONE in FAULTS[fault].clear for fault in self.failed)
            return passing and now_ns - self.since_ns >= RETRY_NS
        return self.stage is Stage.DUE

    def again(self) -> SelfTest:
        """Return the self-test when another run is wanted."""
        return self if self.running else replace(self, stage=Stage.DUE)

    def abandoned(self) -> SelfTest:
        """Return the self-test when its run can tell nothing."""
        return replace(self, stage=Stage.DUE)

    def forgiven(self) -> SelfTest:
        """Return the self-test after its faults were acknowledged: the next run must pass."""
        return replace(self, stage=Stage.DUE, failed=NO_FAULTS) if self.stage is Stage.FAILED else self

    def begun(self, now_ns: int) -> SelfTest:
        """Return the self-test at the beginning of a run."""
        return SelfTest(Stage.LOW_RAIL, now_ns, failed=self.failed)

    def advance(
        self,
        inputs: Inputs,
        pilot: PilotMonitor,
        cable: CableMonitor,
        rcd: RcdMonitor,
        settings: MachineSettings,
        *,
        tripped: bool = False,
    ) -> SelfTest:
        """Return the self-test after one tick of a run, and itself while none is under way.

        A residual current device that has `tripped` is not tested, as that would reset it; it is tested before the
        next vehicle is offered anything.
        A line that is shorted tells nothing of the generator, and nor does one on rails that have failed: the run is
        given up, and due again when that is over.
        """
        if self.running and not pilot.testable:
            return self.abandoned()
        if self.stage is Stage.LOW_RAIL:
            return self._low_rail(inputs, pilot, settings)
        if self.stage is Stage.CONTACTOR:
            return self._contactor(inputs, settings)
        if self.stage is Stage.RCD:
            return self._rcd(inputs, cable, rcd, settings, tripped=tripped)
        return self._high_rail(inputs, pilot, settings) if self.stage is Stage.HIGH_RAIL else self

    def _low_rail(self, inputs: Inputs, pilot: PilotMonitor, settings: MachineSettings) -> SelfTest:
        low_mv = _line_mv(inputs)
        if low_mv is None or pilot.doubted is not None or not LOW_RAIL_MV[0] <= low_mv <= LOW_RAIL_MV[1]:
            return self._wait(inputs, Check.PILOT_LOW_RAIL, low_mv, LOW_RAIL_MV)
        if self.windows + 1 < RAIL_WINDOWS or inputs.now_ns - self.since_ns < settings.state_f_ns:
            return replace(self, windows=self.windows + 1)
        line = Evidence(Check.PILOT_LOW_RAIL, inputs.now_ns, low_mv, *LOW_RAIL_MV)
        return self._on(inputs.now_ns, Stage.CONTACTOR, line, *_supply(Check.PILOT_NEGATIVE_SUPPLY, inputs, settings))

    def _contactor(self, inputs: Inputs, settings: MachineSettings) -> SelfTest:
        board, now_ns = settings.board, inputs.now_ns
        if now_ns - self.since_ns < board.contactor_release_ns:
            return self
        found: tuple[Evidence, ...] = ()
        if board.mirror_fitted:
            found += (Evidence(Check.MIRROR_OPEN, now_ns, int(inputs.mirror_closed is not False), 0, 0),)
        if board.load_sense_fitted:
            found += (Evidence(Check.LOAD_DEAD, now_ns, int(inputs.load_live is not False), 0, 0),)
        if all(evidence.passed for evidence in found):
            return self._on(now_ns, Stage.RCD, *found)
        if now_ns - self.since_ns < STAGE_LIMIT_NS:
            return self
        seen_closed = inputs.mirror_closed is True or inputs.load_live is True
        return self._fail(now_ns, Fault.CONTACTOR_WELDED if seen_closed else Fault.SELF_TEST_FAILED, *found)

    def _rcd(
        self, inputs: Inputs, cable: CableMonitor, rcd: RcdMonitor, settings: MachineSettings, *, tripped: bool
    ) -> SelfTest:
        now_ns, board = inputs.now_ns, settings.board
        found: tuple[Evidence, ...] = ()
        if rcd.starting:
            return replace(self, since_ns=now_ns)
        if board.rcd_fitted and not (tripped and not self.windows):
            if rcd.testing:
                return self if self.windows else replace(self, windows=1)
            if not self.windows:
                stuck = now_ns - self.since_ns >= STAGE_LIMIT_NS
                return self._fail(now_ns, Fault.SELF_TEST_FAILED) if stuck else self
            if rcd.failed:
                return self._fail(now_ns, Fault.RCD_TEST_FAILED)
            found += (
                Evidence(Check.RCD_TRIPS, now_ns, rcd.trip_took_ns // MILLISECOND, 0, TRIP_LIMIT_NS // MILLISECOND),
                Evidence(Check.RCD_RESETS, now_ns, rcd.reset_took_ns // MILLISECOND, 0, RESET_LIMIT_NS // MILLISECOND),
            )
        if board.emergency_stop_fitted:
            found += (Evidence(Check.EMERGENCY_STOP, now_ns, int(inputs.emergency_stop), 0, 0),)
        if board.proximity_fitted:
            rating_ma = -1 if cable.accepted is Cable.INVALID else cable.rating_ma
            found += (Evidence(Check.PROXIMITY, now_ns, rating_ma, 0, Cable.A63.rating_ma),)
        return self._on(now_ns, Stage.HIGH_RAIL, *found)

    def _high_rail(self, inputs: Inputs, pilot: PilotMonitor, settings: MachineSettings) -> SelfTest:
        now_ns, seen = inputs.now_ns, pilot.debounce.state
        high_mv = None if inputs.pilot is None else inputs.pilot.high_mv
        lowest, highest = HIGH_RAIL_MV.get(seen, HIGH_RAIL_MV[PilotState.A])
        if high_mv is None or pilot.doubted is not None or not lowest <= high_mv <= highest or seen not in HIGH_RAIL_MV:
            return self._wait(inputs, Check.PILOT_HIGH_RAIL, high_mv, (lowest, highest))
        if self.windows + 1 < RAIL_WINDOWS:
            return replace(self, windows=self.windows + 1)
        evidence = Evidence(Check.PILOT_HIGH_RAIL, now_ns, high_mv, lowest, highest)
        rail = _supply(Check.PILOT_POSITIVE_SUPPLY, inputs, settings)
        return SelfTest(Stage.PASSED, now_ns, evidence=(*self.evidence, evidence, *rail))

    def _wait(self, inputs: Inputs, check: Check, measured_mv: int | None, band: tuple[int, int]) -> SelfTest:
        if inputs.now_ns - self.since_ns < STAGE_LIMIT_NS:
            return self if self.windows == 0 else replace(self, windows=0)
        if measured_mv is None:
            return self._fail(inputs.now_ns, Fault.SELF_TEST_FAILED)
        return self._fail(inputs.now_ns, Fault.PILOT_GENERATOR, Evidence(check, inputs.now_ns, measured_mv, *band))

    def _on(self, now_ns: int, stage: Stage, *found: Evidence) -> SelfTest:
        return SelfTest(stage, now_ns, evidence=(*self.evidence, *found), failed=self.failed)

    def _fail(self, now_ns: int, fault: Fault, *found: Evidence) -> SelfTest:
        evidence = (*self.evidence, *found)
        return SelfTest(Stage.FAILED, now_ns, evidence=evidence, failed=frozenset((fault,)))


def _supply(check: Check, inputs: Inputs, settings: MachineSettings) -> tuple[Evidence, ...]:
    """Return what the rail behind the line read, nothing on a board that does not see it."""
    window_mv, supply = settings.board.pilot_supply_mv, inputs.pilot.supply if inputs.pilot else None
    if window_mv is None or supply is None:
        return ()
    lowest, highest = window_mv
    if check is Check.PILOT_NEGATIVE_SUPPLY:
        return (Evidence(check, inputs.now_ns, supply.negative_mv, -highest, -lowest),)
    return (Evidence(check, inputs.now_ns, supply.positive_after_mv, lowest, highest),)


def _line_mv(inputs: Inputs) -> int | None:
    """Return the level of a line that should hold −12 V, wherever it is."""
    if inputs.pilot is None:
        return None
    return inputs.pilot.high_mv if inputs.pilot.low_mv is None else inputs.pilot.low_mv
