"""P-256 signatures in Matter's raw form, and the key a node signs with."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from evse_pi.matter.identity import der

if TYPE_CHECKING:
    from evse_pi.matter.environment import Entropy

PUBLIC_KEY_BYTES = 65
SIGNATURE_BYTES = 64
_HALF = SIGNATURE_BYTES // 2
_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551  # of the P-256 group, FIPS 186-4 D.1.2.3
_ECDSA = ec.ECDSA(hashes.SHA256())


class OperationalKey:
    """A P-256 private key whose value never shows in a log."""

    __slots__ = ("_private_key", "public_key")

    def __init__(self, private_key: ec.EllipticCurvePrivateKey) -> None:
        self._private_key = private_key
        self.public_key = private_key.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)

    @classmethod
    def generate(cls, entropy: Entropy) -> Self:
        """Return a fresh key."""
        return cls.from_scalar((1 + entropy.below(_ORDER - 1)).to_bytes(_HALF, "big"))

    @classmethod
    def from_scalar(cls, scalar: bytes) -> Self:
        """Return the key with the 32-byte private value `scalar`."""
        return cls(ec.derive_private_key(int.from_bytes(scalar, "big"), ec.SECP256R1()))

    def to_scalar(self) -> bytes:
        """Return the 32-byte private value, for storage only."""
        return self._private_key.private_numbers().private_value.to_bytes(_HALF, "big")

    def sign(self, data: bytes) -> bytes:
        """Return the raw 64-byte signature of `data`."""
        r, s = decode_dss_signature(self._private_key.sign(data, _ECDSA))
        return r.to_bytes(_HALF, "big") + s.to_bytes(_HALF, "big")

    def sign_der(self, data: bytes) -> bytes:
        """Return the signature of `data` in DER, as X.509 and CMS want it."""
        return self._private_key.sign(data, _ECDSA)

    def certificate_signing_request(self) -> bytes:
        """Return a PKCS #10 request in DER for this key. Source: Matter core 11.18.5.6, RFC 2986."""
        subject = der.sequence(der.name_attribute("2.5.4.10", "CSA"))
        info = der.sequence(der.integer(0), subject, der.subject_public_key_info(self.public_key), der.explicit(0))
        return der.sequence(info, der.ECDSA_WITH_SHA256, der.bit_string(self.sign_der(info)))

    def __repr__(self) -> str:
        return f"{type(self).__name__}(public_key={self.public_key.hex()[:16]}…)"


def is_valid_signature(public_key: bytes, data: bytes, signature: bytes) -> bool:
    """Tell whether the raw `signature` over `data` was made by the owner of `public_key`.

    Raises: ValueError if `public_key` is no uncompressed point on the curve.
    """
    if len(public_key) != PUBLIC_KEY_BYTES or public_key[0] != 4:  # SEC 1 2.3.3
        raise ValueError(f"public key of {len(public_key)} bytes is no uncompressed P-256 point of {PUBLIC_KEY_BYTES}")
    key = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), public_key)
    if len(signature) != SIGNATURE_BYTES:
        return False
    r, s = int.from_bytes(signature[:_HALF], "big"), int.from_bytes(signature[_HALF:], "big")
    try:
        key.verify(encode_dss_signature(r, s), data, _ECDSA)
    except InvalidSignature:
        return False
    return True
