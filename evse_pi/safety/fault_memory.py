"""The faults that a restart of the process must not forget."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from evse_pi.core.faults import FAULTS, NO_FAULTS, Clear, Fault

if TYPE_CHECKING:
    from pathlib import Path

_SIZE = 8
_NEEDS_SOMEBODY = Clear.ON_UNPLUG | Clear.BY_USER | Clear.BY_INSTALLER


def outliving(faults: frozenset[Fault]) -> frozenset[Fault]:
    """Return those of `faults` that wait for a person or for the plug, which a new start of the process is not."""
    return frozenset(fault for fault in faults if FAULTS[fault].clear & _NEEDS_SOMEBODY)


class FaultMemory:
    """Eight bytes in the run directory, one bit a fault.

    The directory is in memory: it outlives the process and not a power cut, after which a person has been at the box,
    and the self-test looks for a welded contactor and a tripped device again. Hazard: H-03, H-14.
    """

    def __init__(self, path: Path) -> None:
        self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        self.former = _decode(os.pread(self._descriptor, _SIZE, 0))
        self._kept = self.former

    def keep(self, faults: frozenset[Fault]) -> None:
        """Replace what is remembered by those of `faults` that outlive the process."""
        kept = outliving(faults) if faults else NO_FAULTS
        if kept != self._kept:
            os.pwrite(self._descriptor, sum(1 << fault for fault in kept).to_bytes(_SIZE, "little"), 0)
            self._kept = kept

    def close(self) -> None:
        """Give the file back."""
        os.close(self._descriptor)


def _decode(content: bytes) -> frozenset[Fault]:
    bits = int.from_bytes(content, "little")
    return frozenset(fault for fault in Fault if bits >> fault & 1)
