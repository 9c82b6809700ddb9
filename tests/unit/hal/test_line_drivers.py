"""Contactor, RCD, lock, watchdog and inputs on gpiozero's mock pins, under a clock that the test moves."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from gpiozero.pins.mock import MockFactory

from evse_pi.sim.harness.virtual_clock import VirtualClock
from hal.connector_lock import GpioConnectorLock
from hal.contactor import GpioContactor
from hal.emergency_stop import GpioEmergencyStop
from hal.errors import HalError
from hal.gpio import Gpio, Pull
from hal.rcd import GpioResidualCurrentDevice
from hal.status_led import GpioStatusLed
from hal.voltage_sense import GpioVoltageSense
from hal.watchdog import GpioWatchdog
from hal.weld_output import GpioWeldOutput

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

MS = 1_000_000


@pytest.fixture
def gpio() -> Iterator[Gpio]:
    gpio = Gpio(factory=MockFactory())
    yield gpio
    gpio.close()


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock(now_ns=5_000 * MS)


def level(gpio: Gpio, number: int) -> bool:
    return bool(gpio.factory.pin(number).state)


def contactor(gpio: Gpio, clock: VirtualClock, *, boost: bool = True) -> GpioContactor:
    return GpioContactor(
        gpio.output(17, "coil"),
        gpio.input(27, "mirror", active_high=True, pull=Pull.UP),
        clock,
        boost=gpio.output(5, "boost") if boost else None,
        boost_ns=100 * MS if boost else 0,
    )


def test_the_contactor_opens_at_any_time_and_any_number_of_times(gpio: Gpio, clock: VirtualClock) -> None:
    device = contactor(gpio, clock)
    device.open()
    device.close()
    assert level(gpio, 17)
    device.open()
    device.open()
    assert not level(gpio, 17)


def test_open_writes_the_line_even_when_nothing_was_closed(gpio: Gpio, clock: VirtualClock) -> None:
    """A line that another program raised must fall all the same."""
    device = contactor(gpio, clock)
    gpio.factory.pin(17).state = True
    device.open()
    assert not level(gpio, 17)


def test_the_boost_ends_after_its_time_and_a_second_close_does_not_renew_it(gpio: Gpio, clock: VirtualClock) -> None:
    device = contactor(gpio, clock)
    device.close()
    clock.advance(99 * MS)
    device.close()
    device.maintain(clock())
    assert (level(gpio, 17), level(gpio, 5)) == (True, True)
    clock.advance(1 * MS)
    device.maintain(clock())
    assert (level(gpio, 17), level(gpio, 5)) == (True, False)


def test_opening_ends_the_boost_and_the_next_close_boosts_again(gpio: Gpio, clock: VirtualClock) -> None:
    device = contactor(gpio, clock)
    device.close()
    device.open()
    assert (level(gpio, 17), level(gpio, 5)) == (False, False)
    device.close()
    assert (level(gpio, 17), level(gpio, 5)) == (True, True)


class BrokenLine:
    def __init__(self, *, fails_on: set[bool]) -> None:
        self.fails_on = fails_on
        self.level: Any = None
        self.closed = False

    def set(self, active: bool) -> None:
        if active in self.fails_on:
            raise HalError("line: broken")
        self.level = active

    def close(self) -> None:
        self.closed = True


def test_a_coil_that_cannot_be_driven_leaves_nothing_driven(clock: VirtualClock) -> None:
    coil, boost = BrokenLine(fails_on={True}), BrokenLine(fails_on=set())
    device = GpioContactor(coil, None, clock, boost=boost, boost_ns=1)  # type: ignore[arg-type]
    with pytest.raises(HalError):
        device.close()
    assert (coil.level, boost.level) == (False, False)


def test_a_coil_that_cannot_be_let_go_still_ends_the_boost(clock: VirtualClock) -> None:
    coil, boost = BrokenLine(fails_on={False}), BrokenLine(fails_on=set())
    device = GpioContactor(coil, None, clock, boost=boost, boost_ns=1)  # type: ignore[arg-type]
    device.close()
    with pytest.raises(HalError):
        device.open()
    assert boost.level is False
    with pytest.raises(HalError):
        device.release()
    assert (coil.closed, boost.closed) == (True, True)


def test_the_mirror_contact_tells_and_a_broken_wire_reads_closed(gpio: Gpio, clock: VirtualClock) -> None:
    device = contactor(gpio, clock)
    assert device.read_closed() is True  # nothing connected: the pull-up
    gpio.factory.pin(27).drive_low()
    assert device.read_closed() is False
    assert GpioContactor(gpio.output(6, "other"), None, clock).read_closed() is None


def test_release_opens_and_makes_every_line_an_input(gpio: Gpio, clock: VirtualClock) -> None:
    device = contactor(gpio, clock)
    device.close()
    device.release()
    assert [gpio.factory.pin(number).function for number in (17, 5, 27)] == ["input"] * 3


def rcd(gpio: Gpio, clock: VirtualClock, *, reset: bool = True) -> GpioResidualCurrentDevice:
    return GpioResidualCurrentDevice(
        gpio.input(22, "trip", active_high=True, pull=Pull.DOWN),
        gpio.output(23, "test"),
        clock,
        reset=gpio.output(24, "reset") if reset else None,
        reset_ns=20 * MS,
    )


def test_a_trip_between_two_reads_is_told_once(gpio: Gpio, clock: VirtualClock) -> None:
    device = rcd(gpio, clock)
    pin = gpio.factory.pin(22)
    assert device.read_tripped() is False
    pin.drive_high()
    pin.drive_low()
    assert device.read_tripped() is True
    assert device.read_tripped() is False


def test_a_failing_read_does_not_lose_the_edge_before_it(clock: VirtualClock) -> None:
    class Trip:
        broken = True

        def watch(self, callback: Callable[..., Any]) -> None:
            self.callback = callback

        def read(self) -> bool:
            if self.broken:
                raise HalError("trip: broken")
            return False

    trip = Trip()
    device = GpioResidualCurrentDevice(trip, BrokenLine(fails_on=set()), clock)  # type: ignore[arg-type]
    trip.callback(1)
    with pytest.raises(HalError):
        device.read_tripped()
    trip.broken = False
    assert device.read_tripped() is True


def test_a_lasting_trip_is_told_as_long_as_it_lasts(gpio: Gpio, clock: VirtualClock) -> None:
    device = rcd(gpio, clock)
    gpio.factory.pin(22).drive_high()
    assert [device.read_tripped() for _ in range(3)] == [True] * 3
    gpio.factory.pin(22).drive_low()
    assert device.read_tripped() is False


def test_the_test_current_follows_and_ends_with_close(gpio: Gpio, clock: VirtualClock) -> None:
    device = rcd(gpio, clock)
    pin = gpio.factory.pin(23)
    device.set_test(True)
    assert pin.state
    device.close()
    assert not pin.states[-1].state
    assert pin.function == "input"


def test_the_reset_pulse_ends_at_the_first_read_after_its_time(gpio: Gpio, clock: VirtualClock) -> None:
    device = rcd(gpio, clock)
    device.reset()
    assert level(gpio, 24)
    clock.advance(19 * MS)
    device.read_tripped()
    assert level(gpio, 24)
    clock.advance(1 * MS)
    device.read_tripped()
    assert not level(gpio, 24)


def test_a_device_without_reset_input_resets_by_itself(gpio: Gpio, clock: VirtualClock) -> None:
    rcd(gpio, clock, reset=False).reset()


def lock(gpio: Gpio, clock: VirtualClock) -> GpioConnectorLock:
    return GpioConnectorLock(
        gpio.output(12, "lock"),
        gpio.output(16, "unlock"),
        gpio.input(20, "feedback", active_high=False, pull=Pull.UP),
        clock,
        drive_ns=300 * MS,
    )


def test_the_motor_is_never_driven_both_ways_not_even_for_a_moment(gpio: Gpio, clock: VirtualClock) -> None:
    levels = {"lock": False, "unlock": False}

    class Line:
        def __init__(self, name: str) -> None:
            self.name = name

        def set(self, active: bool) -> None:
            levels[self.name] = active
            assert not all(levels.values())

    feedback = gpio.input(20, "feedback", active_high=False, pull=Pull.UP)
    device = GpioConnectorLock(Line("lock"), Line("unlock"), feedback, clock, drive_ns=1)  # type: ignore[arg-type]
    seen = []
    for action in (device.drive_lock, device.drive_unlock, device.drive_lock, device.stop, device.drive_unlock):
        action()
        seen.append(tuple(levels.values()))
    assert seen == [(True, False), (False, True), (True, False), (False, False), (False, True)]


def test_an_overdue_pulse_ends_while_the_feedback_is_read_and_repeating_the_order_does_not_renew_it(
    gpio: Gpio, clock: VirtualClock
) -> None:
    device = lock(gpio, clock)
    for _ in range(29):
        device.drive_lock()
        clock.advance(10 * MS)
        device.read_locked()
        assert level(gpio, 12)
    for _ in range(30):
        device.drive_lock()
        clock.advance(10 * MS)
        device.read_locked()
        assert not level(gpio, 12)
    device.stop()
    device.drive_lock()
    assert level(gpio, 12)


def test_a_motor_order_that_failed_is_carried_out_when_it_is_repeated(gpio: Gpio, clock: VirtualClock) -> None:
    line: Any = BrokenLine(fails_on={True})
    feedback = gpio.input(20, "feedback", active_high=False, pull=Pull.UP)
    device = GpioConnectorLock(line, BrokenLine(fails_on=set()), feedback, clock, drive_ns=1)  # type: ignore[arg-type]
    with pytest.raises(HalError):
        device.drive_lock()
    line.fails_on = set()
    device.drive_lock()
    assert line.level is True


def test_a_broken_feedback_wire_reads_unlocked(gpio: Gpio, clock: VirtualClock) -> None:
    device = lock(gpio, clock)
    assert device.read_locked() is False
    gpio.factory.pin(20).drive_low()
    assert device.read_locked() is True
    device.close()


def test_a_watchdog_pulse_is_one_rising_edge_where_the_line_was_lowered_before(gpio: Gpio) -> None:
    device = GpioWatchdog(gpio.output(25, "watchdog"))
    pin = gpio.factory.pin(25)
    levels = []
    for act in (device.lower, device.pulse, device.pulse, device.lower, device.lower, device.pulse):
        act()
        levels.append(bool(pin.state))
    assert levels == [False, True, True, False, False, True]
    device.close()
    assert not pin.states[-1].state


def test_a_pressed_emergency_stop_and_a_broken_wire_look_the_same(gpio: Gpio) -> None:
    device = GpioEmergencyStop(gpio.input(21, "stop", active_high=True, pull=Pull.UP))
    assert device.read_pressed() is True
    gpio.factory.pin(21).drive_low()
    assert device.read_pressed() is False
    device.close()


def test_voltage_sense_and_status_led_follow_their_lines(gpio: Gpio) -> None:
    sense = GpioVoltageSense(gpio.input(26, "sense", active_high=False, pull=Pull.UP))
    assert sense.read_live() is False
    gpio.factory.pin(26).drive_low()
    assert sense.read_live() is True
    sense.close()
    led = GpioStatusLed(gpio.output(13, "led"))
    led.set(True)
    assert level(gpio, 13)
    led.close()


def test_a_weld_output_has_a_line_and_a_second_contact(gpio: Gpio) -> None:
    output = GpioWeldOutput(gpio.output(26, "weld"), gpio.input(4, "readback", active_high=True, pull=Pull.UP))
    assert not level(gpio, 26)
    assert output.read_closed() is True, "a broken wire reads as closed"
    gpio.factory.pin(4).drive_low()
    assert output.read_closed() is False
    output.set(True)
    assert level(gpio, 26)
    output.close()
    assert not gpio.factory.pin(26).states[-1].state
    assert GpioWeldOutput(gpio.output(19, "weld"), None).read_closed() is None


class LateLine:
    """An input whose edges are told when the test says so, with the time at which they were."""

    def __init__(self) -> None:
        self.level = False
        self.tell: Any = None

    def watch(self, callback: Callable[..., Any]) -> None:
        self.tell = callback

    def read(self) -> bool | None:
        return self.level

    def close(self) -> None: ...


@pytest.mark.hazard("H-14")
def test_an_edge_that_arrives_after_its_trip_was_read_and_reset_is_no_second_trip() -> None:
    """On a busy machine the thread of the edges comes late: the trip of a test became one that a person must clear."""
    line, now_ns = LateLine(), [100]
    device = GpioResidualCurrentDevice(line, LateLine(), lambda: now_ns[0])  # type: ignore[arg-type]
    line.level, now_ns[0] = True, 200  # tripped at 150, by its own test
    assert device.read_tripped()
    line.level, now_ns[0] = False, 300  # reset
    assert not device.read_tripped()
    line.tell(150)
    assert not device.read_tripped()
    line.tell(250)  # another trip after the one that was read, already over
    assert device.read_tripped()
    assert not device.read_tripped()


def test_a_glitch_between_two_reads_is_told_however_late_its_edge_comes() -> None:
    line, now_ns = LateLine(), [100]
    device = GpioResidualCurrentDevice(line, LateLine(), lambda: now_ns[0])  # type: ignore[arg-type]
    assert not device.read_tripped()
    now_ns[0] = 500
    assert not device.read_tripped()
    line.tell(300)
    assert device.read_tripped()
