"""Writes: each attribute all or nothing, a list in as many pieces and messages as it takes."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from evse_pi.matter.interaction.messages import AttributeData, ListOperation, Path, WriteRequest
from evse_pi.matter.interaction.paths import WRITE, PathTarget, expand
from evse_pi.matter.model.operations import own_entries, write_value
from evse_pi.matter.model.request import PeerRequest, serving
from evse_pi.matter.model.transaction import transaction
from evse_pi.matter.wire.status_code import MatterStatus, StatusCode

if TYPE_CHECKING:
    from collections.abc import Callable

    from evse_pi.matter.model.cluster import ClusterAttribute
    from evse_pi.matter.model.endpoint import Node
    from evse_pi.matter.model.value_codec import Codec

MAX_LIST_ENTRIES = 512  # of one write; an access control list of 8 entries is the longest list that is written here

Location = tuple[int, int, int]


@dataclass(slots=True)
class _PendingList:
    """A list under construction, to be applied when the last entry is there."""

    target: PathTarget[ClusterAttribute]
    location: Location
    entries: list[Any]
    answers: list[int] = field(default_factory=list)
    refusal: MatterStatus | None = None

    def add(self, entries: list[Any]) -> None:
        """Take in more entries.

        Raises: MatterStatus RESOURCE_EXHAUSTED when they become too many.
        """
        self.entries += entries
        if len(self.entries) > MAX_LIST_ENTRIES:
            raise MatterStatus(StatusCode.RESOURCE_EXHAUSTED, f"more than {MAX_LIST_ENTRIES} entries")


class WriteLocks:
    """The lists that some exchange is in the middle of writing."""

    def __init__(self) -> None:
        self._owners: dict[Location, object] = {}

    def take(self, location: Location, owner: object) -> None:
        """Reserve a list for `owner`.

        Raises: MatterStatus BUSY when another peer has it.
        """
        if self._owners.setdefault(location, owner) is not owner:
            raise MatterStatus(StatusCode.BUSY, "the list is being written by another peer")

    def release(self, owner: object) -> None:
        """Free everything that `owner` holds."""
        self._owners = {location: holder for location, holder in self._owners.items() if holder is not owner}


class WriteAction:
    """One write interaction from its first message to its last."""

    def __init__(self, node: Node, request: PeerRequest, locks: WriteLocks, *, timed: bool) -> None:
        self._node = node
        self._request = request
        self._locks = locks
        self._timed = timed
        self._pending: _PendingList | None = None
        self._versions: dict[tuple[int, int], int] = {}
        self._answers: list[tuple[Path, MatterStatus | None]] = []

    def process(self, message: WriteRequest) -> list[tuple[Path, MatterStatus | None]]:
        """Return the answers to one message's items; what lists they belong to is applied when complete."""
        self._answers = []
        if self._pending is not None:
            self._pending.answers.clear()
        if any(item.path.is_wildcard for item in message.writes):
            raise MatterStatus(StatusCode.INVALID_ACTION, "a write needs paths without wildcards")
        for item in message.writes:
            self._item(item)
        if not message.more:
            self._finish_list()
        return self._answers

    def close(self) -> None:
        """Give back what is reserved; a list that was not completed is dropped."""
        self._pending = None
        self._locks.release(self)

    def _item(self, item: AttributeData) -> None:
        pending = self._pending
        location = (item.path.endpoint or 0, item.path.cluster or 0, item.path.element or 0)
        appends = item.path.operation is ListOperation.APPEND
        if pending is not None and not (appends and pending.location == location):
            self._finish_list()
        self._answers.append((item.path, None))
        try:
            self._accept(item, location)
        except MatterStatus as refusal:
            self._answers[-1] = (item.path, refusal)

    def _accept(self, item: AttributeData, location: Location) -> None:
        target = self._check(item)
        if target.element.list_codec is None:
            if item.path.operation is ListOperation.APPEND:
                raise MatterStatus(StatusCode.INVALID_DATA_TYPE, f"{target.element.name} is no list")
            value = target.element.codec.from_tlv(item.data)
            self._guarded(lambda: self._apply(target, value))
            return
        self._locks.take(location, self)
        self._extend(target, location, item)

    def _check(self, item: AttributeData) -> PathTarget[ClusterAttribute]:
        """Return what may be written, checked in the order existence, support, access, timed, version."""
        (target,) = expand(self._node, WRITE, item.path, self._request.accessor)
        attribute, server = target.element, target.server
        if attribute.fabric_scoped and self._request.accessor.fabric_index == 0:
            raise MatterStatus(
                StatusCode.UNSUPPORTED_ACCESS, f"{attribute.name} is fabric-scoped, the writer has no fabric"
            )
        if attribute.access.timed and not self._timed:
            raise MatterStatus(StatusCode.NEEDS_TIMED_INTERACTION, attribute.name)
        cluster = (server.endpoint.id, server.cluster.id)
        if item.data_version is not None:
            expected = self._versions.setdefault(cluster, server.data_version)
            if item.data_version != expected:
                raise MatterStatus(StatusCode.DATA_VERSION_MISMATCH, f"{server.name} is at {expected}")
        return target

    def _extend(self, target: PathTarget[ClusterAttribute], location: Location, item: AttributeData) -> None:
        codec = target.element.codec
        if item.path.operation is ListOperation.REPLACE:
            self._pending = _PendingList(target, location, [])
        elif self._pending is None:
            entries = own_entries(target.server, target.element, self._request.accessor.fabric_index)
            self._pending = _PendingList(target, location, list(entries))
        pending = self._pending
        pending.answers.append(len(self._answers) - 1)
        if pending.refusal is not None:
            raise pending.refusal
        try:
            pending.add(self._decode_entries(target.element, codec, item))
        except MatterStatus as refusal:
            pending.refusal = refusal
            raise

    @staticmethod
    def _decode_entries(attribute: ClusterAttribute, codec: Codec, item: AttributeData) -> list[Any]:
        entry = attribute.list_codec.entry if attribute.list_codec else codec
        if item.path.operation is ListOperation.APPEND:
            return [entry.from_tlv(item.data)]
        if not isinstance(item.data, list):
            raise MatterStatus(StatusCode.INVALID_DATA_TYPE, f"{attribute.name}: not a list")
        return [entry.from_tlv(element) for element in item.data]

    def _finish_list(self) -> None:
        """Apply the pending list as one change; if it is refused, so is every piece of it in this message."""
        pending, self._pending = self._pending, None
        if pending is None or pending.refusal is not None:
            return
        try:
            value = pending.target.element.codec.cast(pending.entries)
            self._guarded(lambda: self._apply(pending.target, value))
        except MatterStatus as refusal:
            if not pending.answers:
                self._answers.append((pending.target.path, refusal))
            for index in pending.answers:
                self._answers[index] = (self._answers[index][0], refusal)

    def _apply(self, target: PathTarget[ClusterAttribute], value: Any) -> None:
        with serving(self._request), transaction():
            write_value(target.server, target.element, value)

    @staticmethod
    def _guarded(apply: Callable[[], None]) -> None:
        """Run a server's own rule; whatever it raises becomes the answer."""
        try:
            apply()
        except MatterStatus:
            raise
        except Exception as error:
            raise MatterStatus(StatusCode.FAILURE, f"{type(error).__name__}: {error}") from error
