"""The proof that an installer's clear was ordered by a user who may read the key of the seal.

The node process carries the order and may not read that key: it can neither make a proof nor keep one for later. A
proof holds for 10 s, for the one order with which it came first, until a demand names another order, and in this run
of the machine and of the safety process alone. It follows the record of the demand in its datagram, so that neither
core nor the black box ever sees it.

    0            4..5     6..       length     +8
    magic ...    length   fields    made at    digest
"""

from __future__ import annotations

import struct

# Not by hashlib and hmac, as in evse_pi.installation.seal.
from _blake2 import blake2s
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from evse_pi.core.records import Demand, Request, decode_demand
from hal.units import SECOND

if TYPE_CHECKING:
    from collections.abc import Callable

VALID_NS = 10 * SECOND
"""An order is repeated for some seconds, while contacts settle; a proof must not wait for the next fault."""
DIGEST_BYTES = 8
"""Guessed one a tick for 10 s: 1 in 2^54."""
BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
_PURPOSE = (
    b"clear"  # so that no checksum of a file is a proof. Source: RFC 7693, section 2.8 and BLAKE2 personalisation
)
_FORM = struct.Struct("<qQ")
_LENGTH = struct.Struct("<4xH")


@dataclass(frozen=True, slots=True)
class Clearance:
    """When the order was given, and the proof of it. Units: ns of CLOCK_MONOTONIC."""

    at_ns: int
    digest: int

    def __post_init__(self) -> None:
        """Refuse what cannot be sent. Raises: ValueError naming the field."""
        for name, value, most in (("at_ns", self.at_ns, (1 << 63) - 1), ("digest", self.digest, (1 << 64) - 1)):
            if not 0 <= value <= most:
                raise ValueError(f"{name} {value}: 0 to {most}")


def make_clearance(key: bytes, kernel_boot_id: str, now_ns: int) -> Clearance:
    """Return the proof of an order that is given at `now_ns`."""
    return Clearance(now_ns, _digest(key, kernel_boot_id, now_ns))


def with_clearance(record: bytes, clearance: Clearance | None) -> bytes:
    """Return the datagram of a demand with the proof of its order."""
    return record if clearance is None else record + _FORM.pack(clearance.at_ns, clearance.digest)


class ProvenDemands:
    """Takes demands from the link, and out of each every installer's clear without proof.

    `key` is that of the seal, None while it is not known or there was no setup. A process and a node of the same user
    have no secret from each other: there, and only while no box was set up, an order needs no proof. Hazard: H-14.
    """

    def __init__(self, kernel_boot_id: str, clock: Callable[[], int], *, one_user: bool) -> None:
        self._kernel_boot_id = kernel_boot_id
        self._clock = clock
        self._since_ns = clock()
        self._one_user = one_user
        self._key: bytes | None = None
        self._used = (-1, 0)
        self._spent_ns = -1
        self._set_up = True

    def use(self, key: bytes | None, *, set_up: bool) -> None:
        """Judge by `key` from now on; `set_up` says that there is one, though it may not be readable."""
        self._key, self._set_up = key, set_up

    def decode(self, datagram: bytes) -> Demand:
        """Return the demand in `datagram`, with an installer's clear only where it is proven. Raises: DecodeError.

        A demand that names another order spends the proof: the machine carries out each change of the number, so that
        a node which went back to an old one would have its order carried out once more.
        """
        record, clearance = _split(datagram)
        demand = decode_demand(record)
        used_ns, order = self._used
        if demand.request_number != order:
            self._spent_ns = used_ns
        if Request.CLEAR_INSTALLER not in demand.request or self._proven(clearance, demand.request_number):
            return demand
        return replace(demand, request=demand.request & ~Request.CLEAR_INSTALLER)

    def _proven(self, clearance: Clearance | None, order: int) -> bool:
        if self._key is None:
            return self._one_user and not self._set_up
        if clearance is None or clearance.at_ns <= max(self._since_ns, self._spent_ns):
            return False
        fresh = 0 <= self._clock() - clearance.at_ns < VALID_NS
        if not fresh or clearance.digest != _digest(self._key, self._kernel_boot_id, clearance.at_ns):
            return False
        if clearance.at_ns > self._used[0]:
            self._used = (clearance.at_ns, order)
        return self._used == (clearance.at_ns, order)


def kernel_boot_id() -> str:
    """Return the kernel's id of this boot, in which CLOCK_MONOTONIC counts. Raises: OSError."""
    return BOOT_ID.read_text(encoding="ascii").strip()


def _split(datagram: bytes) -> tuple[bytes, Clearance | None]:
    """Return the record of a datagram and the proof behind it; anything else behind it is left to be refused."""
    if len(datagram) < _LENGTH.size:
        return datagram, None
    (length,) = _LENGTH.unpack_from(datagram)
    if len(datagram) - length != _FORM.size:
        return datagram, None
    at_ns, digest = _FORM.unpack_from(datagram, length)
    return (datagram[:length], Clearance(at_ns, digest)) if at_ns >= 0 else (datagram, None)


def _digest(key: bytes, boot: str, at_ns: int) -> int:
    body = boot.encode() + struct.pack("<q", at_ns)
    return int.from_bytes(blake2s(body, key=key, digest_size=DIGEST_BYTES, person=_PURPOSE).digest(), "little")
