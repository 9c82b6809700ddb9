"""What is wrong with meter, clock, permission or storage, as records.

`evse_pi.api.texts.trouble_texts` puts them into words.
"""

from dataclasses import dataclass
from enum import Enum, auto
from typing import NamedTuple


class MeterTroubleKind(Enum):
    """What speaks against a meter that answers."""

    CURRENT_THOUGH_OPEN = auto()
    FROZEN = auto()
    BACKWARDS = auto()
    PHASE_BACKWARDS = auto()
    ENERGY_STANDS_STILL = auto()
    MORE_THAN_SHOWN = auto()
    POWER_TOO_SMALL = auto()
    BEYOND_CIRCUIT = auto()


class MeterTrouble(NamedTuple):
    """What speaks against the meter, with the current and the power that it showed; `phase` is 1 to 3, 0 for all."""

    kind: MeterTroubleKind
    current_ma: int
    power_mw: int
    phase: int = 0


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


class DoubtKind(Enum):
    """Why charging is forbidden until a person permits it."""

    UNREADABLE = auto()
    LOST = auto()
    NO_CONTROLLER = auto()
    FABRICS_DAMAGED = auto()
    UPDATE_TAKEN_BACK = auto()
    RESTORED = auto()
    AS_TOLD = auto()


class PermissionDoubt(NamedTuple):
    """Why it is not known whether charging was permitted; `detail` names the fabrics, or has the words of AS_TOLD."""

    kind: DoubtKind
    detail: str = ""


class StorageTroubleKind(Enum):
    """What people must know of the storage."""

    NOT_ANSWERED_YET = auto()
    REFUSES = auto()
    HANGS = auto()
    SET_ASIDE = auto()
    LEFT_OUT = auto()
    GIVEN_UP = auto()
    HISTORY_GIVEN_UP = auto()


class StorageTrouble(NamedTuple):
    """One thing to know of the storage: how many entries, or for how many seconds, and which file, table or error."""

    kind: StorageTroubleKind
    number: int = 0
    detail: str = ""
