"""`evse-pi calibrate`: how the codes of the pilot's converter become volts, measured on this very box."""

from __future__ import annotations

import json
from contextlib import closing, contextmanager
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from evse_pi.api.client import BoxError, ask, stream
from evse_pi.api.orders import PERMIT, STOP
from evse_pi.api.status import STATUS, WATCH
from evse_pi.api.texts.catalogue import tr
from evse_pi.cli.installer_commands import installer_options, self_tested, show, wait_until
from evse_pi.cli.options import chosen, json_option, of_a_box
from evse_pi.cli.quantity_types import VOLTS
from evse_pi.core.fault_kinds import Check
from evse_pi.core.states import PilotMode
from evse_pi.installer.installer_client import installer_client_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from evse_pi.api.status import Pilot
    from evse_pi.installer.calibration import Point
    from evse_pi.installer.installer_client import InstallerClient
    from evse_pi.paths import Paths

DRAFT = "calibration.draft.json"
READINGS = 4
STEADY_WITHIN_S = 20.0
NAMES = ("open", "9V", "6V", "3V", "-12V")


@click.group("calibrate", invoke_without_command=True)
@installer_options
@click.pass_context
def command(context: click.Context, /, **options: Any) -> None:
    """Measure known voltages with the running box, and correct its reading by them.

    Without a word more it leads through all references; keep a voltmeter between pilot and earth. What is measured
    is kept, so that the steps may also be taken one by one: measure, show, apply, drop.
    """
    context.obj = chosen(context, options["state_dir"], options["run_dir"])
    if context.invoked_subcommand is None:
        _guide(context, options)


@command.command("measure")
@click.argument("reference", type=click.Choice(NAMES))
@click.option(
    "--true", "true_mv", type=VOLTS, help=tr("What the voltmeter shows, with its unit; else the nominal value.")
)
@installer_options
@click.pass_context
def measure(context: click.Context, /, *, reference: str, true_mv: int | None, **options: Any) -> None:
    """Measure one reference that is on the pilot now.

    Examples: evse-pi calibrate measure 9V --true 8.94V; evse-pi calibrate measure -- -12V --true -11.93V
    """
    installer = installer_client_of(chosen(context, options["state_dir"], options["run_dir"]))
    installer.who(options["name"], pin_stdin=options["pin_stdin"], wish=f"measure {reference}")
    with _stopped(installer):
        point, read_mv = _measured(installer, reference, true_mv)
    facts = {"reference": reference, "true_mv": point.true_mv, "read_mv": read_mv, "error_mv": read_mv - point.true_mv}
    show(facts, [_row(reference, point.true_mv, read_mv)], as_json=options["as_json"])


@command.command("show")
@json_option()
@of_a_box
def show_calibration(*, box: Paths, as_json: bool) -> None:
    """Show the scale in use, and what has been measured and not yet applied."""
    from evse_pi.installer.box_settings import ChangeRefused

    installer = installer_client_of(box)
    board = installer.board()
    try:
        own = installer.box_settings.calibration(board)
    except ChangeRefused as error:
        raise BoxError(str(error)) from error
    scale = own or board.pilot_adc.scale
    points = _read_draft(installer)
    facts = {
        "gain_uv_per_code": scale.gain_uv_per_code,
        "offset_mv": scale.offset_mv,
        "measured": own is not None,
        "draft": {name: {"true_mv": each.true_mv, "codes": list(each.codes)} for name, each in points.items()},
    }
    source = tr("measured on this box") if own else tr("of the board file")
    rows = [
        (
            tr("scale"),
            tr("{gain_uv_per_code} uV per code, {offset_mv} mV at code 0, {source}").format(
                gain_uv_per_code=scale.gain_uv_per_code, offset_mv=scale.offset_mv, source=source
            ),
        )
    ]
    rows += [_row(name, each.true_mv, scale.millivolts(round(each.code))) for name, each in points.items()]
    show(facts, rows, as_json=as_json)


@command.command("apply")
@installer_options
@click.pass_context
def apply(context: click.Context, /, **options: Any) -> None:
    """Put the line through what was measured into use; refused, with numbers, when it cannot be right."""
    installer = installer_client_of(chosen(context, options["state_dir"], options["run_dir"]))
    who = installer.who(options["name"], pin_stdin=options["pin_stdin"], wish="calibration")
    _apply(installer, who, as_json=options["as_json"])


@command.command("drop")
@installer_options
@click.pass_context
def drop(context: click.Context, /, **options: Any) -> None:
    """Go back to the scale of the board file, and forget what was measured."""
    installer = installer_client_of(chosen(context, options["state_dir"], options["run_dir"]))
    who = installer.who(options["name"], pin_stdin=options["pin_stdin"], wish="drop the calibration")
    try:
        installer.box_settings.drop_calibration(installer.board(), who)
        _draft(installer).unlink(missing_ok=True)
    except OSError as error:
        raise BoxError(str(error)) from error
    state = installer.put_in_force()
    show({"dropped": True, "state": state}, [(tr("scale"), tr("of the board file")), (tr("state"), state)],
         as_json=options["as_json"])  # fmt: skip


def _guide(context: click.Context, options: dict[str, Any]) -> None:
    """Lead through all references, measure each, and apply the result."""
    from evse_pi.installer.calibration import REFERENCES, REQUIRED

    installer = installer_client_of(context.obj)
    who = installer.who(options["name"], pin_stdin=options["pin_stdin"], wish="calibration")
    _draft(installer).unlink(missing_ok=True)
    with _stopped(installer):
        for name in NAMES:
            reference = REFERENCES[name]
            optional = "" if name in REQUIRED else " (or: skip)"
            text = tr("{name}: {told}. The voltmeter shows{optional}").format(
                name=name, told=reference.told, optional=optional
            )
            answer = click.prompt(text, default=f"{reference.nominal_mv / 1000:g}V", err=True)
            if answer == "skip" and name not in REQUIRED:
                continue
            point, read_mv = _measured(installer, name, VOLTS.convert(answer, None, context))
            click.echo(f"    {_row(name, point.true_mv, read_mv)[1]}", err=True)
        _apply(installer, who, as_json=options["as_json"])


def _apply(installer: InstallerClient, who: Any, *, as_json: bool) -> None:
    from evse_pi.installer.box_settings import ChangeRefused
    from evse_pi.installer.calibration import CalibrationError, fit

    board = installer.board()
    try:
        former = installer.box_settings.calibration(board) or board.pilot_adc.scale
        result = fit(_read_draft(installer), board)
        installer.box_settings.set_calibration(board, result, who)
    except CalibrationError as error:
        raise BoxError(tr("{error}; the scale in use stays").format(error=error)) from error
    except (ChangeRefused, OSError) as error:
        raise BoxError(str(error)) from error
    _draft(installer).unlink(missing_ok=True)
    state = installer.put_in_force()
    facts = {"gain_uv_per_code": result.scale.gain_uv_per_code, "offset_mv": result.scale.offset_mv,
             "former": [former.gain_uv_per_code, former.offset_mv], "residuals_mv": dict(result.residuals_mv),
             "by": who.name, "state": state}  # fmt: skip
    residuals = ", ".join(f"{name} {each:+} mV" for name, each in result.residuals_mv.items())
    rows = [
        (
            tr("scale"),
            tr("{gain_uv_per_code} uV per code, {offset_mv} mV at code 0").format(
                gain_uv_per_code=result.scale.gain_uv_per_code, offset_mv=result.scale.offset_mv
            ),
        ),
        (
            tr("before"),
            tr("{gain_uv_per_code} uV per code, {offset_mv} mV at code 0").format(
                gain_uv_per_code=former.gain_uv_per_code, offset_mv=former.offset_mv
            ),
        ),
        (tr("left over"), residuals),
        (tr("state"), state),
    ]
    show(facts, rows, as_json=as_json)


def _measured(installer: InstallerClient, name: str, true_mv: int | None) -> tuple[Point, int]:
    """Measure one reference and keep it. Raises: BoxError."""
    from evse_pi.installer.calibration import REFERENCES, CalibrationError, point
    from hal.linear_scale import LinearScale

    read = _low_rail if name == "-12V" else _plateau
    read_mv, pilot = read(installer)
    scale = LinearScale(pilot.gain_uv_per_code, pilot.offset_mv)
    true_mv = REFERENCES[name].nominal_mv if true_mv is None else true_mv
    try:
        found = point(name, true_mv, read_mv, scale)
    except CalibrationError as error:
        raise BoxError(str(error)) from error
    _keep(installer, {**_read_draft(installer), name: found})
    return found, round(sum(read_mv) / len(read_mv))


def _plateau(installer: InstallerClient) -> tuple[list[int], Pilot]:
    """Return the level of a steady line, read several times. Raises: BoxError."""
    wait_until(
        installer.paths.control_socket,
        lambda now: now.pilot is not None and now.pilot.mode is PilotMode.HIGH,
        STEADY_WITHIN_S,
        tr("the pilot does not become steady"),
    )
    read: list[int] = []
    seen = None
    with closing(stream(installer.paths.control_socket, WATCH)) as changes:
        for now in changes:
            pilot = now.pilot
            if pilot is None or pilot.mode is not PilotMode.HIGH:
                raise BoxError(tr("the pilot did not stay steady while it was read; try again"))
            if (stamp := now.safety.ticks) != seen:
                seen = stamp
                read.append(pilot.high_mv)
            if len(read) > READINGS:
                return read[1:], pilot  # the first may be older than the reference
    raise BoxError(tr("the box closed the connection"))


def _low_rail(installer: InstallerClient) -> tuple[list[int], Pilot]:
    """Return what a self-test sees of −12 V, which is all there is to see of it. Raises: BoxError."""
    now = self_tested(installer.paths.control_socket)
    read = [each.measured for each in now.safety.evidence if each.check is Check.PILOT_LOW_RAIL]
    if not read or now.pilot is None:
        raise BoxError(tr("the self-test could not read the pilot; see: evse-pi status"))
    return read, now.pilot


@contextmanager
def _stopped(installer: InstallerClient) -> Iterator[None]:
    """Let the box offer nothing meanwhile, so that the pilot is steady. Raises: BoxError while a vehicle charges."""
    address = installer.paths.control_socket
    before = ask(address, STATUS)
    if before.contactor is None:
        raise BoxError(tr("the safety process does not answer"))
    if before.contactor.close_ordered:
        raise BoxError(tr("a vehicle charges; end that first"))
    permitted = before.owner.permitted
    if permitted:
        ask(address, STOP)
    try:
        yield
    finally:
        if permitted:
            ask(address, PERMIT)


def _row(name: str, true_mv: int, read_mv: int) -> tuple[str, str]:
    return name, tr("is {true_mv:.3f} V, read as {read_mv:.3f} V, {read_mv_2:+} mV").format(
        true_mv=true_mv / 1000, read_mv=read_mv / 1000, read_mv_2=read_mv - true_mv
    )


def _draft(installer: InstallerClient) -> Any:
    return installer.box_settings.folder / DRAFT


def _read_draft(installer: InstallerClient) -> dict[str, Point]:
    from evse_pi.installer.calibration import Point

    try:
        found = json.loads(_draft(installer).read_bytes())
        return {name: Point(name, int(each["true_mv"]), tuple(map(int, each["codes"]))) for name, each in found.items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}


def _keep(installer: InstallerClient, points: dict[str, Point]) -> None:
    from evse_pi.installation.files import write_atomically

    content = json.dumps({name: asdict(each) for name, each in points.items()}).encode()
    try:
        write_atomically(_draft(installer), content, 0o600)
    except OSError as error:
        raise BoxError(str(error)) from error
