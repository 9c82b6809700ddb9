"""The options that every command takes: which box, and in which form the answer is printed."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from evse_pi.api.texts.catalogue import tr
from evse_pi.paths import Paths, resolve_paths

if TYPE_CHECKING:
    from collections.abc import Callable

Decorated = TypeVar("Decorated", bound="Callable[..., Any]")


def path_options(function: Decorated) -> Decorated:
    """Give a command the two folder options; they may stand before a command's name or behind it."""
    folder = click.Path(path_type=Path)
    function = click.option("--run-dir", type=folder, help=tr("Folder of the box's sockets."))(function)
    return click.option("--state-dir", type=folder, help=tr("Folder of the box's settings and records."))(function)


def json_option(text: str = tr("Print one JSON object.")) -> Callable[[Decorated], Decorated]:
    """Give a command `--json`."""
    return click.option("--json", "as_json", is_flag=True, help=text)


def of_a_box(function: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the folder options, and hand it the folders of the box that they name as `box`."""

    @path_options
    @click.pass_context
    @functools.wraps(function)
    def resolved(context: click.Context, /, *, state_dir: Path | None, run_dir: Path | None, **others: Any) -> Any:
        return function(box=chosen(context, state_dir, run_dir), **others)

    return resolved


def chosen(context: click.Context, state_dir: Path | None, run_dir: Path | None) -> Paths:
    """Return the folders that the caller named, the command's own options first.

    Raises: click.UsageError when they cannot hold a socket.
    """
    given: Paths = context.obj
    if state_dir is None and run_dir is None:
        return given
    return resolve(state_dir or given.state_dir, run_dir)


def resolve(state_dir: Path | None, run_dir: Path | None) -> Paths:
    """Return the folders of a box. Raises: click.UsageError when they cannot hold a socket."""
    try:
        return resolve_paths(state_dir, run_dir)
    except ValueError as error:
        raise click.UsageError(str(error)) from error


def named(context: click.Context) -> Paths:
    """Return the box of a command line that is still being typed, for its completion."""
    found: dict[str, Any] = {}
    level: click.Context | None = context
    while level is not None:
        for name in ("state_dir", "run_dir"):
            found[name] = found.get(name) or level.params.get(name)
        level = level.parent
    return resolve(found["state_dir"], found["run_dir"])
