"""`evse-pi repair`: what is damaged, and how the box goes on without it."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

import click

from evse_pi.api.client import ask
from evse_pi.api.repair import REPAIR, Repair, RepairAction
from evse_pi.api.texts import english as words
from evse_pi.api.texts.catalogue import tr
from evse_pi.cli.options import json_option, of_a_box
from evse_pi.cli.text_layout import paragraph, show

if TYPE_CHECKING:
    from evse_pi.api.repair import RepairAnswer
    from evse_pi.paths import Paths


@click.command("repair")
@click.option("--reset-fabrics", is_flag=True, help=tr("Throw out the controllers whose records cannot be read."))
@json_option()
@of_a_box
def command(*, box: Paths, reset_fabrics: bool, as_json: bool) -> None:
    """Show what was damaged and set aside, and go on without it.

    Whatever a damaged record may have forbidden stays forbidden until a person permits it.
    """
    action = RepairAction.RESET_FABRICS if reset_fabrics else RepairAction.SHOW
    answer = ask(box.control_socket, REPAIR, Repair(action))
    show(answer, lines(answer, box), as_json=as_json)


def lines(answer: RepairAnswer, box: Paths) -> list[str]:
    """Return the answer as lines of text."""
    told = [
        tr(
            "{state_dir}: a damaged database of {octets} bytes, set aside {astimezone:%Y-%m-%d "
            "%H:%M}; it may be deleted"
        ).format(
            state_dir=box.state_dir / each.file,
            octets=each.octets,
            astimezone=datetime.fromtimestamp(each.unix_s).astimezone(),
        )
        for each in answer.set_aside
    ]
    told += [
        tr("{table} {key}: stored, and cannot be read by this version").format(table=each.table, key=each.key)
        for each in answer.left_out
    ]
    if answer.given_up:
        told.append(
            tr("{given_up} entries could not be stored; the log of the node names them").format(
                given_up=answer.given_up
            )
        )
    told += [
        tr("controller {fabric}: {problem}").format(fabric=each.fabric, problem=each.problem)
        for each in answer.damaged_fabrics
    ]
    if answer.damaged_fabrics:
        told.append(tr("throw out these controllers, and no other, with: evse-pi repair --reset-fabrics"))
    if answer.reset:
        numbers = ", ".join(map(str, answer.reset))
        told.append(tr("thrown out: controller {numbers}; Matter starts again by itself").format(numbers=numbers))
        told.append(tr("let controllers in with: evse-pi commission --open"))
    elif answer.matter_trouble:
        told.append(words.MATTER_DOES_NOT_RUN.format(trouble=answer.matter_trouble))
    if answer.forbidden:
        told.append(words.FORBIDDEN_UNTIL_PERMITTED.format(doubt=answer.forbidden))
    return [line for each in told or [tr("nothing is damaged")] for line in paragraph(each)]
