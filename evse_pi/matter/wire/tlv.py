"""TLV of the `chip` package, made safe for bytes from strangers.

`chip.tlv` alone costs 11 ms and 2 MB to import and pulls in nothing else of `chip`. Its reader recurses without bound,
takes a missing end of container or trailing bytes for good and gives bytes for a string that is not UTF-8; `decode`
checks the frame first, so none of it can happen.
Source: Matter core appendix A.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from chip.tlv import TLVReader, TLVWriter, uint
from chip.tlv.tlvlist import TLVList

from evse_pi.matter.wire.status_code import DecodeError

if TYPE_CHECKING:
    from collections.abc import Mapping

MAX_DEPTH = 16  # SetTargets in an InvokeRequest, the deepest message this node knows, nests 8
MAX_BYTES = 65_536  # messages stay below 1.6 kB; only our own stored records are larger

_TAG_BYTES = (0, 1, 2, 4, 2, 4, 6, 8)
_ANONYMOUS = 0
_STRUCTURE, _ARRAY, _LIST, _END = 0x15, 0x16, 0x17, 0x18
_FIRST_STRING, _FIRST_OCTETS, _LAST_OCTETS = 0x0C, 0x10, 0x13
_VALUE_BYTES = (1, 2, 4, 8, 1, 2, 4, 8, 0, 0, 4, 8)

__all__ = ["MAX_BYTES", "MAX_DEPTH", "Fields", "TLVList", "decode", "decode_fields", "encode", "uint"]


def encode(value: Any) -> bytes:
    """Return `value` as one anonymous element; unsigned integers must be `uint`, a plain int is written signed."""
    writer = TLVWriter()
    writer.put(None, value)
    return bytes(writer.encoding)


def decode(data: bytes) -> Any:
    """Return the one element that `data` holds: dict, list, TLVList, uint, int, bool, str, bytes, float or None.

    Raises: DecodeError when it is cut short, nested too deep, followed by more bytes, or not TLV.
    """
    _check_frame(data)
    try:
        return TLVReader(memoryview(data)).get()["Any"]
    except (KeyError, TypeError, ValueError, struct.error) as error:
        raise DecodeError(f"not TLV: {error}") from error


def decode_fields(data: bytes, name: str) -> Fields:
    """Return the members of the anonymous structure `data`, which errors call `name`.

    Raises: DecodeError when it is anything else.
    """
    value = decode(data)
    if not isinstance(value, dict):
        raise DecodeError(f"{name} is not a structure")
    return Fields(value, name)


@dataclass(frozen=True, slots=True)
class Fields:
    """The members of a structure by context tag, each read with its type checked; unknown tags are left alone."""

    members: Mapping[Any, Any]
    name: str

    def __contains__(self, tag: int) -> bool:
        return tag in self.members

    def octets(self, tag: int, *, size: int | None = None) -> bytes:
        """Return the byte string at `tag`, `size` bytes long if given.

        Raises: DecodeError when it is absent or something else.
        """
        value = self._member(tag)
        if not isinstance(value, bytes) or (size is not None and len(value) != size):
            raise DecodeError(f"{self.name} field {tag} is not {size or 'any'} octets")
        return value

    def unsigned(self, tag: int, *, bits: int) -> int:
        """Return the integer at `tag`, which must fit `bits` bits without a sign.

        Raises: DecodeError when it is absent or something else.
        """
        value = self._member(tag)
        if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < 1 << bits:
            raise DecodeError(f"{self.name} field {tag} is not an unsigned integer of {bits} bits")
        return int(value)

    def boolean(self, tag: int) -> bool:
        """Return the boolean at `tag`.

        Raises: DecodeError when it is absent or something else.
        """
        value = self._member(tag)
        if not isinstance(value, bool):
            raise DecodeError(f"{self.name} field {tag} is not a boolean")
        return value

    def fields(self, tag: int) -> Fields:
        """Return the structure at `tag`.

        Raises: DecodeError when it is absent or something else.
        """
        value = self._member(tag)
        if not isinstance(value, dict):
            raise DecodeError(f"{self.name} field {tag} is not a structure")
        return Fields(value, f"{self.name} field {tag}")

    def _member(self, tag: int) -> Any:
        try:
            return self.members[tag]
        except KeyError:
            raise DecodeError(f"{self.name} field {tag} is absent") from None


def _check_frame(data: bytes) -> None:
    """Raise DecodeError unless `data` is exactly one anonymous element, closed and nested at most `MAX_DEPTH` deep."""
    end = len(data)
    if end > MAX_BYTES:
        raise DecodeError(f"TLV of {end} bytes, at most {MAX_BYTES} are read")
    # Before anything is built, and without recursion: a stranger chooses how deep it is nested.
    containers: list[int] = []
    position = 0
    while position < end:
        control = data[position]
        kind = control & 0x1F
        if control == _END and containers:
            containers.pop()
            position += 1
        elif kind < _END:
            _check_tag(control >> 5, containers[-1] if containers else None)
            position = _after_element(data, position + 1 + _TAG_BYTES[control >> 5], kind)
            if kind >= _STRUCTURE:
                containers.append(kind)
                if len(containers) > MAX_DEPTH:
                    raise DecodeError(f"TLV is nested deeper than {MAX_DEPTH}")
        else:
            raise DecodeError(f"TLV element type 0x{control:02X} at {position} is not defined here")
        if not containers:
            break
    if containers or position != end or not end:
        raise DecodeError("TLV is cut short or has bytes after its end")


def _check_tag(tag_control: int, container: int | None) -> None:
    if (container == _STRUCTURE and tag_control == _ANONYMOUS) or (
        container in (None, _ARRAY) and tag_control != _ANONYMOUS
    ):
        raise DecodeError("TLV element has a tag where none may be, or none where one must be")


def _after_element(data: bytes, position: int, kind: int) -> int:
    """Return the offset after a value of `kind` at `position`, which may lie beyond the end of `data`."""
    if kind < _FIRST_STRING:
        return position + _VALUE_BYTES[kind]
    if kind > _LAST_OCTETS:
        return position
    start = position + (1 << (kind & 3))
    end = start + int.from_bytes(data[position:start], "little")
    if kind < _FIRST_OCTETS:
        try:
            data[start:end].decode()
        except UnicodeDecodeError as error:
            raise DecodeError(f"TLV string at {position} is not UTF-8") from error
    return end
