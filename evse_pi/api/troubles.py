"""What is wrong with the meter or the clock, as records; `evse_pi.api.texts.trouble_texts` puts them into words."""

from dataclasses import dataclass
from enum import Enum, auto
from typing import NamedTuple


class MeterTroubleKind(Enum):
    """What speaks against a meter that answers."""

    CURRENT_THOUGH_OPEN = auto()
    BACKWARDS = auto()
    ENERGY_STANDS_STILL = auto()
    BEYOND_CIRCUIT = auto()


class MeterTrouble(NamedTuple):
    """What speaks against the meter, with the current and the power that it showed."""

    kind: MeterTroubleKind
    current_ma: int
    power_mw: int


@dataclass(frozen=True, slots=True)
class ClockUnknown:
    """The time of day is not known."""


@dataclass(frozen=True, slots=True)
class ClockBehind:
    """The clock shows an earlier time than the history goes to. Units: s since 1970."""

    shown_s: int
    latest_s: int


@dataclass(frozen=True, slots=True)
class ClockSet:
    """The clock was set, forward where `by_s` is positive."""

    by_s: int


ClockTrouble = ClockUnknown | ClockBehind | ClockSet
