"""`evse-pi provision`: what does not fit is told by the file that a person gave."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from evse_pi.api.client import BoxError
from evse_pi.cli.provision import command
from evse_pi.matter.identity.test_credentials import TestCredentials
from evse_pi.paths import Paths
from tests.support.matter_authority import CountingEntropy

if TYPE_CHECKING:
    from pathlib import Path

VENDOR, PRODUCT, EVSE = 0xFFF1, 0x8001, 0x050C


@pytest.mark.parametrize(
    ("name", "content", "problem"),
    [
        ("dac", b"rubbish", "not an X.509 certificate in DER"),
        ("pai", b"", "0 bytes, allowed are 1 to 600"),
        ("key", b"rubbish", "not an unencrypted private key in PEM"),
    ],
)
def test_a_file_that_does_not_fit_is_told_by_the_name_it_was_given_by(
    tmp_path: Path, name: str, content: bytes, problem: str
) -> None:
    made = TestCredentials.create(VENDOR, PRODUCT, EVSE, CountingEntropy("one"))
    key = made._key._private_key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    contents = {"dac": made.dac(), "pai": made.pai(), "declaration": made.certification_declaration(), "key": key}
    given = {each: tmp_path / f"from the vendor {each}" for each in contents}
    for each, path in given.items():
        path.write_bytes(content if each == name else contents[each])
    arguments = [part for each, path in given.items() for part in (f"--{each}", str(path))]
    arguments += ["--vendor-id", "0xFFF1", "--product-id", "0x8001", "--vendor-name", "V", "--product-name", "P"]
    state_dir = tmp_path / "state"
    state_dir.mkdir()
    box = Paths(state_dir, tmp_path / "run")
    with pytest.raises(BoxError) as raised:
        CliRunner().invoke(command, arguments, obj=box, catch_exceptions=False)
    assert str(raised.value) == f"{given[name]}: {problem}"
    assert list(state_dir.iterdir()) == []
