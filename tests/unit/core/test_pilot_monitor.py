"""What a window of the pilot tells of a vehicle, and what a time that was not looked at does not tell.

Source: docs/adr/0016-state-b-at-a-fixed-cable.md; the voltages of the states from IEC 61851-1 Table A.4.
"""

from __future__ import annotations

import pytest

from evse_pi.core.io_records import PilotOutput, PilotReading
from evse_pi.core.pilot_monitor import PilotMonitor
from evse_pi.core.states import PilotMode
from hal.units import MILLISECOND, SECOND, DutyPpm, Millivolts

pytestmark = pytest.mark.hazard("H-02")

HIGH = PilotOutput(PilotMode.HIGH, DutyPpm(0))
A, BETWEEN, B, C = 12_000, 10_850, 9_000, 6_000


class Line:
    """A pilot line that is looked at every 10 ms, unless the process stands still."""

    def __init__(self) -> None:
        self.now_ns = SECOND
        self.monitor = PilotMonitor()

    def show(self, mv: int, windows: int) -> None:
        for _ in range(windows):
            self.now_ns += 10 * MILLISECOND
            reading = PilotReading(Millivolts(mv), Millivolts(mv), Millivolts(0), 96, 0, 1_000_000)
            self.monitor = self.monitor.advance(self.now_ns, reading, HIGH)


@pytest.mark.parametrize("still_s", [0, 1, 8])
def test_a_process_that_stood_still_between_a_and_b_has_seen_nothing_creep(still_s: int) -> None:
    line = Line()
    line.show(A, 100)
    line.now_ns += still_s * SECOND
    line.show(B, 40)
    assert line.monitor.proof.given
    line.now_ns += still_s * SECOND
    line.show(C, 40)
    assert line.monitor.proof.given


@pytest.mark.parametrize(("windows", "given"), [(40, True), (60, False)])
def test_a_line_that_is_seen_between_a_and_b_for_longer_than_a_plug_bounces_creeps(windows: int, given: bool) -> None:
    line = Line()
    line.show(A, 100)
    line.show(BETWEEN, windows)
    line.show(B, 40)
    assert line.monitor.proof.given is given
