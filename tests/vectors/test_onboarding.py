"""Onboarding codes as published. Source: Matter core 5.1.3 and 5.1.4, and codes that other controllers print."""

from __future__ import annotations

import pytest

from evse_pi.matter.discovery.onboarding import OnboardingPayload, manual_code, qr_code

TEST_DEVICE = OnboardingPayload(0xFFF1, 0x8000, 3840, 20202021)


def test_qr_code_of_the_test_device() -> None:
    assert qr_code(TEST_DEVICE) == "MT:Y.K90AFN00KA0648G00"


@pytest.mark.parametrize(
    ("discriminator", "passcode", "code"), [(3840, 20202021, "34970112332"), (3333, 15279034, "32553009327")]
)
def test_manual_codes(discriminator: int, passcode: int, code: str) -> None:
    assert manual_code(OnboardingPayload(0xFFF1, 0x8000, discriminator, passcode)) == code
