"""GroupKeyManagement: the key sets of fabrics, the identity protection key among them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from evse_pi.matter.identity.group_keys import MAX_KEY_SETS_PER_FABRIC, EpochKey, GroupKeySet
from evse_pi.matter.model.cluster_server import ClusterServer
from evse_pi.matter.model.declaration import Attribute, ClusterSchema, Command, Feature, Field, Struct
from evse_pi.matter.wire.chip_objects import GroupKeyManagement
from evse_pi.matter.wire.status_code import MatterStatus, StatusCode

if TYPE_CHECKING:
    from evse_pi.matter.identity.ownership import Ownership

MAX_GROUP_KEY_MAPPINGS = 4  # of one fabric; without a Groups cluster no endpoint is in a group
_Answers = GroupKeyManagement.Commands
_KeySet = GroupKeyManagement.Structs.GroupKeySetStruct
_Policy = GroupKeyManagement.Enums.GroupKeySecurityPolicyEnum

SCHEMA = ClusterSchema(
    GroupKeyManagement,
    revision=2,
    features=(Feature("CS", "CacheAndSync", "X"),),
    attributes=(
        Attribute("GroupKeyMap", "list", "RW F VM", "N"),
        Attribute("GroupTable", "list", "R F V"),
        Attribute("MaxGroupsPerFabric", "uint16", "R V", "F", default=MAX_GROUP_KEY_MAPPINGS),
        Attribute("MaxGroupKeysPerFabric", "uint16", "R V", "F", "M", "min 1", MAX_KEY_SETS_PER_FABRIC),
    ),
    commands=(
        Command("KeySetWrite", "A F"),
        Command("KeySetRead", "A F", fields=(Field("groupKeySetID", "uint16"),)),
        Command("KeySetRemove", "A F", fields=(Field("groupKeySetID", "uint16"),)),
        Command("KeySetReadAllIndices", "A F"),
    ),
    structs=(
        Struct(
            "GroupInfoMapStruct",
            (
                Field("groupId", "group-id"),
                Field("groupName", "string", "max 16"),
                Field("endpoints", "list[endpoint-no]", "min 1"),
            ),
        ),
        Struct(
            "GroupKeySetStruct",
            (
                Field("groupKeySetID", "uint16"),
                *(Field(f"epochStartTime{index}", "epoch-us") for index in range(3)),
                Field("epochKey0", "octets", "16 to 16"),
                Field("epochKey1", "octets", "16 to 16"),
                Field("epochKey2", "octets", "16 to 16"),
            ),
        ),
        Struct("KeySetReadAllIndicesResponse", (Field("groupKeySetIDs", "list[uint16]"),)),
        Struct("GroupKeyMapStruct", (Field("groupId", "group-id"), Field("groupKeySetID", "uint16", "min 1"))),
    ),
)


class GroupKeyManagementServer(ClusterServer):
    """The commands over `identity.group_keys`; keys go in and never come out."""

    schema = SCHEMA

    def __init__(self, ownership: Ownership, **state: Any) -> None:
        super().__init__(**state)
        self._keys = ownership.group_keys

    def write_group_key_map(self, entries: tuple[Any, ...]) -> None:
        """Replace the writer's mappings; a group has one key set, and that is not the identity protection key."""
        own = self._fabric_index()
        if len(entries) > MAX_GROUP_KEY_MAPPINGS:
            raise MatterStatus(
                StatusCode.RESOURCE_EXHAUSTED, f"{len(entries)} mappings, at most {MAX_GROUP_KEY_MAPPINGS}"
            )
        groups = [entry.groupId for entry in entries]
        if len(set(groups)) != len(groups):
            raise MatterStatus(StatusCode.CONSTRAINT_ERROR, "a group is mapped twice")
        others = (entry for entry in self.state.group_key_map if entry.fabricIndex != own)
        self.state.group_key_map = (*others, *entries)

    def key_set_write(self, request: Any) -> None:
        """Add or replace a key set."""
        wanted = request.groupKeySet
        if wanted.groupKeySecurityPolicy == _Policy.kCacheAndSync:
            raise MatterStatus(StatusCode.INVALID_COMMAND, "cache-and-sync is not supported")
        key_set = GroupKeySet(wanted.groupKeySetID, int(wanted.groupKeySecurityPolicy), _epoch_keys(wanted))
        self._keys.write(self._fabric_index(), key_set)

    def key_set_read(self, request: Any) -> Any:
        """Return a key set without its keys."""
        found = self._keys.read(self._fabric_index(), request.groupKeySetID)
        if found is None:
            raise MatterStatus(StatusCode.NOT_FOUND, f"group key set {request.groupKeySetID} does not exist")
        starts = [epoch.start_us for epoch in found.epoch_keys] + [None, None]
        return _Answers.KeySetReadResponse(
            _KeySet(
                groupKeySetID=found.set_id,
                groupKeySecurityPolicy=found.security_policy,
                epochKey0=None,
                epochStartTime0=starts[0],
                epochKey1=None,
                epochStartTime1=starts[1],
                epochKey2=None,
                epochStartTime2=starts[2],
            )
        )

    def key_set_remove(self, request: Any) -> None:
        """Remove a key set and the mappings to it."""
        own = self._fabric_index()
        self._keys.remove(own, request.groupKeySetID)
        self.state.group_key_map = tuple(
            entry
            for entry in self.state.group_key_map
            if (entry.fabricIndex, entry.groupKeySetID) != (own, request.groupKeySetID)
        )

    def key_set_read_all_indices(self) -> Any:
        """Return the identifiers of all key sets of the requester's fabric."""
        return _Answers.KeySetReadAllIndicesResponse(tuple(self._keys.set_ids(self._fabric_index())))

    def _fabric_index(self) -> int:
        if self.accessor is None:
            raise RuntimeError("group keys are changed by peers only")
        return self.accessor.fabric_index


def _epoch_keys(wanted: Any) -> tuple[EpochKey, ...]:
    """Return the epoch keys of a GroupKeySetStruct, which must be given from the first on, each with its start."""
    pairs = [(getattr(wanted, f"epochKey{index}"), getattr(wanted, f"epochStartTime{index}")) for index in range(3)]
    given = [key is not None for key, _ in pairs]
    if given != sorted(given, reverse=True) or any((key is None) != (start is None) for key, start in pairs):
        raise MatterStatus(
            StatusCode.INVALID_COMMAND, "epoch keys are given from the first on, each with its start time"
        )
    return tuple(EpochKey(key, start) for key, start in pairs if key is not None)
