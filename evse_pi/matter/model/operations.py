"""What the interaction model does with one cluster server: encode an attribute, write it, invoke a command."""

from __future__ import annotations

import inspect
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from evse_pi.matter.model.derivation import handler_name
from evse_pi.matter.model.schema_guard import member
from evse_pi.matter.model.value_codec import StructCodec

if TYPE_CHECKING:
    from evse_pi.matter.identity.accessor import Accessor
    from evse_pi.matter.model.cluster import ClusterAttribute, ClusterCommand
    from evse_pi.matter.model.tree_interface import ServerInterface

ATTRIBUTE_DATA_TAG = 2


def encoded_attribute(
    server: ServerInterface, attribute: ClusterAttribute, accessor: Accessor, *, fabric_filtered: bool
) -> bytes:
    """Return the value of an attribute as the data member of a report to `accessor`."""
    if hasattr(server, f"read_{attribute.key}") or attribute.fabric_scoped:
        return member(
            ATTRIBUTE_DATA_TAG, attribute_element(server, attribute, accessor, fabric_filtered=fabric_filtered)
        )
    return server.encoded(attribute)


def attribute_element(
    server: ServerInterface, attribute: ClusterAttribute, accessor: Accessor, *, fabric_filtered: bool
) -> Any:
    """Return the value of an attribute as the TLV element that `accessor` may see."""
    reader = getattr(server, f"read_{attribute.key}", None)
    value = server.value(attribute) if reader is None else attribute.codec.cast(reader(accessor))
    entries = attribute.list_codec
    if value is None or entries is None or not isinstance(entries.entry, StructCodec) or not attribute.fabric_scoped:
        return attribute.codec.to_tlv(value)
    own = accessor.fabric_index
    return [
        entries.entry.to_tlv(entry, redacted=entry.fabricIndex != own)
        for entry in value
        if not fabric_filtered or entry.fabricIndex == own
    ]


def own_entries(server: ServerInterface, attribute: ClusterAttribute, fabric_index: int) -> tuple[Any, ...]:
    """Return the entries of a list attribute that an accessor of `fabric_index` may append to."""
    value: tuple[Any, ...] = server.value(attribute)
    if not attribute.fabric_scoped:
        return value
    return tuple(entry for entry in value if entry.fabricIndex == fabric_index)


def write_value(server: ServerInterface, attribute: ClusterAttribute, value: Any) -> None:
    """Give an attribute the checked `value` a peer wrote, through the server's own rule if it has one.

    A fabric-scoped list replaces the entries of the accessor's fabric only, and they become that fabric's.
    """
    if attribute.fabric_scoped:
        fabric_index = server.accessor.fabric_index if server.accessor else 0
        value = tuple(replace(entry, fabricIndex=fabric_index) for entry in value)
    writer = getattr(server, f"write_{attribute.key}", None)
    if writer is not None:
        writer(value)
        return
    if attribute.fabric_scoped:
        value = (*(entry for entry in server.value(attribute) if entry.fabricIndex != fabric_index), *value)
    server.assign(attribute, value)


async def invoke_handler(server: ServerInterface, command: ClusterCommand, request: Any) -> Any:
    """Return what the command's method answers; a command without fields has a method without arguments."""
    method = getattr(server, handler_name(type(server), command))
    result = method(request) if command.request.slots else method()
    return await result if inspect.isawaitable(result) else result
