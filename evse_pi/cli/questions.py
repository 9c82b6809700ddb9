"""What `evse-pi setup` must know: one question each, what is proposed, which entry it answers."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import click

from evse_pi.api.texts.catalogue import tr
from evse_pi.api.texts.quantities import exact_amps
from evse_pi.cli.choices import countries
from evse_pi.cli.quantity_types import AMPERES, VOLTS

if TYPE_CHECKING:
    from collections.abc import Callable
    from enum import Enum

    from click.shell_completion import CompletionItem

    from boards.spec import BoardSpec
    from evse_pi.core.installation_limits import Installation

SOCKET, TETHERED = "socket", "tethered"
CABLES = click.Choice([SOCKET, TETHERED], case_sensitive=False)
PARITY = click.Choice(["N", "E", "O"], case_sensitive=False)
PHASES = click.IntRange(1, 3)
DELTA_COUNTRIES = ("BE", "NO")
"""Where three lines of 230 V without a neutral are common, so that it is asked; elsewhere an option says it."""


class _Country(click.ParamType):  # type: ignore[type-arg] # generic since click 8.2 only
    """Two letters of ISO 3166-1, in whichever case they are typed."""

    name = "country"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:  # noqa: ARG002
        """Return capital letters."""
        return str(value).strip().upper()

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:  # type: ignore[type-arg,unused-ignore]
        """Propose the countries whose rules are known."""
        return countries(ctx, param, incomplete)


class _YesNo(click.ParamType):  # type: ignore[type-arg] # as above
    """Yes or no, or the first letter of it."""

    name = tr("yes or no")

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> bool:
        """Return whether it is yes."""
        if isinstance(value, bool):
            return value
        word = str(value).strip().lower()
        if word not in ("y", "yes", "n", "no"):
            self.fail(tr("{value!r}: yes or no").format(value=value), param, ctx)
        return word.startswith("y")


COUNTRY, YES_NO = _Country(), _YesNo()


@dataclass(frozen=True, slots=True)
class HouseAnswers:
    """What is known of a house, by the keys of the questions; None was not answered."""

    purpose: str | None = None
    country: str | None = None
    phases: int | None = None
    voltage: int | None = None
    cable: str | None = None
    cable_rating: int | None = None
    capacity: int | None = None
    earthing: str | None = None
    open_pen: str | None = None
    shutters: bool | None = None
    shunt_release: bool | None = None
    rcd_type: str | None = None
    rcd_reclosures: int | None = None
    random_delay: int | None = None
    ventilated: bool | None = None
    meter: str | None = None
    meter_port: str | None = None
    meter_unit: int | None = None
    meter_baud: int | None = None
    meter_parity: str | None = None
    meter_inverted: bool | None = None
    neutral: bool | None = None

    def with_answer(self, key: str, value: Any) -> HouseAnswers:
        """Return the answers with that to the question `key`."""
        return replace(self, **{key: value})

    @property
    def of_country(self) -> str:
        """The country, which is asked before all that depends on it; empty while it was not."""
        return self.country or ""


NOTHING_KNOWN = HouseAnswers()


def _own_meter(known: HouseAnswers, _: BoardSpec) -> bool:
    return (known.meter or "none") not in ("board", "none")


def _always(_: HouseAnswers, __: BoardSpec) -> bool:
    return True


def _no(_: HouseAnswers, __: BoardSpec) -> bool:
    return False


_never = _no


def _without_neutral(known: HouseAnswers, _: BoardSpec) -> bool:
    """Return whether three lines without a neutral are usual where the box is."""
    return bool(known.phases == 3 and known.of_country in DELTA_COUNTRIES)


def _usual_phases(known: HouseAnswers, board: BoardSpec) -> int:
    """Return the board's phases, 1 where a vehicle takes no more."""
    from evse_pi.core.country import profile_of

    return 1 if profile_of(known.of_country).north_american else board.phases


@dataclass(frozen=True, slots=True)
class Question:
    """One thing to know: its key, what is asked, of which kind, and what is proposed, None without a proposal.

    What is `kept` and not asked stays as it was set before.
    """

    key: str
    text: str
    kind: Any
    proposed: Callable[[HouseAnswers, BoardSpec], Any]
    asked: Callable[[HouseAnswers, BoardSpec], bool] = _always
    kept: bool = False


ENTRIES = {
    "purpose": "purpose",
    "country": "country",
    "phases": "phases",
    "voltage": "nominal_voltage_mv",
    "cable_rating": "tethered_cable_ma",
    "capacity": "circuit_capacity_ma",
    "earthing": "earthing",
    "open_pen": "open_pen",
    "shutters": "shutters",
    "shunt_release": "shunt_release",
    "rcd_type": "rcd_type",
    "rcd_reclosures": "rcd_reclosures",
    "random_delay": "random_delay_s",
    "ventilated": "ventilated",
    "meter": "meter_model",
    "meter_port": "meter_port",
    "meter_unit": "meter_unit",
    "meter_baud": "meter_baud",
    "meter_parity": "meter_parity",
    "meter_inverted": "meter_inverted",
    "neutral": "neutral",
}
"""Which entry of the installation a question answers."""
KEYS = frozenset({"board", "cable", *ENTRIES})


def questions() -> tuple[Question, ...]:
    """Return all questions about a house, in the order in which an electrician knows the answers."""
    return (*_of_the_supply(), *_of_the_plug(), *_of_the_circuit(), *_of_the_meter())


def _of_the_supply() -> tuple[Question, ...]:
    from evse_pi.core.country import profile_of
    from evse_pi.core.installation_limits import Earthing, OpenPen, Purpose

    return (
        Question(
            "purpose",
            tr("Board for the bench only; type bench if no vehicle and no person meets its plug"),
            _choice(Purpose),
            lambda *_: None,
            lambda _, board: board.bench_only is not None,
        ),
        Question("country", tr("Country (two letters)"), COUNTRY, lambda *_: None),
        Question("phases", tr("Phases of the circuit"), PHASES, _usual_phases),
        Question("neutral", tr("Circuit with a neutral"), YES_NO, _always, _without_neutral, kept=True),
        Question("voltage", tr("Supply voltage"), VOLTS, lambda known, _: profile_of(known.of_country).voltage_mv),
        Question(
            "open_pen",
            tr("Against a broken neutral and earth: an electrode, or an external device"),
            _choice(OpenPen),
            lambda *_: None,
            lambda known, _: profile_of(known.of_country).open_pen,
        ),
        Question("earthing", tr("Earthing of the supply"), _choice(Earthing), _usual_earthing),
    )


def _of_the_plug() -> tuple[Question, ...]:
    from evse_pi.core.country import profile_of

    return (
        Question(
            "cable", tr("Socket, or fixed cable"), CABLES, lambda _, board: SOCKET if board.proximity else TETHERED
        ),
        Question(
            "cable_rating",
            tr("The fixed cable carries"),
            AMPERES,
            lambda _, board: board.rated_current_ma,
            lambda known, _: known.cable == TETHERED,
        ),
        Question(
            "shutters",
            tr("Socket with shutters, as this country demands"),
            YES_NO,
            lambda *_: None,
            lambda known, _: known.cable == SOCKET and profile_of(known.of_country).shutters,
        ),
    )


def _of_the_circuit() -> tuple[Question, ...]:
    from evse_pi.core.country import profile_of
    from evse_pi.core.installation_limits import RcdType

    return (
        Question("capacity", tr("The circuit carries"), AMPERES, lambda *_: None),
        Question("rcd_type", tr("RCD upstream; a_rdc_dd: type A with 6 mA DC detection"), _choice(RcdType), _usual_rcd),
        Question(
            "rcd_reclosures",
            tr("Times the box may reset a residual current trip by itself"),
            int,
            lambda *_: 0,
            lambda known, _: profile_of(known.of_country).reclosures > 0,
        ),
        Question(
            "shunt_release",
            tr("A release upstream that trips on a welded contactor, as this country demands"),
            YES_NO,
            lambda *_: None,
            lambda known, _: profile_of(known.of_country).shunt_release,
        ),
        Question(
            "random_delay",
            tr("Random delay of starts, at most (s)"),
            int,
            lambda known, _: profile_of(known.of_country).random_delay_s,
        ),
        Question("ventilated", tr("Room ventilated, for vehicles in state D"), YES_NO, lambda *_: False),
    )


def _of_the_meter() -> tuple[Question, ...]:
    return (
        Question(
            "meter", tr("Meter: board, none or a model"), str, lambda _, board: "board" if board.meter else "none"
        ),
        Question("meter_port", tr("Serial device of the meter"), str, lambda *_: "/dev/ttyAMA0", _own_meter),
        Question("meter_unit", tr("Modbus unit of the meter"), int, lambda *_: 1, _own_meter),
        Question("meter_baud", tr("Speed of the meter's line"), int, lambda *_: 9_600, _own_meter),
        Question("meter_parity", tr("Parity of the meter's line"), PARITY, lambda *_: "N", _own_meter),
        Question("meter_inverted", tr("Current through the meter is inverted"), YES_NO, _no, _never, kept=True),
    )


def _usual_rcd(known: HouseAnswers, board: BoardSpec) -> str | None:
    """Return what is proposed upstream: what sees DC where the board does not, else what the country asks."""
    from boards.spec import NotFitted
    from evse_pi.core.country import profile_of
    from evse_pi.core.installation_limits import DETECTS_DC, RcdType

    if isinstance(board.rcd, NotFitted) or not board.rcd.detects.dc_ma:
        return DETECTS_DC[1].value
    return RcdType.A.value if profile_of(known.of_country).upstream_rcd else RcdType.NONE.value


def _usual_earthing(known: HouseAnswers, _: BoardSpec) -> str:
    from evse_pi.core.installation_limits import Earthing, OpenPen

    kind = Earthing.TT if known.open_pen == OpenPen.ELECTRODE.value else Earthing.TN
    return str(kind.value)


def problem(key: str, known: HouseAnswers, board: BoardSpec) -> str | None:
    """Return why the answer to `key` cannot be, as far as the answers so far tell; None when it can."""
    from evse_pi.core.installation_limits import MINIMUM_CAPACITY_MA, Installation, Purpose, RcdType
    from evse_pi.installation.files import house_problems, ratings

    if known.cable == SOCKET and board.proximity is None:
        return tr(
            "cable: socket is not allowed; board {board} reads no proximity contact, so that it "
            "would not know what a loose cable carries; allowed is {tethered}"
        ).format(board=board.name, tethered=TETHERED)
    if known.cable == SOCKET and known.cable_rating is not None:
        return tr("cable_rating: not allowed with a socket, where each cable says what it carries")
    unasked = {
        "country": "DE", "phases": 1, "circuit_capacity_ma": MINIMUM_CAPACITY_MA, "rcd_type": RcdType.B.value,
        "meter_model": "none", "meter_port": "/dev/ttyAMA0" if _own_meter(known, board) else "",
        "purpose": Purpose.BENCH.value,
    }  # fmt: skip
    for error in house_problems(Installation(**{**unasked, **entries(known)}), ratings(board)):
        if error.entry == ENTRIES.get(key):
            return f"{key}: {error.told(SHOWN.get(key, str))}"
    return None


def _choice(kinds: type[Enum]) -> click.Choice[str]:
    return click.Choice([kind.value for kind in kinds if kind.value], case_sensitive=False)


def whole_volts(millivolts: int) -> str:
    """Return a supply voltage."""
    return f"{millivolts / 1000:g} V"


SHOWN: dict[str, Callable[[int], str]] = {
    "capacity": exact_amps,
    "cable_rating": exact_amps,
    "voltage": whole_volts,
}
"""How a value of a question is written."""


def entries(known: HouseAnswers) -> dict[str, Any]:
    """Return what is known as entries of an installation."""
    answered = {entry: getattr(known, key) for key, entry in ENTRIES.items()}
    return {entry: value for entry, value in answered.items() if value is not None}


def known_from(installation: Installation) -> HouseAnswers:
    """Return the answers that an installation came from."""
    known = {key: getattr(installation, entry) for key, entry in ENTRIES.items()}
    known["cable"] = TETHERED if installation.tethered_cable_ma else None
    return HouseAnswers(**{key: value for key, value in known.items() if value not in (None, "")})


def written(kind: Any, value: Any) -> Any:
    """Return a proposal as a person would type it."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if value is None or kind not in (AMPERES, VOLTS):
        return value
    return f"{value / 1000:g}{'A' if kind is AMPERES else 'V'}"
