"""Fabrics whose records cannot be read: which they are, and how to go on without them, all without a running node."""

from __future__ import annotations

from typing import TYPE_CHECKING

from evse_pi.matter.identity.acl import AccessControl
from evse_pi.matter.identity.fabric import fabric_prefix, load_fabric, stored_indexes
from evse_pi.matter.identity.group_keys import GroupKeyStore
from evse_pi.matter.storage import DamagedRecord, delete_prefix

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from evse_pi.matter.storage import KeyValueStore


def damaged_fabrics(store: KeyValueStore) -> Mapping[int, str]:
    """Return what is wrong with each fabric that keeps a node from starting."""
    group_keys, access, found = GroupKeyStore(store), AccessControl(store), {}
    for index in stored_indexes(store):
        try:
            load_fabric(store, group_keys, index)
            access.entries(index)
        except DamagedRecord as error:
            found[index] = str(error)
    return found


def delete_fabrics(store: KeyValueStore, indexes: Iterable[int]) -> None:
    """Delete all that is stored under these fabrics, in one transaction."""
    with store.transaction() as transaction:
        for index in indexes:
            delete_prefix(store, transaction, fabric_prefix(index))
