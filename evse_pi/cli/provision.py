"""`evse-pi provision`: a vendor's own device attestation credentials, checked, then put in place whole."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from evse_pi.api.client import BoxError
from evse_pi.api.texts.catalogue import tr
from evse_pi.cli.options import json_option, of_a_box
from evse_pi.cli.text_layout import paragraph

if TYPE_CHECKING:
    from collections.abc import Callable

    from evse_pi.paths import Paths

Decorated = TypeVar("Decorated", bound="Callable[..., Any]")

CONTENTS = ("dac", "pai", "declaration", "key")


def _file(name: str, text: str) -> Callable[[Decorated], Decorated]:
    return click.option(f"--{name}", type=click.Path(exists=True, dir_okay=False), required=True, help=text)


def _number(name: str, text: str) -> Callable[[Decorated], Decorated]:
    return click.option(f"--{name}", required=True, metavar="NUMBER", callback=_parsed, help=text)


def _parsed(_context: click.Context, option: click.Parameter, text: str) -> int:
    try:
        return int(text, 0)
    except ValueError:
        raise click.BadParameter(
            tr("{text!r} is not a number such as 0x1234").format(text=text), param=option
        ) from None


@click.command("provision")
@_file("dac", tr("Device attestation certificate, DER."))
@_file("pai", tr("Product attestation intermediate certificate, DER."))
@_file("declaration", tr("Certification declaration, CMS."))
@_file("key", tr("Private key of the DAC, PEM."))
@_number("vendor-id", tr("The vendor's number, such as 0x1234."))
@_number("product-id", tr("The product's number."))
@click.option("--vendor-name", required=True, help=tr("At most 32 bytes."))
@click.option("--product-name", required=True, help=tr("At most 32 bytes."))
@click.option("--serial-number", help=tr("At most 32 bytes."))
@json_option()
@of_a_box
def command(*, box: Paths, as_json: bool, **given: Any) -> None:
    """Give the box a vendor's own Matter credentials in place of the test ones.

    Everything is checked first: chain, key, numbers, declaration. The former ones stay beside the new ones.
    """
    # Loaded here alone: cryptography costs every other command its time.
    from evse_pi.installer.provisioning import FILES, FOLDER, provision
    from evse_pi.matter.identity.attestation import AttestationError

    sources = {name: Path(given.pop(name)) for name in CONTENTS}
    try:
        for_tests = provision(box.state_dir, {name: path.read_bytes() for name, path in sources.items()}, given)
    except AttestationError as error:
        # It names the copy that was checked, which is gone; a person knows the file that was given.
        given_as = {FILES[name]: path for name, path in sources.items()}
        raise BoxError(f"{given_as[error.path.name]}: {error.problem}") from error
    except (OSError, ValueError) as error:
        raise BoxError(str(error)) from error
    answer = {"folder": str(box.state_dir / FOLDER), "for_tests": for_tests}
    told = paragraph(
        tr("{answer}: in force after a restart of the node: sudo systemctl restart evse-pi-node").format(
            answer=answer["folder"]
        )
    )
    if for_tests:
        told += paragraph(tr("the declaration is for development and tests: controllers refuse it or warn"))
    click.echo(json.dumps(answer) if as_json else "\n".join(told))
