"""The record of what installers changed: one line a change, each bound to the one before it.

A line is JSON with the SHA-256 of the line before it and of itself. A changed, removed or inserted line breaks the
chain. Lines cut off at the end are seen by the mark of the newest line, which stands sealed in the installer's file.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from evse_pi.api.texts.catalogue import tr
from evse_pi.installer.audit_entries import AuditEntry, AuditTime, entry_of, line_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

    from evse_pi.charging.clock import Clock
    from evse_pi.installer.audit_entries import Author, Change

AUDIT_FILE = "audit.log"
AUDIT_MODE = 0o644  # every user may read what was changed and by whom
TAIL_BYTES = 1 << 14  # several entries: each has a few texts of at most 200 characters
FIRST = "0" * 64


@dataclass(frozen=True, slots=True)
class AuditRef:
    """Names one line of the chain."""

    number: int
    digest: str

    def __str__(self) -> str:
        return f"audit {self.number} {self.digest}"

    @classmethod
    def of(cls, text: str) -> AuditRef | None:
        """Return the mark that a comment of the installer's file is, None for any other."""
        words = text.split()
        if len(words) != 3 or words[0] != "audit" or not words[1].isdecimal():
            return None
        return cls(int(words[1]), words[2])


@dataclass(frozen=True, slots=True)
class AuditLog:
    """What the file holds: the entries that can be read, in order, and every reason not to trust it."""

    entries: tuple[AuditEntry, ...]
    problems: tuple[str, ...]

    @property
    def intact(self) -> bool:
        """Nothing speaks against it."""
        return not self.problems

    @property
    def newest(self) -> AuditRef | None:
        """The last entry."""
        return AuditRef(self.entries[-1].number, self.entries[-1].digest) if self.entries else None

    def state(self) -> str:
        """Return in one line how much the record is worth."""
        number = len(self.entries)
        count = tr("1 entry") if number == 1 else tr("{number} entries").format(number=number)
        return (
            tr("{count}, chain intact").format(count=count)
            if self.intact
            else tr("{count}, CHAIN BROKEN: {names}").format(count=count, names="; ".join(self.problems))
        )


def read_trail(path: Path, marks: Iterable[AuditRef] = ()) -> AuditLog:
    """Return the record, compared with the `marks` that the installer's files carry. Raises: OSError."""
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        content = b""
    problems: list[str] = []
    entries = tuple(_checked(content, problems))
    known = {AuditRef(entry.number, entry.digest) for entry in entries}
    missing = sorted({mark.number for mark in marks if mark not in known})
    problems += [
        tr("entry {number}, named in an installer's file, is missing").format(number=number) for number in missing
    ]
    return AuditLog(entries, tuple(problems))


def append(path: Path, clock: Clock, author: Author, change: Change) -> AuditRef:
    """Add one entry, durable on return, and return its mark.

    A clock that cannot be trusted is written as no time, with the machine's life and its age instead.
    Raises: OSError.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW, AUDIT_MODE)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        size = os.fstat(descriptor).st_size
        former = _newest_in(os.pread(descriptor, TAIL_BYTES, max(size - TAIL_BYTES, 0)))
        if former is None:
            former = read_trail(path).newest or AuditRef(0, FIRST)
        entry = AuditEntry(former.number + 1, AuditTime.now(clock), author, change, former.digest, "")
        entry = replace(entry, digest=_digest(line_of(entry)))
        torn = size > 0 and os.pread(descriptor, 1, size - 1) != b"\n"
        line = (b"\n" if torn else b"") + json.dumps(entry.fields()).encode() + b"\n"
        if os.write(descriptor, line) != len(line):
            raise OSError(tr("{path}: the disk took only a part of the entry").format(path=path))
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    return AuditRef(entry.number, entry.digest)


def _newest_in(tail: bytes) -> AuditRef | None:
    """Return the last entry that can be read in the end of the file, so that no append reads all that came before."""
    for line in reversed(tail.splitlines()):
        with suppress(ValueError, KeyError, TypeError, AttributeError):
            entry = json.loads(line)
            return AuditRef(int(entry["number"]), str(entry["digest"]))
    return None


def _checked(content: bytes, problems: list[str]) -> Iterator[AuditEntry]:
    former = AuditRef(0, FIRST)
    for number, text in enumerate(content.splitlines(), 1):
        try:
            line = json.loads(text)
            entry = entry_of(line)
        except (ValueError, RecursionError):
            problems.append(tr("line {number} is torn or no entry").format(number=number))
            continue
        if entry.digest != _digest({name: value for name, value in line.items() if name != "digest"}):
            problems.append(tr("line {number} was changed").format(number=number))
        elif (entry.number, entry.former) != (former.number + 1, former.digest):
            problems.append(tr("line {number} does not follow the one before it").format(number=number))
        former = AuditRef(entry.number, entry.digest)
        yield entry
    if content and not content.endswith(b"\n"):
        problems.append(tr("the last line is torn"))


def _digest(entry: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(entry, sort_keys=True).encode()).hexdigest()
