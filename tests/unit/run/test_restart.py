"""A new release takes over by a restart only while the box itself says that its contactor is open."""

from __future__ import annotations

import subprocess
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from evse_pi.api.client import BoxNotRunning
from evse_pi.api.status import ContactorStatus
from evse_pi.run import restart

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from evse_pi.api.protocol import Command

OPEN = ContactorStatus(close_ordered=False, mirror_closed=False, load_live=False, cycles=3, openings_under_load=0)


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """A machine whose box says what it is told to; the commands that were run are kept."""
    commands = []

    def run(command: list[str], check: bool) -> SimpleNamespace:
        commands.append(command)
        return SimpleNamespace(returncode=0)

    def says(contactor: BoxNotRunning | ContactorStatus | None) -> list[Any]:
        def ask(*_: Command[Any, Any] | Path) -> SimpleNamespace:
            if isinstance(contactor, Exception):
                raise contactor
            return SimpleNamespace(contactor=contactor)

        monkeypatch.setattr(restart, "ask", ask)
        return commands

    monkeypatch.setattr(subprocess, "run", run)
    return says


@pytest.mark.parametrize("mirror", [False, None])
def test_an_open_box_is_restarted(machine: Callable[..., Any], mirror: bool | None) -> None:
    commands = machine(OPEN._replace(mirror_closed=mirror))
    assert restart.main([]) == 0
    assert commands == [["systemctl", "restart", "evse-pi-safety.service", "evse-pi-node.service"]]


@pytest.mark.parametrize(
    ("contactor", "told"),
    [
        (OPEN._replace(close_ordered=True), "a vehicle charges"),
        (OPEN._replace(mirror_closed=True), "a vehicle charges"),  # welded, or another hand
        (OPEN._replace(mirror_closed=None, load_live=True), "a vehicle charges"),  # welded, without a mirror contact
        (None, "does not say"),
        (BoxNotRunning("no box is running"), "does not say"),
        (TimeoutError("no answer"), "does not say"),
    ],
)
def test_no_other_box_is_restarted_and_the_command_for_later_is_told(
    machine: Callable[..., Any], capsys: pytest.CaptureFixture[str], contactor: ContactorStatus | None, told: str
) -> None:
    commands = machine(contactor)
    assert restart.main([]) == restart.LATER
    assert commands == []
    said = capsys.readouterr().err
    assert told in said
    assert "sudo systemctl restart evse-pi-safety.service evse-pi-node.service" in said


def test_whether_it_charges_is_only_answered(machine: Callable[..., Any]) -> None:
    commands = machine(OPEN._replace(close_ordered=True))
    assert restart.main(["--charging"]) == 0
    machine(OPEN)
    assert restart.main(["--charging"]) == 1
    machine(BoxNotRunning("no box is running"))
    assert restart.main(["--charging"]) == 1
    assert commands == []
