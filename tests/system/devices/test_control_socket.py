from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest

from evse_pi.sim.process import SimulatorError
from evse_pi.sim.shim import CompilerMissingError, build
from evse_pi.sim.wiring import SimulatorSettings, Wiring
from tests.support.emulation import QUIET, emulation

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.emulation import Emulation

SWITCH = """
    import sys
    from gpiozero import DigitalInputDevice, OutputDevice
    from hal.gpiod_pins import GpiodFactory
    factory = GpiodFactory()
    relay = OutputDevice(17, pin_factory=factory, initial_value=True)
    trip = DigitalInputDevice(20, pull_up=None, active_state=True, pin_factory=factory)
    trip.when_activated = relay.off
    print("ready", flush=True)
    sys.stdin.read()
"""


def test_a_measurement_tells_how_long_the_line_took(emulated: Emulation) -> None:
    with emulated.running(SWITCH):
        answer = emulated.client.call("measure", verb="trip_rcd", signal="contactor", value=0)
    assert answer["latency_ns"] == answer["changed_ns"] - answer["acted_ns"]
    assert 0 < answer["latency_ns"] < 500_000_000


def test_a_measurement_that_nothing_answers_runs_out(emulated: Emulation) -> None:
    answer = emulated.client.call("measure", verb="plug_in", signal="contactor", value=1, timeout_ms=50)
    assert answer["changed_ns"] is None


def test_waiting_ends_at_once_when_the_value_is_there(emulated: Emulation) -> None:
    assert emulated.client.call("wait", signal="contactor", value=0)["latency_ns"] == 0


def test_a_subscriber_receives_every_change(emulated: Emulation) -> None:
    with emulated.simulator.client() as live:
        live.call("subscribe", signals=["plugged", "s2"])
        for verb in ("plug_in", "close_s2", "draw", "unplug"):
            emulated.client.verb(verb, **({"ma": 6_000} if verb == "draw" else {}))
        heard = [live.receive()["change"][1:] for _ in range(4)]
    assert heard == [["plugged", 1], ["s2", 1], ["plugged", 0], ["s2", 0]]


def test_a_verb_may_be_scheduled(emulated: Emulation) -> None:
    now_ns = emulated.client.verb("plug_in")
    emulated.client.call("verb", verb="close_s2", at_ns=now_ns + 30_000_000)
    answer = emulated.client.call("wait", signal="s2", value=1)
    assert answer["changed_ns"] == now_ns + 30_000_000


def test_a_scheduled_verb_with_bad_arguments_is_told_when_its_time_comes(emulated: Emulation) -> None:
    emulated.client.call("verb", verb="draw", args={"ma": -1}, at_ns=emulated.client.verb("plug_in") + 1_000_000)
    assert emulated.client.receive() == {"refused": "ma -1: allowed is 0 to 100000"}
    assert emulated.client.state()["vehicle"]["plugged"]


@pytest.mark.parametrize(
    ("request_", "said"),
    [
        ({"command": "dance"}, "command 'dance': allowed are apply"),
        ({"command": "verb"}, "verb: missing a required argument: 'verb'"),
        ({"command": "verb", "verb": "fly"}, "verb 'fly': allowed are"),
        ({"command": "verb", "verb": "fly", "at_ns": 1}, "verb 'fly': allowed are"),
        ({"command": "measure", "verb": "plug_in", "signal": "plugged", "value": 0}, "plugged has it before"),
        ({"command": "device", "device": "radio"}, "device 'radio': allowed are gpio, i2c, pwm, serial, spi"),
        ({"command": "device", "device": "spi", "error": "EFUN"}, "device.error 'EFUN'"),
        ({"command": "i2c", "address": 1}, "i2c.address 0x1: allowed are 0x48"),
        ({"command": "release", "mode": "maybe"}, "release.mode 'maybe': allowed are strict, persist"),
        ({"command": "apply", "line": 54}, "apply.line 54: allowed is 0 to 53"),
        ({"command": "meter", "fault": "loud"}, "meter.fault 'loud': allowed are silent"),
    ],
)
def test_bad_requests_are_refused_by_name_and_the_socket_lives_on(
    emulated: Emulation, request_: Any, said: Any
) -> None:
    with pytest.raises(SimulatorError, match=re.escape(said)):
        emulated.client.call(request_.pop("command"), **request_)
    assert emulated.client.state()["vehicle"]["plugged"] is False


def test_what_is_no_json_is_refused(emulated: Emulation) -> None:
    emulated.client._connection._socket.sendall(b"plug in\n")
    assert emulated.client.receive()["ok"] is False


def test_a_whole_charge_is_seen_in_the_state(emulated: Emulation) -> None:
    emulated.client.verb("plug_in")
    emulated.client.verb("close_s2")
    with emulated.running("""
        from tests.support.pilot_channel import start_pilot
        from gpiozero import OutputDevice
        from hal.gpiod_pins import GpiodFactory
        start_pilot(266_667)
        relay = OutputDevice(17, pin_factory=GpiodFactory(), initial_value=True)
        print("ready", flush=True)
        input()
    """):
        emulated.client.call("wait", signal="current_ma", value=16_000, timeout_ms=3_000)
        state = emulated.client.state()
    assert state["current_ma"] == [16_000] * 3
    assert state["poles"] == [True] * 3
    assert state["pilot_high_mv"] == 5_995


@pytest.mark.parametrize(
    ("wiring", "said"),
    [
        (Wiring(model="pi3"), "status 2"),
        (Wiring(drives={**Wiring().drives, "led": Wiring().drives["contactor"]}), "status 2"),  # type: ignore[dict-item, index]
    ],
)
def test_impossible_wiring_ends_the_simulator_before_it_is_ready(tmp_path: Path, wiring: Any, said: Any) -> None:
    with pytest.raises(SimulatorError, match=said), emulation(tmp_path, SimulatorSettings(wiring, QUIET.plant)):
        pass


def test_a_second_simulator_may_follow_in_the_same_folder(tmp_path: Path) -> None:
    for _ in range(2):
        with emulation(tmp_path) as emulated:
            assert emulated.client.verb("plug_in") > 0


def test_without_a_compiler_the_error_names_the_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(CompilerMissingError, match="install the package gcc"):
        build(tmp_path / "cache")
