"""One archive to attach to a ticket, and what is in it."""

from __future__ import annotations

import io
import json
import tarfile
import textwrap
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from evse_pi.diagnostics.redaction import redacted, redacted_text

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

MAX_LOG_LINES = 2_000
WIDTH = 80
FOLDER = "evse-pi-report"


@dataclass(frozen=True, slots=True)
class Part:
    """One file of the archive and one line about it."""

    name: str
    about: str
    content: bytes


def data_part(name: str, about: str, value: Any, names: tuple[str, ...] = ()) -> Part:
    """Return `value` as a file of JSON, redacted."""
    return Part(f"{name}.json", about, json.dumps(redacted(value, names), indent=1).encode() + b"\n")


def text_part(name: str, about: str, text: str, names: tuple[str, ...] = ()) -> Part:
    """Return the last lines of `text` as a file, redacted."""
    kept = "\n".join(text.splitlines()[-MAX_LOG_LINES:])
    return Part(name, about, redacted_text(kept, names).encode() + b"\n")


def contents(parts: Sequence[Part], missing: Mapping[str, str]) -> list[str]:
    """Return what is in the archive, one line a file, and what could not be had."""
    width = max((len(part.name) for part in parts), default=0)
    told = [f"{part.name:<{width}} {len(part.content):>7} B  {part.about}"[:WIDTH] for part in parts]
    for name, reason in missing.items():
        told += textwrap.wrap(f"missing: {name}: {reason}", WIDTH, subsequent_indent="  ")
    return [*told, "removed everywhere: keys, passcodes, PINs, names, addresses"]


def archive(parts: Sequence[Part], missing: Mapping[str, str], mtime: int) -> bytes:
    """Return the parts as a .tar.gz whose first file, CONTENTS, says what is in it."""
    listed = Part("CONTENTS", "this list", ("\n".join(contents(parts, missing)) + "\n").encode())
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as tar:
        for part in (listed, *parts):
            entry = tarfile.TarInfo(f"{FOLDER}/{part.name}")
            entry.size, entry.mtime, entry.mode = len(part.content), mtime, 0o600
            tar.addfile(entry, io.BytesIO(part.content))
    return packed.getvalue()
