from __future__ import annotations

from array import array

import pytest

from evse_pi.core.faults import Fault
from evse_pi.core.io_records import PilotOutput, PilotReading
from evse_pi.core.pilot import Debounce, DiodeCheck, DiodeVerdict, classify, doubt, measure, measure_peaks
from evse_pi.core.states import PilotMode, PilotState
from hal.interfaces import PilotPeaks, PilotWindow
from hal.linear_scale import LinearScale
from hal.units import DutyPpm, Millivolts

A, B, C, D, E, F, INVALID = (PilotState[name] for name in ("A", "B", "C", "D", "E", "F", "INVALID"))
SCALE = LinearScale(gain_uv_per_code=6_600, offset_mv=Millivolts(-13_500))
INVERTED = LinearScale(gain_uv_per_code=-6_600, offset_mv=Millivolts(13_500))
PWM = PilotOutput(PilotMode.PWM, DutyPpm(500_000))
HIGH = PilotOutput(PilotMode.HIGH, DutyPpm(0))
LOW = PilotOutput(PilotMode.LOW, DutyPpm(0))


def high(reading: PilotReading | None) -> int:
    assert reading is not None
    assert reading.high_mv is not None
    return reading.high_mv


def window(*groups: tuple[int, int], scale: LinearScale = SCALE) -> PilotWindow:
    """Return a window with `count` samples at each `millivolts`."""
    codes = [scale.code(millivolts) for millivolts, count in groups for _ in range(count)]
    return PilotWindow(array("H", codes), 0, 0)


def reading(
    high_mv: int | None, low_mv: int | None = -12_000, *, share: int = 500_000, spread: int = 0
) -> PilotReading:
    high, low = (None if value is None else Millivolts(value) for value in (high_mv, low_mv))
    return PilotReading(high, low, Millivolts(spread), 48, 48, share)


def seen(high_mv: int, previous: PilotState = INVALID) -> PilotState:
    return classify(reading(high_mv), PWM, previous)


def test_samples_on_the_edges_move_neither_plateau() -> None:
    steady = measure(window((9_000, 40), (-12_000, 56)), SCALE)
    edged = measure(window((9_000, 30), (4_000, 6), (-1_000, 4), (-5_000, 6), (-9_000, 6), (-12_000, 44)), SCALE)
    assert (edged.high_mv, edged.low_mv) == (steady.high_mv, steady.low_mv)
    assert high(steady) == pytest.approx(9_000, abs=7)  # one code
    assert steady.high_ppm == 40 * 1_000_000 // 96


def test_half_of_the_low_plateau_may_be_edges() -> None:
    """The third that is nearest to the other plateau holds edges, and more of it may: docs/boards/reference.md."""
    edged = measure(window((9_000, 40), (-12_000, 28), (-9_000, 28)), SCALE)
    assert edged.low_mv == pytest.approx(-12_000, abs=7)  # one code


def test_up_to_two_thirds_of_a_short_pulse_may_be_edges() -> None:
    assert high(measure(window((9_000, 5), (7_000, 7), (-12_000, 84)), SCALE)) == pytest.approx(9_000, abs=7)


def test_spread_tells_a_state_change_inside_the_window() -> None:
    assert measure(window((9_000, 40), (-12_000, 56)), SCALE).spread_mv == 0
    assert measure(window((9_000, 20), (6_000, 20), (-12_000, 56)), SCALE).spread_mv >= 2_990


def test_two_highs_are_no_plateau() -> None:
    result = measure(window((9_000, 2), (-12_000, 94)), SCALE)
    assert (result.high_mv, result.high_count) == (None, 2)


def test_few_low_samples_are_handed_on_instead_of_a_plateau() -> None:
    result = measure(window((9_000, 92), (-12_000, 2), (-5_000, 2)), SCALE)
    assert result.low_mv is None
    assert [round(value, -2) for value in result.low_samples_mv] == [-12_000, -12_000, -5_000]


def test_an_empty_window_reads_nothing() -> None:
    result = measure(window(), SCALE)
    assert (result.high_mv, result.low_mv, result.high_ppm) == (None, None, None)
    assert classify(result, PWM, B) is INVALID


@pytest.mark.parametrize("groups", [((6_000, 30), (-12_000, 66)), ((9_000, 93), (-12_000, 3)), ((12_000, 96),)])
def test_an_inverting_input_stage_reads_the_same(groups: tuple[tuple[int, int], ...]) -> None:
    straight = measure(window(*groups), SCALE)
    inverted = measure(window(*groups, scale=INVERTED), INVERTED)
    assert high(straight) == pytest.approx(high(inverted), abs=7)
    assert (straight.high_count, straight.low_count) == (inverted.high_count, inverted.low_count)
    assert (straight.low_mv is None) == (inverted.low_mv is None)


def test_peak_detectors_hold_a_plateau_each() -> None:
    result = measure_peaks(PilotPeaks(Millivolts(5_990), Millivolts(-11_980), 0))
    assert (result.high_mv, result.low_mv) == (5_990, -11_980)
    assert classify(result, PWM, B) is C


@pytest.mark.parametrize(
    ("high_mv", "low_mv", "output", "expected"),
    [
        (12_000, 12_000, HIGH, A),
        (9_000, 9_000, HIGH, B),
        (-12_000, -12_000, LOW, F),
        (12_000, 12_000, PWM, INVALID),
        (-12_000, -12_000, PWM, INVALID),
        (9_000, -12_000, HIGH, INVALID),
        (0, 0, PWM, E),
        (700, -12_000, PWM, E),
    ],
)
def test_peak_detectors_contradict_a_generator_that_does_not_follow(
    high_mv: int, low_mv: int, output: PilotOutput, expected: PilotState
) -> None:
    result = measure_peaks(PilotPeaks(Millivolts(high_mv), Millivolts(low_mv), 0))
    assert classify(result, output, INVALID) is expected


# Table A.4 as literal numbers: middle of each band, and both ends.
@pytest.mark.parametrize(
    ("high_mv", "expected"),
    [
        *((value, A) for value in (11_000, 12_000, 13_000)),
        *((value, B) for value in (8_000, 9_000, 10_000)),
        *((value, C) for value in (5_000, 6_000, 7_000)),
        *((value, D) for value in (2_000, 3_000, 3_999)),
        *((value, E) for value in (-1_000, 0, 1_000, 1_999)),
        *((value, INVALID) for value in (13_001, -2_001)),
    ],
)
def test_bands_hold_whatever_state_was_before(high_mv: int, expected: PilotState) -> None:
    assert {seen(high_mv, previous) for previous in PilotState} == {expected}


@pytest.mark.parametrize(("high_mv", "expected"), [(10_500, B), (7_700, B), (7_300, C), (4_500, C)])
def test_a_gap_belongs_to_both_neighbours_up_to_the_edge_in_it(high_mv: int, expected: PilotState) -> None:
    assert {seen(high_mv, previous) for previous in PilotState} == {expected}


@pytest.mark.parametrize("high_mv", [10_900, 7_500, 4_100])
def test_the_middle_between_two_states_is_uncertain(high_mv: int) -> None:
    assert {seen(high_mv, previous) for previous in PilotState} == {INVALID}


def test_e_and_f_are_kept_further_than_they_are_entered() -> None:
    assert seen(-1_500, E) is E
    assert seen(-1_500, C) is INVALID
    line = reading(None, -10_500, share=0)
    assert classify(line, LOW, F) is F
    assert classify(line, LOW, C) is INVALID


@pytest.mark.parametrize("output", [PWM, HIGH, LOW])
def test_a_dead_short_is_e_whatever_the_generator_does(output: PilotOutput) -> None:
    assert classify(reading(0, None, share=1_000_000), output, C) is E


def test_a_short_behind_the_diode_is_e() -> None:
    assert seen(700, C) is E


@pytest.mark.parametrize(
    ("case", "output", "expected"),
    [
        (reading(6_000, spread=501), PWM, Fault.PILOT_UNCERTAIN),
        (reading(6_000, share=1_000_000), PWM, Fault.PILOT_GENERATOR),
        (reading(6_000, share=340_000), PWM, Fault.PILOT_GENERATOR),
        (reading(6_000, share=360_000), PWM, None),
        (reading(12_000, share=500_000), HIGH, Fault.PILOT_GENERATOR),
        (reading(None, share=0), PWM, Fault.PILOT_GENERATOR),
        (reading(None, share=20_000), PilotOutput(PilotMode.PWM, DutyPpm(100_000)), Fault.PILOT_UNCERTAIN),
        (reading(None, share=0), HIGH, Fault.PILOT_GENERATOR),
        (reading(9_000, share=1_000_000), LOW, Fault.PILOT_GENERATOR),
        (reading(None, -8_800, share=0), LOW, Fault.PILOT_OUT_OF_BAND),
        (reading(None, -12_000, share=0), LOW, None),
        (reading(13_100), PWM, Fault.PILOT_OUT_OF_BAND),
        (reading(6_000, -13_100), PWM, Fault.PILOT_OUT_OF_BAND),
        (reading(-2_500), PWM, Fault.PILOT_OUT_OF_BAND),
    ],
)
def test_a_reading_to_be_doubted_is_named_and_is_no_state(
    case: PilotReading, output: PilotOutput, expected: Fault | None
) -> None:
    assert doubt(case, output) is expected
    if expected is not None:
        assert {classify(case, output, previous) for previous in PilotState} == {INVALID}


def settled(state: PilotState) -> Debounce:
    debounce = Debounce()
    for _ in range(5):
        debounce = debounce.accept(state)
    assert debounce == Debounce(state)
    return debounce


def after(debounce: Debounce, *states: PilotState, high_mv: int | None = 9_000) -> Debounce:
    for state in states:
        debounce = debounce.accept(state, None if high_mv is None else Millivolts(high_mv))
    return debounce


@pytest.mark.parametrize("entered", [C, D])
def test_c_and_d_are_entered_after_five_windows_in_a_row(entered: PilotState) -> None:
    b = settled(B)
    assert after(b, *[entered] * 4).state is B
    assert after(b, *[entered] * 5).state is entered
    assert after(b, *[entered] * 4, B, *[entered] * 4).state is B
    assert after(b, *[entered] * 4, INVALID, *[entered] * 4).state is B


@pytest.mark.parametrize("left", [C, D])
def test_c_and_d_are_left_after_two_windows(left: PilotState) -> None:
    assert after(settled(left), B).state is left
    assert after(settled(left), B, B).state is B


def test_two_windows_that_show_anything_but_c_leave_c() -> None:
    assert after(settled(C), B, A).state is A
    assert after(settled(C), B, INVALID, B).state is B
    assert after(settled(C), D, D).state is D


@pytest.mark.parametrize(("state", "high_mv"), [(A, 10_501), (E, 1_499), (F, None)])
def test_one_window_that_is_clearly_something_else_leaves_c(state: PilotState, high_mv: int | None) -> None:
    assert after(settled(C), state, high_mv=high_mv).state is state


def test_showing_c_again_takes_the_doubt_back_bit_by_bit() -> None:
    assert after(settled(C), B, C, B).state is C
    assert after(settled(C), B, *[C] * 5) == Debounce(C)


@pytest.mark.hazard("H-01")
@pytest.mark.parametrize("left", [C, D])
@pytest.mark.parametrize("other", [A, B])
@pytest.mark.parametrize("between", [0, 1, 2])
def test_a_line_that_shows_another_state_again_and_again_leaves_c_within_seven_windows(
    left: PilotState, other: PilotState, between: int
) -> None:
    """Seven windows are 70 ms, and 25 ms the release: within the 100 ms of IEC 61851-1 Table A.6 sequence 8.1."""
    shown = [other, *[left] * between] * 7
    assert after(settled(left), *shown[:7]).state is not left
    assert after(settled(left), *[other, *[left] * 6] * 50).state is left  # and noise of one in seven does not


def test_a_and_b_take_two_windows() -> None:
    assert after(settled(A), B).state is A
    assert after(settled(A), B, B).state is B
    assert after(settled(A), B, A, B).state is A


def test_invalid_is_counted_and_never_accepted() -> None:
    debounce = after(settled(C), *[INVALID] * 50)
    assert (debounce.state, debounce.invalid) == (C, 50)
    assert debounce.accept(C) == Debounce(C)
    assert after(Debounce(), *[INVALID] * 9).state is INVALID


def diode(*readings: PilotReading, output: PilotOutput = PWM, state: PilotState = C) -> DiodeCheck:
    check = DiodeCheck()
    for value in readings:
        check = check.accept(value, output, state)
    return check


def few(*low_mv: int) -> PilotReading:
    lows = tuple(Millivolts(value) for value in low_mv)
    return PilotReading(Millivolts(6_000), None, Millivolts(0), 92, len(lows), 960_000, lows)


def test_a_negative_half_at_the_rail_proves_the_diode() -> None:
    assert diode(reading(6_000, -11_300)).verdict is DiodeVerdict.OK


@pytest.mark.parametrize("low_mv", [-5_600, -8_800, -10_400])
def test_a_mirrored_negative_half_is_a_missing_diode_after_three_windows(low_mv: int) -> None:
    line = reading(6_000, low_mv)
    assert diode(line, line).verdict is DiodeVerdict.UNKNOWN
    assert diode(line, line, line).verdict is DiodeVerdict.MISSING
    assert diode(line, line, line, reading(6_000, -12_000)).verdict is DiodeVerdict.OK


def test_a_diode_lost_in_c_is_seen() -> None:
    lost = reading(5_600, -5_600)
    assert diode(reading(6_000), lost, lost, lost).verdict is DiodeVerdict.MISSING


def test_few_low_samples_are_collected_over_windows() -> None:
    assert diode(few(-12_000), few(-11_950)).verdict is DiodeVerdict.UNKNOWN
    assert diode(few(-12_000), few(-11_950), few(-12_010)).verdict is DiodeVerdict.OK
    assert diode(*[few(-8_800, -8_790, -8_780)] * 3).verdict is DiodeVerdict.MISSING


def test_samples_on_an_edge_prove_nothing() -> None:
    assert diode(few(-9_000, -4_000, -6_000)).verdict is DiodeVerdict.UNKNOWN
    assert diode(few(-9_000, -4_000, -6_000), few(-12_000, -11_990), few(-12_005)).verdict is DiodeVerdict.OK


def test_scattered_edges_of_several_windows_are_no_plateau() -> None:
    edges = few(-10_000, -4_000, -6_000), few(-9_000, -5_000, -7_000), few(-8_000, -3_500, -6_500)
    assert diode(*edges).verdict is DiodeVerdict.UNKNOWN
    assert diode(*edges).missing == 0


def test_a_verdict_without_low_samples_expires_after_ten_windows() -> None:
    assert diode(reading(6_000), *[few()] * 9).verdict is DiodeVerdict.OK
    assert diode(reading(6_000), *[few()] * 10).verdict is DiodeVerdict.UNKNOWN
    assert diode(reading(6_000), *[few()] * 25).undecided == 25


@pytest.mark.parametrize(("output", "state"), [(HIGH, C), (LOW, F), (PWM, A), (PWM, E)])
def test_there_is_no_verdict_where_no_vehicle_shapes_the_negative_half(output: PilotOutput, state: PilotState) -> None:
    assert diode(reading(6_000), output=output, state=state).verdict is DiodeVerdict.UNKNOWN


def test_an_uncertain_window_neither_proves_nor_denies_the_diode() -> None:
    check = diode(reading(6_000))
    assert check.accept(reading(6_000, -5_000), PWM, INVALID).verdict is DiodeVerdict.OK


# Every limit literally, with the last millivolt on either side of it.
@pytest.mark.parametrize(
    ("high_mv", "expected"),
    [
        *((10_999, INVALID), (10_800, INVALID), (10_799, B)),
        *((7_570, B), (7_569, INVALID), (7_430, INVALID), (7_429, C)),
        *((4_200, C), (4_199, INVALID), (4_000, INVALID), (3_999, D)),
        *((2_000, D), (1_999, E), (-1_000, E), (-1_001, INVALID)),
    ],
)
def test_the_edges_are_where_they_are(high_mv: int, expected: PilotState) -> None:
    assert seen(high_mv) is expected


@pytest.mark.parametrize(("low_mv", "doubted"), [(-13_000, None), (-10_000, None), (-9_999, Fault.PILOT_OUT_OF_BAND)])
def test_the_constant_negative_level_has_its_band(low_mv: int, doubted: Fault | None) -> None:
    assert doubt(reading(None, low_mv, share=0), LOW) is doubted


def test_limits_of_doubt_are_inclusive() -> None:
    assert doubt(reading(6_000, spread=500), PWM) is None
    assert doubt(reading(6_000, -13_000), PWM) is None
    assert doubt(reading(6_000, share=350_000), PWM) is None
    assert doubt(reading(6_000, share=349_999), PWM) is Fault.PILOT_GENERATOR
    assert doubt(reading(2_000, share=1_000_000), PWM) is Fault.PILOT_GENERATOR
    assert doubt(reading(1_999, share=1_000_000), PWM) is None


def test_a_plateau_begins_with_three_highs_or_eight_lows() -> None:
    result = measure(window((9_000, 3), (-12_000, 8)), SCALE)
    assert (result.high_mv is not None, result.low_mv is not None) == (True, True)
    result = measure(window((9_000, 2), (-12_000, 7)), SCALE)
    assert (result.high_mv, result.low_mv) == (None, None)


@pytest.mark.parametrize("level_mv", [-3_001, -3_000])
def test_the_split_lies_at_minus_3_v(level_mv: int) -> None:
    peaks = measure_peaks(PilotPeaks(Millivolts(level_mv), Millivolts(level_mv), 0))
    assert (peaks.high_mv is None, peaks.low_mv is None) == (level_mv < -3_000, level_mv >= -3_000)
    assert (peaks.high_count > 0, peaks.low_count > 0) == (level_mv >= -3_000, level_mv < -3_000)


def test_clearly_is_beyond_10_5_and_1_5_v() -> None:
    assert after(settled(C), A, high_mv=10_500).state is C
    assert after(settled(C), E, high_mv=1_500).state is C


@pytest.mark.parametrize(("low_mv", "verdict"), [(-10_900, DiodeVerdict.OK), (-10_899, DiodeVerdict.MISSING)])
def test_the_diode_limit_is_minus_10_9_v(low_mv: int, verdict: DiodeVerdict) -> None:
    assert diode(*[reading(6_000, low_mv)] * 3).verdict is verdict
