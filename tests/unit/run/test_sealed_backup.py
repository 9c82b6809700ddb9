"""A backup file is opened by its passphrase whole, and whatever else it is, it is refused by name."""

from __future__ import annotations

import hashlib

import pytest

from evse_pi.run import sealed_backup as module
from evse_pi.run.sealed_backup import HEADER_BYTES, MAGIC, SUM_BYTES, BackupError, decrypt, encrypt

PASSPHRASE = "correct horse battery staple"
CONTENT = b"what the installer set"


@pytest.fixture(scope="module")
def file() -> bytes:
    return encrypt(CONTENT, PASSPHRASE)


@pytest.fixture
def cheap(monkeypatch: pytest.MonkeyPatch) -> bytes:
    """A file whose key costs next to nothing: what is tried of every octet is tried some hundred times."""
    monkeypatch.setattr(module, "LOG2_N", 1)
    monkeypatch.setattr(module, "BLOCKS", 1)
    monkeypatch.setattr(module, "LANES", 1)
    return encrypt(CONTENT, PASSPHRASE)


def with_sum(body: bytes) -> bytes:
    return body + hashlib.sha256(body).digest()


def test_what_was_encrypted_comes_back_and_nothing_of_it_can_be_read(file: bytes) -> None:
    assert decrypt(file, PASSPHRASE) == CONTENT
    assert CONTENT[:8] not in file
    assert encrypt(CONTENT, PASSPHRASE) != file  # salt and nonce are drawn each time


def test_the_key_costs_what_owasp_asks_for_and_fits_into_the_smallest_machine(file: bytes) -> None:
    """OWASP password storage cheat sheet, scrypt: N=2^16 (64 MiB), r=8, p=2; a Pi Zero 2 W has 512 MB."""
    assert tuple(file[len(MAGIC) : len(MAGIC) + 4]) == (1, 16, 8, 2)
    assert 128 * 2**16 * 8 == 64 << 20  # memory of scrypt, RFC 7914, section 2


def test_every_changed_octet_is_refused(cheap: bytes) -> None:
    for position in range(len(cheap)):
        broken = bytearray(cheap)
        broken[position] ^= 0x01
        with pytest.raises(BackupError, match=r"no backup|newer software|check sum does not fit"):
            decrypt(bytes(broken), PASSPHRASE)


def test_every_changed_octet_is_refused_though_its_check_sum_fits(cheap: bytes) -> None:
    """Who changes it on purpose makes the sum fit; header and content are authenticated by the passphrase's key."""
    for position in range(len(MAGIC), len(cheap) - SUM_BYTES):
        broken = bytearray(cheap[:-SUM_BYTES])
        broken[position] ^= 0x01
        with pytest.raises(BackupError, match=r"passphrase is wrong|that no backup has|newer software"):
            decrypt(with_sum(bytes(broken)), PASSPHRASE)


def test_every_shorter_file_is_refused(cheap: bytes) -> None:
    for length in range(len(cheap)):
        with pytest.raises(BackupError, match=r"no backup|cut off"):
            decrypt(cheap[:length], PASSPHRASE)


def test_another_passphrase_is_told_as_such(file: bytes) -> None:
    with pytest.raises(BackupError, match="the passphrase is wrong"):
        decrypt(file, PASSPHRASE + " ")


def test_a_file_of_newer_software_is_told_as_such(file: bytes) -> None:
    newer = bytearray(file[:-SUM_BYTES])
    newer[len(MAGIC)] = 2
    with pytest.raises(BackupError, match="form 2, of newer software; this one knows forms up to 1"):
        decrypt(with_sum(bytes(newer)), PASSPHRASE)


@pytest.mark.parametrize("cost", [(18, 8, 1), (16, 9, 1), (16, 8, 5), (0, 8, 1), (255, 255, 255)])
def test_a_file_cannot_ask_for_more_memory_than_a_machine_has(file: bytes, cost: tuple[int, int, int]) -> None:
    greedy = bytearray(file[:-SUM_BYTES])
    greedy[len(MAGIC) + 1 : len(MAGIC) + 4] = bytes(cost)
    with pytest.raises(BackupError, match=r"a cost .* that no backup has"):
        decrypt(with_sum(bytes(greedy)), PASSPHRASE)


def test_a_passphrase_that_can_be_guessed_is_refused() -> None:
    with pytest.raises(BackupError, match="at least 12 characters"):
        encrypt(CONTENT, "480213")


def test_the_form_is_the_documented_one(file: bytes) -> None:
    """By the standard library's own scrypt, and the cipher's definition: NIST SP 800-38D has a tag of 16 octets."""
    assert len(file) == HEADER_BYTES + len(CONTENT) + 16 + SUM_BYTES
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    header = file[:HEADER_BYTES]
    salt, nonce = header[-28:-12], header[-12:]
    key = hashlib.scrypt(PASSPHRASE.encode(), salt=salt, n=1 << 16, r=8, p=2, dklen=32, maxmem=256 << 20)
    assert AESGCM(key).decrypt(nonce, file[HEADER_BYTES:-SUM_BYTES], header) == CONTENT
