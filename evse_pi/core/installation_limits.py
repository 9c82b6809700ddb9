"""What the installer says of the house; `installation_rules` checks it against board and country."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum
from typing import TYPE_CHECKING

from evse_pi.core.country import USUAL_RANDOM_DELAY_S, profile_of
from hal.units import Milliamps, Millivolts

if TYPE_CHECKING:
    from collections.abc import Callable

    from evse_pi.core.board_ratings import BoardRatings

MINIMUM_CAPACITY_MA = Milliamps(6_000)  # below it no current can be signalled
SUPPLY_VOLTAGES_MV = (Millivolts(120_000), Millivolts(230_000), Millivolts(240_000))
DEFAULT_VOLTAGE_MV = SUPPLY_VOLTAGES_MV[1]
BOARDS_CABLE = Milliamps(0)
SQUARE_ROOT_OF_3_PERMILLE = 1_732
PHASES_WITHOUT_NEUTRAL = 3  # a vehicle on two lines has the second one at its neutral contact, and sees one phase
BOARD_METER, NO_METER = "board", "none"
PARITIES = ("N", "E", "O")
MAX_PORT_LENGTH = 100


class InstallationError(ValueError):
    """An entry is missing, unknown, of the wrong type or outside what is allowed; the text names it.

    `problem` has a `{}` for each of `values`, which are in the unit of the entry's name, so that a command can say it
    in its own words and units. `lowest` and `highest` are what is allowed, where that is a range.
    """

    def __init__(
        self, entry: str, problem: str, *values: int, lowest: int | None = None, highest: int | None = None
    ) -> None:
        self.entry = entry
        self.problem = problem
        self.values = values
        self.lowest, self.highest = lowest, highest
        unit = next((unit for end, unit in _UNITS.items() if entry.endswith(end)), "")
        super().__init__(f"{entry}: {self.told(lambda value: f'{value}{unit}')}")

    def told(self, shown: Callable[[int], str]) -> str:
        """Return what is wrong, without the name of the entry, with its values as `shown` writes them."""
        return self.problem.format(*map(shown, self.values))


_UNITS = {"_ma": " mA", "_mv": " mV", "_s": " s"}


class RcdType(Enum):
    """The residual current device in the distribution board. Source: IEC 61851-1 clause 8.5."""

    UNSTATED = ""
    A = "a"
    F = "f"
    A_RDC_DD = "a_rdc_dd"  # with 6 mA DC detection of its own, IEC 62955
    B = "b"
    NONE = "none"  # where the box's own device protects persons


class Earthing(Enum):
    """How the supply is earthed. Source: IEC 60364-1 clause 312.2."""

    UNSTATED = ""
    TN = "tn"
    TT = "tt"  # an electrode of the house's own
    IT = "it"  # no earthed point: phases against each other, no neutral


UNEARTHED = (Earthing.IT.value, Earthing.UNSTATED.value)
"""Where houses have such a supply, one that was not stated may be it."""


class OpenPen(Enum):
    """What protects from a neutral that breaks ahead of the house. Source: BS 7671 regulation 722.411.4.1."""

    UNSTATED = ""
    ELECTRODE = "electrode"
    EXTERNAL_DEVICE = "external_device"


class Purpose(Enum):
    """What the box is set up for."""

    VEHICLES = "vehicles"
    BENCH = "bench"  # a set-up in a laboratory, where a plug that becomes live by mistake meets no person


DETECTS_DC = (RcdType.A_RDC_DD, RcdType.B)


@dataclass(frozen=True, slots=True)
class Installation:
    """What only the installer may set.

    `ventilated` says that the room may serve vehicles that ask for ventilation (state D). `rcd_reclosures` is how
    often a residual current trip may be reset without a person; 0 where the country forbids it. `tethered_cable_ma` is
    the rating of a fixed cable, 0 to leave it to the board: a socket if it reads proximity, else a cable of its own
    rating. `meter_model` names the meter that is fitted, "board" for the board's own; port, unit, speed and parity
    count only when a model is named. `meter_inverted` says that the current goes through the meter the other way round
    than the model, or the board's file, has it. `neutral` is False for three lines without one, between which the
    voltage is nominal then. `random_delay_s` is the window of the start's random delay until a user chooses another.
    `purpose` must say that it is a bench set-up where the board is fit for nothing else.
    `open_pen` is what protects from a broken combined neutral and earth. `shunt_release` says that a release upstream
    opens the supply of a welded contactor, `shutters` that the socket's contacts are covered without a plug.
    """

    circuit_capacity_ma: Milliamps
    phases: int
    country: str
    nominal_voltage_mv: Millivolts = DEFAULT_VOLTAGE_MV
    ventilated: bool = False
    rcd_reclosures: int = 0
    tethered_cable_ma: Milliamps = BOARDS_CABLE
    rcd_type: str = RcdType.UNSTATED.value
    random_delay_s: int = USUAL_RANDOM_DELAY_S
    meter_model: str = BOARD_METER
    meter_port: str = ""
    meter_unit: int = 1
    meter_baud: int = 9_600
    meter_parity: str = PARITIES[0]
    meter_inverted: bool = False
    neutral: bool = True
    purpose: str = Purpose.VEHICLES.value
    earthing: str = Earthing.UNSTATED.value
    open_pen: str = OpenPen.UNSTATED.value
    shunt_release: bool = False
    shutters: bool = False

    @property
    def phase_voltage_mv(self) -> Millivolts:
        """The voltage that one phase of a load on all of them has: to the star point where there is no neutral."""
        volts = self.nominal_voltage_mv
        return volts if self.neutral else Millivolts(volts * 1_000 // SQUARE_ROOT_OF_3_PERMILLE)

    @property
    def unearthed(self) -> bool:
        """Whether no point of the supply may be earthed: a phase at earth potential tells nothing then."""
        return profile_of(self.country).it_earthing and self.earthing in UNEARTHED

    @property
    def meter(self) -> tuple[str, str, int, int, str, bool, bool]:
        """Everything that is said of the meter, whether there is a neutral last."""
        line = self.meter_port, self.meter_unit, self.meter_baud, self.meter_parity
        return self.meter_model, *line, self.meter_inverted, self.neutral


def fit_for_purpose(board: BoardRatings, installation: Installation) -> bool:
    """Return whether `board` may energise what the installation is for. Hazard: H-02."""
    return board.bench_only is None or installation.purpose == Purpose.BENCH.value


def fitted(board: BoardRatings, installation: Installation, *, board_meter: bool) -> BoardRatings:
    """Return what the machine must know of `board` with the cable and the meter that the installer fitted."""
    meter = board_meter if installation.meter_model == BOARD_METER else installation.meter_model != NO_METER
    return replace(
        board, tethered_cable_ma=installation.tethered_cable_ma or board.tethered_cable_ma, meter_fitted=meter
    )
