"""The cryptographic primitives of the secure channel, in the forms in which Matter names them.

Signatures are in `identity.signing`, SPAKE2+ in `spake2p`. Source: Matter core 3 (cryptographic primitives).
"""

from __future__ import annotations

import hashlib
import hmac
from typing import TYPE_CHECKING

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.ciphers.aead import AESCCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from evse_pi.matter.wire.message import MIC_BYTES
from evse_pi.matter.wire.status_code import DecodeError

if TYPE_CHECKING:
    from evse_pi.matter.environment import Entropy

SYMMETRIC_KEY_BYTES = 16
POINT_BYTES = 65
UNCOMPRESSED = 0x04  # first octet of a point with both coordinates, SEC 1 2.3.3
GROUP_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
"""Order of NIST P-256. Source: SEC 2, 2.4.2."""


class Aead:
    """AES-128-CCM with a 16 byte MIC and a 13 byte nonce under one key."""

    __slots__ = ("_cipher",)

    def __init__(self, key: bytes) -> None:
        self._cipher = AESCCM(key, MIC_BYTES)

    def seal(self, nonce: bytes, plaintext: bytes, additional: bytes = b"") -> bytes:
        """Return ciphertext || MIC."""
        return self._cipher.encrypt(nonce, plaintext, additional)

    def open(self, nonce: bytes, ciphertext: bytes, additional: bytes = b"") -> bytes:
        """Return the plaintext.

        Raises: DecodeError when it is not authentic.
        """
        try:
            return self._cipher.decrypt(nonce, ciphertext, additional)
        except (InvalidTag, ValueError) as error:
            raise DecodeError("message authentication failed") from error


def sha256(*parts: bytes) -> bytes:
    """Return SHA-256 of the parts in a row."""
    return hashlib.sha256(b"".join(parts)).digest()


def hmac_sha256(key: bytes, message: bytes) -> bytes:
    """Return HMAC-SHA-256."""
    return hmac.digest(key, message, "sha256")


def hkdf(key: bytes, *, salt: bytes, info: bytes, length: int) -> bytes:
    """Return `length` octets of HKDF-SHA-256."""
    return HKDF(SHA256(), length, salt, info).derive(key)


def generate_key(entropy: Entropy) -> ec.EllipticCurvePrivateKey:
    """Return a new P-256 key pair."""
    return ec.derive_private_key(1 + entropy.below(GROUP_ORDER - 1), ec.SECP256R1())


def public_octets(key: ec.EllipticCurvePrivateKey) -> bytes:
    """Return the public half of `key` as an uncompressed point."""
    return key.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)


def shared_secret(key: ec.EllipticCurvePrivateKey, peer: bytes) -> bytes:
    """Return the x coordinate that ECDH of `key` and the point `peer` gives.

    Raises: DecodeError when `peer` is no point of the curve.
    """
    return key.exchange(ec.ECDH(), _public_key(peer))


def _public_key(point: bytes) -> ec.EllipticCurvePublicKey:
    if len(point) != POINT_BYTES or point[0] != UNCOMPRESSED:
        raise DecodeError(f"public key of {len(point)} octets is no uncompressed point of {POINT_BYTES}")
    try:
        return ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), point)
    except ValueError as error:
        raise DecodeError("public key is no point of P-256") from error
