"""The codes a person scans or types to commission the node. Source: Matter core 5.1."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum, IntFlag
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from evse_pi.matter.environment import Entropy

LAST_PASSCODE = 99_999_998
MAX_DISCRIMINATOR = 0xFFF
_TRIVIAL_PASSCODES = frozenset({12_345_678, 87_654_321, *(digit * 11_111_111 for digit in range(1, 10))})

_BASE38 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ-."
_BASE38_DIGITS = {1: 2, 2: 4, 3: 5}  # digits for that many octets

_VERHOEFF_PRODUCT = (
    (0, 1, 2, 3, 4, 5, 6, 7, 8, 9),
    (1, 2, 3, 4, 0, 6, 7, 8, 9, 5),
    (2, 3, 4, 0, 1, 7, 8, 9, 5, 6),
    (3, 4, 0, 1, 2, 8, 9, 5, 6, 7),
    (4, 0, 1, 2, 3, 9, 5, 6, 7, 8),
    (5, 9, 8, 7, 6, 0, 4, 3, 2, 1),
    (6, 5, 9, 8, 7, 1, 0, 4, 3, 2),
    (7, 6, 5, 9, 8, 2, 1, 0, 4, 3),
    (8, 7, 6, 5, 9, 3, 2, 1, 0, 4),
    (9, 8, 7, 6, 5, 4, 3, 2, 1, 0),
)
_VERHOEFF_PERMUTATION = (1, 5, 7, 6, 2, 8, 3, 0, 9, 4)
_VERHOEFF_INVERSE = (0, 4, 3, 2, 1, 5, 6, 7, 8, 9)


class DiscoveryCapability(IntFlag):
    """How the node can be found before it is commissioned."""

    BLE = 0x02
    ON_NETWORK = 0x04
    WIFI_PAF = 0x08


class CommissioningFlow(IntEnum):
    """What a person must do before the node can be commissioned."""

    STANDARD = 0
    USER_INTENT = 1
    CUSTOM = 2


@dataclass(frozen=True, slots=True)
class OnboardingPayload:
    """What the codes say.

    Raises: ValueError naming the field that is out of its range.
    """

    vendor_id: int
    product_id: int
    discriminator: int
    passcode: int
    discovery: DiscoveryCapability = DiscoveryCapability.ON_NETWORK
    flow: CommissioningFlow = CommissioningFlow.STANDARD

    def __post_init__(self) -> None:
        validate_passcode(self.passcode)
        for name, value, highest in (
            ("vendor_id", self.vendor_id, 0xFFFF),
            ("product_id", self.product_id, 0xFFFF),
            ("discriminator", self.discriminator, MAX_DISCRIMINATOR),
        ):
            if not 0 <= value <= highest:
                raise ValueError(f"{name}={value} must be 0 to {highest}")

    def __repr__(self) -> str:
        return f"OnboardingPayload(discriminator={self.discriminator}, passcode=…)"


def validate_passcode(passcode: int) -> None:
    """Accept a passcode that a person may be given.

    Raises: ValueError if it is out of range or trivial. Source: Matter core 5.1.7.
    """
    if not 1 <= passcode <= LAST_PASSCODE:
        raise ValueError(f"passcode must be 1 to {LAST_PASSCODE}")
    if passcode in _TRIVIAL_PASSCODES:
        raise ValueError("passcode is one of the trivial ones that are not allowed")


def random_passcode(entropy: Entropy) -> int:
    """Return a passcode that cannot be guessed."""
    while True:
        passcode = 1 + entropy.below(LAST_PASSCODE)
        if passcode not in _TRIVIAL_PASSCODES:
            return passcode


def qr_code(payload: OnboardingPayload) -> str:
    """Return the text of the QR code.

    From the least significant bit: version 3 | vendor 16 | product 16 | flow 2 | discovery 8 | discriminator 12 |
    passcode 27 | padding 4.
    """
    packed = position = 0
    for value, width in (
        (0, 3),
        (payload.vendor_id, 16),
        (payload.product_id, 16),
        (payload.flow, 2),
        (payload.discovery, 8),
        (payload.discriminator, 12),
        (payload.passcode, 27),
        (0, 4),
    ):
        packed |= value << position
        position += width
    return "MT:" + _base38(packed.to_bytes(position // 8, "little"))


def manual_code(payload: OnboardingPayload) -> str:
    """Return the 11 digits to type, or 21 with vendor and product id if the flow is not the standard one."""
    with_ids = payload.flow is not CommissioningFlow.STANDARD
    short_discriminator = payload.discriminator >> 8
    digits = (
        f"{short_discriminator >> 2 | with_ids << 2}"
        f"{(short_discriminator & 3) << 14 | payload.passcode & 0x3FFF:05}"
        f"{payload.passcode >> 14:04}"
    )
    if with_ids:
        digits += f"{payload.vendor_id:05}{payload.product_id:05}"
    return digits + str(_verhoeff(digits))


def _base38(octets: bytes) -> str:
    text = ""
    for start in range(0, len(octets), 3):
        chunk = octets[start : start + 3]
        value = int.from_bytes(chunk, "little")
        for _ in range(_BASE38_DIGITS[len(chunk)]):
            value, digit = divmod(value, len(_BASE38))
            text += _BASE38[digit]
    return text


def _verhoeff(digits: str) -> int:
    """Return the check digit of `digits`."""
    check = 0
    for place, digit in enumerate(reversed(digits), 1):
        value = int(digit)
        for _ in range(place % 8):
            value = _VERHOEFF_PERMUTATION[value]
        check = _VERHOEFF_PRODUCT[check][value]
    return _VERHOEFF_INVERSE[check]
