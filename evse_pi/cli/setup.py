"""`evse-pi setup`: from a new box to one that may charge."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

import click

from evse_pi.cli.client import BoxError
from evse_pi.cli.office import SIMULATED, desk_of, installer_options, load, show
from evse_pi.cli.options import chosen
from evse_pi.cli.places import SYSTEM_STATE
from evse_pi.cli.quantities import AMPERES, VOLTS, amps

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from boards.spec import BoardSpec
    from evse_pi.cli.office import Desk
    from evse_pi.core.installation import Installation

DRAFT = "setup.draft.json"
SOCKET, TETHERED = "socket", "tethered"
PARITY = click.Choice(["N", "E", "O"])


def _always(_: dict[str, Any], __: BoardSpec) -> bool:
    return True


@dataclass(frozen=True, slots=True)
class Question:
    """One thing to know: its key, what is asked, of which kind, and what is proposed, None when nobody can say."""

    key: str
    text: str
    kind: Any
    proposed: Callable[[dict[str, Any], BoardSpec], Any]
    asked: Callable[[dict[str, Any], BoardSpec], bool] = _always


@click.command("setup")
@click.option("--board", help="Name of the board file.")
@click.option("--country", help="Two letters of ISO 3166-1; proposes what its rules say.")
@click.option("--phases", type=click.IntRange(1, 3), help="Phases of the circuit.")
@click.option("--voltage", type=VOLTS, help="Supply voltage to neutral, with its unit: 230V.")
@click.option("--cable", type=click.Choice([SOCKET, TETHERED]), help="A socket, or a fixed cable.")
@click.option("--cable-rating", type=AMPERES, help="What the fixed cable carries, with its unit.")
@click.option("--capacity", type=AMPERES, help="What the circuit carries, with its unit: 32A.")
@click.option("--rcd-type", help="Residual current device in the distribution board: a, f, a_rdc_dd, b or none.")
@click.option("--rcd-retries", type=int, help="How often the box may reset a residual current trip by itself.")
@click.option("--random-delay", type=int, help="Default of the random delay of starts, in seconds.")
@click.option("--ventilated/--not-ventilated", default=None, help="Whether the room may serve vehicles in state D.")
@click.option("--meter", help="Model of the meter, board for the board's own, or none.")
@click.option("--meter-port", help="Serial device of the meter.")
@click.option("--meter-unit", type=int, help="Modbus unit of the meter.")
@click.option("--meter-baud", type=int, help="Speed of the meter's line.")
@click.option("--meter-parity", type=PARITY, help="Parity of the meter's line.")
@click.option("--set-pin-stdin", is_flag=True, help="Make the next line of the input the installer PIN.")
@click.option("--yes", is_flag=True, help="Ask nothing: options first, then what is set, then what is proposed.")
@installer_options
@click.pass_context
def command(context: click.Context, /, *, yes: bool, set_pin_stdin: bool, **options: Any) -> None:
    """Set up a box: board, supply, country's rules, cable, protection, meter and capacity.

    Asks for what no option says. Whoever stops in the middle finds the answers again the next time.
    """
    from evse_pi.installer.office import Refused

    desk = desk_of(chosen(context, options["state_dir"], options["run_dir"]))
    try:
        desk.office.folder.mkdir(parents=True, exist_ok=True)
        who = desk.who(options["name"], pin_stdin=options["pin_stdin"], wish="setup")
        pin = sys.stdin.readline().strip() if set_pin_stdin else None
        answers = Answers(desk, {key: value for key, value in options.items() if value is not None})
        board, installation = answers.collect(ask_people=not yes)
        changed_board = desk.office.board_name() not in (board.name, None)
        if pin is not None:
            desk.office.choose_pin(pin, who)
        desk.office.set_up(board, installation, who)
        answers.forget()
    except click.Abort as error:
        raise BoxError("setup broken off; the answers are kept, go on with: evse-pi setup") from error
    except (Refused, OSError) as error:
        raise BoxError(str(error)) from error
    state = desk.put_in_force()
    if changed_board and state == "in force":
        state = f"written; the board changed, restart the box: {_restart(desk)}"
    pin_set = desk.office.pin.is_set
    facts = {
        "board": board.name,
        **values_of(installation),
        "by": who.name,
        "right": who.right,
        "pin_set": pin_set,
        "audit": desk.office.trail().state(),
        "state": state,
    }
    rows = [
        *rows_of(board, installation),
        ("set up by", f"{who.name} ({who.right})"),
        ("installer PIN", "set" if pin_set else "none; only root is installer"),
        ("state", state),
    ]
    show(facts, rows, as_json=options["as_json"])


class Answers:
    """What is known so far: options, then the draft of an interrupted setup, then what is set, then proposals."""

    def __init__(self, desk: Desk, options: dict[str, Any]) -> None:
        self._desk = desk
        self._options = options
        self._draft = desk.office.folder / DRAFT
        self._given = {**_read_draft(self._draft), **options}

    def collect(self, *, ask_people: bool) -> tuple[BoardSpec, Installation]:
        """Return board and installation. Raises: BoxError naming the option that is missing or wrong."""
        from evse_pi.core.installation import Installation
        from evse_pi.installer.office import Refused

        first = Question("board", "Board", str, lambda *_: self._desk.office.board_name() or _only_board(self._desk))
        known = {"board": self._answer(first, {}, None, ask_people=ask_people)}
        board = load(known["board"])
        try:
            former = known_from(self._desk.office.installation(board))
        except Refused:
            former = {}
        for question in _questions():
            if question.asked(known, board) or question.key in self._options:
                if question.key in former and question.key not in self._given:
                    question = _proposing(question, former[question.key])
                known[question.key] = self._answer(question, known, board, ask_people=ask_people)
        _check_cable(known, board)
        return board, Installation(**_entries(known))

    def forget(self) -> None:
        """Drop the draft of a setup that is complete."""
        self._draft.unlink(missing_ok=True)

    def _answer(self, question: Question, known: dict[str, Any], board: BoardSpec | None, *, ask_people: bool) -> Any:
        given = self._given.get(question.key)
        proposed = given if given is not None else question.proposed(known, board)  # type: ignore[arg-type]
        if question.key in self._options:
            return proposed
        if not ask_people:
            if proposed is None:
                raise click.UsageError(f"--{question.key.replace('_', '-')} is missing: {question.text}")
            return proposed
        shown = _written(question.kind, proposed)
        answer = click.prompt(question.text, default=shown, type=question.kind, err=True)
        self._given[question.key] = answer
        self._keep()
        return answer

    def _keep(self) -> None:
        from evse_pi.config import write_atomically

        kept = {key: value for key, value in self._given.items() if key in _keys()}
        write_atomically(self._draft, json.dumps(kept).encode(), 0o600)


def _check_cable(known: dict[str, Any], board: BoardSpec) -> None:
    if known["cable"] == TETHERED:
        return
    if board.proximity is None:
        raise BoxError(
            f"cable: socket is not allowed; board {board.name} reads no proximity contact, so that nobody would know "
            f"what a loose cable carries; allowed is {TETHERED}"
        )
    if "cable_rating" in known:
        raise BoxError("cable_rating: not allowed with a socket, where each cable says what it carries")


def _questions() -> tuple[Question, ...]:
    from evse_pi.core.country import profile_of
    from evse_pi.core.installation import DETECTS_DC, RcdType

    def rcd(known: dict[str, Any], board: BoardSpec) -> str | None:
        from boards.spec import NotFitted

        if isinstance(board.rcd, NotFitted):
            return DETECTS_DC[1].value
        return RcdType.A.value if profile_of(known["country"]).upstream_rcd else RcdType.NONE.value

    def own_meter(known: dict[str, Any], _: BoardSpec) -> bool:
        return known["meter"] not in ("board", "none")

    kinds = click.Choice([kind.value for kind in RcdType if kind.value])
    return (
        Question("country", "Country (two letters)", str, lambda *_: None),
        Question("phases", "Phases of the circuit", click.IntRange(1, 3), lambda _, board: board.phases),
        Question("voltage", "Supply voltage", VOLTS, lambda known, _: profile_of(known["country"]).voltage_mv),
        Question(
            "cable",
            "Socket, or fixed cable",
            click.Choice([SOCKET, TETHERED]),
            lambda _, board: SOCKET if board.proximity else TETHERED,
        ),
        Question(
            "cable_rating",
            "The fixed cable carries",
            AMPERES,
            lambda _, board: board.rated_current_ma,
            lambda known, _: known["cable"] == TETHERED,
        ),
        Question("capacity", "The circuit carries", AMPERES, lambda *_: None),
        Question("rcd_type", "RCD in the distribution board", kinds, rcd),
        Question(
            "rcd_retries",
            "Times the box may reset a residual current trip by itself",
            int,
            lambda *_: 0,
            lambda known, _: profile_of(known["country"]).reclosing,
        ),
        Question(
            "random_delay",
            "Random delay of starts, at most (s)",
            int,
            lambda known, _: profile_of(known["country"]).random_delay_s,
        ),
        Question("ventilated", "Room ventilated for vehicles in state D", bool, lambda *_: False),
        Question("meter", "Meter: board, none or a model", str, lambda _, board: "board" if board.meter else "none"),
        Question("meter_port", "Serial device of the meter", str, lambda *_: "/dev/serial0", own_meter),
        Question("meter_unit", "Modbus unit of the meter", int, lambda *_: 1, own_meter),
        Question("meter_baud", "Speed of the meter's line", int, lambda *_: 9_600, own_meter),
        Question("meter_parity", "Parity of the meter's line", PARITY, lambda *_: "N", own_meter),
    )


_ENTRIES = {
    "country": "country",
    "phases": "phases",
    "voltage": "nominal_voltage_mv",
    "cable_rating": "tethered_cable_ma",
    "capacity": "circuit_capacity_ma",
    "rcd_type": "rcd_type",
    "rcd_retries": "rcd_reclosures",
    "random_delay": "random_delay_s",
    "ventilated": "ventilated",
    "meter": "meter_model",
    "meter_port": "meter_port",
    "meter_unit": "meter_unit",
    "meter_baud": "meter_baud",
    "meter_parity": "meter_parity",
}
"""Which entry of the installation a question answers."""


def values_of(installation: Installation) -> dict[str, Any]:
    """Return every entry of an installation by its name."""
    return {field.name: getattr(installation, field.name) for field in fields(installation)}


def known_from(installation: Installation) -> dict[str, Any]:
    """Return the answers that an installation came from."""
    known = {key: getattr(installation, entry) for key, entry in _ENTRIES.items()}
    known["cable"] = TETHERED if installation.tethered_cable_ma else None
    return {key: value for key, value in known.items() if value not in (None, "")}


def rows_of(board: BoardSpec, installation: Installation) -> list[tuple[str, str]]:
    """Return an installation as people read it."""
    cable = f"fixed cable, {amps(installation.tethered_cable_ma)}" if installation.tethered_cable_ma else (
        "socket; the cable says what it carries" if board.proximity else f"fixed cable, {amps(board.rated_current_ma)}"
    )  # fmt: skip
    retries = installation.rcd_reclosures
    meter = installation.meter_model
    if meter == "board":
        meter = f"{board.meter.model.value} at {board.meter.port} (the board's own)" if board.meter else "none"
    elif meter != "none":
        model, port, unit, baud, parity = installation.meter
        meter = f"{model} at {port}, unit {unit}, {baud} baud, parity {parity}"
    return [
        ("board", f"{board.name}: {board.title}"),
        ("circuit capacity", amps(installation.circuit_capacity_ma)),
        ("supply", f"{installation.phases} phase(s), {installation.nominal_voltage_mv // 1000} V"),
        ("cable", cable),
        ("country", installation.country),
        ("RCD upstream", installation.rcd_type or "not stated"),
        ("RCD retries", str(retries) if retries else "none; a person resets a trip"),
        ("random delay", f"up to {installation.random_delay_s} s" if installation.random_delay_s else "none"),
        ("ventilation", "state D is served" if installation.ventilated else "state D is refused"),
        ("meter", meter),
    ]


def _keys() -> set[str]:
    return {"board", "cable", *_ENTRIES}


def _entries(known: dict[str, Any]) -> dict[str, Any]:
    return {entry: known[key] for key, entry in _ENTRIES.items() if key in known}


def _proposing(question: Question, value: Any) -> Question:
    return Question(question.key, question.text, question.kind, lambda *_: value, question.asked)


def _written(kind: Any, value: Any) -> Any:
    """Return a proposal as a person would type it."""
    if value is None or kind not in (AMPERES, VOLTS):
        return value
    return f"{value / 1000:g}{'A' if kind is AMPERES else 'V'}"


def _read_draft(file: Path) -> dict[str, Any]:
    try:
        found = json.loads(file.read_bytes())
    except (OSError, ValueError):
        return {}
    return {key: value for key, value in found.items() if key in _keys()} if isinstance(found, dict) else {}


def _only_board(desk: Desk) -> str | None:
    """Return the board of a box that is nobody's but the person's at the terminal: a simulated one."""
    return None if desk.places.state_dir == SYSTEM_STATE else SIMULATED


def _restart(desk: Desk) -> str:
    if desk.places.state_dir == SYSTEM_STATE:
        return "sudo systemctl restart evse-pi-safety evse-pi-node"
    return "end `evse-pi run` and start it again"
