"""Group key sets per fabric and the operational keys made from them; set 0 is the identity protection key."""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

from evse_pi.matter.storage import decoding
from evse_pi.matter.wire import tlv
from evse_pi.matter.wire.status_code import MatterStatus, StatusCode

if TYPE_CHECKING:
    from collections.abc import Callable

    from evse_pi.matter.storage import KeyValueStore

IDENTITY_PROTECTION_KEY_SET = 0
EPOCH_KEY_BYTES = 16
MAX_EPOCH_KEYS = 3  # of one set, Matter core 11.2.5.4
MAX_KEY_SETS_PER_FABRIC = 3  # the IPK and two more, which is what nodes without a Groups cluster are offered


@dataclass(frozen=True, slots=True)
class EpochKey:
    """One generation of a key and when it starts.

    Units: `start_us` in microseconds since 2000.
    """

    key: bytes
    start_us: int

    def __repr__(self) -> str:
        return f"EpochKey(start_us={self.start_us})"


@dataclass(frozen=True, slots=True)
class GroupKeySet:
    """A set of up to three epoch keys, oldest first."""

    set_id: int
    security_policy: int
    epoch_keys: tuple[EpochKey, ...]


def operational_group_key(epoch_key: bytes, compressed_fabric_id: bytes) -> bytes:
    """Return the key that a fabric uses in place of `epoch_key`. Source: Matter core 4.17.2."""
    return _hkdf_sha256(epoch_key, compressed_fabric_id, b"GroupKey v1.0", EPOCH_KEY_BYTES)


def compressed_fabric_id(root_public_key: bytes, fabric_id: int) -> bytes:
    """Return the 8 bytes that name a fabric on the network. Source: Matter core 4.3.2.2."""
    return _hkdf_sha256(root_public_key[1:], fabric_id.to_bytes(8, "big"), b"CompressedFabric", 8)


def _hkdf_sha256(secret: bytes, salt: bytes, info: bytes, length: int) -> bytes:
    """Return `length` bytes, at most one block of HKDF. Source: RFC 5869."""
    extracted = hmac.digest(salt, secret, hashlib.sha256)
    return hmac.digest(extracted, info + b"\x01", hashlib.sha256)[:length]


class GroupKeyStore:
    """The key sets of every fabric, written through to the store."""

    def __init__(self, store: KeyValueStore) -> None:
        self._store = store
        self._sets: dict[int, dict[int, GroupKeySet]] = {}
        self.on_written: list[Callable[[int, GroupKeySet], None]] = []

    def read(self, fabric_index: int, set_id: int) -> GroupKeySet | None:
        """Return one key set of a fabric, or None."""
        return self._of_fabric(fabric_index).get(set_id)

    def set_ids(self, fabric_index: int) -> list[int]:
        """Return the ids of all key sets of a fabric, ascending."""
        return sorted(self._of_fabric(fabric_index))

    def write(self, fabric_index: int, key_set: GroupKeySet) -> None:
        """Add or replace a key set.

        Raises: MatterStatus INVALID_COMMAND if a key or a start time is wrong, RESOURCE_EXHAUSTED if there is no room.
        """
        _validate(key_set)
        sets = self._of_fabric(fabric_index)
        if key_set.set_id not in sets and len(sets) >= MAX_KEY_SETS_PER_FABRIC:
            raise MatterStatus(
                StatusCode.RESOURCE_EXHAUSTED, f"fabric has {MAX_KEY_SETS_PER_FABRIC} group key sets already"
            )
        self._save(fabric_index, {**sets, key_set.set_id: key_set})
        for listener in self.on_written:
            listener(fabric_index, key_set)

    def remove(self, fabric_index: int, set_id: int) -> None:
        """Remove a key set.

        Raises: MatterStatus INVALID_COMMAND for the identity protection key, NOT_FOUND for an unknown set.
        """
        if set_id == IDENTITY_PROTECTION_KEY_SET:
            raise MatterStatus(StatusCode.INVALID_COMMAND, "the identity protection key set cannot be removed")
        sets = self._of_fabric(fabric_index)
        if set_id not in sets:
            raise MatterStatus(StatusCode.NOT_FOUND, f"group key set {set_id} does not exist")
        self._save(fabric_index, {kept: key_set for kept, key_set in sets.items() if kept != set_id})

    def forget(self, fabric_index: int) -> None:
        """Forget what is known of a fabric whose keys were deleted from the store."""
        self._sets.pop(fabric_index, None)

    def _of_fabric(self, fabric_index: int) -> dict[int, GroupKeySet]:
        if fabric_index not in self._sets:
            encoded = self._store.get(_key(fabric_index))
            with decoding(_key(fabric_index)):
                self._sets[fabric_index] = {} if encoded is None else _decode(encoded)
        return self._sets[fabric_index]

    def _save(self, fabric_index: int, sets: dict[int, GroupKeySet]) -> None:
        with self._store.transaction() as transaction:
            transaction.put(_key(fabric_index), _encode(sets))
        self._sets[fabric_index] = sets


def _key(fabric_index: int) -> str:
    return f"fabric/{fabric_index}/group-keys"


def _validate(key_set: GroupKeySet) -> None:
    if not 1 <= len(key_set.epoch_keys) <= MAX_EPOCH_KEYS:
        raise MatterStatus(StatusCode.INVALID_COMMAND, f"a group key set has 1 to {MAX_EPOCH_KEYS} epoch keys")
    starts = [epoch.start_us for epoch in key_set.epoch_keys]
    if any(len(epoch.key) != EPOCH_KEY_BYTES for epoch in key_set.epoch_keys):
        raise MatterStatus(StatusCode.CONSTRAINT_ERROR, f"an epoch key has {EPOCH_KEY_BYTES} bytes")
    if starts[0] == 0 and key_set.set_id != IDENTITY_PROTECTION_KEY_SET:
        raise MatterStatus(StatusCode.INVALID_COMMAND, "the first epoch start time must not be 0")
    if any(earlier >= later for earlier, later in pairwise(starts)):
        raise MatterStatus(StatusCode.INVALID_COMMAND, f"epoch start times {starts} must ascend")


def _encode(sets: dict[int, GroupKeySet]) -> bytes:
    return tlv.encode(
        [
            {
                0: tlv.uint(key_set.set_id),
                1: tlv.uint(key_set.security_policy),
                2: [{0: epoch.key, 1: tlv.uint(epoch.start_us)} for epoch in key_set.epoch_keys],
            }
            for key_set in sets.values()
        ]
    )


def _decode(encoded: bytes) -> dict[int, GroupKeySet]:
    fields = tlv.decode(encoded)
    if not isinstance(fields, list):
        raise TypeError("group key sets are an array")
    sets = (
        GroupKeySet(int(one[0]), int(one[1]), tuple(EpochKey(epoch[0], int(epoch[1])) for epoch in one[2]))
        for one in fields
    )
    return {key_set.set_id: key_set for key_set in sets}
