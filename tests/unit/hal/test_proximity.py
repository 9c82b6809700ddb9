"""Ohms from the divider of pull-up and coding resistor."""

from __future__ import annotations

import pytest

from evse_pi.sim.harness.virtual_clock import VirtualClock
from hal.errors import BadReading
from hal.linear_scale import LinearScale
from hal.mock import MockAnalogInput, Script
from hal.proximity import ResistorProximity
from hal.units import Millivolts, Ohms

SUPPLY_MV = 3_000
PULL_UP = 1_000


def proximity(voltage_mv: int) -> ResistorProximity:
    source = MockAnalogInput(Script(VirtualClock(0)), voltage_mv)
    return ResistorProximity(source, supply_mv=Millivolts(SUPPLY_MV), pull_up_ohms=Ohms(PULL_UP))


@pytest.mark.parametrize("ohms", [0, 80, 100, 140, 164, 220, 308, 400, 680, 936, 1100, 1500, 2460, 4500])
def test_every_coding_resistor_is_read_within_one_percent_through_a_12_bit_converter(ohms: Ohms) -> None:
    """The resistors are the cable codings' limits and nominal values of IEC 61851-1 Table B.2."""
    scale = LinearScale(732, Millivolts(0))
    code = round(SUPPLY_MV * ohms / (ohms + PULL_UP) / 3_000 * 4096)
    assert proximity(scale.millivolts(code)).read_ohms() == pytest.approx(ohms, rel=0.01, abs=1)


@pytest.mark.parametrize("voltage_mv", [2_975, 3_000, 3_199])
def test_nothing_plugged_in_is_none(voltage_mv: Millivolts) -> None:
    assert proximity(voltage_mv).read_ohms() is None


def test_a_voltage_above_the_supply_is_a_bad_reading() -> None:
    with pytest.raises(BadReading, match="3201 mV is above the supply of 3000 mV"):
        proximity(3_201).read_ohms()


def test_an_offset_below_zero_reads_as_a_short() -> None:
    assert proximity(-5).read_ohms() == 0
