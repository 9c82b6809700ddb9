"""`evse-pi capacity`: what the circuit behind the box may carry."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from evse_pi.api.client import BoxError, ask
from evse_pi.api.texts.catalogue import tr
from evse_pi.api.texts.quantities import current_refused, exact_amps
from evse_pi.cli.installer_commands import installer_options, show
from evse_pi.cli.options import chosen, json_option, path_options
from evse_pi.cli.quantity_types import AMPERES
from evse_pi.installer.installer_client import installer_client_of

if TYPE_CHECKING:
    from evse_pi.installer.audit_entries import AuditEntry, AuditTime
    from evse_pi.installer.box_settings import ChangeRefused
    from evse_pi.installer.installer_client import InstallerClient


@click.group("capacity", invoke_without_command=True)
@json_option()
@path_options
@click.pass_context
def command(context: click.Context, /, *, as_json: bool, state_dir: Any, run_dir: Any) -> None:
    """Show or set what the circuit may carry; without a word more, show it.

    A lower capacity is in force at once, a higher one with the next change of the offer.
    """
    context.obj = chosen(context, state_dir, run_dir)
    if context.invoked_subcommand is None:
        context.invoke(show_capacity, as_json=as_json)


@command.command("show")
@json_option()
@path_options
@click.pass_context
def show_capacity(context: click.Context, *, as_json: bool = False, state_dir: Any = None, run_dir: Any = None) -> None:
    """Show the capacity, who set it, and whether the file is to be trusted."""
    from evse_pi.installer.audit_entries import CapacityChange, Restored, SetUp
    from evse_pi.installer.box_settings import ChangeRefused

    installer = installer_client_of(chosen(context, state_dir, run_dir))
    try:
        board = installer.board()
        installation = installer.box_settings.installation(board)
    except ChangeRefused as error:
        raise BoxError(str(error)) from error
    trail = installer.box_settings.trail()
    changes = [entry for entry in trail.entries if isinstance(entry.change, SetUp | CapacityChange | Restored)]
    seal = installer.box_settings.seal_state(board)
    facts = {
        "circuit_capacity_ma": installation.circuit_capacity_ma,
        "phases": installation.phases,
        "board_ma": board.rated_current_ma,
        "cable_ma": installation.tethered_cable_ma or None,
        "seal": seal,
        "audit": {"intact": trail.intact, "entries": len(trail.entries), "problems": list(trail.problems)},
        "set_by": _entry(changes[-1]) if changes else None,
    }
    rows = [
        (
            tr("circuit capacity"),
            tr("{exact_amps}, {phases} phase(s)").format(
                exact_amps=exact_amps(installation.circuit_capacity_ma), phases=installation.phases
            ),
        ),
        (tr("the board carries"), exact_amps(board.rated_current_ma)),
        (
            tr("the cable carries"),
            exact_amps(installation.tethered_cable_ma) if installation.tethered_cable_ma else tr("as coded"),
        ),
        (tr("set by"), told(changes[-1]) if changes else tr("not on record")),
        (tr("seal"), seal),
        (tr("record of changes"), trail.state()),
    ]
    show(facts, rows, as_json=as_json)


@command.command("set")
@click.argument("current", type=AMPERES)
@click.option("--phases", type=click.IntRange(1, 3), help=tr("Also set how many phases the circuit has."))
@installer_options
@click.pass_context
def set_capacity(context: click.Context, /, *, current: int, phases: int | None, **options: Any) -> None:
    """Set the capacity to CURRENT, with its unit.

    Example: sudo evse-pi capacity set 32A
    """
    from evse_pi.installer.box_settings import ChangeRefused
    from hal.units import Milliamps

    installer = installer_client_of(chosen(context, options["state_dir"], options["run_dir"]))
    board = installer.board()
    try:
        if options["pin_stdin"] and not installer.may_write:
            facts = installer.ask_installer(Milliamps(current), phases, options["name"])
        else:
            who = installer.who(options["name"], pin_stdin=options["pin_stdin"], wish=f"capacity {exact_amps(current)}")
            facts = installer.set_capacity(board, Milliamps(current), phases, who)
    except (ChangeRefused, BoxError, OSError) as error:
        raise BoxError(_as_typed(error)) from error
    if current > facts.former_ma and _charging(installer):
        more = tr("{state}; the vehicle that charges now gets more when its offer changes next").format(
            state=facts.state
        )
        facts = facts._replace(state=more)
    rows = [
        (
            tr("circuit capacity"),
            tr("{exact_amps}, before {exact_amps_2}").format(
                exact_amps=exact_amps(facts.circuit_capacity_ma), exact_amps_2=exact_amps(facts.former_ma)
            ),
        ),
        (tr("by"), f"{facts.by} ({facts.right})"),
        (tr("state"), facts.state),
    ]
    show(facts, rows, as_json=options["as_json"])


def _as_typed(refusal: ChangeRefused | BoxError | OSError) -> str:
    """Return the refusal of a current in the words and units of the command line."""
    from evse_pi.core.installation_limits import InstallationError

    if isinstance(refusal.__cause__, InstallationError) and refusal.__cause__.entry == "circuit_capacity_ma":
        return f"capacity: {refusal.__cause__.told(exact_amps)}"
    at = None if isinstance(refusal, OSError) else refusal.at
    return current_refused("capacity", at) or str(refusal)


def told(entry: AuditEntry) -> str:
    """Return in one line who changed something, and when, as far as that is known."""
    return f"{entry.author.name} ({entry.author.right}), {instant(entry.at)}"


def instant(at: AuditTime) -> str:
    """Return when an entry was made; a clock that was not known then has no time to show."""
    import datetime

    if at.unix_s is None:
        return tr("time unknown, {entry} s after the start {entry_2}").format(
            entry=at.uptime_s, entry_2=at.kernel_boot_id[:8]
        )
    return datetime.datetime.fromtimestamp(at.unix_s, datetime.UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def _entry(entry: AuditEntry) -> dict[str, Any]:
    return {
        "number": entry.number,
        "unix_s": entry.at.unix_s,
        "name": entry.author.name,
        "right": entry.author.right,
        "what": entry.change.what,
    }


def _charging(installer: InstallerClient) -> bool:
    from evse_pi.api.status import STATUS

    try:
        contactor = ask(installer.paths.control_socket, STATUS).contactor
    except BoxError:
        return False
    return contactor is not None and contactor.close_ordered
