"""Meters that answer and are wrong, as in public reports: frozen, wired backwards, or another circuit's."""

from __future__ import annotations

import pytest

from evse_pi.api.texts.trouble_texts import meter_trouble
from evse_pi.charging.meter_check import MeterCheck
from evse_pi.charging.metering import EnergyCounter
from hal.interfaces import MeterReading
from hal.units import Milliamps, Millihertz, Millivolts, MilliwattHours, Milliwatts

S = 1_000_000_000
START_MWH = 15_421_706_000
HIGHEST_MW = 25_440_000  # three phases of 32 A
VOLTS = (Millivolts(230_000),) * 3


def reading(
    at_s: float, power_mw: int, energy_mwh: float, current_ma: int | None = None, *, grid: bool = True
) -> MeterReading:
    """Return what a meter shows; the frequency of a grid wanders, without one it stands still."""
    amps = Milliamps(power_mw * 1000 // 690_000 if current_ma is None else current_ma)
    hertz = Millihertz(50_000 + int(at_s) % 7) if grid else Millihertz(50_000)
    return MeterReading(
        VOLTS, (amps,) * 3, (), Milliwatts(power_mw), MilliwattHours(int(energy_mwh)), hertz, int(at_s * S)
    )


def watched(
    seconds: int, power_mw: int, *, counts: float = 1.0, closed: bool | None = True, every_s: int = 1
) -> MeterCheck:
    """Return the check after so long; the register counts this share of the power, in steps of 10 Wh."""
    check = MeterCheck()
    for at_s in range(0, seconds + 1, every_s):
        counted = START_MWH + power_mw * counts * at_s / 3_600
        check = check.accept(reading(at_s, power_mw, counted // 10_000 * 10_000), HIGHEST_MW, contacts_closed=closed)
    return check


def told(check: MeterCheck) -> str:
    return "" if check.trouble is None else meter_trouble(check.trouble)


@pytest.mark.parametrize("power_mw", [1_380_000, 4_140_000, 11_040_000, 22_080_000])
@pytest.mark.parametrize("every_s", [1, 4, 14])
def test_a_meter_that_counts_what_it_shows_is_believed(power_mw: int, every_s: int) -> None:
    check = watched(3_600, power_mw, every_s=every_s)
    assert (check.trouble, check.believed) == (None, True)


@pytest.mark.hazard("H-16")
@pytest.mark.parametrize(("power_mw", "within_s"), [(1_380_000, 160), (11_040_000, 25), (22_080_000, 25)])
def test_a_frozen_meter_is_seen_by_its_energy(power_mw: int, within_s: int) -> None:
    check = watched(within_s, power_mw, counts=0)
    assert not check.believed
    assert "energy stands still" in told(check)
    again = check.accept(reading(within_s + 1, power_mw, START_MWH + 10_000), HIGHEST_MW, contacts_closed=True)
    assert again.believed


@pytest.mark.hazard("H-16")
def test_a_current_that_flows_through_an_open_contactor_is_not_believed() -> None:
    assert watched(9, 11_040_000, closed=False).believed
    check = watched(11, 11_040_000, closed=False)
    assert not check.believed
    assert "16.0 A though the contactor is open" in told(check)
    assert watched(600, 100_000, closed=False).believed
    assert watched(600, 11_040_000, closed=None).believed


def test_a_meter_that_is_wired_backwards_is_named_and_its_currents_are_used() -> None:
    """SmartEVSE-3.5 issue 145: an inverted Eastron; its import register stands still."""
    check = watched(12, -11_040_000, counts=0)
    assert check.believed
    assert check.backwards
    assert "-11.04 kW: wired backwards" in told(check)
    assert watched(600, -400_000, counts=0).trouble is None


def test_the_energy_of_a_meter_that_is_wired_backwards_is_estimated_from_its_power() -> None:
    counter = EnergyCounter()
    for at_s in range(3_601):
        counter = counter.accept(reading(at_s, -11_040_000, START_MWH), Milliwatts(HIGHEST_MW))
    assert abs(counter.total_mwh - 11_040_000) <= 11_040_000 // 500
    assert counter.replaced == 0


def test_a_silence_is_no_energy_that_was_not_counted() -> None:
    check = MeterCheck()
    for at_s in (0, 20, 40, 60, 80):
        check = check.accept(reading(at_s, 22_080_000, START_MWH), HIGHEST_MW, contacts_closed=True)
    assert check.believed


def fed(
    check: MeterCheck, seconds: int, power_mw: int, *, closed: bool, current_ma: int | None = None, energy_mwh: int = 0
) -> MeterCheck:
    """Return `check` after as long again, read every 2 s, with a register that stands at START_MWH + `energy_mwh`."""
    begun_s = (check.at_ns or 0) // S
    for at_s in range(begun_s + 2, begun_s + seconds + 1, 2):
        one = reading(at_s, power_mw, START_MWH + energy_mwh, current_ma)
        check = check.accept(one, HIGHEST_MW, contacts_closed=closed)
    return check


@pytest.mark.hazard("H-16")
@pytest.mark.parametrize("power_mw", [60_000, 300_000, 480_000])
def test_a_meter_that_froze_while_little_flowed_is_seen_within_the_hour(power_mw: int) -> None:
    """A meter that froze whole tells 2 A while a vehicle draws 32 A: overcurrent would not be seen."""
    assert not fed(MeterCheck(), 3_700, power_mw, closed=True).believed


@pytest.mark.parametrize("closed", [False, True])
@pytest.mark.parametrize("power_mw", [5_000, 14_000])
def test_what_a_meter_need_not_count_is_no_frozen_register(power_mw: int, closed: bool) -> None:
    """EN 50470-3, IEC 62053-21: class B starts at 0.4 % of the reference current; of 5 A these are 4.6 W a phase."""
    check = fed(MeterCheck(), 86_400, power_mw, closed=closed)
    assert (check.trouble, check.believed) == (None, True)


@pytest.mark.parametrize("closed", [False, True])
def test_a_reading_beyond_what_the_circuit_can_carry_is_named_and_not_counted(closed: bool) -> None:
    check = fed(MeterCheck(), 10, 0, closed=closed)
    for _ in range(50):
        check = fed(check, 2, 250_000_000, closed=closed, current_ma=0)
        assert "250.00 kW, more than this circuit can carry" in told(check)
        assert check.believed
        check = fed(check, 2, 0, closed=closed)
        assert (check.trouble, check.believed) == (None, True)


def test_power_beside_an_open_contactor_is_no_charge_that_was_not_counted() -> None:
    check = fed(MeterCheck(), 3_600, 3_700_000, closed=False, current_ma=0)
    assert (check.trouble, check.believed) == (None, True)


@pytest.mark.hazard("H-16")
@pytest.mark.parametrize("standby_mw", [0, 5_000])
def test_a_verdict_is_forgotten_a_minute_after_the_charge_and_the_next_charge_is_judged_again(standby_mw: int) -> None:
    check = fed(MeterCheck(), 120, 3_700_000, closed=True)
    frozen = "its energy stands still at 3.70 kW: frozen, or a register of another model"
    assert (told(check), check.believed) == (frozen, False)
    check = fed(check, 60, standby_mw, closed=False)
    assert (told(check), check.believed) == (frozen, False)
    check = fed(check, 4, standby_mw, closed=False)
    assert (told(check), check.believed) == (frozen, True)
    healthy = fed(check, 2, 3_700_000, closed=True, energy_mwh=20_000)
    assert (healthy.trouble, healthy.believed) == (None, True)
    assert not fed(check, 120, 3_700_000, closed=True).believed


@pytest.mark.hazard("H-16")
def test_a_verdict_that_falls_at_the_end_of_a_charge_tells_the_power_of_the_charge() -> None:
    check = fed(MeterCheck(), 10, 25_000_000, closed=True)
    assert check.believed
    assert "25.00 kW" in told(fed(check, 2, 0, closed=False))


@pytest.mark.hazard("H-16")
def test_a_meter_whose_every_register_is_frozen_stays_disbelieved() -> None:
    check = fed(fed(MeterCheck(), 120, 3_700_000, closed=True), 3_600, 3_700_000, closed=False)
    assert not check.believed
    assert "though the contactor is open" in told(check)


@pytest.mark.hazard("H-16")
@pytest.mark.parametrize("closed", [False, True, None])
def test_a_meter_that_froze_at_0_a_is_seen_within_five_minutes(closed: bool | None) -> None:
    """No power flows that a register could have missed: only the grid's own unrest tells a frozen meter from a pause.

    SO GL (EU) 2017/1485 annex III gives the continent's frequency a range of 50 mHz, within which it always moves.
    """
    check = MeterCheck()
    for at_s in range(0, 300, 2):
        check = check.accept(reading(at_s, 0, START_MWH, grid=False), HIGHEST_MW, contacts_closed=closed)
        assert check.believed
    check = check.accept(reading(300, 0, START_MWH, grid=False), HIGHEST_MW, contacts_closed=closed)
    assert not check.believed
    assert "no register has moved for five minutes" in told(check)
    alive = check.accept(reading(302, 0, START_MWH), HIGHEST_MW, contacts_closed=closed)
    assert (alive.trouble, alive.believed) == (None, True)


def test_a_meter_without_voltage_and_frequency_may_stand_still() -> None:
    """SDM72D-M version 1 tells its totals alone: with no load not one of them moves."""
    check = MeterCheck()
    for at_s in range(3_600):
        one = MeterReading((), (), (), Milliwatts(0), MilliwattHours(START_MWH), None, at_s * S)
        check = check.accept(one, HIGHEST_MW, contacts_closed=True)
    assert (check.trouble, check.believed) == (None, True)


@pytest.mark.hazard("H-16")
@pytest.mark.parametrize(("shown_ma", "drawn_ma"), [(0, 6_000), (6_000, 32_000), (16_000, 32_000)])
def test_currents_that_froze_while_the_register_goes_on_are_not_used(shown_ma: int, drawn_ma: int) -> None:
    check, seen_s = MeterCheck(), None
    for at_s in range(120):
        counted = START_MWH + drawn_ma * 690 * at_s / 3_600
        one = reading(at_s, shown_ma * 690, counted // 10_000 * 10_000, shown_ma)
        check = check.accept(one, HIGHEST_MW, contacts_closed=True)
        if seen_s is None and not check.believed:
            seen_s = at_s
            assert "its energy grows by more" in told(check)
    assert seen_s is not None


def test_a_register_that_counts_10_wh_at_once_counts_no_more_than_is_shown() -> None:
    check = watched(14_400, 4_140_000)
    assert (check.trouble, check.believed) == (None, True)


def phases(at_s: int, amps_ma: int, ways: tuple[int, int, int], scale: float = 1.0) -> MeterReading:
    """Return a reading of 230 V, with each phase's power one way or the other round, as an SDM630 shows it."""
    watts = tuple(Milliwatts(int(way * amps_ma * 230 * scale)) for way in ways)
    imported = sum(way > 0 for way in ways) * amps_ma * 230 * at_s // 3_600
    return MeterReading(
        VOLTS,
        (Milliamps(amps_ma),) * 3,
        watts,
        Milliwatts(sum(watts)),
        MilliwattHours(START_MWH + imported),
        Millihertz(50_000 + at_s % 7),
        at_s * S,
    )


@pytest.mark.parametrize("amps_ma", [6_000, 16_000, 32_000])
@pytest.mark.parametrize("phase", [0, 1, 2])
def test_one_phase_that_is_wired_backwards_is_named_and_its_energy_counted(phase: int, amps_ma: int) -> None:
    ways = tuple(-1 if at == phase else 1 for at in range(3))
    check, counter = MeterCheck(), EnergyCounter()
    for at_s in range(3_601):
        one = phases(at_s, amps_ma, ways)  # type: ignore[arg-type]
        check = check.accept(one, HIGHEST_MW, contacts_closed=True)
        counter = counter.accept(one, Milliwatts(HIGHEST_MW))
    assert check.believed
    assert f"L{phase + 1} goes through it backwards" in told(check)
    assert abs(counter.total_mwh - amps_ma * 690) <= amps_ma * 690 // 500
    assert counter.backwards


def test_a_meter_that_shows_kilowatts_is_named_and_its_currents_are_used() -> None:
    check = MeterCheck()
    for at_s in range(120):
        counted = START_MWH + 11_040_000 * at_s // 3_600
        one = reading(at_s, 11_040, counted, 16_000)
        check = check.accept(one, HIGHEST_MW, contacts_closed=True)
    assert (check.believed, check.weak) == (True, True)
    assert "0.01 kW at 16.0 A: another unit" in told(check)
