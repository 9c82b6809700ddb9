"""Who may do what: access control entries, their rules and the decision."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING, Any

from evse_pi.matter.identity import node_id
from evse_pi.matter.identity.accessor import Accessor, AuthMode
from evse_pi.matter.storage import decoding
from evse_pi.matter.wire import tlv
from evse_pi.matter.wire.status_code import MatterStatus, StatusCode

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from evse_pi.matter.storage import KeyValueStore

MAX_ENTRIES_PER_FABRIC = 8  # the specification wants 4
MAX_SUBJECTS_PER_ENTRY = 8  # the specification wants 4
MAX_TARGETS_PER_ENTRY = 8  # the specification wants 3


class Privilege(IntEnum):
    """What an entry grants. Source: Matter core 9.10.5.1."""

    VIEW = 1
    PROXY_VIEW = 2
    OPERATE = 3
    MANAGE = 4
    ADMINISTER = 5


_GRANTED = {
    Privilege.VIEW: frozenset({Privilege.VIEW}),
    Privilege.PROXY_VIEW: frozenset({Privilege.VIEW, Privilege.PROXY_VIEW}),
    Privilege.OPERATE: frozenset({Privilege.VIEW, Privilege.OPERATE}),
    Privilege.MANAGE: frozenset({Privilege.VIEW, Privilege.OPERATE, Privilege.MANAGE}),
    Privilege.ADMINISTER: frozenset(Privilege),
}


class ChangeType(IntEnum):
    """What happened to an entry. Source: Matter core 9.10.5.3."""

    CHANGED = 0
    ADDED = 1
    REMOVED = 2


@dataclass(frozen=True, slots=True)
class AclTarget:
    """The part of the node that an entry speaks of; None means any."""

    cluster: int | None = None
    endpoint: int | None = None
    device_type: int | None = None


@dataclass(frozen=True, slots=True)
class AclEntry:
    """One grant; None for subjects or targets means all. Source: Matter core 9.10.5.5."""

    privilege: Privilege
    auth_mode: AuthMode
    subjects: tuple[int, ...] | None
    targets: tuple[AclTarget, ...] | None
    fabric_index: int


class AccessControl:
    """The access control list of every fabric, written through to the store."""

    def __init__(self, store: KeyValueStore) -> None:
        self._store = store
        self._entries: dict[int, tuple[AclEntry, ...]] = {}
        self.on_changed: list[Callable[[ChangeType, AclEntry, Accessor], None]] = []

    def entries(self, fabric_index: int) -> tuple[AclEntry, ...]:
        """Return the entries of one fabric in their order."""
        if fabric_index not in self._entries:
            encoded = self._store.get(_key(fabric_index))
            with decoding(_key(fabric_index)):
                self._entries[fabric_index] = () if encoded is None else _decode(fabric_index, encoded)
        return self._entries[fabric_index]

    def allows(
        self, accessor: Accessor, privilege: Privilege, endpoint: int, cluster: int, device_types: Sequence[int] = ()
    ) -> bool:
        """Tell whether `accessor` has `privilege` on `cluster` at `endpoint`, which is of `device_types`."""
        if accessor.auth_mode is AuthMode.PASE:
            return True  # the commissioner, Matter core 6.6.2.9
        if accessor.fabric_index == 0:
            return False
        return any(
            entry.auth_mode == accessor.auth_mode
            and privilege in _GRANTED[entry.privilege]
            and _is_subject(accessor, entry)
            and _is_target(entry, endpoint, cluster, device_types)
            for entry in self.entries(accessor.fabric_index)
        )

    def replace(self, fabric_index: int, entries: Sequence[AclEntry], accessor: Accessor) -> None:
        """Make `entries` the whole list of a fabric, if every one of them is valid.

        Raises: MatterStatus CONSTRAINT_ERROR for an invalid entry, RESOURCE_EXHAUSTED for too many.
        """
        if len(entries) > MAX_ENTRIES_PER_FABRIC:
            raise MatterStatus(
                StatusCode.RESOURCE_EXHAUSTED, f"{len(entries)} ACL entries, at most {MAX_ENTRIES_PER_FABRIC}"
            )
        new = tuple(_normalised(entry, fabric_index) for entry in entries)
        old = self.entries(fabric_index)
        with self._store.transaction() as transaction:
            transaction.put(_key(fabric_index), _encode(new))
        self._entries[fabric_index] = new
        for kind, entry in _changes(old, new):
            for listener in self.on_changed:
                listener(kind, entry, accessor)

    def forget(self, fabric_index: int) -> None:
        """Forget what is known of a fabric whose entries were deleted from the store."""
        self._entries.pop(fabric_index, None)


def _is_subject(accessor: Accessor, entry: AclEntry) -> bool:
    return entry.subjects is None or any(
        subject == accessor.node_id or node_id.matches_case_authenticated_tag(subject, accessor.case_authenticated_tags)
        for subject in entry.subjects
    )


def _is_target(entry: AclEntry, endpoint: int, cluster: int, device_types: Sequence[int]) -> bool:
    return entry.targets is None or any(
        target.cluster in (None, cluster)
        and target.endpoint in (None, endpoint)
        and (target.device_type is None or target.device_type in device_types)
        for target in entry.targets
    )


def _changes(old: tuple[AclEntry, ...], new: tuple[AclEntry, ...]) -> list[tuple[ChangeType, AclEntry]]:
    """Return what a write did to each place of the list; writing the same entry again counts, as in TC-ACL-2.6."""
    changed = [(ChangeType.CHANGED, entry) for entry in new[: len(old)]]
    added = [(ChangeType.ADDED, entry) for entry in new[len(old) :]]
    removed = [(ChangeType.REMOVED, entry) for entry in old[len(new) :]]
    return changed + added + removed


def _normalised(entry: AclEntry, fabric_index: int) -> AclEntry:
    """Return `entry` as it is stored: its own fabric, null in place of empty lists.

    Raises: MatterStatus naming what is wrong.
    """
    _check_subjects(entry)
    targets = entry.targets or ()
    if len(targets) > MAX_TARGETS_PER_ENTRY:
        raise MatterStatus(StatusCode.RESOURCE_EXHAUSTED, f"{len(targets)} targets, at most {MAX_TARGETS_PER_ENTRY}")
    for target in targets:
        _check_target(target)
    return AclEntry(
        Privilege(entry.privilege), AuthMode(entry.auth_mode), entry.subjects or None, targets or None, fabric_index
    )


def _check_subjects(entry: AclEntry) -> None:
    subjects = entry.subjects or ()
    if len(subjects) > MAX_SUBJECTS_PER_ENTRY:
        raise MatterStatus(StatusCode.RESOURCE_EXHAUSTED, f"{len(subjects)} subjects, at most {MAX_SUBJECTS_PER_ENTRY}")
    if entry.privilege not in Privilege.__members__.values():
        raise MatterStatus(StatusCode.CONSTRAINT_ERROR, f"privilege {entry.privilege} is unknown")
    match entry.auth_mode:
        case AuthMode.CASE:
            valid = all(node_id.is_operational(one) or node_id.is_case_authenticated_tag(one) for one in subjects)
        case AuthMode.GROUP:
            if entry.privilege is Privilege.ADMINISTER:
                raise MatterStatus(StatusCode.CONSTRAINT_ERROR, "a group cannot administer")
            valid = all(node_id.is_group_id(one) for one in subjects)
        case _:
            raise MatterStatus(StatusCode.CONSTRAINT_ERROR, f"auth mode {entry.auth_mode} must be CASE or Group")
    if not valid:
        raise MatterStatus(StatusCode.CONSTRAINT_ERROR, f"a subject does not fit auth mode {entry.auth_mode}")


def _check_target(target: AclTarget) -> None:
    if target == AclTarget():
        raise MatterStatus(StatusCode.CONSTRAINT_ERROR, "target names neither cluster nor endpoint nor device type")
    if target.endpoint is not None and target.device_type is not None:
        raise MatterStatus(StatusCode.CONSTRAINT_ERROR, "target names both endpoint and device type")
    if target.cluster is not None and not _is_cluster_id(target.cluster):
        raise MatterStatus(StatusCode.CONSTRAINT_ERROR, f"target cluster 0x{target.cluster:X} is no cluster id")
    if target.endpoint is not None and not 0 <= target.endpoint <= 0xFFFE:
        raise MatterStatus(StatusCode.CONSTRAINT_ERROR, f"target endpoint {target.endpoint} is no endpoint number")
    if target.device_type is not None and not 0 <= target.device_type & 0xFFFF <= 0xBFFF:
        raise MatterStatus(
            StatusCode.CONSTRAINT_ERROR, f"target device type 0x{target.device_type:X} is no device type id"
        )


def _is_cluster_id(cluster: int) -> bool:
    """Tell whether `cluster` is in the standard or the manufacturer's range. Source: Matter core 7.19.2.39."""
    prefix, suffix = cluster >> 16, cluster & 0xFFFF
    return suffix <= 0x7FFF if prefix == 0 else prefix <= 0xFFF4 and 0xFC00 <= suffix <= 0xFFFE


def _key(fabric_index: int) -> str:
    return f"fabric/{fabric_index}/acl"


def _encode(entries: tuple[AclEntry, ...]) -> bytes:
    return tlv.encode([_encode_entry(entry) for entry in entries])


def _encode_entry(entry: AclEntry) -> dict[int, Any]:
    fields: dict[int, Any] = {0: tlv.uint(entry.privilege), 1: tlv.uint(entry.auth_mode)}
    if entry.subjects is not None:
        fields[2] = [tlv.uint(subject) for subject in entry.subjects]
    if entry.targets is not None:
        fields[3] = [
            {
                tag: tlv.uint(value)
                for tag, value in enumerate((target.cluster, target.endpoint, target.device_type))
                if value is not None
            }
            for target in entry.targets
        ]
    return fields


def _decode(fabric_index: int, encoded: bytes) -> tuple[AclEntry, ...]:
    entries = tlv.decode(encoded)
    if not isinstance(entries, list):
        raise TypeError("an access control list is an array")
    return tuple(_decode_entry(fabric_index, fields) for fields in entries)


def _decode_entry(fabric_index: int, fields: dict[int, Any]) -> AclEntry:
    subjects, targets = fields.get(2), fields.get(3)
    return AclEntry(
        privilege=Privilege(fields[0]),
        auth_mode=AuthMode(fields[1]),
        subjects=None if subjects is None else tuple(int(subject) for subject in subjects),
        targets=None if targets is None else tuple(AclTarget(*map(target.get, (0, 1, 2))) for target in targets),
        fabric_index=fabric_index,
    )
