"""What commands print: rows as wide as the terminal but at most 80 columns, times of day, numbers with their unit."""

from __future__ import annotations

import json
import sys
import textwrap
import time
from typing import TYPE_CHECKING, Any

import click

from evse_pi.api.codec import to_plain
from evse_pi.api.texts.catalogue import tr

if TYPE_CHECKING:
    from collections.abc import Iterable

WIDTH = 80
NARROWEST = 32
INDENT = 13
WIDE_INDENT = 22
"""For rows whose labels are words of the installer."""


def width() -> int:
    """Return how many columns there are: those of a terminal, at most 80; 80 in a pipe, so that a file looks alike."""
    if not sys.stdout.isatty():
        return WIDTH
    import shutil

    return max(min(shutil.get_terminal_size((WIDTH, 24)).columns, WIDTH), NARROWEST)


def row(label: str, text: str, indent: int = INDENT) -> list[str]:
    """Return `text` behind `label`, wrapped."""
    columns = width()
    head = f"{label:<{indent - 1}} "
    hanging = min(indent, columns // 3)
    if len(head) > hanging:
        head = f"{label:<{hanging - 1}} "
    return _wrapped(text, head, " " * hanging) or [head.rstrip()]


def rows(pairs: Iterable[tuple[str, str]], indent: int = INDENT) -> list[str]:
    """Return rows, a label that repeats only once."""
    text: list[str] = []
    last = None
    for label, told in pairs:
        text += row("" if label == last else label, told, indent)
        last = label
    return text


def paragraph(text: str) -> list[str]:
    """Return `text`, wrapped."""
    return _wrapped(text)


def readable(text: str) -> str:
    """Return `text` without anything that a terminal takes for a command, or that turns the order of letters around.

    Labels of controllers, vehicles and files are what strangers chose.
    """
    if text.isprintable():
        return text
    return "".join(
        letter if letter.isprintable() or letter == "\n" else letter.encode("unicode_escape").decode()
        for letter in text
    )


def fitting(line: str) -> str:
    """Return `line`, cut where the terminal ends."""
    columns, line = width(), readable(line)
    return line if len(line) <= columns else f"{line[: columns - 3]}..."


def moment(unix_s: int | None) -> str:
    """Return a time of day for people, of the machine's time zone."""
    return tr("time unknown") if unix_s is None else time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(unix_s))


def show(answer: Any, lines: list[str], *, as_json: bool) -> None:
    """Print the answer for scripts, or the lines for people."""
    click.echo(json.dumps(to_plain(answer)) if as_json else readable("\n".join(lines)))


def _wrapped(text: str, head: str = "", indent: str = "") -> list[str]:
    """Return `text` wrapped, its commands whole: evse-pi is one word."""
    return textwrap.wrap(readable(text), width(), initial_indent=head, subsequent_indent=indent, break_on_hyphens=False)
