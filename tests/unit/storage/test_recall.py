"""What a start reads from the database, where no other test of the storage does."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from evse_pi.matter.storage import SqliteStore
from evse_pi.storage.database import Store
from evse_pi.storage.recall import load_startup_state

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("rows", "commissioned"),
    [
        ({}, False),
        ({"fabric/1/acl": b""}, False),  # a commissioning that was cut off
        ({"fabric/1/record": b""}, True),
        ({"fabric/1/acl": b"", "fabric/2/record": b"nonsense"}, True),
    ],
)
def test_a_controller_decides_once_its_fabric_is_stored_and_not_by_a_commissioning_that_was_cut_off(
    tmp_path: Path, rows: dict[str, bytes], commissioned: bool
) -> None:
    keys = SqliteStore(tmp_path / "evse.db")
    with keys.transaction() as changes:
        for name, value in rows.items():
            changes.put(name, value)
    keys.close()
    store = Store(tmp_path / "evse.db")
    assert load_startup_state(store, None).commissioned is commissioned
    store.close()
