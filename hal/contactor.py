"""The contactor: one active-high line to the coil driver, a second one to pull in hard, the mirror contact."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from hal.gpio import InputLine, OutputLine


class GpioContactor:
    """Drives the coil; with an economiser, `boost` is driven as well for `boost_ns` after each close.

    Hazard: H-08. The pin floats after release and after the process's death, so the coil driver needs 10 kΩ to ground.
    """

    def __init__(
        self,
        coil: OutputLine,
        mirror: InputLine | None,
        clock: Callable[[], int],
        *,
        boost: OutputLine | None = None,
        boost_ns: int = 0,
    ) -> None:
        self._coil = coil
        self._mirror = mirror
        self._clock = clock
        self._boost = boost
        self._boost_ns = boost_ns
        self._boost_until_ns: int | None = None
        self._driven = False

    def open(self) -> None:
        """Take the coil's current away; the line is written every time, whatever was written before."""
        self._driven = False
        try:
            self._coil.set(False)
        finally:
            self._end_boost()

    def close(self) -> None:
        """Pull in; does nothing while the coil is driven."""
        if self._driven:
            return
        try:
            if self._boost:
                self._boost_until_ns = self._clock() + self._boost_ns
                self._boost.set(True)
            self._coil.set(True)
        except BaseException:
            self.open()
            raise
        self._driven = True

    def maintain(self, now_ns: int) -> None:
        """End the pull-in boost when its time is over."""
        if self._boost_until_ns is not None and now_ns >= self._boost_until_ns:
            self._end_boost()

    def read_closed(self) -> bool | None:
        """Return what the mirror contact says, None without one."""
        return self._mirror.read() if self._mirror else None

    def release(self) -> None:
        """Open, and make all lines inputs."""
        try:
            self.open()
        finally:
            for line in (self._coil, self._boost, self._mirror):
                if line:
                    line.close()

    def _end_boost(self) -> None:
        if self._boost_until_ns is not None and self._boost:
            self._boost.set(False)
        self._boost_until_ns = None
