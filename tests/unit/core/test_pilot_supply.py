"""The rails of the pilot's generator: what is good, what the line must agree with, and what a session forgives."""

from __future__ import annotations

import pytest

from evse_pi.core.faults import Fault
from evse_pi.core.io_records import PilotOutput, PilotReading, PilotSupply
from evse_pi.core.pilot import classify
from evse_pi.core.pilot_monitor import PilotMonitor
from evse_pi.core.pilot_supply import SupplyWatch, agrees, supplied
from evse_pi.core.states import PilotMode, PilotState
from hal.units import MILLISECOND, SECOND, DutyPpm, Millivolts

A, B, C, D, INVALID = PilotState.A, PilotState.B, PilotState.C, PilotState.D, PilotState.INVALID
PWM = PilotOutput(PilotMode.PWM, DutyPpm(500_000))
HIGH, LOW = PilotOutput(PilotMode.HIGH, DutyPpm(0)), PilotOutput(PilotMode.LOW, DutyPpm(0))
WINDOW = (Millivolts(11_500), Millivolts(12_500))


def reading(
    high_mv: int | None, rails: tuple[int, int, int] | None = (12_000, 12_000, -12_000), low_mv: int | None = -11_940
) -> PilotReading:
    supply = PilotSupply(*map(Millivolts, rails)) if rails else None
    share = 500_000 if low_mv is not None else 1_000_000
    high = None if high_mv is None else Millivolts(high_mv)
    return PilotReading(
        high, None if low_mv is None else Millivolts(low_mv), Millivolts(0), 48, 48, share, supply=supply
    )


@pytest.mark.parametrize("place", [0, 1, 2])
@pytest.mark.parametrize(
    ("volts", "good"), [(11_500, True), (12_500, True), (11_499, False), (12_501, False), (0, False), (15_000, False)]
)
def test_each_of_the_three_readings_must_lie_in_the_window(place: int, volts: int, good: bool) -> None:
    rails = [12_000, 12_000, -12_000]
    rails[place] = -volts if place == 2 else volts
    assert supplied(reading(12_000, (rails[0], rails[1], rails[2])), WINDOW) is good


def test_a_board_that_should_see_its_rails_and_does_not_has_none() -> None:
    assert not supplied(reading(12_000, None), WINDOW)


@pytest.mark.hazard("H-02")
@pytest.mark.parametrize(
    ("high_mv", "positive_mv", "state"),
    [
        (4_197, 4_200, INVALID),  # an empty line on a sagging rail, up to where the line reads as C
        (6_970, 7_000, INVALID),
        (7_400, 7_440, INVALID),
        (3_000, 3_010, INVALID),
        (7_430, 11_500, INVALID),
        (7_222, 11_500, C),
        (6_990, 12_000, C),  # the corner resistors of C and D at 12 V
        (4_990, 12_000, C),
        (3_900, 12_000, D),
        (8_060, 12_000, B),
    ],
)
def test_c_and_d_need_resistors_and_not_only_a_voltage(high_mv: int, positive_mv: int, state: PilotState) -> None:
    for previous in PilotState:
        assert classify(reading(high_mv, (positive_mv, positive_mv, -12_000)), PWM, previous) is state
    swapped = classify(reading(high_mv, (12_500, positive_mv, -12_000)), PWM, INVALID)
    assert swapped is state, "the lower of both readings decides"


def observe(*rows: tuple[PilotReading, PilotOutput], start: PilotMonitor | None = None) -> PilotMonitor:
    seen = start or PilotMonitor()
    for number, (line, output) in enumerate(rows, 1):
        seen = seen.advance(seen.seen_ns + number * 10 * MILLISECOND, line, output, WINDOW)
    return seen


def test_a_window_on_bad_rails_never_moves_towards_c() -> None:
    good, bad = (reading(6_000), PWM), (reading(6_000, (11_000, 11_000, -12_000)), PWM)
    assert observe(*[bad] * 40).debounce.state is INVALID
    assert observe(*[good, good, good, good, bad] * 8).debounce.state is INVALID
    assert observe(*[good] * 5).debounce.state is C
    assert observe(*[bad] * 11, start=observe(*[good] * 5)).diode.verdict.name == "UNKNOWN", "no verdict outlives them"


def test_two_bad_ticks_in_a_row_are_a_fault_and_one_is_not() -> None:
    bad = (reading(12_000, (13_000, 12_000, -12_000), None), HIGH)
    good = (reading(12_000, low_mv=None), HIGH)
    assert Fault.PILOT_SUPPLY not in observe(good, good, bad, good, bad).faults(0, closed=True)
    assert Fault.PILOT_SUPPLY in observe(good, good, bad, bad).faults(0, closed=True)
    assert Fault.PILOT_SUPPLY not in observe(good, bad, bad, good).faults(0, closed=True)


def test_a_converter_that_fails_is_not_taken_for_a_rail_that_does() -> None:
    seen = observe((reading(12_000, low_mv=None), HIGH))
    for tick in range(5):
        seen = seen.advance(SECOND + tick * 10 * MILLISECOND, None, HIGH, WINDOW)
    assert seen.doubted is Fault.PILOT_ADC_FAILED
    assert Fault.PILOT_SUPPLY not in seen.faults(2 * SECOND, closed=True)


def failures(*starts_s: float, connected: bool = True) -> SupplyWatch:
    watch = SupplyWatch()
    for start_s in starts_s:
        for tick in range(10):
            at_ns = round(start_s * SECOND) + tick * 10 * MILLISECOND
            watch = watch.advance(at_ns, good=False, agreeing=True, connected=connected)
        watch = watch.advance(round(start_s * SECOND) + SECOND // 2, good=True, agreeing=True, connected=connected)
    return watch


def test_the_third_failure_of_a_session_stays_until_the_vehicle_has_gone() -> None:
    assert not failures(0, 20).failed
    assert failures(0, 20, 40).failed
    assert not failures(0, 20, 40).unplugged().failed
    assert not failures(0, 20, 40, connected=False).failed, "no session, so nothing is counted"
    assert not failures(0, 1, 2, 3, 4, 5).failed, "trouble within 5 s of trouble is the same"


@pytest.mark.parametrize(
    ("line", "output", "state", "good"),
    [
        (reading(11_950, low_mv=None), HIGH, A, True),
        (reading(11_651, low_mv=None), HIGH, A, True),
        (reading(11_649, low_mv=None), HIGH, A, False),  # 0.3 mA of leakage, or a resistor that has drifted
        (reading(12_251, low_mv=None), HIGH, A, False),
        (reading(9_000, low_mv=None), HIGH, B, True),
        (reading(None, low_mv=-11_940), LOW, INVALID, True),
        (reading(None, low_mv=-12_541), LOW, INVALID, False),
        (reading(9_000, low_mv=-12_541), PWM, B, False),
        (reading(9_000, low_mv=-5_600), PWM, B, True),  # the diode's matter
        (reading(11_950, low_mv=-11_339), PWM, A, False),  # without a vehicle nothing may load the negative half
        (reading(9_000, None, low_mv=-5_600), PWM, B, True),
    ],
)
def test_the_line_must_stand_where_its_rails_put_it(
    line: PilotReading, output: PilotOutput, state: PilotState, good: bool
) -> None:
    assert agrees(line, output, state) is good


def test_a_line_that_stands_elsewhere_for_half_a_second_has_a_wrong_generator_or_a_wrong_converter() -> None:
    off = (reading(11_500, low_mv=None), HIGH)
    assert Fault.PILOT_GENERATOR not in observe(*[off] * 49).faults(0, closed=False)
    assert Fault.PILOT_GENERATOR in observe(*[off] * 50).faults(0, closed=False)
    fine = (reading(11_950, low_mv=None), HIGH)
    assert Fault.PILOT_GENERATOR not in observe(*[off] * 49, fine, *[off] * 49).faults(0, closed=False)
