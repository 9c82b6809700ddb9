"""A vendor's own device attestation credentials: checked, then put in place as a whole."""

from __future__ import annotations

import json
import os
import shutil
from typing import TYPE_CHECKING, Any

from evse_pi.installation.folder_exchange import exchange, sync_folder
from evse_pi.installer.product import PRODUCT_FILE, read_product
from evse_pi.matter.identity.attestation import FileCredentials

if TYPE_CHECKING:
    from pathlib import Path

FOLDER = "attestation"
"""Below the state folder; the node reads product and credentials there."""
FILES = {"dac": "dac.der", "pai": "pai.der", "declaration": "cd.der", "key": "dac-key.pem"}
"""The name of each file there, as `evse_pi.matter.identity.attestation.FileCredentials` reads it."""


def provision(state_dir: Path, contents: dict[str, bytes], product: dict[str, Any]) -> bool:
    """Put checked credentials in place, and return whether they are for tests only; `contents` has the keys of FILES.

    Raises: AttestationError with the file of FILES and what is wrong with it, ConfigError for what `product` says,
    OSError; then nothing was changed.
    """
    fresh = state_dir / f"{FOLDER}.new"
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir(mode=0o700)
    try:
        # All is written and checked beside the credentials in force: what the node will read is what was checked.
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
