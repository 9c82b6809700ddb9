"""What surrounds the loop in the real process: service manager, fault memory, collector, installer's file."""

from __future__ import annotations

import gc
import time
from typing import TYPE_CHECKING

from evse_pi.recorder.histogram import Histogram

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from evse_pi.core.faults import Fault
    from evse_pi.installation.service_manager import ServiceManager
    from evse_pi.safety.fault_memory import FaultMemory
    from evse_pi.safety.loop_interfaces import Installed


def sleep_until(instant_ns: int) -> None:
    """Sleep until `instant_ns` of CLOCK_MONOTONIC, not at all when it is past."""
    remaining_ns = instant_ns - time.monotonic_ns()
    if remaining_ns > 0:
        time.sleep(remaining_ns / 1_000_000_000)


class SystemServices:
    """The process as the loop sees it; `pauses` is how long the collector took, `files` are the installer's."""

    def __init__(
        self,
        manager: ServiceManager,
        memory: FaultMemory,
        reload: Callable[[], Installed | None],
        files: Sequence[Path] = (),
    ) -> None:
        self.pauses = Histogram()
        self._manager = manager
        self._memory = memory
        self._reload = reload
        self._files = files
        self._seen = [_trace(file) for file in files]
        self._ready = False

    def heartbeat(self) -> None:
        """Tell the service manager; the first time also that the start is over."""
        self._manager.tell(b"WATCHDOG=1" if self._ready else b"READY=1\nWATCHDOG=1")
        self._ready = True

    def remember(self, faults: frozenset[Fault]) -> None:
        """Keep the faults that outlive the process."""
        self._memory.keep(faults)

    def collect_garbage(self) -> None:
        """Collect what the ticks since the last time left behind in cycles, which should be nothing."""
        started_ns = time.monotonic_ns()
        gc.collect()
        self.pauses.add(time.monotonic_ns() - started_ns)

    def reload(self) -> Installed | None:
        """Read the installer's files again."""
        self._seen = [_trace(file) for file in self._files]
        return self._reload()

    def touched(self) -> bool:
        """Return whether one of the installer's files was changed, replaced or removed since the last look."""
        return self._seen != [_trace(file) for file in self._files]


def _trace(file: Path) -> tuple[int, int, int] | None:
    """Return what changes when a file is written, None when it cannot be looked at."""
    try:
        found = file.stat()
    except OSError:
        return None
    return found.st_ino, found.st_size, found.st_mtime_ns
