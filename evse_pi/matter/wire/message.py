"""Message header and protocol header: the framing of every datagram.

Source: Matter core 4.4 (message frame format).
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from enum import IntEnum

from evse_pi.matter.wire.status_code import DecodeError

PROTOCOL_SECURE_CHANNEL = 0
PROTOCOL_INTERACTION_MODEL = 1

MAX_DATAGRAM_BYTES = 1232  # IPv6 minimum MTU 1280 less 40 (IPv6) and 8 (UDP); larger ones are dropped by matter.js
MAX_PAYLOAD_BYTES = 1178  # less the longest message header (26), protocol header (12) and MIC (16)
MIC_BYTES = 16

# Message flags: | version 7..4 | reserved 3 | S 2 | DSIZ 1..0 |
_SOURCE_PRESENT = 0x04
_DESTINATION_NODE = 0x01
_DESTINATION_GROUP = 0x02
_DESTINATION_MASK = 0x03
_VERSION_MASK = 0xF0
# Security flags: | P 7 | C 6 | MX 5 | reserved 4..2 | session type 1..0 |
_PRIVACY = 0x80
_CONTROL = 0x40
_EXTENSIONS = 0x20
_SESSION_TYPE_MASK = 0x03
# Exchange flags: | reserved 7..5 | V 4 | SX 3 | R 2 | A 1 | I 0 |
_INITIATOR = 0x01
_ACKNOWLEDGEMENT = 0x02
_RELIABLE = 0x04
_SECURED_EXTENSIONS = 0x08
_VENDOR_PRESENT = 0x10

_FIXED = struct.Struct("<BHBI")
_PROTOCOL = struct.Struct("<BBHH")
_U16 = struct.Struct("<H")
_U32 = struct.Struct("<I")
_U64 = struct.Struct("<Q")


class SessionType(IntEnum):
    """Whom a message addresses. Source: Matter core 4.4.1.4."""

    UNICAST = 0
    GROUP = 1


@dataclass(frozen=True, slots=True)
class MessageHeader:
    """The cleartext start of a datagram, which is also the additional data of its encryption."""

    session_id: int
    counter: int
    source_node_id: int | None = None
    destination_node_id: int | None = None
    destination_group_id: int | None = None
    session_type: SessionType = SessionType.UNICAST
    is_control: bool = False

    def encode(self) -> bytes:
        """Return the header's bytes."""
        flags = 0
        addresses = b""
        if self.source_node_id is not None:
            flags |= _SOURCE_PRESENT
            addresses += _U64.pack(self.source_node_id)
        if self.destination_node_id is not None:
            flags |= _DESTINATION_NODE
            addresses += _U64.pack(self.destination_node_id)
        elif self.destination_group_id is not None:
            flags |= _DESTINATION_GROUP
            addresses += _U16.pack(self.destination_group_id)
        security = self.session_type | (_CONTROL if self.is_control else 0)
        return _FIXED.pack(flags, self.session_id, security, self.counter) + addresses

    @classmethod
    def decode(cls, datagram: bytes) -> tuple[MessageHeader, int]:
        """Return the header of `datagram` and the offset of what follows it.

        Raises: DecodeError when it is cut short, of another version, or asks for what this node does not have.
        """
        try:
            flags, session_id, security, counter = _FIXED.unpack_from(datagram)
            offset = _FIXED.size
            session_type = _session_type(flags, security)
            source = destination = group = None
            if flags & _SOURCE_PRESENT:
                (source,) = _U64.unpack_from(datagram, offset)
                offset += 8
            if flags & _DESTINATION_NODE:
                (destination,) = _U64.unpack_from(datagram, offset)
                offset += 8
            elif flags & _DESTINATION_GROUP:
                (group,) = _U16.unpack_from(datagram, offset)
                offset += 2
            if security & _EXTENSIONS:
                offset = _skip_extensions(datagram, offset)
        except struct.error as error:
            raise DecodeError("message header is cut short") from error
        header = cls(session_id, counter, source, destination, group, session_type, bool(security & _CONTROL))
        return header, offset


@dataclass(frozen=True, slots=True)
class ProtocolHeader:
    """The start of the decrypted payload: which exchange and which message of which protocol."""

    is_initiator: bool
    opcode: int
    exchange_id: int
    protocol_id: int
    acknowledged_counter: int | None = None
    needs_ack: bool = False
    vendor_id: int = 0

    def encode(self) -> bytes:
        """Return the header's bytes."""
        flags = _INITIATOR if self.is_initiator else 0
        tail = b""
        if self.needs_ack:
            flags |= _RELIABLE
        if self.vendor_id:
            flags |= _VENDOR_PRESENT
            tail += _U16.pack(self.vendor_id)
        if self.acknowledged_counter is not None:
            flags |= _ACKNOWLEDGEMENT
            tail += _U32.pack(self.acknowledged_counter)
        return _PROTOCOL.pack(flags, self.opcode, self.exchange_id, self.protocol_id) + tail

    @classmethod
    def decode(cls, payload: bytes) -> tuple[ProtocolHeader, int]:
        """Return the header at the start of `payload` and the offset of the application's part.

        Raises: DecodeError when it is cut short.
        """
        try:
            flags, opcode, exchange_id, protocol_id = _PROTOCOL.unpack_from(payload)
            offset = _PROTOCOL.size
            vendor_id = 0
            acknowledged = None
            if flags & _VENDOR_PRESENT:
                (vendor_id,) = _U16.unpack_from(payload, offset)
                offset += 2
            if flags & _ACKNOWLEDGEMENT:
                (acknowledged,) = _U32.unpack_from(payload, offset)
                offset += 4
            if flags & _SECURED_EXTENSIONS:
                offset = _skip_extensions(payload, offset)
        except struct.error as error:
            raise DecodeError("protocol header is cut short") from error
        header = cls(
            is_initiator=bool(flags & _INITIATOR),
            opcode=opcode,
            exchange_id=exchange_id,
            protocol_id=protocol_id,
            acknowledged_counter=acknowledged,
            needs_ack=bool(flags & _RELIABLE),
            vendor_id=vendor_id,
        )
        return header, offset


def _session_type(flags: int, security: int) -> SessionType:
    if flags & _VERSION_MASK:
        raise DecodeError(f"message version {flags >> 4}, only 0 is known")
    if security & _PRIVACY:
        raise DecodeError("message header is privacy-obfuscated, which this node does not support")
    destination = flags & _DESTINATION_MASK
    session_type = security & _SESSION_TYPE_MASK
    if destination == _DESTINATION_MASK or session_type > SessionType.GROUP:
        raise DecodeError("destination size or session type is reserved")
    if session_type == SessionType.UNICAST and destination == _DESTINATION_GROUP:
        raise DecodeError("unicast message with a group destination")
    return SessionType(session_type)


def _skip_extensions(data: bytes, offset: int) -> int:
    (length,) = _U16.unpack_from(data, offset)
    offset += 2 + int(length)
    if offset > len(data):
        raise DecodeError("header extensions are cut short")
    return offset
