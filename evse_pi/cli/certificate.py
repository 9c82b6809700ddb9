"""`evse-pi certificate`: the commissioning report, one page to print and sign."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

import click

from evse_pi.api.client import BoxError, ask
from evse_pi.api.codec import to_plain
from evse_pi.api.exits import Exit
from evse_pi.api.status import STATUS, SelfTestStatus
from evse_pi.api.texts.catalogue import tr
from evse_pi.api.texts.quantities import exact_amps, volts
from evse_pi.cli.capacity import instant, told
from evse_pi.cli.installer_commands import self_tested, wait_until
from evse_pi.cli.options import json_option, of_a_box
from evse_pi.cli.setup import rows_of, values_of
from evse_pi.core.states import PilotState
from evse_pi.installer.installer_client import installer_client_of

if TYPE_CHECKING:
    from boards.spec import BoardSpec
    from evse_pi.api.status import Pilot, SelfTestEvidence, Status
    from evse_pi.core.installation_limits import Installation
    from evse_pi.installer.audit import AuditLog
    from evse_pi.installer.audit_entries import AuditEntry
    from evse_pi.installer.commissioning_report import ReportPage
    from evse_pi.installer.installer_client import InstallerClient
    from evse_pi.paths import Paths

KEPT_CHANGES = 5  # the page is one page
SHOWN = (PilotState.A, PilotState.B, PilotState.C, PilotState.D)
SETTLED_WITHIN_S = 5.0


@click.command("certificate")
@click.option(
    "--out",
    type=click.Path(dir_okay=False),
    callback=lambda *given: _out(given[2]),
    help=tr("File to write, .md or .html; else Markdown is printed."),
)
@json_option(tr("Print what the report says as one JSON object."))
@of_a_box
def command(*, box: Paths, out: str | None, as_json: bool) -> None:
    """Write the commissioning report of the running box.

    Exit status 3 when the box may not go into service; the report then says why.
    """
    from evse_pi.installer.box_settings import ChangeRefused

    installer = installer_client_of(box)
    try:
        board = installer.board()
        installation = installer.box_settings.installation(board)
        now = ask(installer.paths.control_socket, STATUS)
        if now.pilot is None or now.contactor is None:
            raise BoxError(tr("the safety process does not answer: there is nothing to certify"))
        if now.contactor.close_ordered:
            raise BoxError(tr("a vehicle charges; the self-test of the report needs an open contactor"))
        now = _settled(installer)
        trail, seal = installer.box_settings.trail(), installer.box_settings.seal_state(board)
        page = _page(board, installation, now, trail, seal)
        _put(page, out, as_json=as_json, facts=_facts(board, installation, now, trail, seal, page))
    except (ChangeRefused, OSError) as error:
        raise BoxError(str(error)) from error
    if not page.passed:
        click.echo(f"evse-pi: {page.result}", err=True)
        sys.exit(Exit.UNWELL)


def _settled(installer: InstallerClient) -> Status:
    """Return the status after a self-test of this very moment, once the pilot shows what is plugged in again."""
    tested = self_tested(installer.paths.control_socket)
    if tested.safety.self_test is not SelfTestStatus.PASSED or tested.faults:
        return tested
    return wait_until(
        installer.paths.control_socket,
        lambda now: bool(now.faults) or (now.pilot is not None and now.pilot.state in SHOWN),
        SETTLED_WITHIN_S,
        tr("the pilot shows no vehicle state"),
    )


def _put(page: ReportPage, out: str | None, *, as_json: bool, facts: dict[str, Any]) -> None:
    from pathlib import Path

    from evse_pi.installer.commissioning_report import markdown, web_page

    if out is not None:
        writer = markdown if out.endswith(".md") else web_page
        Path(out).write_text(writer(page), encoding="utf-8")
    if as_json:
        click.echo(json.dumps(to_plain(facts)))
    elif out is None:
        click.echo(markdown(page), nl=False)
    else:
        click.echo(tr("written: {out}").format(out=out))


def _out(path: str | None) -> str | None:
    """Return the file to write. Raises: click.UsageError before anything is tested."""
    if path is not None and not path.endswith((".md", ".html")):
        raise click.UsageError(
            tr("--out {path}: must end in .md or .html; to get a PDF, print the .html").format(path=path)
        )
    return path


def _problems(board: BoardSpec, now: Status, trail: AuditLog, seal: str) -> list[str]:
    """Return everything that keeps the box from going into service."""
    problems = [tr("fault {fault}").format(fault=each.fault.name) for each in now.faults]
    if now.safety.self_test is not SelfTestStatus.PASSED:
        problems.append(tr("self-test {state}").format(state=_self_test(now.safety.self_test)))
    if not trail.intact:
        problems.append(tr("record of changes broken"))
    elif not trail.entries:
        problems.append(tr("no setup on record"))
    if seal != "intact":
        problems.append(tr("seal {seal}").format(seal=seal))
    if board.bench_only:
        problems.append(tr("board for the bench only"))
    return problems


def _page(board: BoardSpec, installation: Installation, now: Status, trail: AuditLog, seal: str) -> ReportPage:
    from evse_pi.charging.clock import SystemClock
    from evse_pi.installer.audit_entries import AuditTime
    from evse_pi.installer.commissioning_report import ReportPage, ReportSection

    problems = _problems(board, now, trail, seal)
    result = (
        tr("PASSED: fit for service")
        if not problems
        else tr("NOT FIT FOR SERVICE: {names}").format(names="; ".join(problems))
    )
    return ReportPage(
        result,
        not problems,
        (
            ReportSection("Settings", tuple(rows_of(board, installation))),
            ReportSection("Self-test", tuple(_evidence_row(each) for each in now.safety.evidence)),
            ReportSection(
                tr("Control pilot"),
                (*_pilot(now.pilot), (tr("calibration"), _calibration(trail))),
            ),
            ReportSection(
                "Versions",
                (
                    (tr("software"), f"evse-pi {now.version}"),
                    (tr("board file"), _board_file(board)),
                    (tr("report made"), instant(AuditTime.now(SystemClock()))),
                ),
            ),
            ReportSection(
                tr("Record of changes"), ((tr("state"), trail.state()), (tr("seal"), seal), *_changes(trail))
            ),
        ),
    )


def _facts(
    board: BoardSpec, installation: Installation, now: Status, trail: AuditLog, seal: str, page: ReportPage
) -> dict[str, Any]:
    return {
        "passed": page.passed,
        "result": page.result,
        "board": board.name,
        "installation": values_of(installation),
        "evidence": now.safety.evidence,
        "pilot": now.pilot,
        "faults": [each.fault for each in now.faults],
        "version": now.version,
        "seal": seal,
        "audit": {
            "intact": trail.intact,
            "problems": list(trail.problems),
            "entries": [entry.fields() for entry in trail.entries],
        },
    }


def _self_test(tested: SelfTestStatus | None) -> str:
    from evse_pi.api.texts import english as words

    return tr("not known") if tested is None else words.SELF_TESTS[tested]


def _evidence_row(evidence: SelfTestEvidence) -> tuple[str, str]:
    from evse_pi.api.texts import english as words

    unit = words.CHECKS[evidence.check][1]
    band = (
        tr("{lowest} to {highest} {unit}").format(lowest=evidence.lowest, highest=evidence.highest, unit=unit).rstrip()
    )
    label = evidence.check.name.replace("_", " ").lower().replace("rcd", "RCD")
    verdict = tr("passed") if evidence.passed else tr("FAILED")
    return label, f"{evidence.measured} {unit}".rstrip() + tr(" (allowed {band}), {verdict}").format(
        band=band, verdict=verdict
    )


def _pilot(pilot: Pilot | None) -> tuple[tuple[str, str], ...]:
    if pilot is None:
        return ((tr("now"), tr("the safety process does not answer")),)
    levels = tr("high {volts}, low {volts_2}").format(volts=volts(pilot.high_mv), volts_2=volts(pilot.low_mv))
    return (
        (
            tr("now"),
            tr("state {state}, {levels}, {mode}").format(state=pilot.state.name, levels=levels, mode=pilot.mode.value),
        ),
        (
            tr("scale"),
            tr("{gain_uv_per_code} uV per code, {offset_mv} mV at code 0").format(
                gain_uv_per_code=pilot.gain_uv_per_code, offset_mv=pilot.offset_mv
            ),
        ),
    )


def _calibration(trail: AuditLog) -> str:
    from evse_pi.installer.audit_entries import CalibrationChange, CalibrationDropped

    kinds = CalibrationChange | CalibrationDropped
    newest = next((entry for entry in reversed(trail.entries) if isinstance(entry.change, kinds)), None)
    if newest is None or not isinstance(newest.change, CalibrationChange):
        return tr("none; the scale of the board file")
    residuals = ", ".join(f"{name} {each:+} mV" for name, each in newest.change.residuals_mv.items())
    return tr("by {told}; left over: {residuals}").format(told=told(newest), residuals=residuals)


def _changes(trail: AuditLog) -> list[tuple[str, str]]:
    from evse_pi.installer.audit_entries import CapacityChange

    def row(entry: AuditEntry) -> tuple[str, str]:
        change, currents = entry.change, ""
        if isinstance(change, CapacityChange):
            currents = tr(": {exact_amps} to {exact_amps_2}").format(
                exact_amps=exact_amps(change.from_ma), exact_amps_2=exact_amps(change.to_ma)
            )
        return f"{entry.number}. {change.what}", f"{told(entry)}{currents}"

    return [row(entry) for entry in trail.entries[-KEPT_CHANGES:]]


def _board_file(board: BoardSpec) -> str:
    import hashlib

    from boards.loader import board_files

    content = board_files()[board.name].read_bytes()
    return f"{board.name}, SHA-256 {hashlib.sha256(content).hexdigest()[:16]}"
