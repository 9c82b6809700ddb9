"""The interaction model's messages: requests from TLV to values, answers from values to TLV.

Source: Matter core 10.6 (information blocks), 10.7 (messages).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum, IntFlag
from functools import lru_cache
from typing import Any, Final

from chip.tlv import uint
from chip.tlv.tlvlist import TLVList

from evse_pi.matter.model.schema_guard import member
from evse_pi.matter.wire import tlv
from evse_pi.matter.wire.status_code import DecodeError, MatterStatus, StatusCode

INTERACTION_MODEL_REVISION = 12
_REVISION = {0xFF: uint(INTERACTION_MODEL_REVISION)}
_STRUCTURE, _END = b"\x15", b"\x18"


class InteractionOpcode(IntEnum):
    """Message types of protocol 1."""

    STATUS_RESPONSE = 0x01
    READ_REQUEST = 0x02
    SUBSCRIBE_REQUEST = 0x03
    SUBSCRIBE_RESPONSE = 0x04
    REPORT_DATA = 0x05
    WRITE_REQUEST = 0x06
    WRITE_RESPONSE = 0x07
    INVOKE_REQUEST = 0x08
    INVOKE_RESPONSE = 0x09
    TIMED_REQUEST = 0x0A


class WildcardFlag(IntFlag):
    """What a wildcard leaves out. Source: Matter core 8.9.2.3."""

    ROOT_NODE = 1
    GLOBAL_ATTRIBUTES = 2
    ATTRIBUTE_LIST = 4
    COMMAND_LISTS = 16
    CUSTOM_ELEMENTS = 32
    FIXED_ATTRIBUTES = 64
    CHANGES_OMITTED = 128
    DIAGNOSTICS = 256


NO_FLAGS = WildcardFlag(0)


class ListOperation(IntEnum):
    """What an attribute path does to a list."""

    REPLACE = 0
    APPEND = 1


@dataclass(frozen=True, slots=True)
class Path:
    """The address of an attribute, an event or a command; None is a wildcard."""

    endpoint: int | None
    cluster: int | None
    element: int | None
    flags: WildcardFlag = NO_FLAGS
    operation: ListOperation = ListOperation.REPLACE
    urgent: bool = False

    @property
    def is_wildcard(self) -> bool:
        """Return whether anything is left open."""
        return None in (self.endpoint, self.cluster, self.element)


@dataclass(frozen=True, slots=True)
class ReadRequest:
    """What to report: attributes, events, or both."""

    attributes: tuple[Path, ...]
    events: tuple[Path, ...]
    event_min: int
    fabric_filtered: bool
    data_versions: dict[tuple[int, int], int]


@dataclass(frozen=True, slots=True)
class SubscribeRequest:
    """What to report, how often."""

    read: ReadRequest
    keep_subscriptions: bool
    min_interval_s: int
    max_interval_s: int


@dataclass(frozen=True, slots=True)
class AttributeData:
    """One value to write."""

    path: Path
    data_version: int | None
    data: Any


@dataclass(frozen=True, slots=True)
class WriteRequest:
    """Values to write; more of them may follow in another message."""

    suppress_response: bool
    timed: bool
    writes: tuple[AttributeData, ...]
    more: bool


@dataclass(frozen=True, slots=True)
class CommandData:
    """One command to invoke."""

    path: Path
    fields: Any
    reference: int | None


@dataclass(frozen=True, slots=True)
class InvokeRequest:
    """Commands to invoke."""

    suppress_response: bool
    timed: bool
    commands: tuple[CommandData, ...]


def decode_read(payload: bytes) -> ReadRequest:
    """Return a ReadRequest. Raises: DecodeError."""
    return _read_fields(tlv.decode_fields(payload, "ReadRequest"), (0, 1, 2, 3, 4))


def decode_subscribe(payload: bytes) -> SubscribeRequest:
    """Return a SubscribeRequest. Raises: DecodeError."""
    fields = tlv.decode_fields(payload, "SubscribeRequest")
    return SubscribeRequest(
        _read_fields(fields, (3, 4, 5, 7, 8)),
        fields.boolean(0),
        fields.unsigned(1, bits=16),
        fields.unsigned(2, bits=16),
    )


def decode_write(payload: bytes) -> WriteRequest:
    """Return a WriteRequest. Raises: DecodeError."""
    fields = tlv.decode_fields(payload, "WriteRequest")
    writes = tuple(_attribute_data(element) for element in _array(fields, 2, required=True))
    return WriteRequest(_flag(fields, 0), fields.boolean(1), writes, _flag(fields, 3))


def decode_invoke(payload: bytes) -> InvokeRequest:
    """Return an InvokeRequest. Raises: DecodeError."""
    fields = tlv.decode_fields(payload, "InvokeRequest")
    commands = tuple(_command_data(element) for element in _array(fields, 2, required=True))
    return InvokeRequest(fields.boolean(0), fields.boolean(1), commands)


def decode_timed(payload: bytes) -> int:
    """Return the timeout of a TimedRequest in ms. Raises: DecodeError."""
    return tlv.decode_fields(payload, "TimedRequest").unsigned(0, bits=16)


def decode_status(payload: bytes) -> int:
    """Return the status of a StatusResponse. Raises: DecodeError."""
    return tlv.decode_fields(payload, "StatusResponse").unsigned(0, bits=8)


def encode_status(status: StatusCode) -> bytes:
    """Return a StatusResponse."""
    return tlv.encode({0: uint(status), **_REVISION})


def encode_subscribe_response(subscription_id: int, max_interval_s: int) -> bytes:
    """Return a SubscribeResponse."""
    return tlv.encode({0: uint(subscription_id), 2: uint(max_interval_s), **_REVISION})


def encode_write_response(answers: list[tuple[Path, MatterStatus | None]]) -> bytes:
    """Return a WriteResponse; None is success."""
    responses = [{0: _attribute_path(path), 1: _status_block(refusal)} for path, refusal in answers]
    return tlv.encode({0: responses, **_REVISION})


def encode_invoke_response(response: dict[int, Any]) -> bytes:
    """Return an InvokeResponse of the block that `command_answer` and `command_status` made."""
    return tlv.encode({0: False, 1: [response], **_REVISION})


def command_answer(path: Path, response_id: int, element: Any, reference: int | None) -> dict[int, Any]:
    """Return the block of a command that has a response."""
    data = {0: _command_path(path, response_id), 1: element} | _reference(reference)
    return {0: data}


def command_status(path: Path, refusal: MatterStatus | None, reference: int | None) -> dict[int, Any]:
    """Return the block of a command that was refused, or has no response."""
    return {1: {0: _command_path(path, path.element), 1: _status_block(refusal)} | _reference(reference)}


def attribute_report(path: bytes, data_version: int, data: bytes) -> bytes:
    """Return an AttributeReportIB with data: `path` of `attribute_path_block`, `data` a member with tag 2."""
    version = member(0, uint(data_version))
    return _STRUCTURE + b"\x35\x01" + version + path + data + _END + _END


def attribute_refusal(path: Path, refusal: MatterStatus) -> bytes:
    """Return an AttributeReportIB that says why a path is not reported."""
    return tlv.encode({0: {0: _attribute_path(path), 1: _status_block(refusal)}})


@lru_cache(maxsize=2048)
def attribute_path_block(endpoint: int, cluster: int, attribute: int, *, append: bool = False) -> bytes:
    """Return the path member of an AttributeDataIB in a report."""
    index: list[tuple[int, Any]] = [(5, None)] if append else []
    path = [(2, uint(endpoint)), (3, uint(cluster)), (4, uint(attribute)), *index]
    return member(1, TLVList(path))


def event_report(path: tuple[int, int, int], fields: dict[int, Any], data: bytes) -> bytes:
    """Return an EventReportIB; `fields` are number, priority and time, `data` is a member with tag 7."""
    location = TLVList([(tag, uint(value)) for tag, value in zip((1, 2, 3), path, strict=True)])
    head = tlv.encode({0: location, **fields})
    return _STRUCTURE + b"\x35\x01" + head[1:-1] + data + _END + _END


def event_refusal(path: Path, refusal: MatterStatus) -> bytes:
    """Return an EventReportIB that says why a path is not reported."""
    location = _location(path, (1, 2, 3))
    return tlv.encode({0: {0: location, 1: _status_block(refusal)}})


def report_data(
    subscription_id: int | None, attributes: list[bytes], events: list[bytes], *, more: bool, suppress_response: bool
) -> bytes:
    """Return a ReportData of finished blocks."""
    parts = [_STRUCTURE]
    if subscription_id is not None:
        parts.append(member(0, uint(subscription_id)))
    parts += [b"\x36\x01", *attributes, _END] if attributes else []
    parts += [b"\x36\x02", *events, _END] if events else []
    parts += [b"\x29\x03"] if more else []
    parts += [b"\x29\x04"] if suppress_response else []
    parts += [member(0xFF, uint(INTERACTION_MODEL_REVISION)), _END]
    return b"".join(parts)


_ABSENT: Final[Any] = object()


def _read_fields(fields: tlv.Fields, tags: tuple[int, int, int, int, int]) -> ReadRequest:
    attributes, events, filters, filtered, versions = tags
    minima = [_structure(element, "EventFilter").unsigned(1, bits=64) for element in _array(fields, filters)]
    return ReadRequest(
        tuple(_decode_attribute_path(element) for element in _array(fields, attributes)),
        tuple(_decode_event_path(element) for element in _array(fields, events)),
        max(minima, default=0),
        fields.boolean(filtered),
        dict(_data_version(element) for element in _array(fields, versions)),
    )


def _structure(element: Any, name: str) -> tlv.Fields:
    if not isinstance(element, dict):
        raise DecodeError(f"{name} is not a structure")
    return tlv.Fields(element, name)


def _array(fields: tlv.Fields, tag: int, *, required: bool = False) -> list[Any]:
    value = fields.members.get(tag, _ABSENT)
    if value is _ABSENT and not required:
        return []
    if not isinstance(value, list):
        raise DecodeError(f"{fields.name} field {tag} is not an array")
    return value


def _flag(fields: tlv.Fields, tag: int) -> bool:
    return fields.boolean(tag) if tag in fields else False


def _path_fields(element: Any, name: str) -> tlv.Fields:
    if not isinstance(element, TLVList):
        raise DecodeError(f"{name} is not a list")
    return tlv.Fields(dict(element), name)


def _optional(fields: tlv.Fields, tag: int, bits: int) -> int | None:
    return fields.unsigned(tag, bits=bits) if tag in fields else None


def _decode_attribute_path(element: Any) -> Path:
    fields = _path_fields(element, "AttributePath")
    operation = ListOperation.REPLACE
    if 5 in fields:
        if fields.members[5] is not None:
            raise MatterStatus(StatusCode.INVALID_ACTION, "single list entries cannot be addressed")
        operation = ListOperation.APPEND
    return Path(
        _optional(fields, 2, 16),
        _optional(fields, 3, 32),
        _optional(fields, 4, 32),
        WildcardFlag((_optional(fields, 6, 32) or 0) & 0x1FF),
        operation,
    )


def _decode_event_path(element: Any) -> Path:
    fields = _path_fields(element, "EventPath")
    path = (_optional(fields, 1, 16), _optional(fields, 2, 32), _optional(fields, 3, 32))
    return Path(*path, urgent=_flag(fields, 4))


def _data_version(element: Any) -> tuple[tuple[int, int], int]:
    fields = _structure(element, "DataVersionFilter")
    path = _path_fields(element.get(0), "ClusterPath")
    version = fields.unsigned(1, bits=32)
    return (path.unsigned(1, bits=16), path.unsigned(2, bits=32)), version


def _attribute_data(element: Any) -> AttributeData:
    if not isinstance(element, dict) or 2 not in element:
        raise DecodeError("AttributeData is not a structure with data")
    fields = tlv.Fields(element, "AttributeData")
    return AttributeData(_decode_attribute_path(element.get(1)), _optional(fields, 0, 32), element[2])


def _command_data(element: Any) -> CommandData:
    fields = _structure(element, "CommandData")
    path = _path_fields(element.get(0), "CommandPath")
    target = Path(_optional(path, 0, 16), path.unsigned(1, bits=32), path.unsigned(2, bits=32))
    return CommandData(target, element.get(1), _optional(fields, 2, 16))


def _attribute_path(path: Path) -> TLVList:
    location = _location(path, (2, 3, 4))
    if path.operation is ListOperation.APPEND:
        location.append(5, None)
    return location


def _location(path: Path, tags: tuple[int, int, int]) -> TLVList:
    values = zip(tags, (path.endpoint, path.cluster, path.element), strict=True)
    return TLVList([(tag, uint(value)) for tag, value in values if value is not None])


def _command_path(path: Path, command: int | None) -> TLVList:
    return _location(Path(path.endpoint, path.cluster, command), (0, 1, 2))


def _status_block(refusal: MatterStatus | None) -> dict[int, Any]:
    if refusal is None:
        return {0: uint(StatusCode.SUCCESS)}
    block = {0: uint(refusal.status)}
    if refusal.cluster_status is not None:
        block[1] = uint(refusal.cluster_status)
    return block


def _reference(reference: int | None) -> dict[int, Any]:
    return {} if reference is None else {2: uint(reference)}
