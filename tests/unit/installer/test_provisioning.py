"""A vendor's credentials: refused whole where anything does not fit, put in place whole where all does."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from evse_pi.installer.product import read_product
from evse_pi.installer.provisioning import provision
from evse_pi.matter.identity.attestation import FileCredentials
from evse_pi.matter.identity.test_credentials import TestCredentials, development_declaration
from tests.support.matter_authority import CountingEntropy

if TYPE_CHECKING:
    from pathlib import Path

    from evse_pi.matter.clusters.basic_information import Product

VENDOR, PRODUCT, EVSE = 0xFFF1, 0x8001, 0x050C
NAMES = {"vendor_id": VENDOR, "product_id": PRODUCT, "vendor_name": "Volt & Söhne", "product_name": 'Box "1"'}


@cache  # a signature is another one each time
def credentials(seed: str = "one") -> dict[str, bytes]:
    made = TestCredentials.create(VENDOR, PRODUCT, EVSE, CountingEntropy(seed))
    key = made._key._private_key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return {"dac": made.dac(), "pai": made.pai(), "declaration": made.certification_declaration(), "key": key}


def read(state_dir: Path) -> tuple[Product, FileCredentials]:
    folder = state_dir / "attestation"
    product = read_product(folder, "1.0.0")
    return product, FileCredentials(folder, vendor_id=VENDOR, product_id=PRODUCT, device_type=product.device_type)


def test_what_fits_is_put_in_place_for_its_owner_alone(tmp_path: Path) -> None:
    assert provision(tmp_path, credentials(), NAMES) is True
    product, files = read(tmp_path)
    assert (product.vendor_name, product.product_name) == ("Volt & Söhne", 'Box "1"')
    assert files.dac() == credentials()["dac"]
    assert {path.stat().st_mode & 0o777 for path in (tmp_path / "attestation").iterdir()} == {0o600}
    assert (tmp_path / "attestation").stat().st_mode & 0o777 == 0o700


def test_the_former_ones_stay_beside_the_new_ones(tmp_path: Path) -> None:
    provision(tmp_path, credentials("one"), NAMES)
    provision(tmp_path, credentials("two"), NAMES)
    provision(tmp_path, credentials("three"), NAMES)
    assert read(tmp_path)[1].dac() == credentials("three")["dac"]
    assert (tmp_path / "attestation.former/dac.der").read_bytes() == credentials("two")["dac"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["attestation", "attestation.former"]


@pytest.mark.parametrize(
    ("changed", "names", "told"),
    [
        ({"pai": credentials("other")["pai"]}, {}, "not issued by the PAI"),
        ({"key": credentials("other")["key"]}, {}, "not the key of the DAC"),
        ({"declaration": development_declaration(VENDOR, (0x8002,), EVSE)}, {}, "is of the products 8002"),
        ({"declaration": development_declaration(0xFFF2, (PRODUCT,), EVSE)}, {}, "is of vendor FFF2"),
        ({"declaration": development_declaration(VENDOR, (PRODUCT,), 0x0100)}, {}, "is of device type 0x0100"),
        ({"dac": b"rubbish"}, {}, "not an X.509 certificate"),
        ({}, {"vendor_id": 0x1234}, "is FFF1, the device says 1234"),
        ({}, {"product_id": 0x8002}, "is 8001, the device says 8002"),
        ({}, {"vendor_name": "V" * 33}, "vendor_name"),
    ],
)
def test_what_does_not_fit_changes_nothing(
    tmp_path: Path, changed: dict[str, bytes], names: dict[Any, Any], told: str
) -> None:
    provision(tmp_path, credentials(), NAMES)
    before = {path: path.read_bytes() for path in (tmp_path / "attestation").iterdir()}
    with pytest.raises(ValueError, match=told):
        provision(tmp_path, credentials() | changed, NAMES | names)
    assert {path: path.read_bytes() for path in (tmp_path / "attestation").iterdir()} == before
    assert [path.name for path in tmp_path.iterdir()] == ["attestation"]


def test_a_cut_at_any_step_leaves_the_former_or_the_new_ones(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No moment is without a folder, in which the node would fall back to test credentials and be another device."""
    from evse_pi.installer import provisioning as module

    provision(tmp_path, credentials("one"), NAMES)
    for step in ("_write", "_give_to_owner", "exchange"):
        monkeypatch.setattr(module, step, lambda *_: (_ for _ in ()).throw(OSError("the power is gone")))
        with pytest.raises(OSError, match="power"):
            provision(tmp_path, credentials("two"), NAMES)
        monkeypatch.undo()
        assert read(tmp_path)[1].dac() == credentials("one")["dac"]
