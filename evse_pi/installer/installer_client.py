"""The installer's files and sockets of a box: who asks and by which right, and how a change comes into force."""

from __future__ import annotations

import getpass
import os
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from evse_pi.api.client import BoxError, BoxNotRunning, ask
from evse_pi.api.installer import CLEAR_AS_INSTALLER, SET_CAPACITY, ByPin, CapacitySet, SetCapacity
from evse_pi.api.orders import CLEAR, RELOAD, ClearanceProof, ClearFaults, Role
from evse_pi.api.texts.catalogue import tr
from evse_pi.paths import INSTALLER_SOCKET

if TYPE_CHECKING:
    from boards.spec import BoardSpec
    from evse_pi.api.protocol import Command
    from evse_pi.core.fault_kinds import Fault
    from evse_pi.installer.box_settings import BoxSettings, Who
    from evse_pi.paths import Paths
    from hal.units import Milliamps

Asked = TypeVar("Asked")
Answered = TypeVar("Answered")

SERVICE_WITHIN_S = 15.0
CLEAR_TRIES = 4  # the box waits half a second for what comes of each


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

    def clear(self, name: str | None, *, pin_stdin: bool) -> tuple[Fault, ...]:
        """Have the box clear what only the installer may acknowledge; return what is left. Raises: BoxError."""
        from evse_pi.installer.box_settings import ChangeRefused

        if pin_stdin and not self.may_write:
            return _ask_service(CLEAR_AS_INSTALLER, ByPin(name or _login(), _pin_of_input())).faults
        try:
            return self.order_clear(self.who(name, pin_stdin=pin_stdin, wish="clear as installer"))
        except (ChangeRefused, OSError) as error:
            raise BoxError(str(error)) from error

    def order_clear(self, who: Who) -> tuple[Fault, ...]:
        """Order the clear of `who` until it is done, or seems to be of no use; return the faults that are left.

        While contacts settle the order comes to nothing, and its proof with it: as long as the safety process's own
        record says that nothing was cleared, the order is proven again. Raises: Refused, OSError, BoxError.
        """
        from evse_pi.installer.standing_faults import StandingFaults

        standing, prove = StandingFaults(self.paths.run_dir), self.box_settings.clearances(who)
        left: tuple[Fault, ...] = ()
        for _ in range(CLEAR_TRIES):
            proof = prove()
            clearance = None if proof is None else ClearanceProof(proof.at_ns, proof.digest)
            left = ask(self.paths.control_socket, CLEAR, ClearFaults(Role.INSTALLER, clearance)).faults
            if clearance is None or not left or not standing.left():
                break
        return left

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
            return tr("the box does not run; in force at its next start")
        except BoxError as error:
            return tr("written, but the box did not take it: {error}").format(error=error)
        return tr("in force")


SIMULATED = "simulated"


def _ask_service(command: Command[Asked, Answered], request: Asked) -> Answered:
    """Return the answer of the installer's service. Raises: BoxError with its words."""
    try:
        return ask(INSTALLER_SOCKET, command, request, within_s=SERVICE_WITHIN_S)
    except BoxNotRunning as error:
        raise BoxError(
            tr("{installer_socket}: the installer's service does not answer; use sudo").format(
                installer_socket=INSTALLER_SOCKET
            )
        ) from error


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


def _login() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return f"uid {os.getuid()}"
