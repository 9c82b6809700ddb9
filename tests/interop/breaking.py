"""Tests that break what they were lent, each followed by one that must not notice it.

`test_broken_counterparts.py` runs them: those named `test_break_...` must fail, the others pass.
"""

from __future__ import annotations

import os
import signal
from contextlib import suppress
from typing import TYPE_CHECKING

from tests.interop.controllers import ControllerError
from tests.interop.evse_peer import DISABLED, NO_ERROR, NOT_PLUGGED_IN, SUCCESS
from tests.interop.lamp import PASSCODE

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.interop.controllers import ChipController, JsonProgram
    from tests.interop.evse_peer import Peer
    from tests.interop.lamp import Lamp
    from tests.interop.wallbox import Wallbox


def reads(peer: Peer) -> None:
    assert peer.states() == [NOT_PLUGGED_IN, DISABLED, NO_ERROR]


def test_break_the_controller_by_a_kill(chip: ChipController) -> None:
    os.kill(chip.pid, signal.SIGKILL)
    chip.call("ping")


def test_after_a_killed_controller(peer: Peer) -> None:
    reads(peer)


def test_break_the_controller_by_a_hang(chip: ChipController) -> None:
    os.kill(chip.pid, signal.SIGSTOP)
    chip.call("ping", timeout_s=1)


def test_after_a_controller_that_hangs(peer: Peer) -> None:
    reads(peer)


def test_a_commissioning_that_fails_and_leaves_the_library_at_it(
    chip: ChipController, lamps: Callable[..., Lamp]
) -> None:
    with suppress(ControllerError):
        chip.call("commission", 2900, PASSCODE + 1, lamps().discriminator)


def test_after_a_commissioning_that_failed(chip: ChipController, lamps: Callable[..., Lamp]) -> None:
    chip.call("commission", 2901, PASSCODE, lamps().discriminator)


def test_a_car_that_is_left_plugged_in_and_charging(peer: Peer, wallbox: Wallbox) -> None:
    wallbox.car("plug_in", cable_ma=32_000)
    wallbox.car("auto")
    assert peer.enable() == SUCCESS
    wallbox.await_plant(lambda now: now["coil"] == "full", 40)
    assert peer.invoke("Disable") == SUCCESS


def test_after_a_car_that_was_left(peer: Peer, wallbox: Wallbox) -> None:
    assert not wallbox.plant["vehicle"]["plugged"]
    reads(peer)


def test_break_the_box_by_a_power_cut(peer: Peer, wallbox: Wallbox) -> None:
    wallbox.cut_power()
    wallbox.until(lambda _now: True, 0.5)


def test_after_a_box_that_died(peer: Peer) -> None:
    reads(peer)


def test_a_box_that_dies_when_the_test_has_passed(wallbox: Wallbox) -> None:
    wallbox.cut_power()


def test_after_a_box_that_died_unseen(peer: Peer) -> None:
    reads(peer)


def test_break_matter_js_by_a_hang(matterjs: JsonProgram) -> None:
    os.kill(matterjs.pid, signal.SIGSTOP)
    matterjs.call("ping", timeout_s=1)


def test_after_a_matter_js_that_hung(matterjs: JsonProgram) -> None:
    assert matterjs.call("ping") is True
