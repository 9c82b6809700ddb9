"""`evse-pi car`: what the simulated car and the plant round it do next."""

from __future__ import annotations

import json
from textwrap import wrap
from typing import TYPE_CHECKING, Any

import click

from evse_pi.api.client import BoxError, BoxNotRunning
from evse_pi.api.texts.catalogue import tr
from evse_pi.cli.choices import verbs
from evse_pi.cli.options import json_option, of_a_box
from evse_pi.cli.text_layout import show

if TYPE_CHECKING:
    from evse_pi.paths import Paths


@click.command("car")
@click.argument("verb", required=False, shell_complete=verbs)
@click.argument("arguments", nargs=-1, metavar="[NAME=VALUE]...")
@json_option(tr("Print the plant's state afterwards, or the list, as JSON."))
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
        raise BoxNotRunning(
            tr("no simulated box is running at {parent}; start one: evse-pi run").format(parent=address.parent)
        ) from error
    with client:
        try:
            if verb is None:
                answer = client.call("verbs")
                known, types = answer["verbs"], answer["types"]
                show(
                    [{"verb": name, "arguments": names, "types": types[name]} for name, names in known],
                    [line for name, _ in known for line in _usage(name, types[name])],
                    as_json=as_json,
                )
                return
            client.verb(verb, **given)
        except SimulatorError as error:
            raise BoxError(str(error)) from error
        if as_json:
            click.echo(json.dumps(client.state()))


def _usage(name: str, types: dict[str, str]) -> list[str]:
    """Return the lines that show a verb with its arguments and what they may be, for a terminal of 80 columns.

    A list of words is broken at its bars, so that a narrow terminal shows all of it.
    """
    text = " ".join((name, *(f"{each}={kind}" for each, kind in types.items())))
    lines = wrap(text.replace("|", "| "), 76, subsequent_indent="  ", break_long_words=False)
    return [line.replace("| ", "|") for line in lines]


def _argument(text: str) -> tuple[str, Any]:
    """Return name and value of NAME=VALUE; a value that is no JSON is taken as text."""
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise click.UsageError(tr("argument {text!r}: allowed is NAME=VALUE, for example ma=16000").format(text=text))
    try:
        return name, json.loads(value)
    except ValueError:
        return name, value
