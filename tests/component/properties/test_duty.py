from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from evse_pi.core.duty import current_for, duty_for
from hal.units import DutyPpm, Milliamps

offerable = st.integers(6_000, 80_000).map(Milliamps)


@given(offerable)
def test_a_vehicle_never_reads_more_than_was_asked(current_ma: Milliamps) -> None:
    read = current_for(duty_for(current_ma))
    assert read <= current_ma
    assert current_ma - read <= (1_500 if 51_000 < current_ma <= 52_500 else 0)


@given(offerable, offerable)
def test_more_current_never_makes_a_shorter_pulse(first: Milliamps, second: Milliamps) -> None:
    assert (duty_for(first) <= duty_for(second)) == (first <= second) or duty_for(first) == duty_for(second)


@given(offerable, st.integers(-10_000, 10_000))
def test_a_generator_one_point_off_is_read_within_its_line(current_ma: Milliamps, error_ppm: int) -> None:
    """One point is 0.6 A on the lower line and 2.5 A on the upper; across 85 % a vehicle jumps to the upper line."""
    read = current_for(DutyPpm(duty_for(current_ma) + error_ppm))
    limit = 600 if current_ma <= 50_400 else 4_000 if current_ma <= 52_500 else 2_500
    assert read <= current_ma + limit


@given(st.integers(0, 1_000_000))
def test_every_duty_reads_as_nothing_or_as_6_to_80_a(duty_ppm: int) -> None:
    read = current_for(DutyPpm(duty_ppm))
    assert read == 0 or 6_000 <= read <= 80_000
