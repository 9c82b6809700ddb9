"""Interaction model status codes and the one exception that carries them.

Exception tree: `MatterStatus` (an answer to a peer) and `RecordDecodeError` (hostile or broken bytes).
"""

from __future__ import annotations

from enum import IntEnum


class StatusCode(IntEnum):
    """Outcome of one path of an interaction. Source: Matter core 8.10.1."""

    SUCCESS = 0x00
    FAILURE = 0x01
    INVALID_SUBSCRIPTION = 0x7D
    UNSUPPORTED_ACCESS = 0x7E
    UNSUPPORTED_ENDPOINT = 0x7F
    INVALID_ACTION = 0x80
    UNSUPPORTED_COMMAND = 0x81
    INVALID_COMMAND = 0x85
    UNSUPPORTED_ATTRIBUTE = 0x86
    CONSTRAINT_ERROR = 0x87
    UNSUPPORTED_WRITE = 0x88
    RESOURCE_EXHAUSTED = 0x89
    NOT_FOUND = 0x8B
    UNREPORTABLE_ATTRIBUTE = 0x8C
    INVALID_DATA_TYPE = 0x8D
    UNSUPPORTED_READ = 0x8F
    DATA_VERSION_MISMATCH = 0x92
    TIMEOUT = 0x94
    UNSUPPORTED_NODE = 0x9B
    BUSY = 0x9C
    ACCESS_RESTRICTED = 0x9D
    UNSUPPORTED_CLUSTER = 0xC3
    NO_UPSTREAM_SUBSCRIPTION = 0xC5
    NEEDS_TIMED_INTERACTION = 0xC6
    UNSUPPORTED_EVENT = 0xC7
    PATHS_EXHAUSTED = 0xC8
    TIMED_REQUEST_MISMATCH = 0xC9
    FAILSAFE_REQUIRED = 0xCA
    INVALID_IN_STATE = 0xCB
    NO_COMMAND_RESPONSE = 0xCC


class MatterStatus(Exception):  # noqa: N818 (an answer, not always an error)
    """The answer to a path that was refused, raised anywhere and encoded only in `interaction`."""

    def __init__(self, status: StatusCode, reason: str = "", *, cluster_status: int | None = None) -> None:
        super().__init__(f"{status.name}: {reason}" if reason else status.name)
        self.status = status
        self.reason = reason
        self.cluster_status = cluster_status


class DecodeError(ValueError):
    """The bytes of a peer are not what the protocol allows; the only exception a codec raises on them."""
