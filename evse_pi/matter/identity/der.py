"""A writer for the few ASN.1 DER forms that certificates and requests need.

It exists beside X.509 builders because those refuse what Matter allows, such as the serial number 0.
"""

from __future__ import annotations

from datetime import UTC, datetime
from functools import cache

INTEGER = 0x02
BIT_STRING = 0x03
OCTET_STRING = 0x04
OBJECT_IDENTIFIER = 0x06
UTF8_STRING = 0x0C
PRINTABLE_STRING = 0x13
IA5_STRING = 0x16
UTC_TIME = 0x17
GENERALIZED_TIME = 0x18
SEQUENCE = 0x30
SET = 0x31

TRUE = b"\x01\x01\xff"
_FIRST_GENERALIZED_YEAR = 2050  # RFC 5280 4.1.2.5


def element(tag: int, *contents: bytes) -> bytes:
    """Return one element with `tag` around the concatenated `contents`."""
    content = b"".join(contents)
    if len(content) < 0x80:
        return bytes((tag, len(content))) + content
    length = len(content).to_bytes((len(content).bit_length() + 7) // 8, "big")
    return bytes((tag, 0x80 | len(length))) + length + content


def sequence(*contents: bytes) -> bytes:
    """Return a SEQUENCE of the encoded `contents`."""
    return element(SEQUENCE, *contents)


def explicit(number: int, *contents: bytes) -> bytes:
    """Return the context-specific constructed element [`number`]."""
    return element(0xA0 | number, *contents)


def integer(value: int) -> bytes:
    """Return a non-negative INTEGER."""
    return element(INTEGER, value.to_bytes(value.bit_length() // 8 + 1, "big"))


@cache  # of the few identifiers that this package writes; a chain has 70 of them
def object_identifier(dotted: str) -> bytes:
    """Return the OBJECT IDENTIFIER written as `dotted`."""
    first, second, *rest = (int(arc) for arc in dotted.split("."))
    return element(OBJECT_IDENTIFIER, *(_base128(arc) for arc in (40 * first + second, *rest)))


def _base128(arc: int) -> bytes:
    groups = [arc & 0x7F]
    while arc := arc >> 7:
        groups.append(0x80 | arc & 0x7F)
    return bytes(reversed(groups))


def bit_string(octets: bytes) -> bytes:
    """Return a BIT STRING of whole octets."""
    return element(BIT_STRING, b"\x00", octets)


def named_bits(flags: int) -> bytes:
    """Return a BIT STRING of named bits, bit 0 of `flags` first, without trailing zero bits.

    Source: X.690 11.2.2.
    """
    count = flags.bit_length()
    octet_count = (count + 7) // 8
    mirrored = int(f"{flags:0{octet_count * 8}b}"[::-1], 2) if flags else 0
    return element(BIT_STRING, bytes((octet_count * 8 - count,)), mirrored.to_bytes(octet_count, "big"))


def octet_string(octets: bytes) -> bytes:
    """Return an OCTET STRING."""
    return element(OCTET_STRING, octets)


def time(unix_s: int | None) -> bytes:
    """Return a certificate's time in seconds since 1970, or the time that means "never" for None."""
    if unix_s is None:
        return element(GENERALIZED_TIME, b"99991231235959Z")
    moment = datetime.fromtimestamp(unix_s, UTC)
    if moment.year < _FIRST_GENERALIZED_YEAR:
        return element(UTC_TIME, moment.strftime("%y%m%d%H%M%SZ").encode())
    return element(GENERALIZED_TIME, moment.strftime("%Y%m%d%H%M%SZ").encode())


ECDSA_WITH_SHA256 = sequence(object_identifier("1.2.840.10045.4.3.2"))
_P256_PUBLIC_KEY = sequence(object_identifier("1.2.840.10045.2.1"), object_identifier("1.2.840.10045.3.1.7"))


def subject_public_key_info(public_key: bytes) -> bytes:
    """Return the SubjectPublicKeyInfo of an uncompressed P-256 point."""
    return sequence(_P256_PUBLIC_KEY, bit_string(public_key))


def extension(oid: str, value: bytes, *, critical: bool) -> bytes:
    """Return one X.509 extension around the encoded `value`."""
    return sequence(object_identifier(oid), TRUE if critical else b"", octet_string(value))


def name_attribute(oid: str, text: str, string_type: int = UTF8_STRING) -> bytes:
    """Return one relative distinguished name with a single attribute."""
    return element(SET, sequence(object_identifier(oid), element(string_type, text.encode())))
