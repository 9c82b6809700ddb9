"""AccessControl: the access control lists of all fabrics, as peers read and write them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from evse_pi.matter.identity.accessor import Accessor, AuthMode
from evse_pi.matter.identity.acl import (
    MAX_ENTRIES_PER_FABRIC,
    MAX_SUBJECTS_PER_ENTRY,
    MAX_TARGETS_PER_ENTRY,
    AclEntry,
    AclTarget,
    ChangeType,
    Privilege,
)
from evse_pi.matter.model.cluster_server import ClusterServer
from evse_pi.matter.model.declaration import Attribute, ClusterSchema, Event, Feature, Field, Struct
from evse_pi.matter.wire.chip_objects import AccessControl
from evse_pi.matter.wire.status_code import MatterStatus, StatusCode

if TYPE_CHECKING:
    from evse_pi.matter.identity.ownership import Ownership

SCHEMA = ClusterSchema(
    AccessControl,
    revision=2,
    features=(Feature("EXTS", "Extension", "X"), Feature("MNGD", "ManagedDevice", "X")),
    attributes=(
        Attribute("ACL", "list", "RW F AA"),
        Attribute("SubjectsPerAccessControlEntry", "uint16", "R V", "F", "M", "min 4", MAX_SUBJECTS_PER_ENTRY),
        Attribute("TargetsPerAccessControlEntry", "uint16", "R V", "F", "M", "min 3", MAX_TARGETS_PER_ENTRY),
        Attribute("AccessControlEntriesPerFabric", "uint16", "R V", "F", "M", "min 4", MAX_ENTRIES_PER_FABRIC),
    ),
    events=(Event("AccessControlEntryChanged", "info", "A S"),),
    structs=(
        Struct("AccessControlEntryChanged", (Field("adminPasscodeID", "uint16"),)),
        Struct(
            "AccessControlEntryStruct",
            (
                Field("privilege", sensitive=True),
                Field("authMode", sensitive=True),
                Field("subjects", "list", sensitive=True),
                Field("targets", "list", sensitive=True),
            ),
        ),
        Struct(
            "AccessControlTargetStruct",
            (Field("cluster", "cluster-id"), Field("endpoint", "endpoint-no"), Field("deviceType", "devtype-id")),
        ),
    ),
)


class AccessControlServer(ClusterServer):
    """The lists of `identity.acl`; a write replaces the writer's own list in one step or not at all."""

    schema = SCHEMA

    def __init__(self, ownership: Ownership, **state: Any) -> None:
        super().__init__(**state)
        self._ownership = ownership
        ownership.access_control.on_changed.append(self._changed)
        ownership.fabrics.on_removed.append(lambda _fabric: self.changed("acl"))  # and its entries are gone with it

    def read_acl(self, _accessor: Accessor | None) -> list[Any]:
        """Return the entries of all fabrics."""
        fabrics = self._ownership.fabrics
        return [
            _to_struct(entry) for fabric in fabrics for entry in self._ownership.access_control.entries(fabric.index)
        ]

    def write_acl(self, entries: tuple[Any, ...]) -> None:
        """Replace the writer's list."""
        accessor = self.accessor
        if accessor is None:
            raise MatterStatus(StatusCode.UNSUPPORTED_WRITE, "an access control list has no owner but a fabric")
        parsed = [_to_entry(entry) for entry in entries]
        self._ownership.access_control.replace(accessor.fabric_index, parsed, accessor)

    def _changed(self, kind: ChangeType, entry: AclEntry, accessor: Accessor) -> None:
        is_passcode = accessor.auth_mode is AuthMode.PASE
        self.events.access_control_entry_changed.emit(
            adminNodeID=None if is_passcode else accessor.node_id,
            adminPasscodeID=0 if is_passcode else None,
            changeType=int(kind),
            latestValue=_to_struct(entry),
            fabricIndex=entry.fabric_index,
        )
        self.changed("acl")


def _to_struct(entry: AclEntry) -> Any:
    structs = AccessControl.Structs
    targets = entry.targets and tuple(
        structs.AccessControlTargetStruct(target.cluster, target.endpoint, target.device_type)
        for target in entry.targets
    )
    return structs.AccessControlEntryStruct(
        privilege=int(entry.privilege),
        authMode=int(entry.auth_mode),
        subjects=entry.subjects,
        targets=targets,
        fabricIndex=entry.fabric_index,
    )


def _to_entry(struct: Any) -> AclEntry:
    targets = struct.targets and tuple(
        AclTarget(target.cluster, target.endpoint, target.deviceType) for target in struct.targets
    )
    privilege, auth_mode = Privilege(struct.privilege), AuthMode(struct.authMode)
    return AclEntry(privilege, auth_mode, struct.subjects, targets, struct.fabricIndex)
