"""What the coding resistor says of a detachable cable."""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING

from hal.units import Milliamps

if TYPE_CHECKING:
    from hal.units import Ohms

MIN_OHMS = 60
_HIGHEST_OHMS_OF_RATING = ((140, 63_000), (308, 32_000), (936, 20_000), (4_500, 13_000))


class Cable(Enum):
    """The cable in the socket, by its rating in mA; INVALID is a short, a broken wire or no coding at all."""

    NONE = None
    INVALID = 0
    A13 = 13_000
    A20 = 20_000
    A32 = 32_000
    A63 = 63_000

    @property
    def rating_ma(self) -> Milliamps:
        """Return what it may carry, 0 for none and for an invalid one."""
        return Milliamps(self.value or 0)


def cable_for(ohms: Ohms | None) -> Cable:
    """Return the cable that codes with `ohms`; between two codes it is the lower rating.

    Source: IEC 61851-1 Annex B.
    Hazard: H-04 overload of the cable.
    """
    if ohms is None:
        return Cable.NONE
    if ohms >= MIN_OHMS:
        for highest, rating_ma in _HIGHEST_OHMS_OF_RATING:
            if ohms <= highest:
                return Cable(rating_ma)
    return Cable.INVALID
