"""`evse-pi car`: what the simulated car and the plant round it do next."""

from __future__ import annotations

import json
from textwrap import wrap
from typing import TYPE_CHECKING, Any

import click

from evse_pi.api.client import BoxError, BoxNotRunning
from evse_pi.cli.choices import verbs
from evse_pi.cli.options import json_option, of_a_box
from evse_pi.cli.text_layout import show

if TYPE_CHECKING:
    from evse_pi.paths import Paths


@click.command("car")
@click.argument("verb", required=False, shell_complete=verbs)
@click.argument("arguments", nargs=-1, metavar="[NAME=VALUE]...")
@json_option("Print the plant's state afterwards, or the list, as JSON.")
@of_a_box
def command(*, box: Paths, verb: str | None, arguments: tuple[str, ...], as_json: bool) -> None:
    """Tell the simulated car what to do next; without VERB, list what it can do.

    Example: evse-pi car plug_in cable_ma=32000
    """
    from evse_pi.sim.process import SimulatorClient, SimulatorError

    address = box.simulator_socket
    given = dict(_argument(text) for text in arguments)
    try:
        client = SimulatorClient(address)
    except BoxNotRunning as error:
        raise BoxNotRunning(f"no simulated box is running at {address.parent}; start one: evse-pi run") from error
    with client:
        try:
            if verb is None:
                known = client.call("verbs")["verbs"]
                show(
                    [{"verb": name, "arguments": names} for name, names in known],
                    [line for name, names in known for line in _usage(name, names)],
                    as_json=as_json,
                )
                return
            client.verb(verb, **given)
        except SimulatorError as error:
            raise BoxError(str(error)) from error
        if as_json:
            click.echo(json.dumps(client.state()))


def _usage(name: str, arguments: list[str]) -> list[str]:
    """Return the lines that show a verb with its arguments, for a terminal of 80 columns."""
    return wrap(" ".join((name, *(f"{each}=..." for each in arguments))), 80, subsequent_indent="  ")


def _argument(text: str) -> tuple[str, Any]:
    """Return name and value of NAME=VALUE; a value that is no JSON is taken as text."""
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise click.UsageError(f"argument {text!r}: allowed is NAME=VALUE, for example ma=16000")
    try:
        return name, json.loads(value)
    except ValueError:
        return name, value
