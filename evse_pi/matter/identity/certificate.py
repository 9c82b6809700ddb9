"""Matter operational certificates: their compact TLV form, the X.509 form that is signed, and the rules of a chain."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum, IntFlag
from typing import TYPE_CHECKING, Any, Self

from evse_pi.matter.environment import MATTER_EPOCH_UNIX_S
from evse_pi.matter.identity import der
from evse_pi.matter.identity.node_id import is_case_authenticated_tag_value, is_operational
from evse_pi.matter.identity.signing import PUBLIC_KEY_BYTES, SIGNATURE_BYTES, is_valid_signature
from evse_pi.matter.wire import tlv
from evse_pi.matter.wire.status_code import DecodeError

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_CERTIFICATE_BYTES = 400  # Matter core 6.1.3
MAX_NAME_ATTRIBUTES = 5  # relative distinguished names of a name, Matter core 6.5.6
MAX_CASE_AUTHENTICATED_TAGS = 3  # of one NOC, Matter core 6.5.6.3
MAX_SERIAL_BYTES = 20  # RFC 5280 4.1.2.2
KEY_IDENTIFIER_BYTES = 20  # Matter core 6.5.11.4
NEVER = 0  # the notAfter that has no end


class CertificateError(ValueError):
    """A certificate or a chain breaks a rule, which the message names."""


class NameTag(IntEnum):
    """The attributes of a name that Matter adds. Source: Matter core 6.5.6.1."""

    NODE_ID = 17
    FIRMWARE_SIGNING_ID = 18
    ICAC_ID = 19
    RCAC_ID = 20
    FABRIC_ID = 21
    CASE_AUTHENTICATED_TAG = 22


class ExtensionTag(IntEnum):
    """The extensions of a certificate. Source: Matter core 6.5.11."""

    BASIC_CONSTRAINTS = 1
    KEY_USAGE = 2
    EXTENDED_KEY_USAGE = 3
    SUBJECT_KEY_ID = 4
    AUTHORITY_KEY_ID = 5
    FUTURE = 6


class KeyUsage(IntFlag):
    """What the key of a certificate may be used for. Source: RFC 5280 4.2.1.3, bit 0 first."""

    DIGITAL_SIGNATURE = 0x0001
    KEY_CERT_SIGN = 0x0020
    CRL_SIGN = 0x0040


SERVER_AUTH = 1
CLIENT_AUTH = 2

_PRINTABLE = 0x80  # the flag in a name's tag that says PrintableString instead of UTF8String
_DOMAIN_COMPONENT = 16
_STANDARD_NAME_OIDS = {
    1: "2.5.4.3",
    2: "2.5.4.4",
    3: "2.5.4.5",
    4: "2.5.4.6",
    5: "2.5.4.7",
    6: "2.5.4.8",
    7: "2.5.4.10",
    8: "2.5.4.11",
    9: "2.5.4.12",
    10: "2.5.4.41",
    11: "2.5.4.42",
    12: "2.5.4.43",
    13: "2.5.4.44",
    14: "2.5.4.46",
    15: "2.5.4.65",
    _DOMAIN_COMPONENT: "0.9.2342.19200300.100.1.25",
}
_MATTER_NAME_OID = "1.3.6.1.4.1.37244.1"
_EXTENDED_KEY_USAGE_OIDS = {purpose: f"1.3.6.1.5.5.7.3.{arc}" for purpose, arc in enumerate((1, 2, 3, 4, 8, 9), 1)}


@dataclass(frozen=True, slots=True)
class Name:
    """A distinguished name: attributes in their order, each a tag with text or, for Matter's own, a number."""

    attributes: tuple[tuple[int, str | int], ...]

    def numbers(self, tag: NameTag) -> tuple[int, ...]:
        """Return every value of Matter's attribute `tag`."""
        return tuple(value for found, value in self.attributes if found == tag and isinstance(value, int))

    def number(self, tag: NameTag) -> int | None:
        """Return the value of Matter's attribute `tag`, None unless it stands there exactly once."""
        values = self.numbers(tag)
        return values[0] if len(values) == 1 else None

    def to_der(self) -> bytes:
        """Return the X.509 Name."""
        return der.sequence(*(_name_attribute_der(tag, value) for tag, value in self.attributes))


@dataclass(frozen=True, slots=True)
class BasicConstraints:
    """Whether a certificate may sign others, and how long a chain below it may be."""

    is_ca: bool
    path_length: int | None = None


Extension = tuple[int, BasicConstraints | int | tuple[int, ...] | bytes]


@dataclass(frozen=True, slots=True)
class MatterCertificate:
    """One operational certificate (NOC, ICAC or RCAC).

    Units: `not_before` and `not_after` in seconds since 2000, `not_after` 0 means never.
    Source: Matter core 6.5.
    """

    serial: bytes
    issuer: Name
    not_before: int
    not_after: int
    subject: Name
    public_key: bytes
    extensions: tuple[Extension, ...]
    signature: bytes

    @classmethod
    def decode(cls, encoded: bytes) -> Self:
        """Return the certificate in the TLV `encoded`.

        Raises: DecodeError, and nothing else, if it is not one.
        """
        if len(encoded) > MAX_CERTIFICATE_BYTES:
            raise DecodeError(f"certificate of {len(encoded)} bytes, at most {MAX_CERTIFICATE_BYTES} are allowed")
        fields = tlv.decode(encoded)
        if not isinstance(fields, dict):
            raise DecodeError("certificate is not a TLV structure")
        for tag, what in ((2, "signature algorithm"), (7, "public key algorithm"), (8, "curve")):
            if _unsigned(fields.get(tag), what, 8) != 1:
                raise DecodeError(f"certificate's {what}={fields.get(tag)!r}, only 1 is known")
        return cls(
            serial=_octets(fields, 1, "serial number", 1, MAX_SERIAL_BYTES),
            issuer=_decode_name(fields.get(3), "issuer"),
            not_before=_unsigned(fields.get(4), "not-before", 32),
            not_after=_unsigned(fields.get(5), "not-after", 32),
            subject=_decode_name(fields.get(6), "subject"),
            public_key=_octets(fields, 9, "public key", PUBLIC_KEY_BYTES, PUBLIC_KEY_BYTES),
            extensions=tuple(_decode_extensions(fields.get(10))),
            signature=_octets(fields, 11, "signature", SIGNATURE_BYTES, SIGNATURE_BYTES),
        )

    @property
    def node_id(self) -> int | None:
        """The operational node id of a NOC."""
        return self.subject.number(NameTag.NODE_ID)

    @property
    def fabric_id(self) -> int | None:
        """The fabric id, which a NOC must and a CA may carry."""
        return self.subject.number(NameTag.FABRIC_ID)

    @property
    def icac_id(self) -> int | None:
        """The id of an intermediate CA."""
        return self.subject.number(NameTag.ICAC_ID)

    @property
    def rcac_id(self) -> int | None:
        """The id of a root CA."""
        return self.subject.number(NameTag.RCAC_ID)

    @property
    def case_authenticated_tags(self) -> tuple[int, ...]:
        """The CATs of a NOC, 32 bits each."""
        return self.subject.numbers(NameTag.CASE_AUTHENTICATED_TAG)

    @property
    def basic_constraints(self) -> BasicConstraints | None:
        """Whether this is a CA; None when the extension is missing."""
        value = self._extension(ExtensionTag.BASIC_CONSTRAINTS)
        return value if isinstance(value, BasicConstraints) else None

    @property
    def key_usage(self) -> int:
        """The allowed uses of the key as `KeyUsage` bits."""
        value = self._extension(ExtensionTag.KEY_USAGE)
        return value if isinstance(value, int) else 0

    @property
    def extended_key_usage(self) -> tuple[int, ...]:
        """The purposes that the key is restricted to."""
        value = self._extension(ExtensionTag.EXTENDED_KEY_USAGE)
        return value if isinstance(value, tuple) else ()

    @property
    def skid(self) -> bytes | None:
        """The subject key identifier."""
        value = self._extension(ExtensionTag.SUBJECT_KEY_ID)
        return value if isinstance(value, bytes) else None

    @property
    def akid(self) -> bytes | None:
        """The key identifier of the issuer."""
        value = self._extension(ExtensionTag.AUTHORITY_KEY_ID)
        return value if isinstance(value, bytes) else None

    def _extension(self, tag: ExtensionTag) -> object:
        return next((value for found, value in self.extensions if found == tag), None)

    def to_der_tbs(self) -> bytes:
        """Return the X.509 TBSCertificate that the issuer signed."""
        return der.sequence(
            der.explicit(0, der.integer(2)),  # X.509 version 3
            der.element(der.INTEGER, self.serial),
            der.ECDSA_WITH_SHA256,
            self.issuer.to_der(),
            der.sequence(_time_der(self.not_before), _time_der(self.not_after)),
            self.subject.to_der(),
            der.subject_public_key_info(self.public_key),
            der.explicit(3, der.sequence(*(_extension_der(tag, value) for tag, value in self.extensions))),
        )


def _time_der(epoch_s: int) -> bytes:
    """Return a time of the validity; 0 stands for the time without end in both places, as other stacks have it."""
    return der.time(None if epoch_s == NEVER else MATTER_EPOCH_UNIX_S + epoch_s)


def _name_attribute_der(tag: int, value: str | int) -> bytes:
    if isinstance(value, int):
        digits = 8 if tag == NameTag.CASE_AUTHENTICATED_TAG else 16
        return der.name_attribute(f"{_MATTER_NAME_OID}.{tag - NameTag.NODE_ID + 1}", f"{value:0{digits}X}")
    standard = tag & ~_PRINTABLE
    if standard == _DOMAIN_COMPONENT:
        string_type = der.IA5_STRING
    else:
        string_type = der.PRINTABLE_STRING if tag & _PRINTABLE else der.UTF8_STRING
    return der.name_attribute(_STANDARD_NAME_OIDS[standard], value, string_type)


def _extension_der(tag: int, value: BasicConstraints | int | tuple[int, ...] | bytes) -> bytes:
    match tag, value:
        case ExtensionTag.BASIC_CONSTRAINTS, BasicConstraints():
            length = b"" if value.path_length is None else der.integer(value.path_length)
            content = der.sequence(der.TRUE if value.is_ca else b"", length)
            return der.extension("2.5.29.19", content, critical=True)
        case ExtensionTag.KEY_USAGE, int():
            return der.extension("2.5.29.15", der.named_bits(value), critical=True)
        case ExtensionTag.EXTENDED_KEY_USAGE, tuple():
            purposes = der.sequence(*(der.object_identifier(_EXTENDED_KEY_USAGE_OIDS[purpose]) for purpose in value))
            return der.extension("2.5.29.37", purposes, critical=True)
        case ExtensionTag.SUBJECT_KEY_ID, bytes():
            return der.extension("2.5.29.14", der.octet_string(value), critical=False)
        case ExtensionTag.AUTHORITY_KEY_ID, bytes():
            return der.extension("2.5.29.35", der.sequence(der.element(0x80, value)), critical=False)
        case ExtensionTag.FUTURE, bytes():
            return value
    raise ValueError(f"extension {tag} cannot carry {value!r}")


def _octets(fields: dict[Any, Any], tag: int, what: str, shortest: int, longest: int) -> bytes:
    value = fields.get(tag)
    if not isinstance(value, bytes) or not shortest <= len(value) <= longest:
        raise DecodeError(f"certificate's {what} must be {shortest} to {longest} octets")
    return value


def _unsigned(value: object, what: str, bits: int) -> int:
    if not isinstance(value, tlv.uint) or value >> bits:
        raise DecodeError(f"certificate's {what}={value!r} must be an unsigned integer of {bits} bits")
    return int(value)


def _decode_name(encoded: object, what: str) -> Name:
    if not isinstance(encoded, tlv.TLVList):
        raise DecodeError(f"certificate's {what} must be a TLV list")
    attributes = list(encoded)
    if not 1 <= len(attributes) <= MAX_NAME_ATTRIBUTES:
        raise DecodeError(
            f"certificate's {what} has {len(attributes)} attributes, allowed are 1 to {MAX_NAME_ATTRIBUTES}"
        )
    return Name(tuple((tag, _decode_name_value(tag, value, what)) for tag, value in attributes))


def _decode_name_value(tag: object, value: object, what: str) -> str | int:
    if tag in NameTag.__members__.values():
        return _unsigned(value, what, 32 if tag == NameTag.CASE_AUTHENTICATED_TAG else 64)
    if (
        not isinstance(tag, int)
        or tag & ~_PRINTABLE not in _STANDARD_NAME_OIDS
        or tag == _DOMAIN_COMPONENT | _PRINTABLE
    ):
        raise DecodeError(f"certificate's {what} has an unknown attribute {tag!r}")
    if not isinstance(value, str):
        raise DecodeError(f"certificate's {what} attribute {tag} must be text")
    return value


def _decode_extensions(encoded: object) -> Iterator[Extension]:
    if not isinstance(encoded, tlv.TLVList):
        raise DecodeError("certificate's extensions must be a TLV list")
    seen: set[object] = set()
    for tag, value in encoded:
        if tag in seen and tag != ExtensionTag.FUTURE:
            raise DecodeError(f"certificate's extension {tag!r} stands twice")
        seen.add(tag)
        yield tag, _decode_extension(tag, value)


def _decode_extension(tag: object, value: object) -> BasicConstraints | int | tuple[int, ...] | bytes:
    match tag, value:
        case ExtensionTag.BASIC_CONSTRAINTS, {1: bool(is_ca), **rest}:
            length = rest.get(2)
            return BasicConstraints(is_ca, None if length is None else _unsigned(length, "path length", 8))
        case ExtensionTag.KEY_USAGE, _:
            return _unsigned(value, "key usage", 16)
        case ExtensionTag.EXTENDED_KEY_USAGE, list(purposes):
            known = tuple(_unsigned(purpose, "extended key usage", 8) for purpose in purposes)
            if not set(known) <= _EXTENDED_KEY_USAGE_OIDS.keys():
                raise DecodeError(f"certificate's extended key usage {known} has an unknown purpose")
            return known
        case ((ExtensionTag.SUBJECT_KEY_ID | ExtensionTag.AUTHORITY_KEY_ID), bytes(identifier)):
            if len(identifier) == KEY_IDENTIFIER_BYTES:
                return identifier
        case ExtensionTag.FUTURE, bytes(extension):
            return extension
    raise DecodeError(f"certificate's extension {tag!r} is unknown or malformed")


def verify_chain(
    noc: MatterCertificate, icac: MatterCertificate | None, root: MatterCertificate, now_epoch_s: int | None
) -> None:
    """Accept `noc` if it descends from `root`, which `verify_root` has accepted, through `icac` if there is one.

    Units: `now_epoch_s` in seconds since 2000; None means that no trusted time is known and validity is not checked.
    Raises: CertificateError with the rule that is broken.
    Source: Matter core 6.4.10, 6.5.
    """
    _check_noc(noc)
    if icac is not None:
        _check_icac(icac)
        _check_issued(icac, root, "ICAC")
    _check_issued(noc, icac or root, "NOC")
    # An authority that names a fabric issues for no other; one that names none may issue for any.
    for authority, what in ((icac, "ICAC"), (root, "RCAC")):
        if authority is not None and authority.fabric_id not in (None, noc.fabric_id):
            raise CertificateError(f"{what} belongs to another fabric than the NOC")
    if now_epoch_s is not None:
        for certificate, what in ((noc, "NOC"), (icac, "ICAC"), (root, "RCAC")):
            if certificate is not None:
                _check_validity(certificate, what, now_epoch_s)


def verify_root(root: MatterCertificate) -> None:
    """Accept `root` as a self-signed root CA.

    Raises: CertificateError with the rule that is broken.
    """
    _check_authority(root, "RCAC", longest_path=1)
    if root.rcac_id is None:
        raise CertificateError("RCAC subject must have exactly one rcac-id")
    _check_absent(root, "RCAC", NameTag.NODE_ID, NameTag.ICAC_ID, NameTag.CASE_AUTHENTICATED_TAG)
    _check_issued(root, root, "RCAC")


def _check_icac(icac: MatterCertificate) -> None:
    _check_authority(icac, "ICAC", longest_path=0)
    if icac.icac_id is None:
        raise CertificateError("ICAC subject must have exactly one icac-id")
    _check_absent(icac, "ICAC", NameTag.NODE_ID, NameTag.RCAC_ID, NameTag.CASE_AUTHENTICATED_TAG)
    if icac.issuer == icac.subject:
        raise CertificateError("ICAC must not be self-signed")


def _check_noc(noc: MatterCertificate) -> None:
    if noc.basic_constraints is None or noc.basic_constraints.is_ca:
        raise CertificateError("NOC must have basic constraints that say it is no CA")
    if not noc.key_usage & KeyUsage.DIGITAL_SIGNATURE:
        raise CertificateError("NOC key usage must allow digital signatures")
    if not {SERVER_AUTH, CLIENT_AUTH} <= set(noc.extended_key_usage):
        raise CertificateError("NOC extended key usage must have client and server authentication")
    if noc.node_id is None or not is_operational(noc.node_id):
        raise CertificateError("NOC subject must have exactly one operational node-id")
    if not noc.fabric_id:
        raise CertificateError("NOC subject must have exactly one fabric-id that is not 0")
    _check_absent(noc, "NOC", NameTag.ICAC_ID, NameTag.RCAC_ID, NameTag.FIRMWARE_SIGNING_ID)
    tags = noc.case_authenticated_tags
    if len(tags) > MAX_CASE_AUTHENTICATED_TAGS:
        raise CertificateError(f"NOC has {len(tags)} CATs, at most {MAX_CASE_AUTHENTICATED_TAGS} are allowed")
    if not all(is_case_authenticated_tag_value(tag) for tag in tags):
        raise CertificateError("NOC has a CAT with version 0")
    if len({tag >> 16 for tag in tags}) != len(tags):
        raise CertificateError("NOC has two CATs with the same identifier")


def _check_authority(certificate: MatterCertificate, what: str, *, longest_path: int) -> None:
    constraints = certificate.basic_constraints
    if constraints is None or not constraints.is_ca:
        raise CertificateError(f"{what} must be a CA")
    if constraints.path_length is not None and constraints.path_length > longest_path:
        raise CertificateError(f"{what} path length {constraints.path_length} must not exceed {longest_path}")
    needed = KeyUsage.KEY_CERT_SIGN | KeyUsage.CRL_SIGN
    if certificate.key_usage & needed != needed:
        raise CertificateError(f"{what} key usage must allow signing certificates and revocation lists")
    if len(certificate.subject.numbers(NameTag.FABRIC_ID)) > 1:
        raise CertificateError(f"{what} subject has more than one fabric-id")


def _check_absent(certificate: MatterCertificate, what: str, *tags: NameTag) -> None:
    for tag in tags:
        if certificate.subject.numbers(tag):
            raise CertificateError(f"{what} subject must not have {tag.name}")


def _check_issued(certificate: MatterCertificate, issuer: MatterCertificate, what: str) -> None:
    if certificate.issuer != issuer.subject:
        raise CertificateError(f"{what} issuer is not its issuer's subject")
    if certificate.skid is None or certificate.akid is None or certificate.akid != issuer.skid:
        raise CertificateError(f"{what} authority key id is not its issuer's subject key id")
    try:
        valid = is_valid_signature(issuer.public_key, certificate.to_der_tbs(), certificate.signature)
    except ValueError as error:
        raise CertificateError(f"{what} issuer's public key is not on the curve") from error
    if not valid:
        raise CertificateError(f"{what} signature is not by its issuer")


def _check_validity(certificate: MatterCertificate, what: str, now_epoch_s: int) -> None:
    if now_epoch_s < certificate.not_before:
        raise CertificateError(f"{what} is not valid before {certificate.not_before}, it is {now_epoch_s}")
    if certificate.not_after != NEVER and now_epoch_s > certificate.not_after:
        raise CertificateError(f"{what} expired at {certificate.not_after}, it is {now_epoch_s}")
