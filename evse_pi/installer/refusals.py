"""Refusals that are put on record: each of the first in an hour, the rest as a number in the next entry.

Without that, requests that are refused without end fill the card. The count is in a small file of its own, since each
request to root's service is a process; it is lost with the machine's boot, as the hour is.
"""

from __future__ import annotations

import fcntl
import json
import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from evse_pi.charging.clock import Clock

REFUSALS_FILE = "audit.refusals"
ON_RECORD = 10
HOUR_NS = 3_600 * 1_000_000_000


def fold(path: Path, clock: Clock) -> int | None:
    """Return how many refusals an entry stands for beside its own, None where this is only counted. Raises: OSError."""
    flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
    with os.fdopen(os.open(path, flags, 0o600), "r+b") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        boot, since_ns, written, folded = _read(file.read())
        now_ns = clock.monotonic_ns()
        if boot != clock.kernel_boot_id or now_ns - since_ns >= HOUR_NS:
            since_ns, written = now_ns, 0
        told = folded if written < ON_RECORD else None
        written, folded = (written, folded + 1) if told is None else (written + 1, 0)
        file.seek(0)
        file.truncate()
        file.write(json.dumps([clock.kernel_boot_id, since_ns, written, folded]).encode())
        return told


def _read(content: bytes) -> tuple[str, int, int, int]:
    try:
        boot, *numbers = json.loads(content)
        since_ns, written, folded = map(int, numbers)
    except (ValueError, TypeError, RecursionError):  # none yet, or torn by a power cut
        return "", 0, 0, 0
    return str(boot), since_ns, written, folded
