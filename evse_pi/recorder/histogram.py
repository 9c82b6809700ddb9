"""How long things took, counted in a fixed number of bins."""

from __future__ import annotations

from array import array
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

_MANTISSA_BITS = 5  # 32 bins per octave: an answer is at most 3.2 % too high, never too low
_LARGEST_US = (1 << 22) - 1  # 4.2 s, beyond which the process has long been killed
BINS = 576  # bin of _LARGEST_US, plus one
_EMPTY = array("L", bytes(array("L").itemsize * BINS))


class Histogram:
    """Counts durations without ever growing; `add` costs the same whatever it is given.

    Units: ns in and out, microseconds inside.
    """

    __slots__ = ("_counts", "_largest_ns", "_total")

    def __init__(self) -> None:
        self._counts = _EMPTY[:]
        self._total = 0
        self._largest_ns = 0

    @classmethod
    def of(cls, counts: Iterable[int], largest_ns: int) -> Histogram:
        """Return the histogram that `counts` and `largest_ns` of another one stand for."""
        copy = cls()
        copy._counts = array("L", counts)
        copy._total = sum(copy._counts)
        copy._largest_ns = largest_ns
        return copy

    @property
    def counts(self) -> bytes:
        """The bins as they are in memory."""
        return self._counts.tobytes()

    def rows(self) -> list[tuple[int, int]]:
        """Return (longest duration, count) of every bin that is not empty, the shortest first."""
        return [(_upper_edge_ns(index), count) for index, count in enumerate(self._counts) if count]

    @property
    def total(self) -> int:
        """How many durations were added since the last `clear`."""
        return self._total

    @property
    def largest_ns(self) -> int:
        """The longest of them, exactly."""
        return self._largest_ns

    def add(self, duration_ns: int) -> None:
        """Count one duration; a negative one counts as 0, one beyond the last bin in the last bin."""
        self._counts[_bin(duration_ns)] += 1
        self._total += 1
        self._largest_ns = max(self._largest_ns, duration_ns)

    def quantile_ns(self, per_mille: int) -> int:
        """Return a duration that at least `per_mille` of all did not exceed, 0 when nothing was counted."""
        may_exceed = self._total * (1000 - per_mille) // 1000
        above = 0
        for index in range(_bin(self._largest_ns), -1, -1):
            above += self._counts[index]
            if above > may_exceed:
                return min(_upper_edge_ns(index), self._largest_ns)
        return 0

    def clear(self) -> None:
        """Forget everything."""
        self._counts = _EMPTY[:]
        self._total = 0
        self._largest_ns = 0


def _bin(duration_ns: int) -> int:
    """Return the index of the bin that `duration_ns` falls into."""
    microseconds = min(max(duration_ns, 0) // 1000, _LARGEST_US)
    shift = max(0, microseconds.bit_length() - _MANTISSA_BITS - 1)
    return (shift << _MANTISSA_BITS) + (microseconds >> shift)


def _upper_edge_ns(index: int) -> int:
    """Return the longest duration that falls into bin `index`."""
    shift = max(0, (index >> _MANTISSA_BITS) - 1)
    return (((index - (shift << _MANTISSA_BITS)) + 1) << shift) * 1000 - 1
