"""How a node proves who made it: the credentials a commissioner asks for, and their source in a product."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from evse_pi.matter.identity.certification_declaration import DEVELOPMENT_AND_TEST, DeclarationError, read_declaration
from evse_pi.matter.identity.signing import OperationalKey

if TYPE_CHECKING:
    from pathlib import Path

    from cryptography.x509 import Certificate

MAX_CERTIFICATE_BYTES = 600  # of a DAC or PAI in DER, Matter core 11.18.5.2
MAX_DECLARATION_BYTES = 541  # what still fits an AttestationResponse of one message

VENDOR_ID_OID = "1.3.6.1.4.1.37244.2.1"
PRODUCT_ID_OID = "1.3.6.1.4.1.37244.2.2"


class AttestationError(ValueError):
    """The file `path` of the credentials is missing or does not fit the others: `problem` says how."""

    def __init__(self, path: Path, problem: str) -> None:
        super().__init__(f"{path}: {problem}")
        self.path = path
        self.problem = problem


class CredentialProvider(Protocol):
    """The device attestation credentials of one device. Source: Matter core 6.2."""

    def dac(self) -> bytes:
        """Return the device attestation certificate in DER."""

    def pai(self) -> bytes:
        """Return the product attestation intermediate certificate in DER."""

    def certification_declaration(self) -> bytes:
        """Return the CMS signed certification declaration."""

    def sign(self, data: bytes) -> bytes:
        """Return the raw 64-byte signature of `data` by the key of the DAC."""


class FileCredentials:
    """The credentials that a vendor provisions a device with, as four files of one folder.

    `dac.der`, `pai.der`, `cd.der` (the certification declaration) and `dac-key.pem`. Everything is checked when it is
    read: sizes, that the key belongs to the DAC, that the PAI issued the DAC, the vendor and product id, and that the
    declaration is this product's. Raises: AttestationError with the file and what is wrong with it.
    """

    def __init__(self, folder: Path, *, vendor_id: int, product_id: int, device_type: int) -> None:
        self._dac = _read(folder / "dac.der", MAX_CERTIFICATE_BYTES)
        self._pai = _read(folder / "pai.der", MAX_CERTIFICATE_BYTES)
        self._declaration = _read(folder / "cd.der", MAX_DECLARATION_BYTES)
        self._key = _read_key(folder / "dac-key.pem")
        device = _check_chain(folder, self._dac, self._pai, self._key)
        dac = _check_numbers(folder, *device, vendor_id, product_id)
        try:
            declared = read_declaration(self._declaration)
            declared.check(vendor_id=vendor_id, product_id=product_id, device_type=device_type, dac=dac)
        except DeclarationError as error:
            raise AttestationError(folder / "cd.der", str(error)) from error
        self.for_tests = declared.certification_type == DEVELOPMENT_AND_TEST

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


def _read(path: Path, longest: int) -> bytes:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise AttestationError(path, str(error.strerror)) from error
    if not 0 < len(content) <= longest:
        raise AttestationError(path, f"{len(content)} bytes, allowed are 1 to {longest}")
    return content


def _read_key(path: Path) -> OperationalKey:
    content = _read(path, 4096)
    try:
        key = load_pem_private_key(content, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise AttestationError(path, "not an unencrypted private key in PEM") from error
    if not isinstance(key, ec.EllipticCurvePrivateKey) or not isinstance(key.curve, ec.SECP256R1):
        raise AttestationError(path, "not a P-256 key")
    return OperationalKey(key)


def _check_chain(folder: Path, dac: bytes, pai: bytes, key: OperationalKey) -> tuple[Certificate, Certificate]:
    """Return the two certificates of a chain that fits the key. Raises: AttestationError."""
    device, intermediate = _parse(folder / "dac.der", dac), _parse(folder / "pai.der", pai)
    try:
        device.verify_directly_issued_by(intermediate)
    except (InvalidSignature, ValueError, TypeError) as error:
        raise AttestationError(folder / "dac.der", "not issued by the PAI") from error
    if key.public_key not in dac:
        raise AttestationError(folder / "dac-key.pem", "not the key of the DAC")
    return device, intermediate


def _check_numbers(
    folder: Path, device: Certificate, intermediate: Certificate, vendor_id: int, product_id: int
) -> tuple[int, int]:
    """Return vendor and product of the DAC, which are the device's, and the PAI's where it names them.

    Source: Matter core 6.2.3.1: the PAI must name the vendor and may name the product. Raises: AttestationError.
    """
    for certificate, name, oid, wanted, required in (
        (device, "dac.der", VENDOR_ID_OID, vendor_id, True),
        (device, "dac.der", PRODUCT_ID_OID, product_id, True),
        (intermediate, "pai.der", VENDOR_ID_OID, vendor_id, True),
        (intermediate, "pai.der", PRODUCT_ID_OID, product_id, False),
    ):
        found = _subject_number(certificate, oid)
        if found != f"{wanted:04X}" and (required or found is not None):
            raise AttestationError(folder / name, f"attribute {oid} is {found}, the device says {wanted:04X}")
    return vendor_id, product_id


def _parse(path: Path, content: bytes) -> Certificate:
    from cryptography.x509 import load_der_x509_certificate

    try:
        return load_der_x509_certificate(content)
    except ValueError as error:
        raise AttestationError(path, "not an X.509 certificate in DER") from error


def _subject_number(certificate: Certificate, oid: str) -> str | None:
    """Return the attribute `oid` of the subject, which older certificates put into the common name as `Mvid:FFF1`."""
    for attribute in certificate.subject:
        if attribute.oid.dotted_string == oid:
            return str(attribute.value)
    marker = "Mvid:" if oid == VENDOR_ID_OID else "Mpid:"
    for attribute in certificate.subject:
        _, found, rest = str(attribute.value).partition(marker)
        if found:
            return rest[:4]
    return None
