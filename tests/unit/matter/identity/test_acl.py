from __future__ import annotations

from dataclasses import replace
from typing import cast

import pytest

from evse_pi.matter.identity.accessor import Accessor, AuthMode
from evse_pi.matter.identity.acl import (
    MAX_ENTRIES_PER_FABRIC,
    MAX_SUBJECTS_PER_ENTRY,
    MAX_TARGETS_PER_ENTRY,
    AccessControl,
    AclEntry,
    AclTarget,
    ChangeType,
    Privilege,
)
from evse_pi.matter.storage import MemoryStore
from evse_pi.matter.wire.status_code import MatterStatus, StatusCode

ADMIN = Accessor(AuthMode.CASE, 1, 100)
ADMIN_ENTRY = AclEntry(Privilege.ADMINISTER, AuthMode.CASE, (100,), None, 1)
ON_OFF, LEVEL, LIGHT = 0x0006, 0x0008, 0x0100


def control(*entries: AclEntry) -> AccessControl:
    access_control = AccessControl(MemoryStore())
    access_control.replace(1, entries, ADMIN)
    return access_control


def entry(privilege: Privilege = Privilege.OPERATE, **changes: object) -> AclEntry:
    return replace(AclEntry(privilege, AuthMode.CASE, None, None, 1), **changes)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("granted", "allowed"),
    [
        (Privilege.VIEW, {1}),
        (Privilege.PROXY_VIEW, {1, 2}),
        (Privilege.OPERATE, {1, 3}),
        (Privilege.MANAGE, {1, 3, 4}),
        (Privilege.ADMINISTER, {1, 2, 3, 4, 5}),
    ],
)
def test_a_privilege_grants_the_lower_ones(granted: Privilege, allowed: set[int]) -> None:
    access_control = control(entry(granted))
    assert {one for one in Privilege if access_control.allows(ADMIN, one, 1, ON_OFF)} == allowed


def test_an_empty_list_allows_nothing() -> None:
    assert not control().allows(ADMIN, Privilege.VIEW, 0, 0x1D)


def test_the_commissioner_may_do_everything() -> None:
    assert control().allows(Accessor(AuthMode.PASE), Privilege.ADMINISTER, 0, 0x3E)


def test_no_subject_and_other_fabrics_are_refused() -> None:
    access_control = control(entry(Privilege.ADMINISTER))
    assert not access_control.allows(Accessor(AuthMode.NONE), Privilege.VIEW, 0, 0x1D)
    assert not access_control.allows(Accessor(AuthMode.CASE, 2, 100), Privilege.VIEW, 0, 0x1D)
    assert not access_control.allows(Accessor(AuthMode.GROUP, 1, 100), Privilege.VIEW, 0, 0x1D)


def test_subjects_are_node_ids_or_tags_of_at_least_the_wanted_version() -> None:
    access_control = control(entry(subjects=(7, 0xFFFF_FFFD_0005_0003)))

    def allows(node_id: int, *tags: int) -> bool:
        return access_control.allows(Accessor(AuthMode.CASE, 1, node_id, tags), Privilege.OPERATE, 1, ON_OFF)

    assert allows(7)
    assert not allows(8)
    assert allows(8, 0x00050003)
    assert allows(8, 0x00010009, 0x00050004)
    assert not allows(8, 0x00050002)
    assert not allows(8, 0x00060003)


def test_a_target_must_match_in_everything_it_names() -> None:
    access_control = control(
        entry(targets=(AclTarget(cluster=ON_OFF, endpoint=2), AclTarget(cluster=LEVEL, device_type=LIGHT)))
    )
    assert access_control.allows(ADMIN, Privilege.VIEW, 2, ON_OFF)
    assert not access_control.allows(ADMIN, Privilege.VIEW, 1, ON_OFF)
    assert not access_control.allows(ADMIN, Privilege.VIEW, 2, LEVEL)
    assert access_control.allows(ADMIN, Privilege.VIEW, 5, LEVEL, (0x0016, LIGHT))


@pytest.mark.parametrize(
    ("wrong", "status"),
    [
        (entry(auth_mode=AuthMode.PASE), StatusCode.CONSTRAINT_ERROR),
        (entry(auth_mode=AuthMode.NONE), StatusCode.CONSTRAINT_ERROR),
        (entry(auth_mode=9), StatusCode.CONSTRAINT_ERROR),
        (entry(privilege=cast("Privilege", 6)), StatusCode.CONSTRAINT_ERROR),
        (entry(privilege=cast("Privilege", 0)), StatusCode.CONSTRAINT_ERROR),
        (entry(Privilege.ADMINISTER, auth_mode=AuthMode.GROUP), StatusCode.CONSTRAINT_ERROR),
        (entry(subjects=(0,)), StatusCode.CONSTRAINT_ERROR),
        (entry(subjects=(0xFFFF_FFFF_FFFF_0001,)), StatusCode.CONSTRAINT_ERROR),
        (entry(subjects=(0xFFFF_FFFD_0001_0000,)), StatusCode.CONSTRAINT_ERROR),
        (entry(auth_mode=AuthMode.GROUP, subjects=(0x1_0000,)), StatusCode.CONSTRAINT_ERROR),
        (entry(auth_mode=AuthMode.GROUP, subjects=(0,)), StatusCode.CONSTRAINT_ERROR),
        (entry(targets=(AclTarget(),)), StatusCode.CONSTRAINT_ERROR),
        (entry(targets=(AclTarget(endpoint=1, device_type=LIGHT),)), StatusCode.CONSTRAINT_ERROR),
        (entry(targets=(AclTarget(cluster=0x0001_0006),)), StatusCode.CONSTRAINT_ERROR),
        (entry(targets=(AclTarget(cluster=0x8000),)), StatusCode.CONSTRAINT_ERROR),
        (entry(targets=(AclTarget(endpoint=0xFFFF),)), StatusCode.CONSTRAINT_ERROR),
        (entry(targets=(AclTarget(device_type=0xC000),)), StatusCode.CONSTRAINT_ERROR),
        (entry(subjects=tuple(range(1, MAX_SUBJECTS_PER_ENTRY + 2))), StatusCode.RESOURCE_EXHAUSTED),
        (entry(targets=(AclTarget(endpoint=1),) * (MAX_TARGETS_PER_ENTRY + 1)), StatusCode.RESOURCE_EXHAUSTED),
    ],
)
def test_an_invalid_entry_leaves_the_list_as_it_was(wrong: AclEntry, status: StatusCode) -> None:
    access_control = control(ADMIN_ENTRY)
    with pytest.raises(MatterStatus) as refused:
        access_control.replace(1, [ADMIN_ENTRY, wrong], ADMIN)
    assert refused.value.status is status
    assert access_control.entries(1) == (ADMIN_ENTRY,)


def test_too_many_entries_are_refused() -> None:
    with pytest.raises(MatterStatus, match="RESOURCE_EXHAUSTED"):
        control(*(entry() for _ in range(MAX_ENTRIES_PER_FABRIC + 1)))


def test_valid_entries_of_every_kind_are_accepted_and_normalised() -> None:
    access_control = control(
        ADMIN_ENTRY,
        entry(auth_mode=AuthMode.GROUP, subjects=(1, 0xFFFF), fabric_index=9),
        entry(subjects=(), targets=()),
        entry(targets=(AclTarget(cluster=0xFFF1_FC00), AclTarget(device_type=0xFFF1_0001))),
    )
    entries = access_control.entries(1)
    assert entries[1].fabric_index == 1
    assert (entries[2].subjects, entries[2].targets) == (None, None)


def test_entries_survive_a_restart() -> None:
    store = MemoryStore()
    entries = (
        ADMIN_ENTRY,
        entry(subjects=(0xFFFF_FFFD_0001_0001,), targets=(AclTarget(endpoint=1), AclTarget(ON_OFF, None, LIGHT))),
    )
    AccessControl(store).replace(1, entries, ADMIN)
    assert AccessControl(store).entries(1) == entries


def test_changes_are_told_entry_by_entry() -> None:
    access_control = control(ADMIN_ENTRY, entry(), entry(Privilege.VIEW))
    told: list[tuple[ChangeType, Privilege]] = []
    access_control.on_changed.append(lambda kind, one, accessor: told.append((kind, one.privilege)))
    access_control.replace(1, [ADMIN_ENTRY, entry(Privilege.MANAGE)], ADMIN)
    assert told == [
        (ChangeType.CHANGED, Privilege.ADMINISTER),
        (ChangeType.CHANGED, Privilege.MANAGE),
        (ChangeType.REMOVED, Privilege.VIEW),
    ]
    told.clear()
    access_control.replace(1, [ADMIN_ENTRY, entry(Privilege.MANAGE), entry()], ADMIN)
    assert told[-1] == (ChangeType.ADDED, Privilege.OPERATE)
