from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given
from hypothesis import strategies as st

from evse_pi.matter.identity import der
from evse_pi.matter.identity.certificate import (
    BasicConstraints,
    CertificateError,
    ExtensionTag,
    KeyUsage,
    MatterCertificate,
    Name,
    NameTag,
    verify_chain,
    verify_root,
)
from evse_pi.matter.identity.signing import OperationalKey
from evse_pi.matter.wire import tlv
from evse_pi.matter.wire.status_code import DecodeError
from tests.support.matter_authority import CA_USAGE, Authority, CountingEntropy, encode_certificate, signed

NODE_KEY = OperationalKey.generate(CountingEntropy("node"))
PLAIN = Authority()
WITH_ICAC = Authority(with_icac=True)


def chain_of(authority: Authority, **changes: Any) -> tuple[MatterCertificate, MatterCertificate | None]:
    return authority.make_noc(0x1234, NODE_KEY.public_key, **changes), authority.icac_certificate


def full_certificate(certificate: MatterCertificate) -> bytes:
    signature = certificate.signature
    r, s = int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:], "big")
    return der.sequence(
        certificate.to_der_tbs(),
        der.ECDSA_WITH_SHA256,
        der.bit_string(der.sequence(der.integer(r), der.integer(s))),
    )


@pytest.mark.parametrize("authority", [PLAIN, WITH_ICAC], ids=["root signs", "ICAC signs"])
def test_a_regular_chain_is_accepted(authority: Authority) -> None:
    noc, icac = chain_of(authority)
    verify_chain(noc, icac, authority.root_certificate, now_epoch_s=800_000_000)


@pytest.mark.parametrize("authority", [PLAIN, WITH_ICAC], ids=["root signs", "ICAC signs"])
def test_decode_gives_back_what_was_encoded(authority: Authority) -> None:
    noc = authority.make_noc(0x1234, NODE_KEY.public_key, tags=(0x00010001, 0xABCD0002))
    for certificate in (noc, authority.root_certificate, authority.make_icac()):
        assert MatterCertificate.decode(encode_certificate(certificate)) == certificate
    assert noc.node_id == 0x1234
    assert noc.fabric_id == authority.fabric_id
    assert noc.case_authenticated_tags == (0x00010001, 0xABCD0002)
    assert authority.root_certificate.rcac_id == 0xCACACACA00000001


def test_an_independent_x509_reader_agrees_with_every_field_and_signature() -> None:
    noc, icac = chain_of(WITH_ICAC, not_before=700_000_000, not_after=1_700_000_000)
    assert icac is not None
    root = x509.load_der_x509_certificate(full_certificate(WITH_ICAC.root_certificate))
    intermediate = x509.load_der_x509_certificate(full_certificate(icac))
    leaf = x509.load_der_x509_certificate(full_certificate(noc))
    root.verify_directly_issued_by(root)
    intermediate.verify_directly_issued_by(root)
    leaf.verify_directly_issued_by(intermediate)
    assert leaf.subject.rfc4514_string() == (
        "1.3.6.1.4.1.37244.1.5=000000000000FAB1,1.3.6.1.4.1.37244.1.1=0000000000001234"
    )
    usage = leaf.extensions.get_extension_for_class(x509.KeyUsage)
    assert usage.critical
    assert usage.value.digital_signature
    assert not usage.value.key_cert_sign
    purposes = leaf.extensions.get_extension_for_class(x509.ExtendedKeyUsage)
    assert [oid.dotted_string for oid in purposes.value] == ["1.3.6.1.5.5.7.3.2", "1.3.6.1.5.5.7.3.1"]
    assert intermediate.extensions.get_extension_for_class(x509.BasicConstraints).value.path_length == 0
    assert leaf.not_valid_before_utc.isoformat() == "2022-03-07T20:26:40+00:00"
    assert leaf.not_valid_after_utc.isoformat() == "2053-11-13T22:13:20+00:00"
    key = leaf.public_key()
    assert isinstance(key, ec.EllipticCurvePublicKey)


def test_serial_number_zero_is_kept() -> None:
    root = PLAIN.make_root(serial=b"\x00")
    verify_root(root)
    assert der.sequence(der.explicit(0, der.integer(2)), b"\x02\x01\x00")[2:] in root.to_der_tbs()


def test_a_certificate_without_end_is_valid_far_in_the_future() -> None:
    noc, _ = chain_of(PLAIN)
    verify_chain(noc, None, PLAIN.root_certificate, now_epoch_s=2**32 - 1)
    assert b"99991231235959Z" in noc.to_der_tbs()


def test_a_beginning_of_zero_is_written_as_the_chip_sdk_and_matter_js_write_it() -> None:
    root = PLAIN.make_root(not_before=0, not_after=5)
    validity = bytes.fromhex("180f") + b"99991231235959Z" + bytes.fromhex("170d") + b"000101000005Z"
    assert der.sequence(validity) in root.to_der_tbs()


@pytest.mark.parametrize(("now", "message"), [(99, "NOC is not valid before 100"), (201, "NOC expired at 200")])
def test_validity_is_checked_only_with_a_trusted_clock(now: int, message: str) -> None:
    noc, _ = chain_of(PLAIN, not_before=100, not_after=200)
    verify_chain(noc, None, PLAIN.root_certificate, now_epoch_s=None)
    verify_chain(noc, None, PLAIN.root_certificate, now_epoch_s=200)
    with pytest.raises(CertificateError, match=message):
        verify_chain(noc, None, PLAIN.root_certificate, now_epoch_s=now)


def subject(*extra: tuple[int, str | int], node_id: int = 0x1234, fabric_id: int = PLAIN.fabric_id) -> Name:
    return Name(((NameTag.NODE_ID, node_id), (NameTag.FABRIC_ID, fabric_id), *extra))


CAT = NameTag.CASE_AUTHENTICATED_TAG
BROKEN_NOCS: dict[str, dict[str, Any]] = {
    "no CA": {"constraints": BasicConstraints(is_ca=True)},
    "digital signatures": {"usage": CA_USAGE},
    "client and server": {"purposes": (1,)},
    "one operational node-id": {"subject": subject(node_id=0xFFFF_FFFD_0001_0001)},
    "exactly one operational node-id": {"subject": subject((NameTag.NODE_ID, 7))},
    "exactly one fabric-id that is not 0": {"subject": subject(fabric_id=0)},
    "exactly one fabric-id": {"subject": Name(((NameTag.NODE_ID, 1),))},
    "must not have RCAC_ID": {"subject": subject((NameTag.RCAC_ID, 1))},
    "must not have ICAC_ID": {"subject": subject((NameTag.ICAC_ID, 1))},
    "must not have FIRMWARE_SIGNING_ID": {"subject": subject((NameTag.FIRMWARE_SIGNING_ID, 1))},
    "at most 3": {"subject": subject(*((CAT, n << 16 | 1) for n in range(1, 5)))},
    "version 0": {"subject": subject((CAT, 0x00010000))},
    "same identifier": {"subject": subject((CAT, 0x00010001), (CAT, 0x00010002))},
    "NOC issuer is not": {"issuer": Name(((NameTag.RCAC_ID, 5),))},
    "NOC authority key id": {"issuer_public_key": NODE_KEY.public_key},
}


@pytest.mark.parametrize("message", BROKEN_NOCS)
def test_each_rule_of_a_noc_is_named_when_it_is_broken(message: str) -> None:
    noc, _ = chain_of(PLAIN, **BROKEN_NOCS[message])
    with pytest.raises(CertificateError, match=message):
        verify_chain(noc, None, PLAIN.root_certificate, None)


BROKEN_ROOTS: dict[str, dict[str, Any]] = {
    "must be a CA": {"constraints": BasicConstraints(is_ca=False)},
    "path length 2": {"constraints": BasicConstraints(is_ca=True, path_length=2)},
    "key usage": {"usage": KeyUsage.KEY_CERT_SIGN},
    "exactly one rcac-id": {"subject": Name(((1, "root"),)), "issuer": Name(((1, "root"),))},
    "must not have NODE_ID": {"subject": Name(((NameTag.RCAC_ID, 1), (NameTag.NODE_ID, 1)))},
    "must not have ICAC_ID": {"subject": Name(((NameTag.RCAC_ID, 1), (NameTag.ICAC_ID, 1)))},
    "must not have CASE": {"subject": Name(((NameTag.RCAC_ID, 1), (CAT, 0x10001)))},
    "more than one fabric-id": {"subject": Name(((NameTag.RCAC_ID, 1), *((NameTag.FABRIC_ID, n) for n in (1, 2))))},
    "RCAC issuer": {"issuer": Name(((NameTag.RCAC_ID, 2),))},
    "authority key id": {"issuer_public_key": NODE_KEY.public_key},
    "signature": {"public_key": NODE_KEY.public_key, "issuer_public_key": NODE_KEY.public_key},
    "not on the curve": {"public_key": b"\x04" + bytes(64), "issuer_public_key": b"\x04" + bytes(64)},
    "the curve": {"public_key": b"\x05" + bytes(64), "issuer_public_key": b"\x05" + bytes(64)},
}


@pytest.mark.parametrize("message", BROKEN_ROOTS)
def test_each_rule_of_a_root_is_named_when_it_is_broken(message: str) -> None:
    with pytest.raises(CertificateError, match=message):
        verify_root(PLAIN.make_root(**BROKEN_ROOTS[message]))


BROKEN_ICACS: dict[str, dict[str, Any]] = {
    "ICAC must be a CA": {"constraints": BasicConstraints(is_ca=False)},
    "path length 1": {"constraints": BasicConstraints(is_ca=True, path_length=1)},
    "key usage": {"usage": KeyUsage.DIGITAL_SIGNATURE},
    "exactly one icac-id": {"subject": Name(((1, "ca"),))},
    "must not have RCAC_ID": {"subject": Name(((NameTag.ICAC_ID, 1), (NameTag.RCAC_ID, 1)))},
    "self-signed": {"issuer": WITH_ICAC.icac_name},
    "ICAC issuer": {"issuer": Name(((NameTag.RCAC_ID, 2),))},
    "signature": {"serial": b"\x01"},
}


@pytest.mark.parametrize("message", BROKEN_ICACS)
def test_each_rule_of_an_icac_is_named_when_it_is_broken(message: str) -> None:
    noc, _ = chain_of(WITH_ICAC)
    icac = WITH_ICAC.make_icac(**BROKEN_ICACS[message])
    if message == "signature":
        icac = replace(icac, signature=bytes(64))
    with pytest.raises(CertificateError, match=message):
        verify_chain(noc, icac, WITH_ICAC.root_certificate, None)


def test_an_authority_of_another_fabric_is_refused() -> None:
    name = Name(((NameTag.RCAC_ID, 1), (NameTag.FABRIC_ID, 0xBAD)))
    root = PLAIN.make_root(subject=name, issuer=name)
    noc, _ = chain_of(PLAIN, issuer=name)
    with pytest.raises(CertificateError, match="RCAC belongs to another fabric"):
        verify_chain(noc, None, root, None)


def test_a_changed_certificate_no_longer_has_a_valid_signature() -> None:
    noc, _ = chain_of(PLAIN)
    with pytest.raises(CertificateError, match="NOC signature"):
        verify_chain(replace(noc, not_before=5), None, PLAIN.root_certificate, None)


def test_all_standard_name_attributes_and_string_types_reach_the_x509_form() -> None:
    attributes = [(tag, f"v{tag}") for tag in range(1, 17)] + [(0x80 | tag, f"p{tag}") for tag in range(1, 16)]
    for start in range(0, len(attributes), 4):
        name = Name((*attributes[start : start + 4], (NameTag.RCAC_ID, 1)))
        certificate = PLAIN.make_root(subject=name, issuer=name)
        verify_root(certificate)
        assert MatterCertificate.decode(encode_certificate(certificate)) == certificate
        parsed = x509.load_der_x509_certificate(full_certificate(certificate))
        assert [one.value for one in parsed.subject] == [value for _, value in attributes[start : start + 4]] + [
            "0000000000000001"
        ]


def test_a_future_extension_is_carried_over_unchanged() -> None:
    extra = der.extension("1.3.6.1.4.1.99999.1", der.octet_string(b"x"), critical=False)
    root = PLAIN.make_root()
    extended = signed(replace(root, extensions=(*root.extensions, (ExtensionTag.FUTURE, extra))), PLAIN.root_key)
    verify_root(MatterCertificate.decode(encode_certificate(extended)))
    assert extra in extended.to_der_tbs()


def structure(**changes: Any) -> bytes:
    fields = tlv.decode(PLAIN.root)
    for tag, value in changes.items():
        fields[int(tag[1:])] = value
    return tlv.encode({tag: value for tag, value in fields.items() if value is not None})


MALFORMED = {
    "at most 400": structure(_12=bytes(400)),
    "not a TLV structure": tlv.encode([tlv.uint(1)]),
    "signature algorithm": structure(_2=tlv.uint(2)),
    "public key algorithm": structure(_7=None),
    "curve": structure(_8=tlv.uint(9)),
    "serial number": structure(_1=b""),
    "serial number must": structure(_1=bytes(21)),
    "issuer must be a TLV list": structure(_3=[]),
    "not-before": structure(_4="yesterday"),
    "not-after": structure(_5=tlv.uint(1 << 32)),
    "0 attributes": structure(_6=tlv.TLVList([])),
    "6 attributes": structure(_6=tlv.TLVList([(1, "a")] * 6)),
    "unknown attribute 23": structure(_6=tlv.TLVList([(23, "a")])),
    "unknown attribute 144": structure(_6=tlv.TLVList([(0x90, "a")])),
    "unknown attribute None": structure(_6=tlv.TLVList([(None, "a")])),
    "must be text": structure(_6=tlv.TLVList([(1, tlv.uint(1))])),
    "64 bits": structure(_6=tlv.TLVList([(NameTag.RCAC_ID, "CACA")])),
    "32 bits": structure(_6=tlv.TLVList([(CAT, tlv.uint(1 << 32))])),
    "public key must": structure(_9=bytes(64)),
    "extensions must": structure(_10=None),
    "stands twice": structure(_10=tlv.TLVList([(2, tlv.uint(1)), (2, tlv.uint(1))])),
    "extension 7": structure(_10=tlv.TLVList([(7, b"")])),
    "extension 1": structure(_10=tlv.TLVList([(1, {2: tlv.uint(1)})])),
    "path length": structure(_10=tlv.TLVList([(1, {1: True, 2: tlv.uint(256)})])),
    "key usage": structure(_10=tlv.TLVList([(2, b"")])),
    "unknown purpose": structure(_10=tlv.TLVList([(3, [tlv.uint(7)])])),
    "extension 4": structure(_10=tlv.TLVList([(4, bytes(19))])),
    "signature must": structure(_11=bytes(63)),
}


@pytest.mark.parametrize("message", MALFORMED)
def test_malformed_certificates_are_decode_errors_that_name_the_field(message: str) -> None:
    with pytest.raises(DecodeError, match=message):
        MatterCertificate.decode(MALFORMED[message])


@given(st.binary(max_size=420))
def test_random_bytes_are_a_certificate_or_a_decode_error(encoded: bytes) -> None:
    with suppress(DecodeError):
        MatterCertificate.decode(encoded)


@given(st.integers(0, len(WITH_ICAC.root) - 1), st.integers(0, 255))
def test_a_mutated_certificate_verifies_only_if_it_still_says_the_same(position: int, value: int) -> None:
    mutated = bytearray(WITH_ICAC.root)
    mutated[position] = value
    try:
        certificate = MatterCertificate.decode(bytes(mutated))
        verify_root(certificate)
    except (DecodeError, CertificateError):
        return
    assert certificate == WITH_ICAC.root_certificate


def test_named_bits_leave_out_trailing_zeros() -> None:
    assert der.named_bits(0x0001) == bytes.fromhex("03020780")
    assert der.named_bits(0x0060) == bytes.fromhex("03020106")
    assert der.named_bits(0x0100) == bytes.fromhex("0303070080")
    assert der.named_bits(0) == bytes.fromhex("030100")


def test_long_contents_get_long_lengths() -> None:
    assert der.octet_string(bytes(127))[:2] == bytes.fromhex("047f")
    assert der.octet_string(bytes(128))[:3] == bytes.fromhex("048180")
    assert der.octet_string(bytes(300))[:4] == bytes.fromhex("0482012c")


def test_certificate_signing_request_is_signed_by_the_key_it_names() -> None:
    request = x509.load_der_x509_csr(NODE_KEY.certificate_signing_request())
    assert request.is_signature_valid
    assert isinstance(request.signature_hash_algorithm, hashes.SHA256)


def test_keys_survive_storage_and_never_show_their_secret() -> None:
    again = OperationalKey.from_scalar(NODE_KEY.to_scalar())
    assert again.public_key == NODE_KEY.public_key
    assert NODE_KEY.to_scalar().hex() not in repr(NODE_KEY)
