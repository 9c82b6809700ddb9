"""Attestation credentials under the PUBLIC TEST authority of the Connectivity Standards Alliance.

TEST ONLY. They prove nothing: everyone can make them, which is their purpose. Home Assistant, the CHIP controller and
matter.js accept them, phones want a developer setting. A product is provisioned with `FileCredentials` instead.

The two keys below are the test values that the Alliance publishes for this use, file names
`Chip-Test-PAA-NoVID-Key.pem` and `Chip-Test-CD-Signing-Key.pem` in `credentials/test` of its SDK `connectedhomeip`.
"""

from __future__ import annotations

import hashlib
import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

from evse_pi.matter.identity import der
from evse_pi.matter.identity.attestation import PRODUCT_ID_OID, VENDOR_ID_OID
from evse_pi.matter.identity.certificate import KeyUsage
from evse_pi.matter.identity.signing import OperationalKey
from evse_pi.matter.storage import DamagedRecord, decoding
from evse_pi.matter.wire import tlv

if TYPE_CHECKING:
    from evse_pi.matter.environment import Entropy
    from evse_pi.matter.storage import KeyValueStore

log = logging.getLogger(__name__)

PUBLIC_TEST_PAA_KEY = "e1f073c934853baffb38bf7e8bdad7a0a674107c7769892a0ff2e06c1a2ef7a7"
PUBLIC_TEST_DECLARATION_KEY = "aef3484116e9481ec57be0472df41bf499064e5024ad869eca5e889802d48075"
PUBLIC_TEST_DECLARATION_SIGNER = "62fa823359acfaa9963e1cfa140addf504f37160"
TEST_VENDOR_IDS = range(0xFFF1, 0xFFF5)

_PAA_NAME = "Matter Test PAA"
_COMMON_NAME_OID = "2.5.4.3"
_ISSUED_UNIX_S = 1_624_890_224  # one second after the test PAA began, 2021-06-28T14:23:43Z
_TEST_CERTIFICATE_ID = "CSA00000SWC00000-00"


@dataclass(frozen=True, slots=True, repr=False)
class TestCredentials:
    """A PAI and a DAC made for one device under the public test PAA, and a test certification declaration."""

    __test__ = False  # not a test case

    _dac: bytes
    _pai: bytes
    _declaration: bytes
    _key: OperationalKey

    @classmethod
    def create(cls, vendor_id: int, product_id: int, device_type: int, entropy: Entropy) -> Self:
        """Return a fresh chain.

        Raises: ValueError unless `vendor_id` is one of the four that are reserved for tests.
        """
        if vendor_id not in TEST_VENDOR_IDS:
            raise ValueError(f"vendor_id=0x{vendor_id:04X} needs real credentials, test ones are for 0xFFF1 to 0xFFF4")
        authority = OperationalKey.from_scalar(bytes.fromhex(PUBLIC_TEST_PAA_KEY))
        intermediate, device = OperationalKey.generate(entropy), OperationalKey.generate(entropy)
        paa_name = der.sequence(der.name_attribute(_COMMON_NAME_OID, _PAA_NAME))
        pai_name = _name("Test PAI", vendor_id)
        dac_name = _name("Test DAC", vendor_id, product_id)
        pai = _certificate(intermediate.public_key, pai_name, authority, paa_name, entropy, is_authority=True)
        dac = _certificate(device.public_key, dac_name, intermediate, pai_name, entropy, is_authority=False)
        return cls(dac, pai, development_declaration(vendor_id, (product_id,), device_type), device)

    @classmethod
    def load(cls, store: KeyValueStore, vendor_id: int, product_id: int, device_type: int, entropy: Entropy) -> Self:
        """Return the chain that `store` keeps for this product, made at the first call."""
        key = f"test-attestation/{vendor_id:04x}-{product_id:04x}"
        encoded = store.get(key)
        if encoded is not None:
            try:
                with decoding(key):
                    kept: dict[int, Any] = tlv.decode(encoded)
                    declaration = development_declaration(vendor_id, (product_id,), device_type)
                    return cls(bytes(kept[0]), bytes(kept[1]), declaration, OperationalKey.from_scalar(kept[2]))
            except DamagedRecord as error:
                log.warning("test credentials are made again: %s", error)
        made = cls.create(vendor_id, product_id, device_type, entropy)
        with store.transaction() as transaction:
            transaction.put(key, tlv.encode({0: made._dac, 1: made._pai, 2: made._key.to_scalar()}))  # noqa: SLF001
        return made

    def dac(self) -> bytes:
        """Return the device attestation certificate in DER."""
        return self._dac

    def pai(self) -> bytes:
        """Return the product attestation intermediate certificate in DER."""
        return self._pai

    def certification_declaration(self) -> bytes:
        """Return the CMS signed certification declaration."""
        return self._declaration

    def sign(self, data: bytes) -> bytes:
        """Return the raw 64-byte signature of `data` by the key of the DAC."""
        return self._key.sign(data)


def _name(common_name: str, vendor_id: int, product_id: int | None = None) -> bytes:
    attributes = [der.name_attribute(_COMMON_NAME_OID, common_name)]
    attributes.append(der.name_attribute(VENDOR_ID_OID, f"{vendor_id:04X}"))
    if product_id is not None:
        attributes.append(der.name_attribute(PRODUCT_ID_OID, f"{product_id:04X}"))
    return der.sequence(*attributes)


def _certificate(
    public_key: bytes, name: bytes, issuer: OperationalKey, issuer_name: bytes, entropy: Entropy, *, is_authority: bool
) -> bytes:
    usage = KeyUsage.KEY_CERT_SIGN | KeyUsage.CRL_SIGN if is_authority else KeyUsage.DIGITAL_SIGNATURE
    constraints = der.sequence(der.TRUE, der.integer(0)) if is_authority else der.sequence()
    extensions = der.sequence(
        der.extension("2.5.29.19", constraints, critical=True),
        der.extension("2.5.29.15", der.named_bits(usage), critical=True),
        der.extension("2.5.29.14", der.octet_string(_key_id(public_key)), critical=False),
        der.extension("2.5.29.35", der.sequence(der.element(0x80, _key_id(issuer.public_key))), critical=False),
    )
    to_be_signed = der.sequence(
        der.explicit(0, der.integer(2)),
        der.integer(1 + entropy.below(1 << 63)),
        der.ECDSA_WITH_SHA256,
        issuer_name,
        der.sequence(der.time(_ISSUED_UNIX_S), der.time(None)),
        name,
        der.subject_public_key_info(public_key),
        der.explicit(3, extensions),
    )
    return der.sequence(to_be_signed, der.ECDSA_WITH_SHA256, der.bit_string(issuer.sign_der(to_be_signed)))


def _key_id(public_key: bytes) -> bytes:
    return hashlib.sha1(public_key, usedforsecurity=False).digest()  # RFC 5280 4.2.1.2, method 1


def development_declaration(vendor_id: int, product_ids: tuple[int, ...], device_type: int) -> bytes:
    """Return a development declaration for `product_ids`, signed by the public test key. Source: Matter core 6.3."""
    content = tlv.encode(
        {
            0: tlv.uint(1),
            1: tlv.uint(vendor_id),
            2: [tlv.uint(one) for one in product_ids],
            3: tlv.uint(device_type),
            4: _TEST_CERTIFICATE_ID,
            5: tlv.uint(0),
            6: tlv.uint(0),
            7: tlv.uint(1),
            8: tlv.uint(0),  # development and test
        }
    )
    signer = OperationalKey.from_scalar(bytes.fromhex(PUBLIC_TEST_DECLARATION_KEY))
    sha256 = der.sequence(der.object_identifier("2.16.840.1.101.3.4.2.1"))
    signer_info = der.sequence(
        der.integer(3),
        der.element(0x80, bytes.fromhex(PUBLIC_TEST_DECLARATION_SIGNER)),
        sha256,
        der.ECDSA_WITH_SHA256,
        der.octet_string(signer.sign_der(content)),
    )
    signed_data = der.sequence(
        der.integer(3),
        der.element(der.SET, sha256),
        der.sequence(der.object_identifier("1.2.840.113549.1.7.1"), der.explicit(0, der.octet_string(content))),
        der.element(der.SET, signer_info),
    )
    return der.sequence(der.object_identifier("1.2.840.113549.1.7.2"), der.explicit(0, signed_data))
