"""What cannot be read is absent and named; what repeats itself to the last bit of noise is not read at all."""

from __future__ import annotations

from array import array
from dataclasses import replace
from typing import Any

import pytest

from boards.build_safety import SafetyHardware
from boards.loader import load_board
from boards.spec import ConverterInput, LoadSenseSpec
from evse_pi.core.faults import Fault
from evse_pi.core.io_records import LoadVoltages
from evse_pi.installation.files import ratings
from evse_pi.safety.input_reader import MAX_REPEATS, InputReader
from evse_pi.safety.loop_timing import LoopTiming
from hal.errors import BusTimeout
from hal.interfaces import PilotWindow
from hal.linear_scale import LinearScale
from hal.units import Millivolts

SCALE = LinearScale(7_312, Millivolts(-14_925))
NONE: frozenset[Fault] = frozenset()


class Device:
    """Answers every method with one thing."""

    def __init__(self, answer: Any) -> None:
        self.answer = answer

    def __getattr__(self, method: str) -> Any:
        return lambda *args: self.answer


def looking_at(codes: list[int]) -> tuple[InputReader, Device]:
    converter = Device(PilotWindow(array("H", codes), 0, 4_000_000))
    hardware = SafetyHardware(contactor=Device(False), pilot_pwm=Device(None), pilot_adc=converter)
    return InputReader(hardware, SCALE, LoopTiming(ratings(load_board("simulated")))), converter


def failures(input_reader: InputReader) -> frozenset[Fault]:
    return input_reader.read(0, None, NONE, NONE).failures


@pytest.mark.hazard("H-16")
def test_windows_that_repeat_their_noise_are_a_dead_converter() -> None:
    input_reader, _ = looking_at([3680, 3681] * 48)
    for _ in range(MAX_REPEATS):
        assert not failures(input_reader)
    for _ in range(3):
        seen = input_reader.read(0, None, NONE, NONE)
        assert seen.failures == {Fault.PILOT_ADC_FAILED}
        assert seen.pilot is None


def test_converter_that_moves_again_is_believed_again() -> None:
    input_reader, converter = looking_at([3680, 3681] * 48)
    for _ in range(MAX_REPEATS + 1):
        failures(input_reader)
    converter.answer = PilotWindow(array("H", [3681, 3680] * 48), 0, 4_000_000)
    assert not failures(input_reader)


def test_a_window_that_was_lost_leaves_nothing_to_be_late_for() -> None:
    class Silent(Device):
        def read_window(self, *_: object) -> PilotWindow:
            raise BusTimeout("adc: silent")

    timing = LoopTiming(ratings(load_board("simulated")))
    converter = Device(PilotWindow(array("H", [3680, 3690] * 48), 0, 4_000_000))
    for adc in (converter, converter, converter, Silent(None)):
        hardware = SafetyHardware(contactor=Device(False), pilot_pwm=Device(None), pilot_adc=adc)
        InputReader(hardware, SCALE, timing).read(0, None, NONE, NONE)
    timing.add_acted(10_000_000_000)
    assert timing.reaction.largest_ns == 0


def test_line_without_any_noise_is_no_proof_of_a_dead_converter() -> None:
    input_reader, _ = looking_at([3680] * 96)
    for _ in range(100):
        assert not failures(input_reader)


def test_board_with_nothing_optional_reads_nothing_of_it() -> None:
    input_reader, _ = looking_at([3680, 3681] * 48)
    seen = input_reader.read(0, None, frozenset({Fault.PILOT_PWM_FAILED}), frozenset({Fault.TIMING_BUDGET}))
    assert (seen.load_live, seen.proximity_ohms, seen.locked) == (None, None, None)
    assert not seen.rcd_tripped
    assert not seen.emergency_stop
    assert seen.failures == {Fault.PILOT_PWM_FAILED}
    assert seen.alarms == {Fault.TIMING_BUDGET}


class Disturbed:
    """A converter whose first read of a tick fails after so long; `reads` counts all."""

    def __init__(self, failures: int, lasting_ns: int) -> None:
        self.failures, self.lasting_ns, self.reads, self.now_ns = failures, lasting_ns, 0, 0

    def read_window(self) -> PilotWindow:
        self.reads += 1
        if self.reads <= self.failures:
            self.now_ns += self.lasting_ns
            raise BusTimeout("a disturbed transfer")
        return PilotWindow(array("H", [3680, 3681] * 48), 0, 4_000_000)

    def read_tripped(self) -> bool:
        self.read_window()
        return False


@pytest.mark.hazard("H-16")
@pytest.mark.parametrize(("failures_in_a_row", "lasting_ms", "reads", "failed"), [
    (0, 0, 1, False), (1, 0, 2, False), (2, 0, 2, True), (1, 4, 2, False), (1, 6, 1, True),
])  # fmt: skip
def test_a_disturbed_transfer_is_tried_once_more_if_that_makes_no_tick_late(
    failures_in_a_row: int, lasting_ms: int, reads: int, failed: bool
) -> None:
    device = Disturbed(failures_in_a_row, lasting_ms * 1_000_000)
    hardware = SafetyHardware(contactor=Device(False), pilot_pwm=Device(None), pilot_adc=device)  # type: ignore[arg-type]
    reader = InputReader(hardware, SCALE, LoopTiming(ratings(load_board("simulated"))), lambda: device.now_ns)
    assert (Fault.PILOT_ADC_FAILED in failures(reader)) is failed
    assert device.reads == reads


@pytest.mark.hazard("H-05")
def test_a_residual_current_device_is_not_asked_again_for_an_edge_that_is_gone() -> None:
    device = Disturbed(1, 0)
    reader, _ = looking_at([3680, 3681] * 48)
    reader._hardware = replace(reader._hardware, rcd=device)  # type: ignore[arg-type]
    assert failures(reader) == {Fault.RCD_DRIVE_FAILED}


SENSE = LoadSenseSpec(tuple(ConverterInput(channel, LinearScale(100_000, Millivolts(-200_000))) for channel in (5, 6)))


def test_the_load_side_is_read_on_both_sides_of_the_window_and_missing_where_the_converter_leaves_it_out() -> None:
    window = PilotWindow(array("H", [3680, 3681] * 48), 0, 4_000_000, {5: 0, 6: 2_000, 2: 1}, {5: 4_000, 6: 2_001})
    hardware = SafetyHardware(Device(False), Device(None), Device(window), load_sense=SENSE)
    reader = InputReader(hardware, SCALE, LoopTiming(ratings(load_board("simulated"))))
    seen = reader.read(0, None, NONE, NONE).load
    assert seen == LoadVoltages((Millivolts(-200_000), Millivolts(0)), (Millivolts(200_000), Millivolts(100)))
    hardware.pilot_adc.answer = PilotWindow(window.codes[::-1], 0, 4_000_000, {5: 0, 6: 0}, {5: 0})  # type: ignore[attr-defined]
    assert reader.read(0, None, NONE, NONE).load is None
