"""`evse-pi car`: what the simulated car and the plant round it do next."""

from __future__ import annotations

import json
from typing import Any

import click

from evse_pi.cli.client import BoxError, BoxNotRunning
from evse_pi.cli.options import chosen, place_options


@click.command("car")
@click.argument("verb", required=False)
@click.argument("arguments", nargs=-1, metavar="[NAME=VALUE]...")
@click.option("--json", "as_json", is_flag=True, help="Print the plant's state afterwards as one JSON object.")
@place_options
@click.pass_context
def command(
    context: click.Context,
    *,
    verb: str | None,
    arguments: tuple[str, ...],
    as_json: bool,
    state_dir: Any,
    run_dir: Any,
) -> None:
    """Tell the simulated car what to do next; without VERB, list what it can do.

    Example: evse-pi car draw ma=16000
    """
    from evse_pi.sim.process import SimulatorClient, SimulatorError

    address = chosen(context, state_dir, run_dir).simulator_socket
    try:
        client = SimulatorClient(address)
    except (FileNotFoundError, ConnectionRefusedError) as error:
        raise BoxNotRunning(f"no simulated box is running at {address.parent}; start one: evse-pi run") from error
    with client:
        try:
            if verb is None:
                for name, names in client.call("verbs")["verbs"]:
                    click.echo(" ".join((name, *(f"{each}=..." for each in names))))
                return
            client.verb(verb, **dict(_argument(text) for text in arguments))
        except SimulatorError as error:
            raise BoxError(str(error)) from error
        if as_json:
            click.echo(json.dumps(client.state()))


def _argument(text: str) -> tuple[str, Any]:
    """Return name and value of NAME=VALUE; a value that is no JSON is taken as text."""
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise click.UsageError(f"argument {text!r}: allowed is NAME=VALUE, for example ma=16000")
    try:
        return name, json.loads(value)
    except ValueError:
        return name, value
