"""When the machine's clock is believed. Sources: adjtimex(2), systemd-timesyncd(8), sysfs-class-rtc."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from hal.clock_trust import MADE_UNIX_S, ClockTrust, SystemTime, kernel_is_synchronized
from hal.units import SECOND

if TYPE_CHECKING:
    from pathlib import Path

NOW = MADE_UNIX_S + 40_000_000
FIVE_HOURS_S = 5 * 3600


class Machine:
    """A machine whose clock daemon, clock chip and kernel are set by hand."""

    def __init__(self, folder: Path) -> None:
        self.flag, self.chip = folder / "synchronized", folder / "rtc0"
        self.kernel = False
        self.now_ns = 0
        self.asked = 0
        self.time = SystemTime(flag=self.flag, chip=self.chip, kernel=self._kernel, monotonic_ns=lambda: self.now_ns)

    def _kernel(self) -> bool:
        self.asked += 1
        return self.kernel

    def fit_chip(self, shows_s: int, *, set_by_it: bool = True) -> None:
        self.chip.mkdir()
        (self.chip / "hctosys").write_text("1\n" if set_by_it else "0\n")
        (self.chip / "since_epoch").write_text(f"{shows_s}\n")

    def later(self) -> ClockTrust:
        self.now_ns += SECOND
        return self.time.trust(NOW)


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def test_a_clock_from_before_a_power_cut_is_not_believed(machine: Machine) -> None:
    """fake-hwclock and systemd-timesyncd put back the time of before: it looks right, and is hours behind."""
    assert machine.time.trust(NOW - FIVE_HOURS_S) is ClockTrust.UNKNOWN


def test_a_clock_is_believed_once_it_is_synchronized_and_then_for_this_boot(machine: Machine) -> None:
    assert machine.later() is ClockTrust.UNKNOWN
    machine.kernel = True
    assert machine.later() is ClockTrust.SYNCHRONIZED
    machine.kernel = False  # the network is gone for a day: the clock goes on
    assert machine.later() is ClockTrust.SYNCHRONIZED


def test_a_process_that_starts_later_finds_that_it_was_synchronized(machine: Machine) -> None:
    machine.flag.touch()
    assert machine.time.trust(NOW) is ClockTrust.SYNCHRONIZED


def test_a_clock_chip_counts_as_long_as_it_runs_and_agrees(machine: Machine) -> None:
    machine.fit_chip(NOW + 2)
    assert machine.time.trust(NOW) is ClockTrust.CLOCK_CHIP
    machine.kernel = True
    assert machine.later() is ClockTrust.SYNCHRONIZED


@pytest.mark.parametrize(
    ("shows_s", "set_by_it"),
    [(NOW + FIVE_HOURS_S, True), (17, True), (NOW, False)],
    ids=["ahead", "no battery", "unused"],
)
def test_a_clock_chip_without_battery_or_that_was_not_used_does_not(
    machine: Machine, shows_s: int, set_by_it: bool
) -> None:
    machine.fit_chip(shows_s, set_by_it=set_by_it)
    assert machine.time.trust(NOW) is ClockTrust.UNKNOWN


def test_a_time_before_this_software_was_made_is_wrong_whatever_is_said_of_it(machine: Machine) -> None:
    machine.flag.touch()
    machine.kernel = True
    assert machine.time.trust(MADE_UNIX_S - 1) is ClockTrust.UNKNOWN


def test_the_machine_is_asked_once_a_second_at_most(machine: Machine) -> None:
    for _ in range(100):
        machine.time.trust(NOW)
    assert machine.asked == 1


def test_the_kernel_of_this_machine_answers() -> None:
    assert kernel_is_synchronized() in (True, False)
