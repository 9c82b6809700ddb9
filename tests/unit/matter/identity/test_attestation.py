from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

from evse_pi.matter.identity.attestation import AttestationError, FileCredentials
from evse_pi.matter.identity.certification_declaration import Declaration, DeclarationError, read_declaration
from evse_pi.matter.identity.signing import OperationalKey, is_valid_signature
from evse_pi.matter.identity.test_credentials import (
    PUBLIC_TEST_DECLARATION_KEY,
    PUBLIC_TEST_PAA_KEY,
    TestCredentials,
    development_declaration,
)
from evse_pi.matter.storage import MemoryStore
from evse_pi.matter.wire import tlv
from tests.support.matter_authority import CountingEntropy

if TYPE_CHECKING:
    from pathlib import Path

    from evse_pi.matter.identity.attestation import CredentialProvider

VENDOR, PRODUCT, LAMP = 0xFFF1, 0x8001, 0x0100
PAA_SKI = "785CE705B86B8F4E6FC793AA60CB43EA696882D5"


def create() -> TestCredentials:
    return TestCredentials.create(VENDOR, PRODUCT, LAMP, CountingEntropy("attestation"))


def attribute(certificate: x509.Certificate, oid: str) -> list[str]:
    return [str(one.value) for one in certificate.subject if one.oid.dotted_string == oid]


def test_the_test_chain_leads_to_the_public_test_paa() -> None:
    credentials = create()
    dac, pai = x509.load_der_x509_certificate(credentials.dac()), x509.load_der_x509_certificate(credentials.pai())
    dac.verify_directly_issued_by(pai)
    assert pai.issuer.rfc4514_string() == "CN=Matter Test PAA"
    paa = OperationalKey.from_scalar(bytes.fromhex(PUBLIC_TEST_PAA_KEY))
    key = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), paa.public_key)
    key.verify(pai.signature, pai.tbs_certificate_bytes, ec.ECDSA(hashes.SHA256()))
    authority = pai.extensions.get_extension_for_class(x509.AuthorityKeyIdentifier).value
    assert authority.key_identifier == bytes.fromhex(PAA_SKI)


def test_the_test_certificates_have_what_attestation_wants() -> None:
    credentials = create()
    dac, pai = x509.load_der_x509_certificate(credentials.dac()), x509.load_der_x509_certificate(credentials.pai())
    assert attribute(dac, "1.3.6.1.4.1.37244.2.1") == attribute(pai, "1.3.6.1.4.1.37244.2.1") == ["FFF1"]
    assert attribute(dac, "1.3.6.1.4.1.37244.2.2") == ["8001"]
    assert pai.extensions.get_extension_for_class(x509.BasicConstraints).value.path_length == 0
    assert not dac.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    assert pai.extensions.get_extension_for_class(x509.KeyUsage).value.key_cert_sign
    assert dac.extensions.get_extension_for_class(x509.KeyUsage).value.digital_signature
    assert all(0 < len(one) <= 600 for one in (credentials.dac(), credentials.pai()))


def test_signatures_are_by_the_key_of_the_dac() -> None:
    credentials = create()
    key = x509.load_der_x509_certificate(credentials.dac()).public_key()
    public_key = key.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    assert is_valid_signature(public_key, b"elements", credentials.sign(b"elements"))
    assert not is_valid_signature(public_key, b"elements", credentials.sign(b"other"))


def test_each_device_gets_its_own_chain_and_keeps_it() -> None:
    store = MemoryStore()
    first = TestCredentials.load(store, VENDOR, PRODUCT, LAMP, CountingEntropy("a"))
    again = TestCredentials.load(store, VENDOR, PRODUCT, LAMP, CountingEntropy("b"))
    other = TestCredentials.load(MemoryStore(), VENDOR, PRODUCT, LAMP, CountingEntropy("b"))
    assert (first.dac(), first.pai()) == (again.dac(), again.pai())
    assert first.dac() != other.dac()


def test_test_credentials_are_only_for_test_vendors() -> None:
    with pytest.raises(ValueError, match="vendor_id=0x1049"):
        TestCredentials.create(0x1049, PRODUCT, LAMP, CountingEntropy())


def test_the_declaration_is_signed_by_the_public_test_key() -> None:
    declaration = development_declaration(VENDOR, (PRODUCT, 0x8002), LAMP)
    content = tlv.encode(
        {0: tlv.uint(1), 1: tlv.uint(VENDOR), 2: [tlv.uint(PRODUCT), tlv.uint(0x8002)], 3: tlv.uint(LAMP),
         4: "CSA00000SWC00000-00", 5: tlv.uint(0), 6: tlv.uint(0), 7: tlv.uint(1), 8: tlv.uint(0)}
    )  # fmt: skip
    assert content in declaration
    signer = OperationalKey.from_scalar(bytes.fromhex(PUBLIC_TEST_DECLARATION_KEY))
    key = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), signer.public_key)
    start = declaration.rindex(bytes.fromhex("2a8648ce3d040302")) + 10  # after the algorithm: the signature's octets
    signature = declaration[start:]
    key.verify(signature, content, ec.ECDSA(hashes.SHA256()))


def provision(folder: Path, credentials: CredentialProvider, key: bytes) -> None:
    folder.joinpath("dac.der").write_bytes(credentials.dac())
    folder.joinpath("pai.der").write_bytes(credentials.pai())
    folder.joinpath("cd.der").write_bytes(credentials.certification_declaration())
    folder.joinpath("dac-key.pem").write_bytes(key)


def pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())


@pytest.fixture
def credentials() -> TestCredentials:
    return create()


@pytest.fixture
def provisioned(tmp_path: Path, credentials: TestCredentials) -> Path:
    provision(tmp_path, credentials, pem(credentials._key._private_key))
    return tmp_path


def test_a_provisioned_folder_gives_the_same_credentials(provisioned: Path, credentials: TestCredentials) -> None:
    files = FileCredentials(provisioned, vendor_id=VENDOR, product_id=PRODUCT, device_type=LAMP)
    assert (files.dac(), files.pai()) == (credentials.dac(), credentials.pai())
    assert files.certification_declaration() == credentials.certification_declaration()
    key = load_pem_private_key(provisioned.joinpath("dac-key.pem").read_bytes(), None)
    public_key = key.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    assert is_valid_signature(public_key, b"x", files.sign(b"x"))


@pytest.mark.parametrize("name", ["dac.der", "pai.der", "cd.der", "dac-key.pem"])
def test_a_missing_file_is_named(provisioned: Path, name: str) -> None:
    provisioned.joinpath(name).unlink()
    with pytest.raises(AttestationError, match=f"{name}: No such file"):
        FileCredentials(provisioned, vendor_id=VENDOR, product_id=PRODUCT, device_type=LAMP)


def test_each_wrong_file_is_named(provisioned: Path) -> None:
    def error() -> str:
        with pytest.raises(AttestationError) as raised:
            FileCredentials(provisioned, vendor_id=VENDOR, product_id=PRODUCT, device_type=LAMP)
        return str(raised.value).removeprefix(f"{provisioned}/")

    good = {path.name: path.read_bytes() for path in provisioned.iterdir()}
    other = TestCredentials.create(VENDOR, PRODUCT, LAMP, CountingEntropy("other"))
    foreign = TestCredentials.create(VENDOR, 0x8009, LAMP, CountingEntropy("foreign"))
    for name, content, message in (
        ("dac.der", b"", "dac.der: 0 bytes"),
        ("pai.der", bytes(601), "pai.der: 601 bytes"),
        ("dac.der", b"rubbish", "dac.der: not an X.509"),
        ("pai.der", other.pai(), "dac.der: not issued by the PAI"),
        ("dac-key.pem", b"rubbish", "dac-key.pem: not an unencrypted private key"),
        ("dac-key.pem", pem(ec.generate_private_key(ec.SECP384R1())), "dac-key.pem: not a P-256 key"),
        ("dac-key.pem", pem(other._key._private_key), "dac-key.pem: not the key of the DAC"),
        ("cd.der", b"rubbish", "cd.der: is no certification declaration"),
        (
            "cd.der",
            development_declaration(0xFFF2, (PRODUCT,), LAMP),
            "cd.der: is of vendor FFF2, the device",
        ),
        ("cd.der", development_declaration(VENDOR, (0x8002,), LAMP), "cd.der: is of the products 8002, the device"),
        ("cd.der", development_declaration(VENDOR, (PRODUCT,), 0x050C), "cd.der: is of device type 0x050C"),
    ):
        provisioned.joinpath(name).write_bytes(content)
        assert error().startswith(message)
        provisioned.joinpath(name).write_bytes(good[name])
    provision(provisioned, foreign, pem(foreign._key._private_key))
    assert error() == "dac.der: attribute 1.3.6.1.4.1.37244.2.2 is 8009, the device says 8001"


# The certification declarations of the CHIP SDK's own tests, with what they say. Source:
# project-chip/connectedhomeip, src/credentials/tests/TestCertificationDeclaration.cpp, test vectors 1 and 2.
SDK_DECLARATION_1 = bytes.fromhex(
    "3081e806092a864886f70d010702a081da3081d7020103310d300b0609608648016503040201304506092a864886f70d010701a03804"
    "36152400012501f1ff360205008018250334122c04135a494732303134315a423333303030312d323424050024060025079426240800"
    "18317c307a020103801462fa823359acfaa9963e1cfa140addf504f37160300b0609608648016503040201300a06082a8648ce3d0403"
    "0204463044022043a63f2b943df33c38b3e02fcaa75fe3532aebbf5e63f5bbdbc0b1f01d3c4f6002204c1abf5f1807b81894b1576c47"
    "e4724e4d966c612ed3fa25c118c3f2b3f90369"
)
SDK_DECLARATION_2 = bytes.fromhex(
    "3081f506092a864886f70d010702a081e73081e4020103310d300b0609608648016503040201305006092a864886f70d010701a04304"
    "41152400012501f2ff360205018005028018250334122c04135a494732303134325a423333303030322d323424050024060025079426"
    "2408002509f1ff250a008018317e307c020103801462fa823359acfaa9963e1cfa140addf504f37160300b0609608648016503040201"
    "300a06082a8648ce3d04030204483046022100926296f7578158be7c459388336ca7383766c9eedd9855cbda6f4cf6bdf43211022100"
    "e0dbf4a2bcec4ea274baf0dea208b3365c6ed544086d101afdaf079a2c23e0de"
)


def test_the_sdk_s_declarations_say_what_they_say_there() -> None:
    assert read_declaration(SDK_DECLARATION_1) == Declaration(0xFFF1, (0x8000,), 0x1234, 0, None)
    assert read_declaration(SDK_DECLARATION_2) == Declaration(0xFFF2, (0x8001, 0x8002), 0x1234, 0, (0xFFF1, 0x8000))


def test_a_declaration_with_an_origin_wants_that_dac() -> None:
    declared = read_declaration(SDK_DECLARATION_2)
    declared.check(vendor_id=0xFFF2, product_id=0x8002, device_type=0x1234, dac=(0xFFF1, 0x8000))
    with pytest.raises(DeclarationError, match="wants a DAC of vendor FFF1, product 8000"):
        declared.check(vendor_id=0xFFF2, product_id=0x8002, device_type=0x1234, dac=(0xFFF2, 0x8002))


@pytest.mark.parametrize("cut", range(0, 120, 7))
def test_a_cut_declaration_is_refused(cut: int) -> None:
    with pytest.raises(DeclarationError):
        read_declaration(SDK_DECLARATION_1[:cut])
