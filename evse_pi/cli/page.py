"""What diagnostic commands print: rows of at most 80 columns, times of day, numbers with their unit."""

from __future__ import annotations

import json
import textwrap
import time
from typing import Any

import click

WIDTH = 80
INDENT = 13


def row(label: str, text: str) -> list[str]:
    """Return `text` behind `label`, wrapped."""
    head = f"{label:<{INDENT - 1}} "
    return textwrap.wrap(text, WIDTH, initial_indent=head, subsequent_indent=" " * INDENT) or [head.rstrip()]


def paragraph(text: str) -> list[str]:
    """Return `text`, wrapped."""
    return textwrap.wrap(text, WIDTH)


def moment(unix_s: int | None) -> str:
    """Return a time of day for people, of the machine's time zone."""
    return "time unknown" if unix_s is None else time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(unix_s))


def hours(seconds: int) -> str:
    """Return a duration as h:mm:ss."""
    return f"{seconds // 3600}:{seconds // 60 % 60:02}:{seconds % 60:02}"


def show(answer: Any, lines: list[str], *, as_json: bool) -> None:
    """Print the answer for scripts, or the lines for people."""
    click.echo(json.dumps(answer) if as_json else "\n".join(lines))
