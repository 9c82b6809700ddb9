"""The guard of one cluster: validates, casts and persists state and payloads by the schema."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from chip.tlv import TLVWriter

from evse_pi.matter.wire import tlv
from evse_pi.matter.wire.status_code import MatterStatus, StatusCode

if TYPE_CHECKING:
    from evse_pi.matter.model.cluster import Cluster, ClusterAttribute, ClusterCommand, ClusterEvent

EVENT_DATA_TAG = 7


def member(tag: int, element: Any) -> bytes:
    """Return `element` encoded as a member `tag` of some structure."""
    writer = TLVWriter()
    writer.startStructure(None)
    writer.put(tag, element)
    return bytes(writer.encoding[1:])


class SchemaGuard:
    """What may stand in a cluster's state, requests, responses and events."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._by_key = {attribute.key: attribute for attribute in cluster.attributes.values()}
        self._events = {event.key: event for event in cluster.events.values()}

    def attribute(self, key: str) -> ClusterAttribute:
        """Return the attribute with this Python name.

        Raises: AttributeError when the cluster does not have it.
        """
        try:
            return self._by_key[key]
        except KeyError:
            names = ", ".join(sorted(self._by_key))
            raise AttributeError(f"{self._cluster.name} has no attribute {key!r}; it has {names}") from None

    def event(self, key: str) -> ClusterEvent:
        """Return the event with this Python name.

        Raises: AttributeError when the cluster does not have it.
        """
        try:
            return self._events[key]
        except KeyError:
            names = ", ".join(sorted(self._events)) or "none"
            raise AttributeError(f"{self._cluster.name} has no event {key!r}; it has {names}") from None

    def cast(self, key: str, value: Any) -> Any:
        """Return `value` in the normal form of the attribute `key`.

        Raises: MatterStatus naming the attribute, the value and what is allowed.
        """
        return self.attribute(key).codec.cast(value)

    def dump(self, attribute: ClusterAttribute, value: Any) -> bytes:
        """Return `value` as it stands in the store."""
        return tlv.encode({0: attribute.codec.to_tlv(value)})

    def load(self, attribute: ClusterAttribute, record: bytes) -> Any:
        """Return the value that `record` of the store holds.

        Raises: MatterStatus or DecodeError when it does not fit the schema any more, anything that a decoder stumbles
        over when it never did.
        """
        return attribute.codec.from_tlv(tlv.decode(record)[0])

    def request(self, command: ClusterCommand, element: Any) -> Any:
        """Return the request that a peer sent.

        Raises: MatterStatus with INVALID_COMMAND when fields are missing or mistyped, CONSTRAINT_ERROR otherwise.
        """
        try:
            return command.request.from_tlv({} if element is None else element)
        except MatterStatus as refusal:
            if refusal.status is not StatusCode.INVALID_DATA_TYPE:
                raise
            raise MatterStatus(StatusCode.INVALID_COMMAND, refusal.reason) from refusal

    def response(self, command: ClusterCommand, value: Any) -> Any:
        """Return the TLV element of a command's response.

        Raises: TypeError when the handler answered with something else.
        """
        codec = command.response
        if codec is None or not isinstance(value, codec.kind):
            expected = "nothing" if codec is None else codec.kind.__name__
            raise TypeError(
                f"{self._cluster.name}.{command.name} answered {type(value).__name__} instead of {expected}"
            )
        return codec.to_tlv(codec.cast(value))

    def event_payload(self, event: ClusterEvent, value: Any) -> bytes:
        """Return an event's payload as the data member of a report."""
        return member(EVENT_DATA_TAG, event.payload.to_tlv(value))
