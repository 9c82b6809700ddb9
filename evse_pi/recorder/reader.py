"""The safety process's black box, read by others: never written, never waited for."""

from __future__ import annotations

import mmap
import os
from typing import TYPE_CHECKING

from evse_pi.recorder.frame import FrameError, frame_of
from evse_pi.recorder.ring import (
    RING_BYTES,
    RawWindow,
    RingContents,
    RingError,
    RingHeader,
    contents_of,
    header_of,
    newest_frames,
    windows_of,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from evse_pi.recorder.frame import Frame


class Ring:
    """The black box behind `memory`, which returns it as it is now. Raises: what `memory` raises, from every method."""

    def __init__(self, memory: Callable[[], memoryview]) -> None:
        self._memory = memory

    def copy(self) -> bytes:
        """Return a copy of all of it. Raises: OSError or RingError when there is none yet."""
        return bytes(self._memory())

    def header(self) -> RingHeader:
        """Return who writes. Raises: as `copy`."""
        return header_of(self._memory())

    def frames(self, count: int) -> list[Frame]:
        """Return the last `count` ticks that are whole. Raises: as `copy`."""
        try:
            return [frame_of(values) for values in newest_frames(self._memory(), count)]
        except FrameError as error:
            raise RingError(str(error)) from error

    def windows(self) -> list[RawWindow]:
        """Return the raw windows that are whole, oldest first. Raises: as `copy`."""
        return sorted(windows_of(self._memory()), key=lambda window: window.number)

    def contents(self) -> RingContents:
        """Return everything that is whole. Raises: as `copy`."""
        return contents_of(self.copy())


class RingFile:
    """The memory behind `path`, opened when it is there and again when it was replaced."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._map: mmap.mmap | None = None
        self._inode: int | None = None

    def __call__(self) -> memoryview:
        """Return the memory. Raises: OSError or RingError when there is none yet."""
        found = self._path.stat()
        if self._map is None or found.st_ino != self._inode:
            if found.st_size < RING_BYTES:
                raise RingError(f"{self._path}: {found.st_size} bytes; a black box has {RING_BYTES}")
            descriptor = os.open(self._path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
            try:
                self._map, self._inode = mmap.mmap(descriptor, RING_BYTES, prot=mmap.PROT_READ), found.st_ino
            finally:
                os.close(descriptor)
        return memoryview(self._map)
