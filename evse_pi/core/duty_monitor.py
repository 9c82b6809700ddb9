"""Whether the pilot offers what it is told to: the duty cycle that the line has, measured over a second."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from evse_pi.core.faults import NO_FAULTS, Fault
from evse_pi.core.states import PilotMode

if TYPE_CHECKING:
    from evse_pi.core.io_records import PilotOutput, PilotReading

WINDOWS = 100
"""One window is off by 4 points of standard deviation on a slow processor, the mean over so many phases by 0.4."""
MAX_ERROR_PPM = 20_000  # 1.2 A
VERDICTS_TO_FAIL = 2


@dataclass(frozen=True, slots=True)
class DutyMonitor:
    """The error of the duty cycle, added up over `windows`, and how often its mean was too great for this vehicle.

    The first time the offer is lowered, so that the vehicle draws less than it may while the second judgement is made;
    the second time is a fault, until the vehicle has gone: without one the pilot does not oscillate, so that neither
    time nor a restart of the process can prove the generator right.
    Hazard: H-04, a vehicle follows the duty cycle that it gets and not the one that was meant.
    """

    windows: int = 0
    error_ppm: int = 0
    lowered: bool = False
    verdicts: int = 0

    def advance(self, reading: PilotReading, output: PilotOutput) -> DutyMonitor:
        """Return what is known after a believed window of a vehicle, taken while the generator did `output`."""
        if output.mode is not PilotMode.PWM or reading.duty_ppm is None:
            return self
        windows, error_ppm = self.windows + 1, self.error_ppm + reading.duty_ppm - output.duty_ppm
        if windows < WINDOWS:
            return replace(self, windows=windows, error_ppm=error_ppm)
        wrong = abs(error_ppm) > MAX_ERROR_PPM * WINDOWS
        return DutyMonitor(lowered=wrong, verdicts=min(self.verdicts + wrong, VERDICTS_TO_FAIL))

    @property
    def faults(self) -> frozenset[Fault]:
        """What is wrong with the generator."""
        return frozenset((Fault.PILOT_DUTY,)) if self.verdicts >= VERDICTS_TO_FAIL else NO_FAULTS


UNJUDGED = DutyMonitor()
