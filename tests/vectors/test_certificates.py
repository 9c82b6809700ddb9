"""Certificates that two real controllers issued, each with the X.509 form that the CHIP SDK makes of it.

Recorded from a commissioning by both; the X.509 form of both chains is by the CHIP SDK's own converter.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from evse_pi.matter.identity.certificate import MatterCertificate, verify_chain
from tests.support.matter_authority import encode_certificate

VECTORS = json.loads(Path(__file__).with_name("data").joinpath("matter_certificates.json").read_text())


def certificate(name: str) -> MatterCertificate:
    return MatterCertificate.decode(bytes.fromhex(VECTORS[name]["tlv"]))


@pytest.mark.parametrize("name", VECTORS)
def test_the_signed_form_is_the_one_the_chip_sdk_makes(name: str) -> None:
    x509 = bytes.fromhex(VECTORS[name]["x509"])
    header = 4  # of the outer sequence
    assert x509[header:].startswith(certificate(name).to_der_tbs())


@pytest.mark.parametrize("name", VECTORS)
def test_decoding_loses_nothing(name: str) -> None:
    assert encode_certificate(certificate(name)).hex() == VECTORS[name]["tlv"]


def test_the_chain_of_the_chip_controller_is_accepted() -> None:
    noc = certificate("CHIP controller NOC")
    verify_chain(noc, certificate("CHIP controller ICAC"), certificate("CHIP controller RCAC"), 850_000_000)
    assert (noc.node_id, noc.fabric_id) == (5, 1)


def test_the_chain_of_matter_js_is_accepted_with_its_serial_number_zero() -> None:
    root = certificate("matter.js RCAC")
    assert root.serial == b"\x00"
    verify_chain(certificate("matter.js NOC"), None, root, 850_000_000)
