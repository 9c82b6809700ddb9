"""The seal of what the installer set: a keyed checksum on the file's last line.

It shows a torn write, a stray edit, a file of another box, and a change by a user who may write the file but not read
the key. It does not hold against root, who may read the key and seal again, nor against a person with the memory card.
"""

from __future__ import annotations

import os

# Not by hashlib and hmac: these map OpenSSL's libcrypto, 3 MB that the safety process would lock in memory for this.
from _blake2 import blake2s
from _operator import _compare_digest as compare_digest
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

KEY_FILE = "seal.key"
KEY_BYTES = 32
_MARK = b"# seal blake2s "


class SealError(ValueError):
    """The seal is missing, broken or cannot be checked; the text says which."""


def read_key(folder: Path) -> bytes | None:
    """Return the key beside the files of `folder`, None when there never was a setup. Raises: OSError, SealError."""
    try:
        key = (folder / KEY_FILE).read_bytes()
    except FileNotFoundError:
        return None
    if len(key) != KEY_BYTES:
        raise SealError(f"{folder / KEY_FILE}: {len(key)} bytes; a key has {KEY_BYTES}")
    return key


def make_key(folder: Path, reader_uid: int | None = None) -> bytes:
    """Return the key of `folder`, made when there is none; only its owner, `reader_uid` where given, may read it.

    Raises: OSError, SealError.
    """
    key = read_key(folder)
    if key is not None:
        return key
    key, path = os.urandom(KEY_BYTES), folder / KEY_FILE
    temporary = path.with_name(f".{KEY_FILE}.{os.getpid()}")
    temporary.unlink(missing_ok=True)
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o400)
    try:
        os.write(descriptor, key)
        if reader_uid is not None:
            os.fchown(descriptor, reader_uid, -1)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    temporary.replace(path)
    return key


def sealed(content: bytes, key: bytes | None) -> bytes:
    """Return `content` with its seal below; without a key as it is."""
    return content if key is None else content + _MARK + _digest(content, key) + b"\n"


def check_seal(content: bytes, key: bytes | None) -> None:
    """Find out whether `content` is as it was sealed; without key and seal there is nothing to find out.

    Raises: SealError.
    """
    body, mark, digest = content.rpartition(_MARK)
    if key is None:
        if mark:
            raise SealError(f"the file is sealed and {KEY_FILE} is missing; run: evse-pi setup")
        return
    if not mark:
        raise SealError("the seal is missing: the file is torn, or was written by another program; run: evse-pi setup")
    if not compare_digest(digest, _digest(body, key) + b"\n"):
        raise SealError("the seal is broken: the file was changed after it was sealed; run: evse-pi setup")


def _digest(content: bytes, key: bytes) -> bytes:
    """Return the keyed digest as text; BLAKE2 with a key is a MAC by itself. Source: RFC 7693, section 2.9."""
    return blake2s(content, key=key).hexdigest().encode()
