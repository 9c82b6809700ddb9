"""The options that name a box; they may stand before a command's name or behind it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from evse_pi.cli.places import Places, places

if TYPE_CHECKING:
    from collections.abc import Callable

Decorated = TypeVar("Decorated", bound="Callable[..., Any]")


def place_options(function: Decorated) -> Decorated:
    """Give a command the two folder options."""
    folder = click.Path(path_type=Path)
    function = click.option("--run-dir", type=folder, help="Folder of the box's sockets.")(function)
    return click.option("--state-dir", type=folder, help="Folder of the box's settings and records.")(function)


def chosen(context: click.Context, state_dir: Path | None, run_dir: Path | None) -> Places:
    """Return the folders that the caller named, the command's own options first.

    Raises: click.UsageError when they cannot hold a socket.
    """
    given: Places = context.obj
    if state_dir is None and run_dir is None:
        return given
    try:
        return places(state_dir or given.state_dir, run_dir)
    except ValueError as error:
        raise click.UsageError(str(error)) from error
