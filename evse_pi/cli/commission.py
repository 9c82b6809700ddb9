"""`evse-pi commission`: which controllers own the box, and how another one gets in."""

from __future__ import annotations

import io
import json
import sys
import time
from contextlib import suppress
from typing import TYPE_CHECKING

import click

from evse_pi.api.client import BoxError, ask
from evse_pi.api.codec import to_plain
from evse_pi.api.commissioning import COMMISSION, Commission, CommissionAction
from evse_pi.api.texts import english as words
from evse_pi.api.texts.catalogue import tr
from evse_pi.cli.choices import controllers
from evse_pi.cli.options import json_option, of_a_box
from evse_pi.cli.text_layout import paragraph, row

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from evse_pi.api.commissioning import Codes, CommissionAnswer
    from evse_pi.paths import Paths

COMES_UP_WITHIN_S = 60.0
POLL_S = 0.5
FABRIC_INDENT = 5
ACTIONS = {"list": CommissionAction.SHOW, **{action.value: action for action in CommissionAction}}
_ADVICE = tr("let a controller in with the code of: evse-pi commission --codes")


@click.command("commission")
@click.option("--open", "opening", is_flag=True, help=tr("Accept a controller that has the code, for 15 minutes."))
@click.option("--codes", is_flag=True, help=tr("Show the QR code and the code to type."))
@click.option("--list", "listing", is_flag=True, help=tr("List the controllers that own the box."))
@click.option(
    "--remove", type=int, metavar="N", shell_complete=controllers, help=tr("Throw out controller N of the list.")
)
@click.option("--factory-reset", is_flag=True, help=tr("Throw out all controllers and forget what they set."))
@click.option("--new-identity", is_flag=True, help=tr("Factory reset, and new codes and keys: for a copied card."))
@click.option("--keep-identity", is_flag=True, help=tr("Take the identity of a replaced Raspberry Pi as this one's."))
@json_option(tr("Print the answer as one JSON object."))
@of_a_box
def command(
    *,
    box: Paths,
    opening: bool,
    codes: bool,
    listing: bool,
    remove: int | None,
    factory_reset: bool,
    new_identity: bool,
    keep_identity: bool,
    as_json: bool,
) -> None:
    """Show how the box stands with Matter controllers, let one in, or throw one out.

    Without an option it shows the controllers, and the codes as long as there are none.
    """
    orders = {"open": opening, "codes": codes, "list": listing, "remove": remove is not None}
    orders |= {"factory-reset": factory_reset, "new-identity": new_identity, "keep-identity": keep_identity}
    wanted = [name for name, given in orders.items() if given]
    if len(wanted) > 1:
        raise click.UsageError(
            tr("--{wanted} and --{wanted_2} exclude each other").format(wanted=wanted[0], wanted_2=wanted[1])
        )
    action = wanted[0] if wanted else "show"
    request = Commission(ACTIONS[action], remove if action == "remove" else None)
    now = ask(box.control_socket, COMMISSION, request)
    if action == "list":
        now = now._replace(codes=None)
    click.echo(json.dumps(to_plain(now)) if as_json else "\n".join(lines(now)))


def lines(now: CommissionAnswer) -> list[str]:
    """Return the answer to `commission` as lines of text."""
    told = (
        [] if now.running else paragraph(words.MATTER_DOES_NOT_RUN.format(trouble=now.trouble or tr("it is starting")))
    )
    for fabric in now.fabrics:
        label = fabric.label or f"vendor 0x{fabric.vendor_id:04X}"
        about = tr("{label}  fabric {fabric_id}  node {node_id}").format(
            label=label, fabric_id=fabric.fabric_id, node_id=fabric.node_id
        )
        told += row(f"{fabric.fabric:>3}", about, FABRIC_INDENT)
    if not now.fabrics:
        told += paragraph(tr("no controller owns the box; its owner alone permits charging"))
    if now.window is not None:
        told += paragraph(tr("a controller with the code is let in now"))
    elif now.running:
        told += paragraph(tr("no controller is accepted; open the window with: evse-pi commission --open"))
    if now.test_credentials:
        told += paragraph(tr("the credentials are for tests: they prove nothing, and phones want a developer setting"))
    return [*told, *(code_lines(now.codes) if now.codes else [])]


def code_lines(codes: Codes) -> list[str]:
    """Return the QR code, drawn, and the code to type."""
    import segno

    drawn = io.StringIO()
    segno.make(codes.qr, micro=False).terminal(drawn, compact=True)
    digits = codes.manual
    return [*drawn.getvalue().splitlines(), f"{codes.qr}   {digits[:4]}-{digits[4:7]}-{digits[7:]}"]


def invite(address: Path, say: Callable[[str], None]) -> None:
    """Once the Matter device runs and has no controller, show the codes on a terminal, elsewhere how to get them."""
    deadline = time.monotonic() + COMES_UP_WITHIN_S
    now: CommissionAnswer | None = None
    while now is None or not now.running:
        if time.monotonic() > deadline:
            return
        with suppress(BoxError, OSError):
            now = ask(address, COMMISSION)
        if now is None or not now.running:
            time.sleep(POLL_S)
    if now.commissioned:
        return
    if sys.stdout.isatty() and now.codes is not None:
        click.echo("\n".join(code_lines(now.codes)))
    else:
        say(_ADVICE)
