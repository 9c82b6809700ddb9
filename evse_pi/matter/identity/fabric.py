"""The fabrics a node belongs to, in memory and in the store."""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from evse_pi.matter.identity.certificate import MatterCertificate
from evse_pi.matter.identity.group_keys import (
    IDENTITY_PROTECTION_KEY_SET,
    EpochKey,
    GroupKeySet,
    compressed_fabric_id,
    operational_group_key,
)
from evse_pi.matter.identity.signing import OperationalKey
from evse_pi.matter.storage import decoding, delete_prefix
from evse_pi.matter.wire import tlv

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from evse_pi.matter.identity.group_keys import GroupKeyStore
    from evse_pi.matter.storage import KeyValueStore

FABRIC_CAPACITY = 16  # the specification wants 5; 16 homes, hubs and phones are more than a device meets
FIRST_FABRIC_INDEX = 1
LAST_FABRIC_INDEX = 254
MAX_LABEL_BYTES = 32

_LAST_INDEX_KEY = "fabrics/last-index"


@dataclass(frozen=True, slots=True)
class Fabric:
    """One administrative domain that this node is a member of."""

    index: int
    fabric_id: int
    node_id: int
    root_certificate: bytes
    noc: bytes
    icac: bytes | None
    operational_key: OperationalKey
    admin_vendor_id: int
    label: str
    root_public_key: bytes
    compressed_id: bytes
    ipk_epoch_keys: tuple[bytes, ...] = ()
    operational_ipks: tuple[bytes, ...] = ()

    def with_ipk(self, key_set: GroupKeySet) -> Fabric:
        """Return this fabric with the identity protection keys of `key_set`."""
        epoch_keys = tuple(epoch.key for epoch in key_set.epoch_keys)
        operational = tuple(operational_group_key(key, self.compressed_id) for key in epoch_keys)
        return replace(self, ipk_epoch_keys=epoch_keys, operational_ipks=operational)

    def destination_id(self, ipk: bytes, initiator_random: bytes) -> bytes:
        """Return what an initiator that wants this node writes into Sigma1. Source: Matter core 4.14.2.4.1."""
        name = self.root_public_key + self.fabric_id.to_bytes(8, "little") + self.node_id.to_bytes(8, "little")
        return hmac.digest(ipk, initiator_random + name, hashlib.sha256)

    def __repr__(self) -> str:
        return f"Fabric(index={self.index}, compressed_id={self.compressed_id.hex()}, node_id={self.node_id:016x})"


@dataclass(frozen=True, slots=True)
class NodeCredentials:
    """A node's certificate chain below a root and the key it belongs to."""

    noc: bytes
    icac: bytes | None
    operational_key: OperationalKey


class FabricTable:
    """All fabrics of the node.

    An added or updated fabric is used at once but reaches the store only with `commit`. At start everything that
    stands in the store for a fabric without record is deleted, so a commissioning that was cut off leaves nothing.
    """

    def __init__(self, store: KeyValueStore, group_keys: GroupKeyStore, *, capacity: int = FABRIC_CAPACITY) -> None:
        if not 5 <= capacity <= LAST_FABRIC_INDEX:
            raise ValueError(f"fabric capacity={capacity} must be 5 to {LAST_FABRIC_INDEX}")
        self.capacity = capacity
        self._store = store
        self._group_keys = group_keys
        self.on_added: list[Callable[[Fabric], None]] = []
        self.on_updated: list[Callable[[Fabric], None]] = []
        self.on_reissued: list[Callable[[Fabric], None]] = []  # NOC and key changed: what was made with them is void
        self.on_removed: list[Callable[[Fabric], None]] = []
        self._delete_orphans()
        self._stored = {index: load_fabric(store, group_keys, index) for index in stored_indexes(store)}
        self._fabrics = dict(self._stored)
        self._last_index = int.from_bytes(store.get(_LAST_INDEX_KEY) or b"\x00", "big")
        group_keys.on_written.append(self._take_ipk)

    def __iter__(self) -> Iterator[Fabric]:
        return iter(sorted(self._fabrics.values(), key=lambda fabric: fabric.index))

    def __len__(self) -> int:
        return len(self._fabrics)

    def get(self, index: int) -> Fabric | None:
        """Return the fabric with `index`, or None."""
        return self._fabrics.get(index)

    def find(self, root_public_key: bytes, fabric_id: int) -> Fabric | None:
        """Return the fabric that `root_public_key` and `fabric_id` identify, or None."""
        for fabric in self._fabrics.values():
            if fabric.fabric_id == fabric_id and fabric.root_public_key == root_public_key:
                return fabric
        return None

    def find_by_destination(self, destination_id: bytes, initiator_random: bytes) -> tuple[Fabric, bytes] | None:
        """Return the fabric and the operational IPK that an initiator addressed, or None."""
        for fabric in self:
            for ipk in fabric.operational_ipks:
                if hmac.compare_digest(fabric.destination_id(ipk, initiator_random), destination_id):
                    return fabric, ipk
        return None

    def add(self, root_certificate: bytes, credentials: NodeCredentials, ipk: bytes, admin_vendor_id: int) -> Fabric:
        """Join a fabric whose certificates were verified, until it is committed or removed.

        Raises: OverflowError if the table is full.
        """
        if len(self._fabrics) >= self.capacity:
            raise OverflowError(f"all {self.capacity} fabrics are in use")
        index = self._next_index()
        fabric = _assemble(index, root_certificate, credentials, admin_vendor_id, label="")
        key_set = GroupKeySet(IDENTITY_PROTECTION_KEY_SET, 0, (EpochKey(ipk, 0),))
        self._fabrics[index] = fabric
        self._last_index = index
        self._group_keys.write(index, key_set)
        for listener in self.on_added:
            listener(self._fabrics[index])
        return self._fabrics[index]

    def update(self, index: int, credentials: NodeCredentials) -> Fabric:
        """Give a fabric a new NOC and key, until they are committed or restored."""
        old = self._fabrics[index]
        self._reissue(_assemble(index, old.root_certificate, credentials, old.admin_vendor_id, old.label))
        return self._fabrics[index]

    def restore(self, index: int) -> None:
        """Go back to the committed state of a fabric that was updated."""
        self._reissue(self._stored[index])

    def set_label(self, index: int, label: str) -> None:
        """Name a fabric; what is not committed, a new fabric or a new NOC, keeps the name only if it is committed.

        Raises: ValueError if the label is longer than 32 bytes.
        """
        if len(label.encode()) > MAX_LABEL_BYTES:
            raise ValueError(f"fabric label {label!r} is longer than {MAX_LABEL_BYTES} bytes")
        self._amend(index, lambda fabric: replace(fabric, label=label))

    def set_admin_vendor_id(self, index: int, vendor_id: int) -> None:
        """Note a fabric's verified vendor; what is not committed keeps it only if it is committed."""
        self._amend(index, lambda fabric: replace(fabric, admin_vendor_id=vendor_id))

    def is_uncommitted(self, index: int) -> bool:
        """Return whether a fabric was added, or its NOC replaced, and neither is durable yet."""
        stored = self._stored.get(index)
        return stored is None or stored.noc != self._fabrics[index].noc

    def commit(self, index: int) -> None:
        """Make the present state of a fabric durable."""
        self._write(self._fabrics[index])

    def remove(self, index: int) -> None:
        """Leave a fabric and delete all that is stored under it, in one transaction.

        Raises: KeyError if there is no such fabric.
        """
        fabric = self._fabrics.pop(index)
        self._stored.pop(index, None)
        with self._store.transaction() as transaction:
            delete_prefix(self._store, transaction, fabric_prefix(index))
        self._group_keys.forget(index)
        for listener in self.on_removed:
            listener(fabric)

    def _amend(self, index: int, change: Callable[[Fabric], Fabric]) -> None:
        """Apply `change` in memory and, where nothing waits to be committed, in the store."""
        fabric = change(self._fabrics[index])
        if index in self._stored and not self.is_uncommitted(index):
            self._write(fabric)
        self._replace(fabric)

    def _reissue(self, fabric: Fabric) -> None:
        """Put `fabric` in place of the one with other credentials; the IPK stays, it is no part of them."""
        old = self._fabrics[fabric.index]
        self._replace(replace(fabric, ipk_epoch_keys=old.ipk_epoch_keys, operational_ipks=old.operational_ipks))
        for listener in self.on_reissued:
            listener(self._fabrics[fabric.index])

    def _replace(self, fabric: Fabric) -> None:
        self._fabrics[fabric.index] = fabric
        for listener in self.on_updated:
            listener(fabric)

    def _take_ipk(self, fabric_index: int, key_set: GroupKeySet) -> None:
        fabric = self._fabrics.get(fabric_index)
        if key_set.set_id == IDENTITY_PROTECTION_KEY_SET and fabric is not None:
            self._fabrics[fabric_index] = fabric.with_ipk(key_set)

    def _next_index(self) -> int:
        """Return the free index that follows the last one given out, so that an index rests before it is used again."""
        span = LAST_FABRIC_INDEX - FIRST_FABRIC_INDEX + 1
        candidates = (FIRST_FABRIC_INDEX + (self._last_index + step) % span for step in range(span))
        return next(index for index in candidates if index not in self._fabrics)

    def _write(self, fabric: Fabric) -> None:
        with self._store.transaction() as transaction:
            transaction.put(_record_key(fabric.index), _encode(fabric))
            transaction.put(_LAST_INDEX_KEY, bytes((self._last_index,)))
        self._stored[fabric.index] = fabric

    def _delete_orphans(self) -> None:
        orphans = [index for index in stored_indexes(self._store) if self._store.get(_record_key(index)) is None]
        if orphans:
            with self._store.transaction() as transaction:
                for index in orphans:
                    delete_prefix(self._store, transaction, fabric_prefix(index))


def fabric_prefix(index: int) -> str:
    """Return what the names of all values of a fabric start with."""
    return f"fabric/{index}/"


def load_fabric(store: KeyValueStore, group_keys: GroupKeyStore, index: int) -> Fabric:
    """Return a stored fabric. Raises: DamagedRecord where it or its keys cannot be read."""
    with decoding(_record_key(index)):
        fabric = _decode(index, store.get(_record_key(index)) or b"")
    key_set = group_keys.read(index, IDENTITY_PROTECTION_KEY_SET)
    return fabric if key_set is None else fabric.with_ipk(key_set)


def _record_key(index: int) -> str:
    return f"{fabric_prefix(index)}record"


def stored_indexes(store: KeyValueStore) -> list[int]:
    """Return the indexes of the fabrics of which anything is stored; what has no index in its name is not ours."""
    names = {key.split("/")[1] for key in store.keys("fabric/")}
    indexes = {int(name) for name in names if name.isascii() and name.isdecimal() and len(name) <= len("254")}
    return sorted(index for index in indexes if FIRST_FABRIC_INDEX <= index <= LAST_FABRIC_INDEX)


def _assemble(index: int, root: bytes, credentials: NodeCredentials, admin_vendor_id: int, label: str) -> Fabric:
    noc = MatterCertificate.decode(credentials.noc)
    root_public_key = MatterCertificate.decode(root).public_key
    fabric_id, node_id = noc.fabric_id, noc.node_id
    if fabric_id is None or node_id is None:
        raise ValueError("NOC names no fabric or no node")
    return Fabric(
        index=index,
        fabric_id=fabric_id,
        node_id=node_id,
        root_certificate=root,
        noc=credentials.noc,
        icac=credentials.icac,
        operational_key=credentials.operational_key,
        admin_vendor_id=admin_vendor_id,
        label=label,
        root_public_key=root_public_key,
        compressed_id=compressed_fabric_id(root_public_key, fabric_id),
    )


def _encode(fabric: Fabric) -> bytes:
    fields = {
        0: fabric.root_certificate,
        1: fabric.noc,
        2: fabric.icac,
        3: fabric.operational_key.to_scalar(),
        4: tlv.uint(fabric.admin_vendor_id),
        5: fabric.label,
    }
    return tlv.encode(fields)


def _decode(index: int, encoded: bytes) -> Fabric:
    fields: dict[int, Any] = tlv.decode(encoded)
    credentials = NodeCredentials(fields[1], fields[2], OperationalKey.from_scalar(fields[3]))
    return _assemble(index, fields[0], credentials, int(fields[4]), fields[5])
