"""The installer's PIN: hashed, and slower with every failure, whatever is restarted."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from evse_pi.installer.pin import Pin, PinError, delay_after
from evse_pi.sim.harness.virtual_clock import VirtualClock

if TYPE_CHECKING:
    from pathlib import Path

GOOD = "480213"


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock()


@pytest.fixture
def pin(tmp_path: Path, clock: VirtualClock) -> Pin:
    chosen = Pin(tmp_path, clock)
    chosen.choose(GOOD)
    return chosen


def fail(pin: Pin, times: int) -> str:
    text = ""
    for _ in range(times):
        with pytest.raises(PinError) as caught:
            pin.verify("999111")
        text = str(caught.value)
    return text


def test_the_right_pin_is_accepted_and_stands_nowhere(pin: Pin, tmp_path: Path) -> None:
    pin.verify(GOOD)
    for file in tmp_path.iterdir():
        assert GOOD.encode() not in file.read_bytes()
        assert file.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("other", ["", "\ud800", "\udfff" * 6, "\0", "48021\n", "x" * 1_000])
def test_any_text_that_is_not_the_pin_is_a_wrong_pin(pin: Pin, other: str) -> None:
    with pytest.raises(PinError, match="the PIN is wrong"):
        pin.verify(other)


def test_two_boxes_with_one_pin_keep_different_hashes(pin: Pin, tmp_path: Path, clock: VirtualClock) -> None:
    (tmp_path / "other").mkdir()
    Pin(tmp_path / "other", clock).choose(GOOD)
    kept = [json.loads((folder / "installer.pin").read_bytes()) for folder in (tmp_path, tmp_path / "other")]
    assert kept[0]["hash"] != kept[1]["hash"]


@pytest.mark.parametrize(
    "bad", ["", "12345", "48021x", "480 13", "-480213", "٤٨٠٢١٣", "1" * 33, "000000", "123456", "987654"]
)
def test_a_pin_that_is_too_easy_is_refused(tmp_path: Path, clock: VirtualClock, bad: str) -> None:
    with pytest.raises(PinError, match=r"6 to 32 digits|among the first"):
        Pin(tmp_path, clock).choose(bad)
    assert not Pin(tmp_path, clock).is_set


def test_no_pin_is_no_right(tmp_path: Path, clock: VirtualClock) -> None:
    with pytest.raises(PinError, match="no installer PIN has been set"):
        Pin(tmp_path, clock).verify(GOOD)


def test_after_three_failures_even_the_right_pin_waits(pin: Pin, clock: VirtualClock) -> None:
    assert "try again in 10 s" in fail(pin, 3)
    with pytest.raises(PinError, match="3 wrong PINs; try again in 10 s"):
        pin.verify(GOOD)
    clock.advance_s(10)
    pin.verify(GOOD)
    assert "try again" in fail(pin, 1)  # and the count begins at zero again


def test_the_delay_doubles_up_to_an_hour() -> None:
    assert [delay_after(failures) for failures in (0, 2, 3, 4, 5, 11, 12, 1_000)] == [
        0,
        0,
        10,
        20,
        40,
        2_560,
        3_600,
        3_600,
    ]


def test_asking_too_early_does_not_lengthen_the_delay(pin: Pin, clock: VirtualClock) -> None:
    fail(pin, 3)
    for _ in range(5):
        with pytest.raises(PinError, match="3 wrong PINs"):
            pin.verify("999111")
    clock.advance_s(10)
    pin.verify(GOOD)


def test_a_restart_of_the_process_does_not_shorten_the_delay(pin: Pin, tmp_path: Path, clock: VirtualClock) -> None:
    fail(pin, 3)
    with pytest.raises(PinError, match="try again in 10 s"):
        Pin(tmp_path, clock).verify(GOOD)


def test_a_restart_of_the_machine_begins_the_delay_again(pin: Pin, clock: VirtualClock) -> None:
    fail(pin, 3)
    clock.advance_s(10)
    fail(pin, 1)  # four: 20 s
    clock.boot(outage_s=86_400)
    clock.now_ns = 5 * 1_000_000_000
    with pytest.raises(PinError, match="4 wrong PINs; try again in 15 s"):
        pin.verify(GOOD)
    clock.advance_s(15)
    pin.verify(GOOD)


def test_a_clock_that_is_set_does_not_shorten_the_delay(pin: Pin, clock: VirtualClock) -> None:
    fail(pin, 3)
    clock.set_unix_s((clock.unix_s() or 0) + 10**9)
    with pytest.raises(PinError, match="try again in 10 s"):
        pin.verify(GOOD)


def test_a_torn_count_of_failures_is_not_a_fresh_start(pin: Pin, tmp_path: Path, clock: VirtualClock) -> None:
    (tmp_path / "installer.attempts").write_bytes(b'{"fail')
    clock.now_ns = 1_000_000_000
    with pytest.raises(PinError, match="6 wrong PINs; try again in 79 s"):
        pin.verify(GOOD)


def test_a_new_pin_replaces_the_old_one_and_forgets_the_failures(pin: Pin) -> None:
    fail(pin, 3)
    pin.choose("730561")
    pin.verify("730561")
    with pytest.raises(PinError, match="wrong"):
        pin.verify(GOOD)
