"""What thermometers show: the temperature where they are, or what they froze with."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

SWING_NS = 3 * 3_600 * 1_000_000_000


class Thermometers:
    """Every thermometer of the box with what is wrong with it; `places` are the true temperatures in °C.

    The air goes to both sides of them by `swing_c`, from `begun_ns` on.
    """

    def __init__(self, places: Mapping[str, float], swing_c: float, begun_ns: int) -> None:
        self._places = places
        self._swing_c = swing_c
        self._begun_ns = begun_ns
        self._stuck: dict[str, float] = {}
        self._tossed: dict[str, float] = {}
        self._looks: dict[str, int] = {}

    def stick(self, place: str, celsius: float | None) -> None:
        """Let one show a value for ever, or with None the truth again."""
        if celsius is None:
            self._stuck.pop(place, None)
        else:
            self._stuck[place] = celsius

    def toss(self, place: str, celsius: float) -> None:
        """Let every second look at one be off by so much."""
        self._tossed[place] = celsius

    def show(self, place: str, now_ns: int) -> float:
        """Return what one shows now; the air warms up and cools down by the swing."""
        if place in self._stuck:
            return self._stuck[place]
        looks = self._looks[place] = self._looks.get(place, 0) + 1
        off = 0.0 if looks % 2 else self._tossed.get(place, 0.0)
        swing_c = self._swing_c * math.sin(2 * math.pi * (now_ns - self._begun_ns) / SWING_NS)
        return self._places[place] + swing_c + off
