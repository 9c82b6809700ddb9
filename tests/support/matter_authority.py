"""A certificate authority and a fabric administrator for tests: issues RCAC, ICAC and NOC in Matter's TLV form."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field, replace

from evse_pi.matter.identity.certificate import (
    CLIENT_AUTH,
    NEVER,
    SERVER_AUTH,
    BasicConstraints,
    Extension,
    ExtensionTag,
    KeyUsage,
    MatterCertificate,
    Name,
    NameTag,
)
from evse_pi.matter.identity.group_keys import compressed_fabric_id, operational_group_key
from evse_pi.matter.identity.signing import OperationalKey
from evse_pi.matter.wire import tlv

CA_USAGE = KeyUsage.KEY_CERT_SIGN | KeyUsage.CRL_SIGN


class CountingEntropy:
    """Reproducible random numbers: the hashes of a seed and a counter."""

    def __init__(self, seed: str = "") -> None:
        self._seed = seed.encode()
        self._count = 0

    def octets(self, count: int) -> bytes:
        stream = b""
        while len(stream) < count:
            self._count += 1
            stream += hashlib.sha256(self._seed + self._count.to_bytes(8, "big")).digest()
        return stream[:count]

    def below(self, limit: int) -> int:
        return int.from_bytes(self.octets((limit.bit_length() + 7) // 8 + 8), "big") % limit


def encode_certificate(certificate: MatterCertificate) -> bytes:
    """Return the TLV form of `certificate`."""
    return tlv.encode(
        {
            1: certificate.serial,
            2: tlv.uint(1),
            3: _encode_name(certificate.issuer),
            4: tlv.uint(certificate.not_before),
            5: tlv.uint(certificate.not_after),
            6: _encode_name(certificate.subject),
            7: tlv.uint(1),
            8: tlv.uint(1),
            9: certificate.public_key,
            10: tlv.TLVList([(tag, _encode_extension(value)) for tag, value in certificate.extensions]),
            11: certificate.signature,
        }
    )


def _encode_name(name: Name) -> tlv.TLVList:
    return tlv.TLVList([(tag, tlv.uint(one) if isinstance(one, int) else one) for tag, one in name.attributes])


def _encode_extension(value: object) -> object:
    if isinstance(value, BasicConstraints):
        length = {} if value.path_length is None else {2: tlv.uint(value.path_length)}
        return {1: value.is_ca, **length}
    if isinstance(value, tuple):
        return [tlv.uint(one) for one in value]
    return tlv.uint(value) if isinstance(value, int) else value


def key_id(public_key: bytes) -> bytes:
    return hashlib.sha1(public_key).digest()


def signed(certificate: MatterCertificate, issuer_key: OperationalKey) -> MatterCertificate:
    return replace(certificate, signature=issuer_key.sign(certificate.to_der_tbs()))


def unsigned_certificate(
    *,
    subject: Name,
    issuer: Name,
    public_key: bytes,
    issuer_public_key: bytes,
    constraints: BasicConstraints,
    usage: int,
    purposes: tuple[int, ...] = (),
    serial: bytes = b"\x01",
    not_before: int = 0,
    not_after: int = NEVER,
) -> MatterCertificate:
    extensions: list[Extension] = [(ExtensionTag.BASIC_CONSTRAINTS, constraints), (ExtensionTag.KEY_USAGE, usage)]
    if purposes:
        extensions.append((ExtensionTag.EXTENDED_KEY_USAGE, purposes))
    extensions.append((ExtensionTag.SUBJECT_KEY_ID, key_id(public_key)))
    extensions.append((ExtensionTag.AUTHORITY_KEY_ID, key_id(issuer_public_key)))
    return MatterCertificate(
        serial=serial,
        issuer=issuer,
        not_before=not_before,
        not_after=not_after,
        subject=subject,
        public_key=public_key,
        extensions=tuple(extensions),
        signature=bytes(64),
    )


@dataclass
class Authority:
    """One fabric as its administrator sees it."""

    fabric_id: int = 0xFAB1
    seed: str = "authority"
    with_icac: bool = False
    ipk: bytes = bytes(range(16))
    root_name: Name = field(default=Name(((NameTag.RCAC_ID, 0xCACACACA00000001),)))
    icac_name: Name = field(default=Name(((NameTag.ICAC_ID, 0xCACACACA00000002),)))

    def __post_init__(self) -> None:
        entropy = CountingEntropy(self.seed)
        self.root_key = OperationalKey.generate(entropy)
        self.icac_key = OperationalKey.generate(entropy)
        self.root_certificate = self.make_root()
        self.root = encode_certificate(self.root_certificate)
        self.icac_certificate = self.make_icac() if self.with_icac else None
        self.icac = None if self.icac_certificate is None else encode_certificate(self.icac_certificate)
        self.compressed_id = compressed_fabric_id(self.root_key.public_key, self.fabric_id)
        self.operational_ipk = operational_group_key(self.ipk, self.compressed_id)

    def make_root(self, **changes: object) -> MatterCertificate:
        given: dict[str, object] = {
            "subject": self.root_name,
            "issuer": self.root_name,
            "public_key": self.root_key.public_key,
            "issuer_public_key": self.root_key.public_key,
            "constraints": BasicConstraints(is_ca=True),
            "usage": CA_USAGE,
        }
        return signed(unsigned_certificate(**{**given, **changes}), self.root_key)  # type: ignore[arg-type]

    def make_icac(self, **changes: object) -> MatterCertificate:
        given: dict[str, object] = {
            "subject": self.icac_name,
            "issuer": self.root_name,
            "public_key": self.icac_key.public_key,
            "issuer_public_key": self.root_key.public_key,
            "constraints": BasicConstraints(is_ca=True, path_length=0),
            "usage": CA_USAGE,
        }
        return signed(unsigned_certificate(**{**given, **changes}), self.root_key)  # type: ignore[arg-type]

    def make_noc(
        self, node_id: int, public_key: bytes, *, tags: tuple[int, ...] = (), **changes: object
    ) -> MatterCertificate:
        cats = tuple((NameTag.CASE_AUTHENTICATED_TAG, tag) for tag in tags)
        issuer_key = self.icac_key if self.with_icac else self.root_key
        given: dict[str, object] = {
            "subject": Name(((NameTag.NODE_ID, node_id), (NameTag.FABRIC_ID, self.fabric_id), *cats)),
            "issuer": self.icac_name if self.with_icac else self.root_name,
            "public_key": public_key,
            "issuer_public_key": issuer_key.public_key,
            "constraints": BasicConstraints(is_ca=False),
            "usage": KeyUsage.DIGITAL_SIGNATURE,
            "purposes": (CLIENT_AUTH, SERVER_AUTH),
        }
        return signed(unsigned_certificate(**{**given, **changes}), issuer_key)  # type: ignore[arg-type]

    def issue(self, node_id: int, public_key: bytes, *, tags: tuple[int, ...] = ()) -> bytes:
        """Return a NOC in TLV for `public_key`."""
        return encode_certificate(self.make_noc(node_id, public_key, tags=tags))


def public_key_of_request(request: bytes) -> bytes:
    """Return the public key in a certificate signing request, whose self-signature is checked."""
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
    from cryptography.x509 import load_der_x509_csr

    csr = load_der_x509_csr(request)
    assert csr.is_signature_valid
    return csr.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
