from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evse_pi.matter.discovery.onboarding import (
    CommissioningFlow,
    DiscoveryCapability,
    OnboardingPayload,
    manual_code,
    qr_code,
    random_passcode,
    validate_passcode,
)
from tests.support.matter_authority import CountingEntropy

PASSCODES = st.integers(1, 99_999_998).filter(lambda one: len(set(f"{one:08}")) > 1 and one not in (12345678, 87654321))


@pytest.mark.parametrize(
    "passcode", [0, -1, 99_999_999, 100_000_000, 12345678, 87654321, *(digit * 11111111 for digit in range(10))]
)
def test_trivial_and_impossible_passcodes_are_refused(passcode: int) -> None:
    with pytest.raises(ValueError, match="passcode"):
        validate_passcode(passcode)


@pytest.mark.parametrize("passcode", [1, 20202021, 99_999_998])
def test_other_passcodes_are_accepted(passcode: int) -> None:
    validate_passcode(passcode)


def test_random_passcodes_are_valid_and_differ() -> None:
    entropy = CountingEntropy("passcode")
    passcodes = {random_passcode(entropy) for _ in range(50)}
    assert len(passcodes) == 50
    for passcode in passcodes:
        validate_passcode(passcode)


@pytest.mark.parametrize(
    ("field", "value"), [("vendor_id", 0x10000), ("product_id", -1), ("discriminator", 4096), ("passcode", 0)]
)
def test_a_field_out_of_range_is_named(field: str, value: int) -> None:
    fields = {"vendor_id": 0xFFF1, "product_id": 0x8000, "discriminator": 3840, "passcode": 20202021, field: value}
    with pytest.raises(ValueError, match=field):
        OnboardingPayload(**fields)  # type: ignore[arg-type]


def test_the_passcode_never_shows_in_a_log() -> None:
    assert "20202021" not in repr(OnboardingPayload(0xFFF1, 0x8000, 3840, 20202021))


def unpack(code: str) -> dict[str, int]:
    """Read a QR code back, written apart from the product's encoder."""
    alphabet = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ-."
    body, octets = code.removeprefix("MT:"), b""
    while body:
        take, size = (5, 3) if len(body) >= 5 else (4, 2)
        chunk, body = body[:take], body[take:]
        octets += sum(alphabet.index(digit) * 38**place for place, digit in enumerate(chunk)).to_bytes(size, "little")
    bits = int.from_bytes(octets, "little")
    fields = {}
    for name, width in (
        ("version", 3), ("vendor", 16), ("product", 16), ("flow", 2), ("discovery", 8), ("discriminator", 12),
        ("passcode", 27), ("padding", 4),
    ):  # fmt: skip
        fields[name], bits = bits & (1 << width) - 1, bits >> width
    return fields


@given(
    st.integers(0, 0xFFFF), st.integers(0, 0xFFFF), st.integers(0, 0xFFF), PASSCODES, st.sampled_from(CommissioningFlow)
)
def test_the_qr_code_holds_every_field(
    vendor: int, product: int, discriminator: int, passcode: int, flow: CommissioningFlow
) -> None:
    payload = OnboardingPayload(
        vendor, product, discriminator, passcode, DiscoveryCapability.BLE | DiscoveryCapability.ON_NETWORK, flow
    )
    assert unpack(qr_code(payload)) == {
        "version": 0,
        "vendor": vendor,
        "product": product,
        "flow": flow,
        "discovery": 6,
        "discriminator": discriminator,
        "passcode": passcode,
        "padding": 0,
    }


@given(st.integers(0, 0xFFFF), st.integers(0, 0xFFFF), st.integers(0, 0xFFF), PASSCODES, st.booleans())
def test_the_manual_code_holds_the_short_discriminator_and_the_passcode(
    vendor: int, product: int, discriminator: int, passcode: int, custom: bool
) -> None:
    flow = CommissioningFlow.CUSTOM if custom else CommissioningFlow.STANDARD
    code = manual_code(OnboardingPayload(vendor, product, discriminator, passcode, flow=flow))
    assert len(code) == (21 if custom else 11)
    first, second, third = int(code[0]), int(code[1:6]), int(code[6:10])
    assert (first >> 2 == 1) == custom
    assert (first & 3) << 2 | second >> 14 == discriminator >> 8
    assert third << 14 | second & 0x3FFF == passcode
    if custom:
        assert (int(code[10:15]), int(code[15:20])) == (vendor, product)


@given(PASSCODES, st.integers(0, 10), st.integers(1, 9))
def test_one_wrong_digit_is_always_noticed(passcode: int, place: int, shift: int) -> None:
    code = manual_code(OnboardingPayload(0xFFF1, 0x8000, 3840, passcode))
    wrong = code[:place] + str((int(code[place]) + shift) % 10) + code[place + 1 :]
    assert verhoeff_remainder(code) == 0
    assert verhoeff_remainder(wrong) != 0


def verhoeff_remainder(digits: str) -> int:
    """Check by the group D5: rotations 0 to 4 and reflections 5 to 9, written apart from the product's tables."""

    def product(left: int, right: int) -> int:
        if left < 5:
            return (left + right) % 5 if right < 5 else 5 + (left + right) % 5
        return 5 + (left - right) % 5 if right < 5 else (left - right) % 5

    permutation = [1, 5, 7, 6, 2, 8, 3, 0, 9, 4]
    check = 0
    for place, digit in enumerate(reversed(digits)):
        value = int(digit)
        for _ in range(place % 8):
            value = permutation[value]
        check = product(check, value)
    return check
