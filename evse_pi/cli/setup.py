"""`evse-pi setup`: from a new box to one that may charge."""

from __future__ import annotations

import json
import sys
from dataclasses import fields
from typing import TYPE_CHECKING, Any

import click

from evse_pi.api.client import BoxError
from evse_pi.api.texts.quantities import exact_amps
from evse_pi.cli.choices import boards, meters, purposes, rcd_types, serial_ports
from evse_pi.cli.installer_commands import installer_options, show
from evse_pi.cli.options import chosen
from evse_pi.cli.quantity_types import AMPERES, VOLTS
from evse_pi.cli.questions import (
    CABLES,
    COUNTRY,
    KEYS,
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
    from evse_pi.core.installation_limits import Installation
    from evse_pi.installer.installer_client import InstallerClient

DRAFT = "setup.draft.json"


@click.command("setup")
@click.option("--board", shell_complete=boards, help="Name of the board file.")
@click.option(
    "--purpose", shell_complete=purposes, help="What it is for: vehicles, or bench for a board fit for nothing else."
)
@click.option("--country", type=COUNTRY, help="Two letters of ISO 3166-1; proposes what its rules say.")
@click.option("--phases", type=PHASES, help="Phases of the circuit.")
@click.option("--voltage", type=VOLTS, help="Supply voltage to neutral, with its unit: 230V.")
@click.option("--open-pen", help="What protects where neutral and earth break: electrode or external_device.")
@click.option("--earthing", help="Earthing of the supply: tn, tt or it.")
@click.option("--cable", type=CABLES, help="A socket, or a fixed cable.")
@click.option("--cable-rating", type=AMPERES, help="What the fixed cable carries, with its unit.")
@click.option("--shutters/--no-shutters", default=None, help="Whether the socket has shutters.")
@click.option("--capacity", type=AMPERES, help="What the circuit carries, with its unit: 32A.")
@click.option(
    "--rcd-type",
    shell_complete=rcd_types,
    help="Residual current device in the distribution board: a, f, a_rdc_dd, b or none.",
)
@click.option("--rcd-retries", type=int, help="How often the box may reset a residual current trip by itself.")
@click.option(
    "--shunt-release/--no-shunt-release", default=None, help="Whether a release upstream trips on a welded contactor."
)
@click.option("--random-delay", type=int, help="Default of the random delay of starts, in seconds.")
@click.option("--ventilated/--not-ventilated", default=None, help="Whether the room may serve vehicles in state D.")
@click.option("--meter", shell_complete=meters, help="Model of the meter, board for the board's own, or none.")
@click.option("--meter-port", shell_complete=serial_ports, help="Serial device of the meter.")
@click.option("--meter-unit", type=int, help="Modbus unit of the meter.")
@click.option("--meter-baud", type=int, help="Speed of the meter's line.")
@click.option("--meter-parity", type=PARITY, help="Parity of the meter's line.")
@click.option("--meter-inverted/--meter-not-inverted", default=None, help="Whether its current is inverted.")
@click.option("--neutral/--no-neutral", default=None, help="Whether the circuit has a neutral.")
@click.option("--set-pin-stdin", is_flag=True, help="Make the next line of the input the installer PIN.")
@click.option("--yes", is_flag=True, help="Ask nothing: options first, then what is set, then what is proposed.")
@installer_options
@click.pass_context
def command(context: click.Context, /, *, yes: bool, set_pin_stdin: bool, **options: Any) -> None:
    """Set up a box: board, supply, country's rules, cable, protection, meter and capacity.

    Asks for what no option says. Answers given before a break are proposed again the next time.
    """
    from evse_pi.installer.box_settings import ChangeRefused

    installer = installer_client_of(chosen(context, options["state_dir"], options["run_dir"]))
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
        raise BoxError("setup broken off; the answers are kept, go on with: evse-pi setup") from error
    except (ChangeRefused, OSError) as error:
        raise BoxError(str(error)) from error
    state = installer.put_in_force()
    if changed_board and state == "in force":
        state = f"written; the board changed, restart the box: {_restart(installer)}"
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
        ("set up by", f"{who.name} ({who.right})"),
        ("installer PIN", "set" if pin_set else "none; only root is installer"),
        ("state", state),
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
            former = {}
        known: dict[str, Any] = {}
        for question in questions():
            if question.asked(known, board) or question.key in self._options:
                proposed = former.get(question.key)
                if proposed is None:
                    proposed = question.proposed(known, board)
                self._take(question, proposed, known, board)
            elif question.kept and question.key in former:
                known[question.key] = former[question.key]
        return board, Installation(**entries(known))

    def forget(self) -> None:
        """Drop the draft of a setup that is complete."""
        self._draft.unlink(missing_ok=True)

    def _board(self) -> BoardSpec:
        from boards.loader import board_files

        names = ", ".join(sorted(board_files()))
        first = Question("board", f"Board ({names})", str, lambda *_: None)
        proposed = self._installer.box_settings.board_name() or _only_board(self._installer)
        while True:
            try:
                return load(self._answer(first, proposed))
            except BoxError as error:
                self._again(first, str(error))

    def _take(self, question: Question, proposed: Any, known: dict[str, Any], board: BoardSpec) -> None:
        """Have one question answered so that it can be, and add it to what is known."""
        while True:
            known[question.key] = self._answer(question, proposed)
            wrong = problem(question.key, known, board)
            if wrong is None:
                return
            self._again(question, wrong)

    def _answer(self, question: Question, proposed: Any) -> Any:
        given = self._given.get(question.key)
        proposed = given if given is not None else proposed
        if question.key in self._options:
            return proposed
        if not self._ask_people:
            if proposed is None:
                raise click.UsageError(f"--{question.key.replace('_', '-')} is missing: {question.text}")
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
    from evse_pi.installation.files import meter_tells_totals_only

    tethered_ma = installation.tethered_cable_ma or (None if board.proximity else board.rated_current_ma)
    cable = (
        "socket; the cable says what it carries" if tethered_ma is None else f"fixed cable, {exact_amps(tethered_ma)}"
    )
    retries, bench = installation.rcd_reclosures, installation.purpose == Purpose.BENCH.value
    meter = installation.meter_model
    if meter == "board":
        meter = f"{board.meter.model.value} at {_port(board.meter)} (the board's own)" if board.meter else "none"
    elif meter != "none":
        model, port, unit, baud, parity, *_ = installation.meter
        meter = f"{model} at {port}, unit {unit}, {baud} baud, parity {parity}"
    if installation.meter_inverted:
        meter += ", current inverted"
    if meter_tells_totals_only(board, installation):
        meter += "; it tells no currents and voltages, which nothing compares with the offer or the supply"
    between = "" if installation.neutral else " between lines, no neutral"
    return [
        ("board", f"{board.name}: {board.title}"),
        ("circuit capacity", exact_amps(installation.circuit_capacity_ma)),
        ("supply", f"{installation.phases} phase(s), {installation.nominal_voltage_mv // 1000} V{between}"),
        ("earthing", _earthing(installation)),
        ("cable", cable + (" (with shutters)" if installation.shutters and tethered_ma is None else "")),
        ("country", _country(installation.country)),
        ("RCD upstream", installation.rcd_type or "not stated"),
        ("RCD retries", str(retries) if retries else "none; a person resets a trip"),
        ("on a weld", "a release upstream trips" if installation.shunt_release else "the box tells it, nothing trips"),
        ("random delay", f"up to {installation.random_delay_s} s" if installation.random_delay_s else "none"),
        ("ventilation", "state D is served" if installation.ventilated else "state D is refused"),
        ("meter", meter),
        ("purpose", "a bench set-up; never connect a vehicle" if bench else "charges vehicles"),
    ]


def _country(code: str) -> str:
    from evse_pi.core.installation_rules import rules_known

    return code if rules_known(code) else f"{code}; no rule of it is known here, its installer answers for them"


def _earthing(installation: Installation) -> str:
    open_pen = {"electrode": "an electrode", "external_device": "an external device"}.get(installation.open_pen)
    broken = f"; {open_pen} for a broken neutral and earth" if open_pen else ""
    return (installation.earthing.upper() or "not stated") + broken


def _port(meter: MeterSpec) -> str:
    from boards.spec import HEADER

    return "the header's UART" if meter.port == HEADER else meter.port


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
    return "end `evse-pi run` and start it again"
