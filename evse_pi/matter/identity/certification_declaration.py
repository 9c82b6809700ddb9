"""The certification declaration: what its signed content says, and whether it is this product's.

A CMS message around a TLV structure. Source: Matter core 6.3.1 (format), 6.3.2 (what a commissioner compares).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from evse_pi.matter.identity import der
from evse_pi.matter.wire import tlv

DEVELOPMENT_AND_TEST = 0
"""The certification type of a declaration that proves nothing outside tests."""


class DeclarationError(ValueError):
    """A certification declaration cannot be read, or is another product's; the message says what differs."""


@dataclass(frozen=True, slots=True)
class Declaration:
    """What is declared; the origin is given where the DAC is of another vendor's product."""

    vendor_id: int
    product_ids: tuple[int, ...]
    device_type: int
    certification_type: int
    dac_origin: tuple[int, int] | None

    def check(self, *, vendor_id: int, product_id: int, device_type: int, dac: tuple[int, int]) -> None:
        """Accept a declaration of this product, whose DAC says `dac`. Raises: DeclarationError."""
        if self.vendor_id != vendor_id:
            raise DeclarationError(f"is of vendor {self.vendor_id:04X}, the device says {vendor_id:04X}")
        if product_id not in self.product_ids:
            known = ", ".join(f"{each:04X}" for each in self.product_ids)
            raise DeclarationError(f"is of the products {known}, the device says {product_id:04X}")
        if self.device_type != device_type:
            raise DeclarationError(f"is of device type 0x{self.device_type:04X}, the device is 0x{device_type:04X}")
        origin = self.dac_origin or (vendor_id, product_id)
        if dac != origin:
            wanted, found = (f"vendor {vendor:04X}, product {product:04X}" for vendor, product in (origin, dac))
            raise DeclarationError(f"wants a DAC of {wanted}; this one is of {found}")


def read_declaration(message: bytes) -> Declaration:
    """Return what a signed declaration says; its signature is for commissioners to verify. Raises: DeclarationError."""
    try:
        fields: dict[int, Any] = tlv.decode(_content(message))
        origin = (int(fields[9]), int(fields[10])) if 9 in fields or 10 in fields else None
        return Declaration(
            vendor_id=int(fields[1]),
            product_ids=tuple(int(each) for each in fields[2]),
            device_type=int(fields[3]),
            certification_type=int(fields[8]),
            dac_origin=origin,
        )
    except (KeyError, TypeError, ValueError, IndexError) as error:
        raise DeclarationError("is no certification declaration in CMS form") from error


def _content(message: bytes) -> bytes:
    """Return the signed octets. Source: RFC 5652, 3 and 5.1: ContentInfo, SignedData, its third element."""
    signed_data = _only(_elements(_elements(message, der.SEQUENCE)[1], 0xA0), der.SEQUENCE)
    encapsulated = _elements(signed_data[2], der.SEQUENCE)
    (octets,) = _elements(encapsulated[1], 0xA0)
    return _inside(octets, der.OCTET_STRING)


def _only(elements: list[bytes], tag: int) -> list[bytes]:
    (element,) = elements
    return _elements(element, tag)


def _elements(element: bytes, tag: int) -> list[bytes]:
    """Return the elements inside one constructed element of this tag. Raises: ValueError, IndexError."""
    rest, found = _inside(element, tag), []
    while rest:
        end = sum(_header(rest))
        found.append(rest[:end])
        rest = rest[end:]
    return found


def _inside(element: bytes, tag: int) -> bytes:
    header, length = _header(element)
    if element[0] != tag or header + length != len(element):
        raise ValueError("another element, or a cut one")
    return element[header:]


def _header(element: bytes) -> tuple[int, int]:
    """Return the lengths of an element's header and of its content."""
    first = element[1]
    if first < 0x80:
        header, length = 2, first
    else:
        count = first & 0x7F
        header, length = 2 + count, int.from_bytes(element[2 : 2 + count], "big")
    if header + length > len(element):
        raise ValueError("a cut element")
    return header, length
