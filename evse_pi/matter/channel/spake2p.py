"""SPAKE2+ on P-256: the verifier's side of a key agreement by passcode.

Point arithmetic is pycryptodome's, which blinds every multiplication; scalars reach it with one and the same length.
Source: draft-bar-cfrg-spake2plus-02; Matter core 3.10 (SPAKE2+).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from Crypto.PublicKey.ECC import EccPoint

from evse_pi.matter.channel.crypto import GROUP_ORDER, POINT_BYTES, UNCOMPRESSED, hkdf, hmac_sha256, sha256
from evse_pi.matter.wire.status_code import DecodeError

if TYPE_CHECKING:
    from collections.abc import Iterator

SCALAR_BYTES = 32
_CURVE = "p256"
_PRIME = 0xFFFFFFFF00000001000000000000000000000000FFFFFFFFFFFFFFFFFFFFFFFF

# The two generators whose discrete logarithms are unknown, with the y that the draft's compressed form stands for.
M_OCTETS = bytes.fromhex(
    "04886e2f97ace46e55ba9dd7242579f2993b64e16ef3dcab95afd497333d8fa12f"
    "5ff355163e43ce224e0b0e65ff02ac8e5c7be09419c785e0ca547d55a12e2d20"
)
N_OCTETS = bytes.fromhex(
    "04d8bbd6c639c62937b04d997f38c3770719c629d7014d49a24b4f98baa1292b49"
    "07d60aa6bfade45008a636337f5168c64d9bd36034808cd564490b1e656edbe7"
)


@dataclass(frozen=True, slots=True)
class KeySchedule:
    """The secrets that both sides derive from the transcript."""

    shared_key: bytes = field(repr=False)
    prover_confirmation: bytes = field(repr=False)
    verifier_confirmation: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Agreement:
    """The verifier's answer to a prover's share; `keys` count only once the prover's confirmation has come."""

    share: bytes
    keys: KeySchedule


class Verifier:
    """The side that knows w0 and L but not the passcode.

    Raises: DecodeError when w0 is no scalar or L no point.
    """

    def __init__(self, w0: bytes, l: bytes) -> None:  # noqa: E741 (the draft's name)
        scalar = int.from_bytes(w0)
        if len(w0) != SCALAR_BYTES or not 0 < scalar < GROUP_ORDER:
            raise DecodeError("w0 is no scalar of P-256")
        self._w0 = w0
        self._l = decode_point(l)
        self._w0_m = -multiply(decode_point(M_OCTETS), scalar)
        self._w0_n = multiply(decode_point(N_OCTETS), scalar)

    def respond(self, context: bytes, prover_share: bytes, y: int) -> Agreement:
        """Return the share and the keys for the prover's share X and our random `y` in 1 … order − 1.

        Raises: DecodeError when the prover's share is no point, or the one that would fix the secret.
        """
        share = encode_point(multiply(generator(), y) + self._w0_n)
        z = multiply(decode_point(prover_share) + self._w0_m, y)
        v = multiply(self._l, y)
        keys = key_schedule(context, (prover_share, share), encode_point(z), encode_point(v), self._w0)
        return Agreement(share, keys)


def key_schedule(context: bytes, shares: tuple[bytes, bytes], z: bytes, v: bytes, w0: bytes) -> KeySchedule:
    """Return what the transcript of prover's and verifier's share gives; Matter leaves both identities empty."""
    prover_share, verifier_share = shares
    parts = (context, b"", b"", M_OCTETS, N_OCTETS, prover_share, verifier_share, z, v, w0)
    digest = sha256(*_with_lengths(parts))
    confirmation_key, shared_key = digest[:16], digest[16:]
    confirmation = hkdf(confirmation_key, salt=b"", info=b"ConfirmationKeys", length=32)
    return KeySchedule(
        shared_key=shared_key,
        prover_confirmation=hmac_sha256(confirmation[:16], verifier_share),
        verifier_confirmation=hmac_sha256(confirmation[16:], prover_share),
    )


def generator() -> EccPoint:
    """Return the base point of P-256."""
    return EccPoint(
        0x6B17D1F2E12C4247F8BCE6E563A440F277037D812DEB33A0F4A13945D898C296,
        0x4FE342E2FE1A7F9B8EE7EB4A7C0F9E162BCE33576B315ECECBB6406837BF51F5,
        _CURVE,
    )


def multiply(point: EccPoint, scalar: int) -> EccPoint:
    """Return `scalar` times `point`, with a scalar of always 257 bits so that its length tells nothing."""
    padded = scalar + GROUP_ORDER
    return point * (padded if padded >> 8 * SCALAR_BYTES else padded + GROUP_ORDER)


def decode_point(octets: bytes) -> EccPoint:
    """Return the point that 65 octets mean.

    Raises: DecodeError when it is not uncompressed, not reduced, not on the curve, or infinity.
    """
    if len(octets) != POINT_BYTES or octets[0] != UNCOMPRESSED:
        raise DecodeError(f"point of {len(octets)} octets, it must be uncompressed with {POINT_BYTES}")
    x, y = int.from_bytes(octets[1:33]), int.from_bytes(octets[33:])
    if x >= _PRIME or y >= _PRIME or not (x or y):
        raise DecodeError("point is infinity or its coordinates are not reduced")
    try:
        return EccPoint(x, y, _CURVE)
    except ValueError as error:
        raise DecodeError("point is not on P-256") from error


def encode_point(point: EccPoint) -> bytes:
    """Return the 65 octets of `point`.

    Raises: DecodeError for infinity, to which only a dishonest share leads.
    """
    if point.is_point_at_infinity():
        raise DecodeError("point is infinity")
    return bytes((UNCOMPRESSED,)) + int(point.x).to_bytes(SCALAR_BYTES) + int(point.y).to_bytes(SCALAR_BYTES)


def _with_lengths(parts: tuple[bytes, ...]) -> Iterator[bytes]:
    for part in parts:
        yield len(part).to_bytes(8, "little")
        yield part
