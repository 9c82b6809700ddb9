"""The reference of all commands, from the commands themselves: `python -m evse_pi.cli.reference markdown|man`."""

from __future__ import annotations

import inspect
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

import click

from evse_pi.api.exits import MEANING
from evse_pi.cli.main import SECTIONS, evse_pi
from evse_pi.paths import SYSTEM_RUN, SYSTEM_SETTINGS, SYSTEM_STATE

if TYPE_CHECKING:
    from collections.abc import Iterator

FILES = {
    f"{SYSTEM_SETTINGS}/": "what the installer set, sealed, and the record of changes",
    f"{SYSTEM_SETTINGS}/boards/": "board files of an integrator",
    f"{SYSTEM_STATE}/": "sessions, settings of the owner, recordings of faults",
    f"{SYSTEM_RUN}/": "sockets and the black box",
}
ENVIRONMENT = {
    "EVSE_PI_STATE_DIR": "folder of the box that is meant, as --state-dir",
    "EVSE_PI_RUN_DIR": "folder of its sockets, as --run-dir",
}


@dataclass(frozen=True, slots=True)
class CommandEntry:
    """One command as a reference tells it."""

    name: str
    usage: str
    about: tuple[str, ...]
    options: tuple[tuple[str, str], ...]


def entries(section: str) -> Iterator[CommandEntry]:
    """Return the commands of a section, each group before what is below it."""
    top = click.Context(evse_pi, info_name="evse-pi")
    for name in SECTIONS[section]:
        command = evse_pi.get_command(top, name)
        if command is not None:
            yield from _below(command, name, top)


def _below(command: click.Command, name: str, parent: click.Context) -> Iterator[CommandEntry]:
    context = click.Context(command, info_name=name, parent=parent)
    yield _entry(command, context)
    if isinstance(command, click.Group):
        for each in command.list_commands(context):
            found = command.get_command(context, each)
            if found is not None:
                yield from _below(found, each, context)


def _entry(command: click.Command, context: click.Context) -> CommandEntry:
    return CommandEntry(
        context.command_path,
        " ".join((context.command_path, *command.collect_usage_pieces(context))),
        tuple(" ".join(each.split()) for each in inspect.cleandoc(command.help or "").split("\n\n")),
        tuple(record for record in _records(command, context) if record not in common()),
    )


def common() -> tuple[tuple[str, str], ...]:
    """Return the options that every command has."""
    return _records(evse_pi, click.Context(evse_pi))


def _records(command: click.Command, context: click.Context) -> tuple[tuple[str, str], ...]:
    found = [param.get_help_record(context) for param in command.get_params(context)]
    return tuple((name, " ".join(text.split())) for name, text in filter(None, found))


def markdown() -> str:
    """Return docs/COMMANDS.md."""
    lines = [
        "# Commands",
        "",
        "`evse-pi` alone says how the box is and what to do next. This page is written by `make commands`.",
        "",
        "Every command prints at most 80 columns, fewer on a narrower terminal, and no colour. Each takes these,",
        "before or behind its name:",
        "",
        "| option | what it does |",
        "|---|---|",
        *(f"| `{name}` | {_cell(text)} |" for name, text in common()),
        "",
        "The exit status means the same everywhere:",
        "",
        "| status | means |",
        "|---|---|",
        *(f"| {status.value} | {text} |" for status, text in MEANING.items()),
    ]
    for section in SECTIONS:
        lines += ["", f"## {section}"]
        for entry in entries(section):
            lines += ["", f"### {entry.name}", "", "```", entry.usage, "```"]
            for paragraph in entry.about:
                lines += ["", _cell(paragraph)]
            if entry.options:
                lines += ["", "| option | what it does |", "|---|---|"]
                lines += [f"| `{_cell(name)}` | {_cell(text)} |" for name, text in entry.options]
    return "\n".join(lines) + "\n"


def manual() -> str:
    """Return the page evse-pi(1) for man."""
    lines = [
        '.TH EVSE-PI 1 "" "evse-pi" "User Commands"',
        *(".SH NAME", r"evse\-pi \- turn a Raspberry Pi into an EV wallbox"),
        *(".SH SYNOPSIS", ".B evse\\-pi", "[\\fIOPTIONS\\fR] [\\fICOMMAND\\fR] [\\fIARGS\\fR]..."),
        ".SH DESCRIPTION",
        _roff("Without a command it says how the box is, and what to do next. Every command takes these:"),
        *_tagged(common()),
    ]
    for section in SECTIONS:
        lines.append(f".SH {_roff(section).upper()}")
        for entry in entries(section):
            lines += [".SS " + _roff(entry.name), f".B {_roff(entry.usage)}"]
            for paragraph in entry.about:
                lines += [".PP", _roff(paragraph)]
            lines += _tagged(entry.options)
    for title, table in (("EXIT STATUS", {str(status.value): text for status, text in MEANING.items()}),
                         ("ENVIRONMENT", ENVIRONMENT), ("FILES", FILES)):  # fmt: skip
        lines += [f".SH {title}", *_tagged(tuple(table.items()))]
    return "\n".join(lines) + "\n"


def _tagged(pairs: tuple[tuple[str, str], ...]) -> list[str]:
    return [line for name, text in pairs for line in (".TP", f".B {_roff(name)}", _roff(text))]


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def _roff(text: str) -> str:
    """Return `text` as roff prints it: dashes as they are typed, and no line taken for a request."""
    escaped = text.replace("\\", r"\e").replace("-", r"\-").replace('"', r"\(dq")
    return rf"\&{escaped}" if escaped[:1] in (".", "'") else escaped


def main() -> int:
    """Print the reference in the form that is asked for."""
    forms = {"markdown": markdown, "man": manual}
    if sys.argv[1:] not in [[form] for form in forms]:
        click.echo(f"usage: python -m evse_pi.cli.reference {'|'.join(forms)}", err=True)
        return 2
    click.echo(forms[sys.argv[1]](), nl=False)
    return 0


if __name__ == "__main__":
    sys.exit(main())
