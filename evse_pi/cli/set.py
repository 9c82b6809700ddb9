"""`evse-pi set`."""

from __future__ import annotations

import re
from typing import Any

import click

from evse_pi.cli.client import ask
from evse_pi.cli.options import chosen, place_options
from evse_pi.cli.page import show

_CURRENT = re.compile(r"(\d+)(?:\.(\d{1,3}))?\s*(A|mA)", re.IGNORECASE)


@click.command("set")
@click.argument("limit")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@place_options
@click.pass_context
def command(context: click.Context, *, limit: str, as_json: bool, state_dir: Any, run_dir: Any) -> None:
    """Set the owner's limit: a current with its unit (16A, 6500mA), or none.

    It can only lower what installation, cable and controllers allow.
    """
    limit_ma = None if limit.lower() == "none" else milliamps(limit)
    answer = ask(chosen(context, state_dir, run_dir).control_socket, "set", limit_ma=limit_ma)
    show(answer, [told(answer)], as_json=as_json)


def milliamps(text: str) -> int:
    """Return a current that was written with its unit. Raises: click.UsageError."""
    found = _CURRENT.fullmatch(text.strip())
    if found is None or (found[2] and found[3].lower() == "ma"):
        raise click.UsageError(f"limit {text!r}: a current with its unit is needed, for example 16A or 6500mA, or none")
    whole, fraction, unit = found.groups()
    return int(whole) if unit.lower() == "ma" else int(whole) * 1000 + int((fraction or "0").ljust(3, "0"))


def told(answer: dict[str, Any]) -> str:
    """Return what the owner's word is now, and whether it will outlast a power cut."""
    limit = "without a limit" if answer["limit_ma"] is None else f"up to {answer['limit_ma'] / 1000:.1f} A"
    word = f"charging is permitted, {limit}" if answer["permitted"] else f"charging is stopped; then {limit}"
    return word if answer["stored"] else f"{word}; not stored yet: the disk takes nothing"
