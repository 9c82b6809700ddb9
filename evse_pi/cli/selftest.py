"""`evse-pi selftest`."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING

import click

from evse_pi.api.client import BoxError, ask
from evse_pi.api.exits import Exit
from evse_pi.api.orders import SELF_TEST
from evse_pi.api.status import STATUS, NoticeKind, SelfTestStatus
from evse_pi.api.texts.catalogue import tr
from evse_pi.cli.options import json_option, of_a_box
from evse_pi.cli.text_layout import row, show

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from evse_pi.api.status import ActiveFault, SelfTestEvidence, Status
    from evse_pi.paths import Paths

WITHIN_S = 20.0
POLL_S = 0.1


@click.command("selftest")
@json_option()
@click.option("--last", is_flag=True, help=tr("Show the last one instead of running a new one."))
@of_a_box
def command(*, box: Paths, as_json: bool, last: bool) -> None:
    """Let the box test itself and show what it measured; status 3 when the test failed."""
    address = box.control_socket
    status = ask(address, STATUS) if last else _run(address)
    safety = status.safety
    if not safety.connected:
        raise BoxError(tr("the safety process does not answer; ask: evse-pi why"))
    passed = safety.self_test is SelfTestStatus.PASSED
    faults = () if passed else status.faults
    boot = [notice.text for notice in status.notices if notice.kind is NoticeKind.BOOT]
    answer = {"passed": passed, "evidence": safety.evidence, "faults": [each.fault for each in faults], "boot": boot}
    show(answer, lines(passed, safety.evidence, faults, boot), as_json=as_json)
    if not passed:
        sys.exit(Exit.UNWELL)


def lines(
    passed: bool, evidence: tuple[SelfTestEvidence, ...], faults: tuple[ActiveFault, ...], boot: Sequence[str] = ()
) -> list[str]:
    """Return one line of evidence each, what the firmware was not told, and the verdict."""
    from evse_pi.api.texts.self_test_texts import evidence_text

    text = []
    for each in evidence:
        text += row(tr("passed") if each.passed else tr("FAILED"), evidence_text(each))
    for problem in boot:
        text += row(tr("boot setting"), problem)
    text += row(tr("self-test"), tr("passed") if passed else tr("not passed"))
    for fault in faults:
        text += row(tr("fault"), f"{fault.title} ({fault.fault.name}): {fault.hint}")
    return text


def _run(address: Path) -> Status:
    """Return the status after a new run. Raises: BoxError when it cannot begin or does not end."""
    before = ask(address, STATUS)
    if before.contactor is not None and before.contactor.close_ordered:
        raise BoxError(tr("the box is charging, and a self-test needs an open contactor; first: evse-pi stop"))
    newest = _newest(before)
    ask(address, SELF_TEST)
    deadline = time.monotonic() + WITHIN_S
    while time.monotonic() < deadline:
        status = ask(address, STATUS)
        if status.safety.self_test not in (None, SelfTestStatus.RUNNING) and _newest(status) > newest:
            return status
        time.sleep(POLL_S)
    raise BoxError(tr("the self-test did not end within {within_s:.0f} s; ask: evse-pi why").format(within_s=WITHIN_S))


def _newest(status: Status) -> int:
    """Return when the newest evidence was measured, ns of the machine's clock."""
    return max((each.at_ns for each in status.safety.evidence), default=0)
