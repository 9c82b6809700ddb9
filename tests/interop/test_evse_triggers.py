"""Test event triggers act on the simulated car and plant; when the answer comes, pilot and contacts have moved."""

from __future__ import annotations

import subprocess
import sys
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest

from evse_pi.api.client import BoxError, call
from tests.interop.evse_peer import (
    ASK,
    ASK_NO_MORE,
    BASIC,
    BASIC_CLEAR,
    CARD,
    CHARGE_CLEAR,
    CHARGE_HIGH,
    CHARGE_LOW,
    CHARGING_ENABLED,
    CONSTRAINT_ERROR,
    DEMAND,
    DIAGNOSED,
    DISABLED,
    EV_CONNECTED,
    FAILURE,
    FAULT,
    HEAT,
    INVALID_COMMAND,
    KEY,
    NO_DEMAND,
    NO_ERROR,
    NOT_PLUGGED_IN,
    PLUG_IN,
    REPAIR,
    RFID,
    STARTED,
    STEADY_PPM,
    SUCCESS,
    TIME_OF_USE,
    TIME_OF_USE_CLEAR,
    TRIP,
    UNPLUG,
    VEHICLE_ID,
    Peer,
)
from tests.interop.wallbox import ENABLE_KEY, PASSCODE, POLL_S, ROOT, START_WITHIN_S

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.interop.controllers import ChipController
    from tests.interop.namespaces import Namespaces
    from tests.interop.wallbox import Wallbox

TIME_OF_USE_MODE, MANUAL_MODE = 1, 0
HALF_AMPS_PPM = 266_666  # 16 A


def lines(wallbox: Wallbox) -> tuple[Any, ...]:
    """Return duty, whether all contacts are closed, whether none is, and S2."""
    now = wallbox.plant
    return now["duty_ppm"], all(now["poles"]), not any(now["poles"]), now["vehicle"]["s2"]


@pytest.mark.parametrize(
    ("key", "code", "endpoint", "status"),
    [
        (KEY[::-1], BASIC, 0, CONSTRAINT_ERROR),
        (bytes(16), BASIC, 0, CONSTRAINT_ERROR),
        (KEY[:15], BASIC, 0, CONSTRAINT_ERROR),
        (KEY, 0x07, 0, INVALID_COMMAND),
        (KEY, 0xFFFF_FFFF, 0, INVALID_COMMAND),
        (KEY, PLUG_IN, 2, INVALID_COMMAND),
        (KEY[::-1], 0x07, 0, CONSTRAINT_ERROR),
    ],
    ids=["wrong key", "zero key", "short key", "unknown", "unknown high", "other endpoint", "wrong key, unknown"],
)
def test_a_trigger_without_the_key_or_of_something_else_is_refused_and_moves_nothing(
    peer: Peer, wallbox: Wallbox, key: bytes, code: int, endpoint: int, status: int
) -> None:
    assert peer.trigger(code, key, endpoint) == status
    assert not wallbox.plant["vehicle"]["plugged"]
    assert peer.states() == [NOT_PLUGGED_IN, DISABLED, NO_ERROR]


def test_the_node_says_that_triggers_are_enabled(peer: Peer, chip: ChipController) -> None:
    path = "GeneralDiagnostics.Attributes.TestEventTriggersEnabled"
    assert chip.call("read", peer.node_id, (0, path)) == [True]


def test_car_duty_and_contacts_have_moved_when_a_trigger_is_answered(peer: Peer, wallbox: Wallbox) -> None:
    assert peer.trigger(BASIC) == SUCCESS
    assert peer.trigger(PLUG_IN, endpoint=1) == SUCCESS
    assert lines(wallbox) == (STEADY_PPM, False, True, "open")
    assert peer.states() == [NO_DEMAND, DISABLED, NO_ERROR]
    assert wallbox.plant["vehicle"]["cable_ma"] == 63_000
    assert peer.trigger(ASK) == SUCCESS
    assert lines(wallbox) == (STEADY_PPM, False, True, "closed")
    assert peer.states() == [DEMAND, DISABLED, NO_ERROR]
    assert peer.enable(maximum_ma=16_000) == SUCCESS
    peer.event(EV_CONNECTED)
    peer.event(STARTED)
    assert peer.trigger(ASK) == SUCCESS, "it asks already"
    assert lines(wallbox) == (HALF_AMPS_PPM, True, False, "closed")
    assert peer.trigger(ASK_NO_MORE) == SUCCESS
    assert lines(wallbox) == (HALF_AMPS_PPM, False, True, "open")
    assert peer.trigger(UNPLUG) == SUCCESS
    assert lines(wallbox) == (STEADY_PPM, False, True, "open")
    assert not wallbox.plant["vehicle"]["plugged"]
    assert peer.states() == [NOT_PLUGGED_IN, CHARGING_ENABLED, NO_ERROR]
    assert peer.trigger(BASIC_CLEAR) == SUCCESS


def test_demand_of_a_car_that_is_not_there_is_no_success(peer: Peer) -> None:
    assert peer.trigger(ASK) == FAILURE
    assert peer.states()[0] == NOT_PLUGGED_IN


def test_the_basic_trigger_begins_from_a_sound_box_and_its_clear_restores_the_users_maximum(
    peer: Peer, wallbox: Wallbox
) -> None:
    assert peer.write("UserMaximumChargeCurrent", 10_000) == SUCCESS
    assert peer.enable() == SUCCESS
    wallbox.car("plug_in", cable_ma=32_000)
    peer.event(EV_CONNECTED)
    wallbox.car("trip_rcd")
    peer.event(FAULT)
    assert peer.trigger(BASIC) == SUCCESS
    assert peer.states() == [NOT_PLUGGED_IN, DISABLED, NO_ERROR]
    assert peer.read("CircuitCapacity", "UserMaximumChargeCurrent") == [32_000, 32_000]
    assert peer.trigger(BASIC) == SUCCESS, "again, which must not make 32 A the value to restore"
    assert peer.trigger(BASIC_CLEAR) == SUCCESS
    assert peer.read("UserMaximumChargeCurrent") == 10_000
    assert peer.write("UserMaximumChargeCurrent", 32_000) == SUCCESS


def test_time_of_use_is_chosen_and_the_former_mode_comes_back(peer: Peer, chip: ChipController) -> None:
    def mode() -> int:
        return chip.call("read", peer.node_id, (1, "EnergyEvseMode.Attributes.CurrentMode"))[0]

    assert mode() == MANUAL_MODE
    assert peer.trigger(TIME_OF_USE) == peer.trigger(TIME_OF_USE) == SUCCESS
    assert mode() == TIME_OF_USE_MODE
    assert peer.trigger(TIME_OF_USE_CLEAR) == SUCCESS
    assert mode() == MANUAL_MODE


def test_what_only_some_cars_tell_is_a_success_of_a_box_that_cannot_hear_it(peer: Peer) -> None:
    assert {peer.trigger(code) for code in (CHARGE_LOW, CHARGE_HIGH, CHARGE_CLEAR, VEHICLE_ID)} == {SUCCESS}
    peer.no_more_events()


def test_a_card_at_the_reader_is_told_once(peer: Peer, wallbox: Wallbox) -> None:
    assert peer.trigger(CARD) == SUCCESS
    assert peer.event(RFID) == {"uid": bytes.fromhex("00112233445566778899")}
    assert wallbox.plant["card"] == "", "it was taken away"
    peer.no_more_events()


@pytest.fixture
def real_node(namespaces: Namespaces, tmp_path: Path) -> Iterator[int]:
    """A node process as on a real board, which no simulator stands behind; gives its discriminator."""
    options = f"--board simulated --passcode {PASSCODE} --discriminator 399 --port 5999 --enable-key {ENABLE_KEY}"
    folders = ["--state-dir", tmp_path, "--run-dir", tmp_path, "--installation", tmp_path / "none.toml"]
    command = [sys.executable, "-m", "evse_pi.node", *options.split(), "--interface=eth0", *map(str, folders)]
    process = subprocess.Popen(namespaces.inside(namespaces.device, *command), cwd=ROOT, stderr=subprocess.DEVNULL)
    until = time.monotonic() + START_WITHIN_S
    while time.monotonic() < until:
        with suppress(BoxError, OSError):
            if (call(tmp_path / "control.sock", "status")["matter"] or {"running": False})["running"]:
                break
        time.sleep(POLL_S)
    yield 399
    process.terminate()
    assert process.wait(10) == 0


def test_a_box_without_a_simulator_refuses_every_trigger(real_node: int, chip: ChipController, node_id: int) -> None:
    chip.call("commission", node_id + 500, PASSCODE, real_node)
    other = Peer(chip, node_id + 500, str)
    assert chip.call("read", node_id + 500, (0, "GeneralDiagnostics.Attributes.TestEventTriggersEnabled")) == [True]
    codes = (*range(BASIC, TIME_OF_USE + 1), TRIP, HEAT, REPAIR, DIAGNOSED, TIME_OF_USE_CLEAR, CHARGE_LOW, CARD)
    assert {other.trigger(code) for code in codes} == {INVALID_COMMAND}
    assert other.trigger(BASIC, bytes(16)) == CONSTRAINT_ERROR
