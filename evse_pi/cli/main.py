"""`evse-pi`: one module a command, loaded when it is called."""

from __future__ import annotations

import importlib
import sys
from typing import TYPE_CHECKING

import click

from evse_pi.cli.client import BoxError
from evse_pi.cli.options import place_options
from evse_pi.cli.places import places

if TYPE_CHECKING:
    from pathlib import Path

COMMANDS = {
    "setup": "Set up a box: board, supply, country's rules, cable, protection, meter.",
    "capacity": "Show or set what the circuit may carry.",
    "calibrate": "Correct the reading of the pilot by known voltages.",
    "certificate": "Write the commissioning report: one page to print and sign.",
    "run": "Run the box in the foreground: the safety process and the node process.",
    "status": "Show what the box does, and why.",
    "why": "Say why the box does not charge, or charges at this current.",
    "set": "Set the owner's limit: evse-pi set 16A.",
    "permit": "Permit charging.",
    "stop": "Stop charging softly.",
    "clear": "Acknowledge faults whose cause is gone.",
    "wake": "Try to wake a vehicle that ignores the offer.",
    "scope": "Show the pilot's waveform as the converter saw it.",
    "selftest": "Let the box test itself and show what it measured.",
    "faults": "Show the faults of the past, and what to do.",
    "replay": "Take the decisions of a recorded fault again.",
    "sessions": "Show the charging sessions.",
    "counters": "Show what wears out.",
    "timing": "Show how fast this box reacts, and its budget.",
    "log": "Show the last changes.",
    "report": "Write one archive to attach to a ticket.",
    "commission": "Show how the box stands with Matter controllers, let one in, or throw one out.",
    "car": "Tell the simulated car what to do next.",
    "demo": "Let a car charge at a simulated wallbox, and show it.",
    "version": "Show the version of the software.",
}

EXIT_REFUSED = 1
"""The box refused, or does not run. Wrong usage is 2, as click has it."""


class LazyGroup(click.Group):
    """Imports a command's module only when that command is called, so that `evse-pi status` starts fast."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        """Return the names of all commands, in the order of COMMANDS."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """Return the command, or None when there is none of that name."""
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = importlib.import_module(f"evse_pi.cli.{cmd_name.replace('-', '_')}").command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        """List the commands without importing any of them."""
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@place_options
@click.pass_context
def evse_pi(context: click.Context, state_dir: Path | None, run_dir: Path | None) -> None:
    """Turn a Raspberry Pi into an EV wallbox."""
    try:
        context.obj = places(state_dir, run_dir)
    except ValueError as error:
        raise click.UsageError(str(error)) from error


def main() -> None:
    """Run one command; what the box refuses is one line on stderr and exit status 1."""
    try:
        evse_pi(prog_name="evse-pi")
    except BoxError as error:
        click.echo(f"evse-pi: {error}", err=True)
        sys.exit(EXIT_REFUSED)
