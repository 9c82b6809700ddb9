"""`evse-pi setup`: from a new box to one that may charge."""

from __future__ import annotations

import json
import sys
from dataclasses import fields
from typing import TYPE_CHECKING, Any

import click

from evse_pi.api.client import BoxError
from evse_pi.api.texts.catalogue import tr
from evse_pi.api.texts.quantities import exact_amps
from evse_pi.cli.choices import boards, meters, purposes, rcd_types, serial_ports
from evse_pi.cli.installer_commands import installer_options, show
from evse_pi.cli.options import chosen
from evse_pi.cli.quantity_types import AMPERES, VOLTS
from evse_pi.cli.questions import (
    CABLES,
    COUNTRY,
    KEYS,
    NOTHING_KNOWN,
    PARITY,
    PHASES,
    Question,
    entries,
    known_from,
    problem,
    questions,
    written,
)
from evse_pi.cli.text_layout import paragraph
from evse_pi.installer.installer_client import SIMULATED, installer_client_of, load
from evse_pi.paths import SYSTEM_STATE

if TYPE_CHECKING:
    from pathlib import Path

    from boards.spec import BoardSpec, MeterSpec
    from evse_pi.cli.questions import HouseAnswers
    from evse_pi.core.installation_limits import Installation
    from evse_pi.installer.installer_client import InstallerClient

DRAFT = "setup.draft.json"


@click.command("setup")
@click.option("--board", shell_complete=boards, help=tr("Name of the board file."))
@click.option(
    "--purpose",
    shell_complete=purposes,
    help=tr("What it is for: vehicles, or bench for a board fit for nothing else."),
)
@click.option("--country", type=COUNTRY, help=tr("Two letters of ISO 3166-1; proposes what its rules say."))
@click.option("--phases", type=PHASES, help=tr("Phases of the circuit."))
@click.option("--voltage", type=VOLTS, help=tr("Supply voltage to neutral, with its unit: 230V."))
@click.option("--open-pen", help=tr("What protects where neutral and earth break: electrode or external_device."))
@click.option("--earthing", help=tr("Earthing of the supply: tn, tt or it."))
@click.option("--cable", type=CABLES, help=tr("A socket, or a fixed cable."))
@click.option("--cable-rating", type=AMPERES, help=tr("What the fixed cable carries, with its unit."))
@click.option("--shutters/--no-shutters", default=None, help=tr("Whether the socket has shutters."))
@click.option("--capacity", type=AMPERES, help=tr("What the circuit carries, with its unit: 32A."))
@click.option(
    "--rcd-type",
    shell_complete=rcd_types,
    help=tr("Residual current device in the distribution board: a, f, a_rdc_dd, b or none."),
)
@click.option("--rcd-reclosures", type=int, help=tr("How often the box may reset a residual current trip by itself."))
@click.option("--rcd-retries", type=int, hidden=True, help=tr("The former spelling of --rcd-reclosures."))
@click.option(
    "--shunt-release/--no-shunt-release",
    default=None,
    help=tr("Whether a release upstream trips on a welded contactor."),
)
@click.option("--random-delay", type=int, help=tr("Default of the random delay of starts, in seconds."))
@click.option("--ventilated/--not-ventilated", default=None, help=tr("Whether the room may serve vehicles in state D."))
@click.option("--meter", shell_complete=meters, help=tr("Model of the meter, board for the board's own, or none."))
@click.option("--meter-port", shell_complete=serial_ports, help=tr("Serial device of the meter."))
@click.option("--meter-unit", type=int, help=tr("Modbus unit of the meter."))
@click.option("--meter-baud", type=int, help=tr("Speed of the meter's line."))
@click.option("--meter-parity", type=PARITY, help=tr("Parity of the meter's line."))
@click.option("--meter-inverted/--meter-not-inverted", default=None, help=tr("Whether its current is inverted."))
@click.option("--neutral/--no-neutral", default=None, help=tr("Whether the circuit has a neutral."))
@click.option("--set-pin-stdin", is_flag=True, help=tr("Make the next line of the input the installer PIN."))
@click.option("--yes", is_flag=True, help=tr("Ask nothing: options first, then what is set, then what is proposed."))
@installer_options
@click.pass_context
def command(context: click.Context, /, *, yes: bool, set_pin_stdin: bool, **options: Any) -> None:
    """Set up a box: board, supply, country's rules, cable, protection, meter and capacity.

    Asks for what no option says. Answers given before a break are proposed again the next time.
    """
    from evse_pi.installer.box_settings import ChangeRefused

    installer = installer_client_of(chosen(context, options["state_dir"], options["run_dir"]))
    former = options.pop("rcd_retries")
    if options["rcd_reclosures"] is None:
        options["rcd_reclosures"] = former
    try:
        installer.box_settings.folder.mkdir(parents=True, exist_ok=True)
        who = installer.who(options["name"], pin_stdin=options["pin_stdin"], wish="setup")
        pin = sys.stdin.readline().strip() if set_pin_stdin else None
        given = {key: value for key, value in options.items() if value is not None}
        answers = SetupAnswers(installer, given, ask_people=not yes)
        board, installation = answers.collect()
        changed_board = installer.box_settings.board_name() not in (board.name, None)
        if pin is not None:
            installer.box_settings.choose_pin(pin, who)
        installer.box_settings.set_up(board, installation, who)
        answers.forget()
    except click.Abort as error:
        raise BoxError(tr("setup broken off; the answers are kept, go on with: evse-pi setup")) from error
    except (ChangeRefused, OSError) as error:
        raise BoxError(str(error)) from error
    state = installer.put_in_force()
    if changed_board and state == tr("in force"):
        state = tr("written; the board changed, restart the box: {restart}").format(restart=_restart(installer))
    pin_set = installer.box_settings.pin.is_set
    facts = {
        "board": board.name,
        **values_of(installation),
        "by": who.name,
        "right": who.right,
        "pin_set": pin_set,
        "audit": installer.box_settings.trail().state(),
        "state": state,
    }
    rows = [
        *rows_of(board, installation),
        (tr("set up by"), f"{who.name} ({who.right})"),
        (tr("installer PIN"), "set" if pin_set else tr("none; only root is installer")),
        (tr("state"), state),
    ]
    show(facts, rows, as_json=options["as_json"])


class SetupAnswers:
    """What is known so far: options, then the draft of an interrupted setup, then what is set, then proposals."""

    def __init__(self, installer: InstallerClient, options: dict[str, Any], *, ask_people: bool) -> None:
        self._installer = installer
        self._options = options
        self._ask_people = ask_people
        self._draft = installer.box_settings.folder / DRAFT
        self._given = {**_read_draft(self._draft), **options}

    def collect(self) -> tuple[BoardSpec, Installation]:
        """Return board and installation. Raises: BoxError naming the option that is missing or wrong."""
        from evse_pi.core.installation_limits import Installation
        from evse_pi.installer.box_settings import ChangeRefused

        board = self._board()
        try:
            former = known_from(self._installer.box_settings.installation(board))
        except ChangeRefused:
            former = NOTHING_KNOWN
        known = NOTHING_KNOWN
        for question in questions():
            if question.asked(known, board) or question.key in self._options:
                proposed = getattr(former, question.key)
                if proposed is None:
                    proposed = question.proposed(known, board)
                known = self._take(question, proposed, known, board)
            elif question.kept:
                known = known.with_answer(question.key, getattr(former, question.key))
        return board, Installation(**entries(known))

    def forget(self) -> None:
        """Drop the draft of a setup that is complete."""
        self._draft.unlink(missing_ok=True)

    def _board(self) -> BoardSpec:
        from boards.loader import board_files

        names = ", ".join(sorted(board_files()))
        first = Question("board", tr("Board ({names})").format(names=names), str, lambda *_: None)
        proposed = self._installer.box_settings.board_name() or _only_board(self._installer)
        while True:
            try:
                return load(self._answer(first, proposed))
            except BoxError as error:
                self._again(first, str(error))

    def _take(self, question: Question, proposed: Any, known: HouseAnswers, board: BoardSpec) -> HouseAnswers:
        """Have one question answered so that it can be; return what is known with it."""
        while True:
            answered = known.with_answer(question.key, self._answer(question, proposed))
            wrong = problem(question.key, answered, board)
            if wrong is None:
                return answered
            self._again(question, wrong)

    def _answer(self, question: Question, proposed: Any) -> Any:
        given = self._given.get(question.key)
        proposed = given if given is not None else proposed
        if question.key in self._options:
            return proposed
        if not self._ask_people:
            if proposed is None:
                raise click.UsageError(
                    tr("--{replace} is missing: {text}").format(
                        replace=question.key.replace("_", "-"), text=question.text
                    )
                )
            return proposed
        answer = click.prompt(question.text, default=written(question.kind, proposed), type=question.kind, err=True)
        self._given[question.key] = answer
        self._keep()
        return answer

    def _again(self, question: Question, wrong: str) -> None:
        """Tell what is wrong with an answer, so that it is asked again. Raises: BoxError without a terminal."""
        if question.key in self._options or not self._ask_people:
            raise BoxError(wrong)
        click.echo("\n".join(paragraph(wrong)), err=True)
        self._given.pop(question.key, None)
        self._keep()

    def _keep(self) -> None:
        from evse_pi.installation.files import write_atomically

        kept = {key: value for key, value in self._given.items() if key in KEYS}
        write_atomically(self._draft, json.dumps(kept).encode(), 0o600)


def values_of(installation: Installation) -> dict[str, Any]:
    """Return every entry of an installation by its name."""
    return {field.name: getattr(installation, field.name) for field in fields(installation)}


def rows_of(board: BoardSpec, installation: Installation) -> list[tuple[str, str]]:
    """Return an installation as people read it."""
    from evse_pi.core.installation_limits import Purpose

    reclosures, bench = installation.rcd_reclosures, installation.purpose == Purpose.BENCH.value
    delay = tr("up to {random_delay_s} s") if installation.random_delay_s else tr("none")
    return [
        (tr("board"), f"{board.name}: {board.title}"),
        (tr("circuit capacity"), exact_amps(installation.circuit_capacity_ma)),
        (tr("supply"), _supply(installation)),
        (tr("earthing"), _earthing(installation)),
        (tr("cable"), _cable(board, installation)),
        (tr("country"), _country(installation.country)),
        (tr("RCD upstream"), installation.rcd_type or tr("not stated")),
        (tr("RCD reclosures"), str(reclosures) if reclosures else tr("none; a person resets a trip")),
        (
            tr("on a weld"),
            tr("a release upstream trips") if installation.shunt_release else tr("the box tells it, nothing trips"),
        ),
        (tr("random delay"), delay.format(random_delay_s=installation.random_delay_s)),
        (tr("ventilation"), tr("state D is served") if installation.ventilated else tr("state D is refused")),
        (tr("meter"), _meter(board, installation)),
        (tr("purpose"), tr("a bench set-up; never connect a vehicle") if bench else tr("charges vehicles")),
    ]


def _supply(installation: Installation) -> str:
    told = (
        tr("{phases} phase(s), {volts} V")
        if installation.neutral
        else tr("{phases} phase(s), {volts} V between lines, no neutral")
    )
    return told.format(phases=installation.phases, volts=installation.nominal_voltage_mv // 1000)


def _cable(board: BoardSpec, installation: Installation) -> str:
    tethered_ma = installation.tethered_cable_ma or (None if board.proximity else board.rated_current_ma)
    if tethered_ma is not None:
        return tr("fixed cable, {exact_amps}").format(exact_amps=exact_amps(tethered_ma))
    return tr("socket; the cable says what it carries") + (tr(" (with shutters)") if installation.shutters else "")


def _meter(board: BoardSpec, installation: Installation) -> str:
    from evse_pi.installation.files import meter_tells_totals_only

    told = tr("none")
    if installation.meter_model == "board" and board.meter:
        model, port = board.meter.model.value, _port(board.meter)
        told = tr("{model} at {port} (the board's own)").format(model=model, port=port)
    elif installation.meter_model not in ("board", "none"):
        model, port, unit, baud, parity, *_ = installation.meter
        told = tr("{model} at {port}, unit {unit}, {baud} baud, parity {parity}").format(
            model=model, port=port, unit=unit, baud=baud, parity=parity
        )
    if installation.meter_inverted:
        told += tr(", current inverted")
    if meter_tells_totals_only(board, installation):
        told += tr("; it tells no currents and voltages, which nothing compares with the offer or the supply")
    return told


def _country(code: str) -> str:
    from evse_pi.core.installation_rules import rules_known

    return (
        code
        if rules_known(code)
        else tr("{code}; no rule of it is known here, its installer answers for them").format(code=code)
    )


def _earthing(installation: Installation) -> str:
    open_pen = {"electrode": tr("an electrode"), "external_device": tr("an external device")}.get(installation.open_pen)
    broken = tr("; {open_pen} for a broken neutral and earth").format(open_pen=open_pen) if open_pen else ""
    return (installation.earthing.upper() or tr("not stated")) + broken


def _port(meter: MeterSpec) -> str:
    from boards.spec import HEADER

    return tr("the header's UART") if meter.port == HEADER else meter.port


def _read_draft(file: Path) -> dict[str, Any]:
    try:
        found = json.loads(file.read_bytes())
    except (OSError, ValueError):
        return {}
    return {key: value for key, value in found.items() if key in KEYS} if isinstance(found, dict) else {}


def _only_board(installer: InstallerClient) -> str | None:
    """Return the board of a box that belongs to the user at the terminal: a simulated one."""
    return None if installer.paths.state_dir == SYSTEM_STATE else SIMULATED


def _restart(installer: InstallerClient) -> str:
    if installer.paths.state_dir == SYSTEM_STATE:
        return "sudo systemctl restart evse-pi-safety evse-pi-node"
    return tr("end `evse-pi run` and start it again")
