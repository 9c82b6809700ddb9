"""`evse-pi`: one module a command, loaded when it is called."""

from __future__ import annotations

import importlib
import sys
from inspect import cleandoc
from typing import TYPE_CHECKING

import click

from evse_pi.api.client import BoxError, BoxNotRunning
from evse_pi.api.exits import Exit
from evse_pi.api.texts.catalogue import tr
from evse_pi.cli.options import path_options, resolve
from evse_pi.cli.text_layout import paragraph, readable, width

if TYPE_CHECKING:
    from pathlib import Path

    from click.shell_completion import CompletionItem

SECTIONS = {
    tr("Install"): {
        "setup": tr("Set up a box: board, supply, country, cable, protection, meter."),
        "capacity": tr("Show or set what the circuit may carry."),
        "calibrate": tr("Correct the reading of the pilot by known voltages."),
        "certificate": tr("Write the commissioning report, one page to sign."),
        "commission": tr("Let Matter controllers in, list them, throw one out."),
        "provision": tr("Give the box a vendor's own Matter credentials."),
    },
    tr("Use"): {
        "status": tr("Show what the box does, and why."),
        "why": tr("Say why the box does not charge, or at this current."),
        "set": tr("Set the owner's limit: evse-pi set 16A."),
        "permit": tr("Permit charging."),
        "start": tr("Start now what a delay or the schedule holds up."),
        "stop": tr("Stop charging softly."),
        "clear": tr("Acknowledge faults whose cause is gone."),
        "wake": tr("Try to wake a vehicle that ignores the offer."),
        "sessions": tr("Show the charging sessions."),
    },
    tr("Find the fault"): {
        "selftest": tr("Let the box test itself and show what it measured."),
        "faults": tr("Show the faults of the past, and what to do."),
        "log": tr("Show the last changes."),
        "scope": tr("Show the pilot's waveform as the converter saw it."),
        "timing": tr("Show how fast this box reacts, and its budget."),
        "counters": tr("Show what wears out."),
        "replay": tr("Take the decisions of a recorded fault again."),
        "repair": tr("Show what is damaged, and go on without it."),
        "report": tr("Write one archive to attach to a ticket."),
    },
    tr("Try without a wallbox"): {
        "demo": tr("Let a car charge at a simulated wallbox, and show it."),
        "run": tr("Run a box in the foreground, simulated or real."),
        "car": tr("Tell the simulated car what to do next."),
    },
    tr("More"): {
        "completion": tr("Make the shell complete what is typed."),
        "backup": tr("Write one encrypted file with settings and history."),
        "restore": tr("Put such a file in force again."),
        "update": tr("Install a signed release; take it back if it is not healthy."),
        "version": tr("Show the version of the software."),
    },
}
COMMANDS = {name: text for section in SECTIONS.values() for name, text in section.items()}


class LazyGroup(click.Group):
    """Imports a command's module only when that command is called, so that `evse-pi status` starts fast."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        """Return the names of all commands, in the order of SECTIONS."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """Return the command, or None when there is none of that name."""
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = importlib.import_module(f"evse_pi.cli.{cmd_name.replace('-', '_')}").command
        _translate(command)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Return the command that is meant. Raises: click.UsageError naming the nearest ones when there is none."""
        if args[0] not in COMMANDS and not args[0].startswith("-") and not ctx.resilient_parsing:
            raise click.UsageError(_unknown(args[0]), ctx)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        """List the commands by who needs them, without importing any."""
        for title, commands in SECTIONS.items():
            with formatter.section(title):
                formatter.write_dl([(f"{name:<11}", text) for name, text in commands.items()])

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:  # type: ignore[type-arg,unused-ignore]
        """Propose commands without importing any."""
        from click.shell_completion import CompletionItem

        found = [CompletionItem(name, help=text) for name, text in COMMANDS.items() if name.startswith(incomplete)]
        return [*found, *click.Command.shell_complete(self, ctx, incomplete)]


@click.group(cls=LazyGroup, invoke_without_command=True, context_settings={"help_option_names": ["-h", "--help"]})
@path_options
@click.pass_context
def evse_pi(context: click.Context, state_dir: Path | None, run_dir: Path | None) -> None:
    """Turn a Raspberry Pi into an EV wallbox.

    Without a command it says how the box is, and what to do next.
    """
    context.obj = resolve(state_dir, run_dir)
    if context.invoked_subcommand is None:
        from evse_pi.cli.overview import overview

        click.echo("\n".join(overview(context.obj)))


def main() -> None:
    """Run one command; what the box refuses is one line on stderr and an exit status of `Exit`."""
    _translate(evse_pi)
    try:
        evse_pi(prog_name="evse-pi", terminal_width=width())
    except BoxError as error:
        click.echo(_for_reading(f"evse-pi: {error}"), err=True)
        sys.exit(Exit.NOT_RUNNING if isinstance(error, BoxNotRunning) else Exit.REFUSED)
    except Exception:  # noqa: BLE001 (the edge: whatever it is, the person is told what to do with it)
        import traceback

        traceback.print_exc()
        click.echo(tr("evse-pi: this is a fault of the software; please attach what `evse-pi report` writes"), err=True)
        sys.exit(Exit.BROKEN)


def _translate(command: click.Command) -> None:
    """Give a command, and those below it, their help in the language of this process; it is written as docstrings."""
    command.help = tr(cleandoc(command.help)) if command.help else command.help
    if isinstance(command, click.Group):  # LazyGroup has none yet: each is translated when it is loaded
        for each in command.commands.values():
            _translate(each)


def _for_reading(text: str) -> str:
    """Return an error wrapped where a person reads it, on one line where a script does."""
    if not sys.stderr.isatty():
        return readable(text)
    return "\n".join(line for each in text.splitlines() for line in paragraph(each) or [""])


def _unknown(name: str) -> str:
    import difflib

    near = difflib.get_close_matches(name, COMMANDS, n=2)
    meant = tr("did you mean: {names}").format(names=" or ".join(near)) if near else tr("all of them: evse-pi --help")
    return tr("there is no command {name!r}; {meant}").format(name=name, meant=meant)
