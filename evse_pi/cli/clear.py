"""`evse-pi clear`."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING

import click

from evse_pi.api.client import ask
from evse_pi.api.exits import Exit
from evse_pi.api.orders import CLEAR, ClearFaults, Role
from evse_pi.api.status import STATUS
from evse_pi.api.texts.catalogue import tr
from evse_pi.cli.options import json_option, of_a_box
from evse_pi.cli.text_layout import row, show
from evse_pi.installer.installer_client import installer_client_of

if TYPE_CHECKING:
    from evse_pi.api.status import ActiveFault
    from evse_pi.paths import Paths

SETTLES_S = 0.5  # the next snapshot tells what is left


@click.command("clear")
@click.option(
    "--installer", is_flag=True, help=tr("Also what only the installer may acknowledge: as root, or by the PIN.")
)
@click.option("--pin-stdin", is_flag=True, help=tr("Take the installer PIN from the first line of the input."))
@click.option("--name", help=tr("Your name, for the record; else the login name."))
@json_option()
@of_a_box
def command(*, box: Paths, installer: bool, pin_stdin: bool, name: str | None, as_json: bool) -> None:
    """Acknowledge faults whose cause is gone; status 3 when some are left."""
    address = box.control_socket
    if installer:
        installer_client_of(box).clear(name, pin_stdin=pin_stdin)
    else:
        ask(address, CLEAR, ClearFaults(Role.USER))
    time.sleep(SETTLES_S)
    faults = ask(address, STATUS).faults
    show({"faults": [each.fault for each in faults]}, lines(faults), as_json=as_json)
    if faults:
        sys.exit(Exit.UNWELL)


def lines(faults: tuple[ActiveFault, ...]) -> list[str]:
    """Return what is left and how it ends."""
    from evse_pi.api.texts.fault_texts import clearing

    text = []
    for each in faults:
        text += row(
            tr("left"),
            tr("{title} ({fault}): {hint} It ends {clearing}.").format(
                title=each.title, fault=each.fault.name, hint=each.hint, clearing=clearing(each.clears)
            ),
        )
    return text or [tr("no fault is active")]
