"""The form of a backup file: what a passphrase encrypts, and how a file that is not whole is told from a wrong one.

    evse-pi backup LF | form, log2 N, r, p: one octet each | salt: 16 | nonce: 12 | AES-256-GCM of the content | SHA-256

The key is scrypt of the passphrase (RFC 7914); all before the cipher text is authenticated with it. The check sum is no
secret and no proof: it only says whether the file came here whole.
"""

from __future__ import annotations

import hashlib
import os

from evse_pi.api.texts.catalogue import tr

MAGIC = b"evse-pi backup\n"
FORM = 1
LOG2_N, BLOCKS, LANES = 16, 8, 2
"""64 MiB, which a Pi Zero 2 W has. Source: OWASP password storage cheat sheet, the row N=2^16, r=8, p=2."""
HIGHEST = (17, 8, 4)
"""Of log2 N, r and p in a file: a stranger's file must not take the machine's memory. Units: 128 MiB."""
SALT_BYTES, NONCE_BYTES, KEY_BYTES, TAG_BYTES = 16, 12, 32, 16
SUM_BYTES = 32
HEADER_BYTES = len(MAGIC) + 4 + SALT_BYTES + NONCE_BYTES
SHORTEST_PASSPHRASE = 12
"""A stolen file is guessed at without end, so that an installer PIN would be none. Source: NIST SP 800-63B, 3.1.1."""


class BackupError(ValueError):
    """A backup cannot be made or used; the text says why."""


def check_passphrase(passphrase: str) -> None:
    """Find out whether `passphrase` may keep a backup. Raises: BackupError."""
    if len(passphrase) < SHORTEST_PASSPHRASE:
        raise BackupError(
            tr("a passphrase has at least {shortest_passphrase} characters; several words are best").format(
                shortest_passphrase=SHORTEST_PASSPHRASE
            )
        )


def encrypt(content: bytes, passphrase: str) -> bytes:
    """Return a backup file with `content`. Raises: BackupError for a passphrase that is too short."""
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    check_passphrase(passphrase)
    salt, nonce = os.urandom(SALT_BYTES), os.urandom(NONCE_BYTES)
    header = MAGIC + bytes((FORM, LOG2_N, BLOCKS, LANES)) + salt + nonce
    body = header + AESGCM(_key(passphrase, salt, (LOG2_N, BLOCKS, LANES))).encrypt(nonce, content, header)
    return body + hashlib.sha256(body).digest()


def decrypt(file: bytes, passphrase: str) -> bytes:
    """Return the content of a backup file. Raises: BackupError, which says what is wrong with it."""
    if not file.startswith(MAGIC):
        raise BackupError(tr("this is no backup of evse-pi"))
    if len(file) < HEADER_BYTES + TAG_BYTES + SUM_BYTES:
        raise BackupError(tr("the backup is cut off"))
    body, total = file[:-SUM_BYTES], file[-SUM_BYTES:]
    form, *cost = file[len(MAGIC) : len(MAGIC) + 4]
    if form > FORM:
        raise BackupError(
            tr("the backup has form {form}, of newer software; this one knows forms up to {form_2}").format(
                form=form, form_2=FORM
            )
        )
    if hashlib.sha256(body).digest() != total:
        raise BackupError(tr("the backup is damaged: its check sum does not fit, it was cut off or changed"))
    if form < 1 or not all(1 <= value <= most for value, most in zip(cost, HIGHEST, strict=True)):
        raise BackupError(
            tr("the backup names a form {form} or a cost {cost} that no backup has").format(form=form, cost=cost)
        )
    from cryptography.exceptions import InvalidTag
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    header, cipher_text = body[:HEADER_BYTES], body[HEADER_BYTES:]
    salt, nonce = header[-NONCE_BYTES - SALT_BYTES : -NONCE_BYTES], header[-NONCE_BYTES:]
    try:
        return AESGCM(_key(passphrase, salt, tuple(cost))).decrypt(nonce, cipher_text, header)
    except InvalidTag:
        raise BackupError(tr("the passphrase is wrong, or the backup was forged")) from None


def _key(passphrase: str, salt: bytes, cost: tuple[int, ...]) -> bytes:
    from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

    log2_n, blocks, lanes = cost
    derivation = Scrypt(salt=salt, length=KEY_BYTES, n=1 << log2_n, r=blocks, p=lanes)
    return derivation.derive(passphrase.encode("utf-8", "surrogatepass"))
