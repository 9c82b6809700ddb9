"""gpiozero's devices on the product's own pins: levels, pulls, edges, oscillation, and what is left when they end."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.support.emulation import Emulation

COIL, TRIP, FREE = 17, 20, 19
SETUP = """
    import sys, threading, time
    from gpiozero import DigitalInputDevice, OutputDevice, PWMOutputDevice
    from hal.gpiod_pins import GpiodFactory
    factory = GpiodFactory()
"""


def levels(emulated: Emulation, signal: Any = "contactor") -> Any:
    return [change[2] for change in emulated.client.call("history", signals=[signal])["changes"]]


def test_an_active_low_output_never_shows_its_active_level_before_it_is_set(emulated: Emulation) -> None:
    emulated.python(
        SETUP
        + """
    relay = OutputDevice(17, active_high=False, initial_value=False, pin_factory=factory)
    print(factory.pin(17).state, relay.value)
    """
    )
    assert levels(emulated) == [0, 1, 0], "low at rest, high as inactive from the claim on, released"


@pytest.mark.parametrize(("pull", "flag"), [("True", 1), ("False", 0)])
def test_an_input_has_its_pull_and_is_free_again_when_closed(emulated: Emulation, pull: Any, flag: Any) -> None:
    with emulated.running(
        SETUP
        + f"""
    line = DigitalInputDevice({FREE}, pull_up={pull}, pin_factory=factory)
    print("ready", flush=True)
    print(factory.pin({FREE}).state, factory.pin({FREE}).pull, flush=True)
    sys.stdin.readline()
    line.close()
    print("closed", flush=True)
    sys.stdin.readline()
    """
    ) as child:
        assert child.says() == f"{bool(flag)} {'up' if flag else 'down'}"
        assert emulated.line(FREE)["held"] is True
        child.hear()
        assert child.says() == "closed"
        assert FREE not in {line["line"] for line in emulated.client.call("lines")["lines"]}, (
            "free, and wired to nothing"
        )


def test_a_watched_line_that_is_closed_is_polled_by_no_thread_and_can_be_claimed_at_once(emulated: Emulation) -> None:
    lines = emulated.python(
        SETUP
        + f"""
    for _ in range(50):
        trip = DigitalInputDevice({TRIP}, pull_up=None, active_state=True, pin_factory=factory)
        watched = [thread.name for thread in threading.enumerate()].count("gpio edges")
        trip.close()
        left = [thread.name for thread in threading.enumerate()].count("gpio edges")
        if (watched, left) != (1, 0):
            print(watched, left)
    """
    )
    assert lines == []


def test_a_wave_keeps_its_frequency_and_share_and_rests_low(emulated: Emulation) -> None:
    with emulated.running(
        SETUP
        + f"""
    wave = PWMOutputDevice({COIL}, frequency=50, initial_value=0, pin_factory=factory)
    print("ready", flush=True)
    sys.stdin.readline()
    wave.value = 0.5
    time.sleep(0.6)
    wave.value = 0
    print("rests", flush=True)
    time.sleep(0.1)
    wave.close()
    print([thread.name for thread in threading.enumerate()].count("gpio wave"), flush=True)
    sys.stdin.readline()
    """
    ) as child:
        child.hear()
        assert child.says() == "rests"
        changes = emulated.client.call("history", signals=["contactor"])["changes"]
        assert child.says() == "0"
        assert emulated.line(COIL)["level"] == 0
    rises = [at for at, _, level in changes if level]
    assert 28 <= len(rises) <= 31
    periods = sorted(later - earlier for earlier, later in pairwise(rises))
    assert periods[len(periods) // 2] == pytest.approx(20_000_000, rel=0.1)


VANISHES = """
    import errno, os
    from hal.errors import HalError
    from hal.gpio import Gpio, Pull
    from hal.rcd import GpioResidualCurrentDevice
    gpio = Gpio()
    threading.excepthook = lambda told: print("unhandled", told.exc_type.__name__, flush=True)

    def answer(rcd):
        try:
            return rcd.read_tripped()
        except HalError as error:
            return f"{type(error).__name__}: {error}"

    def until_watched_no_more():
        while "gpio edges" in {thread.name for thread in threading.enumerate()}:
            time.sleep(0.01)
"""


def test_a_trip_line_whose_edges_are_watched_no_more_is_a_named_error_though_its_level_reads(
    emulated: Emulation,
) -> None:
    """Of a chip that is unbound, the kernel (gpiolib-cdev.c) ends the poll and answers reads with ENODEV."""
    lines = emulated.python(
        SETUP
        + VANISHES
        + f"""
    class Unbound:
        def __init__(self, line):
            self._line = line
            self.fd, self.unbind = os.pipe()
        def read_edge_events(self):
            raise OSError(errno.ENODEV, os.strerror(errno.ENODEV))
        def __getattr__(self, name):
            return getattr(self._line, name)

    pin = gpio.factory.pin({TRIP})
    pin._request = Unbound(pin._line())
    rcd = GpioResidualCurrentDevice(
        gpio.input({TRIP}, "trip", active_high=True, pull=Pull.NONE), gpio.output({FREE}, "test"), time.monotonic_ns
    )
    print(answer(rcd))
    os.close(pin._request.unbind)
    until_watched_no_more()
    print(answer(rcd), flush=True)
    os._exit(0)
    """
    )
    assert lines == [
        "False",
        f"DeviceNotFound: trip (GPIO {TRIP}): edges are watched no more: [Errno 19] No such device",
    ]


def test_a_chip_that_vanishes_ends_edges_and_waves_without_a_traceback(emulated: Emulation) -> None:
    with emulated.running(
        SETUP
        + VANISHES
        + f"""
    trip = gpio.input({TRIP}, "trip", active_high=True, pull=Pull.NONE)
    wave = gpio.square_wave({COIL}, "test current", 50)
    rcd = GpioResidualCurrentDevice(trip, wave, time.monotonic_ns)
    rcd.set_test(True)
    print("ready", flush=True)
    sys.stdin.readline()
    until_watched_no_more()
    print(answer(rcd).split(":")[0], flush=True)
    while True:
        try:
            rcd.set_test(True)
        except HalError as error:
            print(error, flush=True)
            break
        time.sleep(0.01)
    sys.stdin.readline()
    """
    ) as child:
        emulated.simulator.process.kill()
        child.hear()
        assert child.says() in {"HalError", "DeviceNotFound", "BusError"}
        assert child.says().startswith(f"test current (GPIO {COIL}): ")
