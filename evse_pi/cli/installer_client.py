"""What the installer's commands share: which box, who asks, in which unit, and how a change comes into force."""

from __future__ import annotations

import getpass
import os
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import click

from evse_pi.api.client import BoxError, BoxNotRunning, ask
from evse_pi.api.installer import CLEAR_AS_INSTALLER, SET_CAPACITY, ByPin, CapacitySet, SetCapacity
from evse_pi.api.orders import CLEAR, RELOAD, SELF_TEST, ClearanceProof, ClearFaults, Role
from evse_pi.api.status import STATUS, SelfTest
from evse_pi.cli import text_layout
from evse_pi.cli.options import json_option, path_options
from evse_pi.paths import INSTALLER_SOCKET

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from boards.spec import BoardSpec
    from evse_pi.api.protocol import Command
    from evse_pi.api.status import Status
    from evse_pi.installer.box_settings import BoxSettings, Who
    from evse_pi.paths import Paths
    from hal.units import Milliamps

Decorated = TypeVar("Decorated", bound="Callable[..., Any]")
Asked = TypeVar("Asked")
Answered = TypeVar("Answered")

POLL_S = 0.05
SERVICE_WITHIN_S = 15.0
SELF_TEST_WITHIN_S = 30.0


def installer_options(function: Decorated) -> Decorated:
    """Give a command the options that say who asks, where, and how to answer."""
    for option in (
        json_option(),
        click.option("--pin-stdin", is_flag=True, help="Take the installer PIN from the first line of the input."),
        click.option("--name", help="Your name, for the record; else the login name."),
    ):
        function = option(function)
    return path_options(function)


@dataclass(frozen=True, slots=True)
class InstallerClient:
    """The installer's files of the box that was named, and its sockets."""

    box_settings: BoxSettings
    paths: Paths

    def board(self) -> BoardSpec:
        """Return the board of this box. Raises: BoxError."""
        return load(self.box_settings.board_name() or SIMULATED)

    def who(self, name: str | None, *, pin_stdin: bool, wish: str) -> Who:
        """Return who asks, and by which right. Raises: BoxError when there is none, which is put on record."""
        from evse_pi.installer.box_settings import ChangeRefused, TooEarly, Who

        login = os.environ.get("SUDO_USER") or _login()
        try:
            right = self.box_settings.right_of(os.geteuid(), sys.stdin.readline().strip() if pin_stdin else None)
        except ChangeRefused as error:
            if not isinstance(error, TooEarly):
                self.box_settings.note_refusal(Who(name or login, "none"), wish, str(error))
            raise BoxError(str(error)) from error
        return Who(name or login, right)

    @property
    def may_write(self) -> bool:
        """Whether this user may write the installer's files himself."""
        return os.access(self.box_settings.folder, os.W_OK)

    def ask_installer(self, current_ma: Milliamps, phases: int | None, name: str | None) -> CapacitySet:
        """Have the installer service set the capacity for the PIN on the input. Raises: BoxError with its words."""
        return _ask_service(SET_CAPACITY, SetCapacity(current_ma, phases, name or _login(), _pin_of_input()))

    def clear(self, name: str | None, *, pin_stdin: bool) -> None:
        """Have the box clear what only the installer may acknowledge, with the proof of it. Raises: BoxError."""
        from evse_pi.installer.box_settings import ChangeRefused

        if pin_stdin and not self.may_write:
            _ask_service(CLEAR_AS_INSTALLER, ByPin(name or _login(), _pin_of_input()))
            return
        try:
            self.order_clear(self.who(name, pin_stdin=pin_stdin, wish="clear as installer"))
        except (ChangeRefused, OSError) as error:
            raise BoxError(str(error)) from error

    def order_clear(self, who: Who) -> None:
        """Prove the order of `who` and give it to the running box. Raises: Refused, OSError, BoxError."""
        proof = self.box_settings.clearance(who)
        clearance = None if proof is None else ClearanceProof(proof.at_ns, proof.digest)
        ask(self.paths.control_socket, CLEAR, ClearFaults(Role.INSTALLER, clearance))

    def set_capacity(self, board: BoardSpec, wanted_ma: Milliamps, phases: int | None, who: Who) -> CapacitySet:
        """Set the capacity, put it in force, and return what came of it. Raises: Refused, OSError."""
        former = self.box_settings.installation(board)
        wanted = self.box_settings.set_capacity(board, wanted_ma, phases, who)
        return CapacitySet(
            circuit_capacity_ma=wanted.circuit_capacity_ma,
            former_ma=former.circuit_capacity_ma,
            phases=wanted.phases,
            by=who.name,
            right=who.right,
            state=self.put_in_force(),
        )

    def put_in_force(self) -> str:
        """Have the running box read the files again, and return what came of it."""
        try:
            ask(self.paths.control_socket, RELOAD)
        except BoxNotRunning:
            return "the box does not run; in force at its next start"
        except BoxError as error:
            return f"written, but the box did not take it: {error}"
        return "in force"


SIMULATED = "simulated"


def _ask_service(command: Command[Asked, Answered], request: Asked) -> Answered:
    """Return the answer of the installer's service. Raises: BoxError with its words."""
    try:
        return ask(INSTALLER_SOCKET, command, request, within_s=SERVICE_WITHIN_S)
    except BoxNotRunning as error:
        raise BoxError(f"{INSTALLER_SOCKET}: the installer's service does not answer; use sudo") from error


def _pin_of_input() -> str:
    return sys.stdin.readline().strip()


def installer_client_of(paths: Paths) -> InstallerClient:
    """Return the installer client of a box."""
    from evse_pi.charging.clock import SystemClock
    from evse_pi.installer.box_settings import BoxSettings

    return InstallerClient(BoxSettings(paths.settings_dir, SystemClock()), paths)


def load(name: str) -> BoardSpec:
    """Return a board by name. Raises: BoxError."""
    from boards.loader import BoardError, load_board

    try:
        return load_board(name)
    except BoardError as error:
        raise BoxError(str(error)) from error


def show(facts: Any, pairs: Iterable[tuple[str, str]], *, as_json: bool) -> None:
    """Print facts for a script, or rows for a person."""
    text_layout.show(facts, text_layout.rows(pairs, text_layout.WIDE_INDENT), as_json=as_json)


def self_tested(address: Path) -> Status:
    """Return the status right after a self-test that was ordered for it. Raises: BoxError."""
    ask(address, SELF_TEST)
    wait_until(
        address,
        lambda now: now.safety.self_test is SelfTest.RUNNING,
        SELF_TEST_WITHIN_S,
        "the self-test does not start",
    )
    return wait_until(
        address,
        lambda now: now.safety.self_test is not SelfTest.RUNNING and now.pilot is not None,
        SELF_TEST_WITHIN_S,
        "the self-test does not end",
    )


def wait_until(address: Path, holds: Callable[[Status], bool], within_s: float, otherwise: str) -> Status:
    """Return the first status for which `holds`. Raises: BoxError, beginning with `otherwise`, when none comes."""
    import time

    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline:
        now = ask(address, STATUS)
        if holds(now):
            return now
        time.sleep(POLL_S)
    raise BoxError(f"{otherwise} within {within_s:.0f} s")


def _login() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return f"uid {os.getuid()}"
