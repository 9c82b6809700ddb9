"""`evse-pi provision`: a vendor's own device attestation credentials, checked, then put in place whole."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from evse_pi.api.client import BoxError
from evse_pi.cli.options import json_option, of_a_box
from evse_pi.cli.text_layout import paragraph
from evse_pi.installation.exchange import exchange, sync_folder

if TYPE_CHECKING:
    from collections.abc import Callable

    from evse_pi.paths import Paths

Decorated = TypeVar("Decorated", bound="Callable[..., Any]")

FOLDER = "attestation"
"""Below the state folder; the node looks for it there (evse_pi.node.matter)."""
FILES = {"dac": "dac.der", "pai": "pai.der", "declaration": "cd.der", "key": "dac-key.pem"}


def _file(name: str, text: str) -> Callable[[Decorated], Decorated]:
    return click.option(f"--{name}", type=click.Path(exists=True, dir_okay=False), required=True, help=text)


def _number(name: str, text: str) -> Callable[[Decorated], Decorated]:
    return click.option(f"--{name}", required=True, metavar="NUMBER", callback=_parsed, help=text)


def _parsed(_context: click.Context, option: click.Parameter, text: str) -> int:
    try:
        return int(text, 0)
    except ValueError:
        raise click.BadParameter(f"{text!r} is not a number such as 0x1234", param=option) from None


@click.command("provision")
@_file("dac", "Device attestation certificate, DER.")
@_file("pai", "Product attestation intermediate certificate, DER.")
@_file("declaration", "Certification declaration, CMS.")
@_file("key", "Private key of the DAC, PEM.")
@_number("vendor-id", "The vendor's number, such as 0x1234.")
@_number("product-id", "The product's number.")
@click.option("--vendor-name", required=True, help="At most 32 bytes.")
@click.option("--product-name", required=True, help="At most 32 bytes.")
@click.option("--serial-number", help="At most 32 bytes.")
@json_option()
@of_a_box
def command(*, box: Paths, as_json: bool, **given: Any) -> None:
    """Give the box a vendor's own Matter credentials in place of the test ones.

    Everything is checked first: chain, key, numbers, declaration. The former ones stay beside the new ones.
    """
    sources = {name: given.pop(name) for name in FILES}
    try:
        for_tests = provision(box.state_dir, {name: Path(path).read_bytes() for name, path in sources.items()}, given)
    except (OSError, ValueError) as error:
        problem = str(error)
        for name, path in sources.items():
            problem = problem.replace(str(box.state_dir / f"{FOLDER}.new" / FILES[name]), path)
        raise BoxError(problem) from error
    answer = {"folder": str(box.state_dir / FOLDER), "for_tests": for_tests}
    told = paragraph(f"{answer['folder']}: in force after a restart of the node: sudo systemctl restart evse-pi-node")
    if for_tests:
        told += paragraph("the declaration is for development and tests: controllers refuse it or warn")
    click.echo(json.dumps(answer) if as_json else "\n".join(told))


def provision(state_dir: Path, contents: dict[str, bytes], product: dict[str, Any]) -> bool:
    """Put checked credentials in place, and return whether they are for tests only.

    Raises: OSError, ValueError naming the file and what is wrong with it; then nothing was changed.
    """
    from evse_pi.matter.identity.attestation import FileCredentials
    from evse_pi.node.product import PRODUCT_FILE, read_product

    fresh = state_dir / f"{FOLDER}.new"
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir(mode=0o700)
    try:
        for name, content in contents.items():
            _write(fresh / FILES[name], content)
        lines = [f"{name} = {json.dumps(value)}" for name, value in product.items() if value is not None]
        _write(fresh / PRODUCT_FILE, "".join(f"{line}\n" for line in lines).encode())
        read = read_product(fresh, "0.0.0")
        checked = FileCredentials(
            fresh, vendor_id=read.vendor_id, product_id=read.product_id, device_type=read.device_type
        )
        _give_to_owner(fresh, state_dir)
        _put_in_place(fresh, state_dir / FOLDER)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
    return checked.for_tests


def _write(path: Path, content: bytes) -> None:
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:  # noqa: PTH123 (a descriptor)
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _give_to_owner(folder: Path, state_dir: Path) -> None:
    """Let the user whose box it is read what root wrote."""
    owner = state_dir.stat()
    if os.geteuid() == 0:
        for path in (*folder.iterdir(), folder):
            os.chown(path, owner.st_uid, owner.st_gid)


def _put_in_place(fresh: Path, target: Path) -> None:
    """Exchange the folders in one step: between two there would be none, and a node starting then would be another."""
    former = target.with_name(f"{target.name}.former")
    if target.exists():
        shutil.rmtree(former, ignore_errors=True)
        exchange(fresh, target)
        fresh.rename(former)
    else:
        fresh.rename(target)
    sync_folder(target.parent)
