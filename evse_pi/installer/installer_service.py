"""Serves those who are not root and know the installer PIN: one request a connection, then the end.

The service manager listens, starts this as root for each connection, and hands it over as standard
input. Requests are those of `evse_pi.api.installer`; nothing else can be asked.
"""

from __future__ import annotations

import socket
import sys
from contextlib import closing
from typing import TYPE_CHECKING, Any

from boards.loader import BoardError, load_board
from evse_pi.api.admission import owners_and_installer
from evse_pi.api.client import BoxError
from evse_pi.api.installer import CHECK_PIN, CLEAR_AS_INSTALLER, SET_CAPACITY, Cleared, Right
from evse_pi.api.refusal import Refusal
from evse_pi.api.service import CommandHandler, Service
from evse_pi.api.single_request import answer_one
from evse_pi.installer.box_settings import ChangeRefused, TooEarly, Who
from evse_pi.installer.installer_client import InstallerClient, installer_client_of
from evse_pi.paths import SYSTEM_RUN, SYSTEM_STATE, Paths

if TYPE_CHECKING:
    from collections.abc import Callable

    from evse_pi.api.installer import ByPin, CapacitySet, SetCapacity
    from evse_pi.api.service import Caller


def main() -> int:
    """Answer the connection that is standard input, and return the exit status."""
    with closing(socket.socket(fileno=sys.stdin.fileno())) as connection:
        serve(connection, installer_client_of(Paths(SYSTEM_STATE, SYSTEM_RUN)))
    return 0


def serve(connection: socket.socket, installer: InstallerClient) -> None:
    """Answer one request."""
    answer_one(connection, InstallerService(installer).service, owners_and_installer)


class InstallerService:
    """Carries out what may be asked by the PIN; `service` offers it."""

    def __init__(self, installer: InstallerClient) -> None:
        self._installer = installer
        self.service = Service(
            CommandHandler(CHECK_PIN, _answering(self._check)),
            CommandHandler(SET_CAPACITY, _answering(self._set)),
            CommandHandler(CLEAR_AS_INSTALLER, _answering(self._clear)),
        )

    def _check(self, request: ByPin, caller: Caller) -> Right:
        return Right(self._right(request, caller, "check of the PIN"))

    def _clear(self, request: ByPin, caller: Caller) -> Cleared:
        right = self._right(request, caller, "clear as installer")
        return Cleared(right, self._installer.order_clear(Who(_name(request, caller), right)))

    def _set(self, request: SetCapacity, caller: Caller) -> CapacitySet:
        right = self._right(request, caller, f"capacity {request.current_ma} mA")
        try:
            board = load_board(self._installer.box_settings.board_name() or "")
        except BoardError as error:
            raise ChangeRefused(str(error)) from error
        who = Who(_name(request, caller), right)
        return self._installer.set_capacity(board, request.current_ma, request.phases, who)

    def _right(self, request: ByPin | SetCapacity, caller: Caller, wish: str) -> str:
        """Return the right of who asks. Raises: Refused when there is none, which is put on record."""
        try:
            return self._installer.box_settings.right_of(caller.uid, request.pin)
        except TooEarly:
            raise
        except ChangeRefused as error:
            self._installer.box_settings.note_refusal(Who(_name(request, caller), "none"), wish, str(error))
            raise


def _answering(act: Callable[[Any, Caller], Any]) -> Callable[[Any, Caller], Any]:
    """Return `act` with its refusals as those of the contract."""

    def answer(request: Any, caller: Caller) -> Any:
        try:
            return act(request, caller)
        except ChangeRefused as error:
            raise Refusal(str(error), error.at) from error
        except BoxError as error:
            raise Refusal(str(error), error.at) from error
        except OSError as error:
            raise Refusal(str(error)) from error

    return answer


def _name(request: ByPin | SetCapacity, caller: Caller) -> str:
    return f"{request.name} (uid {caller.uid})"


if __name__ == "__main__":
    sys.exit(main())
