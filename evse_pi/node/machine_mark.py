"""Which machine a Matter identity was made on, so that a copied memory card does not pass for the first one unnoticed.

Passcode, attestation key and fabrics lie in the database; a card that is copied after its first start gives the copy
the same ones. The mark beside them is a digest of the SoC's serial number, without one of systemd's machine id; neither
can be had back from it. Source of the advice not to show the latter: machine-id(5).
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from evse_pi.matter.storage import KeyValueStore

KEY = "machine"
SOURCES = ("proc/device-tree/serial-number", "etc/machine-id")
MADE_HERE = ("setup", "test-attestation/")
"""The keys of what was made on the device: the set-up code, and the test credentials of each product."""


def machine_mark(root: Path = Path("/")) -> bytes | None:
    """Return the mark of this machine, None where it says nothing of itself."""
    for source in SOURCES:
        try:
            value = (root / source).read_bytes().strip(b"\0 \n")
        except OSError:
            continue
        if value.strip(b"0"):
            return hashlib.sha256(b"evse-pi identity " + value).digest()[:16]
    return None


def made_elsewhere(store: KeyValueStore, mark: bytes | None) -> bool:
    """Return whether the identity in `store` was made on another machine; an unmarked one is taken as this one's."""
    kept = store.get(KEY)
    if mark is None or kept == mark:
        return False
    if kept is None:
        keep(store, mark)
        return False
    return True


def keep(store: KeyValueStore, mark: bytes | None) -> None:
    """Take the identity as this machine's."""
    if mark is not None:
        with store.transaction() as transaction:
            transaction.put(KEY, mark)


def forget(store: KeyValueStore) -> None:
    """Delete what was made on the device, all of it or nothing, so that it is made again."""
    with store.transaction() as transaction:
        for prefix in (*MADE_HERE, KEY):
            for key in store.keys(prefix):
                transaction.delete(key)
