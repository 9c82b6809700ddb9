from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import pytest

from boards.build_field import FieldHardware, MeterSlot, Thermometer
from evse_pi.node.field_devices import FieldDevices, Probe
from evse_pi.sim.harness.virtual_clock import VirtualClock
from hal.errors import BusTimeout, DeviceNotFound
from hal.units import SECOND
from tests.support.node_box import meter_reading

if TYPE_CHECKING:
    from collections.abc import Callable


class Script:
    """A device that opens and answers as told: a value, or an exception to raise; `opened` counts."""

    def __init__(self, *answers: Any) -> None:
        self.answers = list(answers)
        self.opened = self.closed = 0

    def open(self) -> Script:
        self.opened += 1
        return self

    def read(self) -> Any:
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, BaseException):
            raise answer
        return answer

    def read_centi_celsius(self) -> Any:
        return self.read()

    def close(self) -> None:
        self.closed += 1


def probe(script: Script, period_ns: int = SECOND) -> Probe[Any, Any]:
    return Probe("meter", "/dev/ttyUSB0", script.open, lambda device: device.read(), period_ns)


def test_a_value_carries_when_it_was_taken() -> None:
    clock, device = VirtualClock(0), probe(Script(41, 42))
    device.poll(clock)
    clock.now_ns = 5
    assert device.poll(clock)
    assert device.newest is not None
    assert (device.newest.value, device.newest.at_ns, device.trouble) == (42, 5, None)


def test_a_failure_keeps_the_last_value_with_its_age_and_opens_the_device_again() -> None:
    script = Script(41, BusTimeout("no answer"), 43)
    clock, device = VirtualClock(0), probe(script)
    device.poll(clock)
    clock.now_ns = SECOND
    assert not device.poll(clock)
    assert device.newest is not None
    assert (device.newest.value, device.newest.at_ns) == (41, 0)
    assert device.state(2 * SECOND)._asdict() == {
        "device": "meter", "bus": "/dev/ttyUSB0", "trouble": "no answer", "errors": 1, "age_ms": 2000,
    }  # fmt: skip
    assert device.poll(clock)
    assert (script.opened, script.closed, device.trouble, device.errors) == (2, 1, None, 1)


def test_a_dead_device_is_asked_less_often_and_still_often_enough_to_come_back_in_time() -> None:
    clock, device = VirtualClock(0), probe(Script(DeviceNotFound("gone")))
    waits = []
    for _ in range(12):
        device.poll(clock)
        waits.append((device.due_ns - clock.now_ns) // SECOND)
        clock.now_ns = device.due_ns
    assert waits == [2, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4]


def test_a_mistake_in_one_driver_is_named_and_goes_no_further() -> None:
    device = probe(Script(ZeroDivisionError("oops"), 7))
    assert not device.poll(VirtualClock(0))
    assert device.trouble == "ZeroDivisionError: oops"
    assert device.poll(VirtualClock(0))


def field(meter: Script | None, *thermometers: Script, wake: Callable[[], None] = lambda: None) -> FieldDevices:
    slots = [Thermometer(f"place {n}", "/dev/i2c-1", script.open) for n, script in enumerate(thermometers)]
    slot = MeterSlot("/dev/ttyUSB0", meter.open) if meter else None
    return FieldDevices(FieldHardware(slot, tuple(slots)), VirtualClock(0), wake=wake)


def test_no_temperature_is_told_before_every_thermometer_was_read() -> None:
    """H-12: a silent sensor is not a cool one."""
    clock = VirtualClock(0)
    device = field(None, Script(30_00), Script(70_00), Script(20_00))
    assert device.temperatures() == {}
    assert not device.complete
    for number, each in enumerate(device._thermometers):
        clock.now_ns = number
        assert device.temperatures() == {}
        each.poll(clock)
    assert device.complete
    told = [(each.at_ns, each.centi_celsius) for each in device.temperatures().values()]
    assert told == [(0, 30_00), (1, 70_00), (2, 20_00)]


class Hanging(Script):
    """A driver that never comes back until it is let go."""

    def __init__(self) -> None:
        super().__init__(None)
        self.reached, self.let_go = threading.Event(), threading.Event()

    def read(self) -> Any:
        self.reached.set()
        self.let_go.wait()
        raise BusTimeout("let go")


def test_a_bus_that_hangs_blocks_no_other_bus_and_no_caller() -> None:
    hanging, woken = Hanging(), threading.Event()
    device = field(hanging, Script(25_00), wake=woken.set)
    device.start()
    assert hanging.reached.wait(5)
    assert woken.wait(5)
    assert device.meter is None
    assert [each.centi_celsius for each in device.temperatures().values()] == [25_00]
    (state, _) = device.state(6 * SECOND)
    assert state.trouble == "no answer for 6 s"
    device.end(patience_s=0.01)
    hanging.let_go.set()


def test_devices_of_one_bus_share_a_thread() -> None:
    seen: set[str] = set()

    class Named(Script):
        def read(self) -> Any:
            seen.add(threading.current_thread().name)
            return super().read()

    woken = threading.Semaphore(0)
    device = field(Named(meter_reading(0, 0)), Named(1), Named(2), wake=woken.release)
    device.start()
    for _ in range(3):
        assert woken.acquire(timeout=5)
    device.end()
    assert seen == {"bus /dev/ttyUSB0", "bus /dev/i2c-1"}


@pytest.mark.parametrize("fitted", [True, False])
def test_a_board_without_slow_devices_is_complete_at_once(fitted: bool) -> None:
    assert field(Script(meter_reading(0, 0)) if fitted else None).complete is not fitted


def test_what_speaks_against_a_device_is_told_as_its_trouble() -> None:
    device, clock = field(Script(1), Script(30_00)), VirtualClock(0)
    for each in device._probes:
        each.poll(clock)
    assert [each.trouble for each in device.state(0)] == [None, None]
    doubts = {"meter": "frozen", "place 0 thermometer": "still"}
    assert [each.trouble for each in device.state(0, doubts)] == ["frozen", "still"]
