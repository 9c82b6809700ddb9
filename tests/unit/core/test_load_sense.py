"""What a look at the load side proves. Figures: docs/boards/reference.md, with sines made here."""

from __future__ import annotations

import math

import pytest

from evse_pi.core.io_records import LoadVoltages
from evse_pi.core.load_sense import LoadSense
from hal.units import MILLISECOND as MS
from hal.units import SECOND as S
from hal.units import Millivolts

TICK_NS = 10 * MS


def mains(volts: float, hz: float, at_ns: float) -> Millivolts:
    return Millivolts(round(1000 * math.sqrt(2) * volts * math.sin(math.tau * hz * at_ns / S)))


def look(at_ns: int, apart_ns: int, *phases: tuple[float, float]) -> LoadVoltages:
    """Return a look at phases given by voltage (rms) and frequency; a frequency of 0 is direct voltage."""

    def read(volts: float, hz: float, instant_ns: int) -> Millivolts:
        return mains(volts, hz, instant_ns) if hz else Millivolts(round(1000 * volts))

    return LoadVoltages(
        tuple(read(*phase, at_ns) for phase in phases), tuple(read(*phase, at_ns + apart_ns) for phase in phases)
    )


def watched(begin_ns: int, apart_ns: int, *phases: tuple[float, float], ticks: int = 3) -> LoadSense:
    sense = LoadSense()
    for tick in range(ticks):
        now_ns = begin_ns + tick * TICK_NS
        sense = sense.advance(now_ns, look(now_ns, apart_ns, *phases))
    return sense


BEGINS = [S + MS * tenth // 10 for tenth in range(0, 200, 3)]
APART = [3_200_000, 3_900_000, 4_500_000]


@pytest.mark.parametrize("hz", [50, 60])
@pytest.mark.parametrize("apart_ns", APART)
def test_no_instant_of_the_period_hides_59_v_or_takes_28_v_for_live(hz: int, apart_ns: int) -> None:
    for begin_ns in BEGINS:
        sense = watched(begin_ns, apart_ns, (59, hz), (28, hz), (230, hz))
        assert sense.phases == (True, False, True), begin_ns
        assert sense.live is True


@pytest.mark.parametrize("hz", [50, 60])
def test_voltage_that_may_be_felt_is_never_called_dead(hz: int) -> None:
    """62 V is 42 V at 0.48 of the peak; a direct voltage of 60 V may be touched for a second. Source: IEC 61140."""
    for begin_ns in BEGINS:
        assert not watched(begin_ns, 3_200_000, (63, hz), ticks=8).dead
    assert not watched(S, 3_200_000, (42, 0), ticks=8).dead
    assert not watched(S, 3_200_000, (0, 0), ticks=4).dead
    assert watched(S, 3_200_000, (41.9, 0), (0, 0), ticks=5).dead


@pytest.mark.parametrize("volts", [42.0, 162.0, 325.0, -325.0, 366.0])
def test_a_direct_voltage_is_not_live_and_neither_is_one_that_decays(volts: float) -> None:
    """A vehicle's capacitors: 2.2 µF at 105 kΩ are the fastest decay on the page, 0.23 s."""
    assert watched(S, 3_900_000, (volts, 0)).live is False
    sense = LoadSense()
    for tick in range(100):
        now_ns = S + tick * TICK_NS
        left_v = volts * math.exp(-tick * 0.010 / 0.232)
        sense = sense.advance(now_ns, look(now_ns, 3_900_000, (left_v, 0)))
        assert not sense.live


def test_one_sample_a_tick_would_stay_on_the_zero_crossing() -> None:
    """The tick is half a period of 50 Hz: the first of the two samples shows nothing here, the second does."""
    first = look(S, 3_900_000, (230, 50))
    assert abs(first.before_mv[0]) < 1_000
    assert watched(S, 3_900_000, (230, 50)).live is True
    assert watched(S, 10 * MS, (230, 50)).live is False, "no two samples are at the same point of the wave"


def test_looks_a_whole_period_apart_prove_nothing() -> None:
    """A tick that comes 10 ms late compares a voltage with itself."""
    sense = watched(S, 3_900_000, (230, 50))
    late_ns = S + 2 * TICK_NS + 2 * TICK_NS
    sense = sense.advance(late_ns, look(late_ns, 3_900_000, (230, 50)))
    assert sense.live is True
    for tick in range(1, 6):
        at_ns = late_ns + 2 * tick * TICK_NS
        sense = sense.advance(at_ns, look(at_ns, 3_900_000, (230, 50)))
    assert (sense.live, sense.phases, sense.dead) == (None, (), False), "after 50 ms it is not known"


def test_a_window_that_took_half_a_period_changes_no_verdict() -> None:
    sense = watched(S, 3_900_000, (230, 50))
    for tick, apart_ns in ((3, 10 * MS), (4, 10 * MS), (5, 3_900_000)):
        now_ns = S + tick * TICK_NS
        sense = sense.advance(now_ns, look(now_ns, apart_ns, (230, 50)))
        assert sense.live is True


def test_a_converter_that_does_not_answer_leaves_the_last_verdict_for_50_ms() -> None:
    sense = watched(S, 3_900_000, (0, 50), ticks=8)
    assert (sense.live, sense.dead) == (False, True)
    sense = sense.advance(S + 8 * TICK_NS, None)
    assert (sense.live, sense.dead) == (False, False)
    assert sense.advance(S + 12 * TICK_NS, None).live is None


def test_couplers_say_one_thing_of_all_phases() -> None:
    sense = LoadSense().advance_couplers(live=True)
    assert (sense.live, sense.phases, sense.dead) == (True, (), False)
    for _ in range(5):
        sense = sense.advance_couplers(live=False)
    assert (sense.live, sense.dead) == (False, True)
    assert sense.advance_couplers(None).live is None
