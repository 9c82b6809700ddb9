"""The secure channel protocol's opcodes and its StatusReport.

Source: Matter core 4.11 (secure channel protocol), appendix D (status report).
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from enum import IntEnum

from evse_pi.matter.wire.message import PROTOCOL_SECURE_CHANNEL
from evse_pi.matter.wire.status_code import DecodeError

_FIXED = struct.Struct("<HIH")


class SecureChannelOpcode(IntEnum):
    """Messages of protocol 0 that this node knows."""

    STANDALONE_ACK = 0x10
    PBKDF_PARAM_REQUEST = 0x20
    PBKDF_PARAM_RESPONSE = 0x21
    PAKE1 = 0x22
    PAKE2 = 0x23
    PAKE3 = 0x24
    SIGMA1 = 0x30
    SIGMA2 = 0x31
    SIGMA3 = 0x32
    SIGMA2_RESUME = 0x33
    STATUS_REPORT = 0x40


class GeneralCode(IntEnum):
    """The part of a StatusReport that every protocol shares."""

    SUCCESS = 0
    FAILURE = 1
    BUSY = 8


class SecureChannelCode(IntEnum):
    """The secure channel's own part of a StatusReport."""

    SESSION_ESTABLISHED = 0
    NO_SHARED_TRUST_ROOTS = 1
    INVALID_PARAMETER = 2
    CLOSE_SESSION = 3
    BUSY = 4


@dataclass(frozen=True, slots=True)
class StatusReport:
    """The outcome of a secure channel operation."""

    general_code: int
    protocol_code: int
    protocol_id: int = PROTOCOL_SECURE_CHANNEL
    data: bytes = b""

    def encode(self) -> bytes:
        """Return the payload of a STATUS_REPORT message."""
        return _FIXED.pack(self.general_code, self.protocol_id, self.protocol_code) + self.data

    @classmethod
    def decode(cls, payload: bytes) -> StatusReport:
        """Return the report that `payload` holds.

        Raises: DecodeError when it is cut short.
        """
        if len(payload) < _FIXED.size:
            raise DecodeError(f"StatusReport of {len(payload)} bytes, it has at least {_FIXED.size}")
        general_code, protocol_id, protocol_code = _FIXED.unpack_from(payload)
        return cls(general_code, protocol_code, protocol_id, payload[_FIXED.size :])


SESSION_ESTABLISHED = StatusReport(GeneralCode.SUCCESS, SecureChannelCode.SESSION_ESTABLISHED)
NO_SHARED_TRUST_ROOTS = StatusReport(GeneralCode.FAILURE, SecureChannelCode.NO_SHARED_TRUST_ROOTS)
INVALID_PARAMETER = StatusReport(GeneralCode.FAILURE, SecureChannelCode.INVALID_PARAMETER)
CLOSE_SESSION = StatusReport(GeneralCode.SUCCESS, SecureChannelCode.CLOSE_SESSION)


def busy(minimum_wait_ms: int) -> StatusReport:
    """Return the report that asks a peer to try again after `minimum_wait_ms`."""
    return StatusReport(GeneralCode.BUSY, SecureChannelCode.BUSY, data=minimum_wait_ms.to_bytes(2, "little"))
