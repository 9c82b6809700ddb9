"""`evse-pi replay`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from evse_pi.api.client import BoxError
from evse_pi.api.exits import Exit
from evse_pi.api.texts.catalogue import tr
from evse_pi.cli.choices import recordings
from evse_pi.cli.options import json_option, of_a_box
from evse_pi.cli.text_layout import row, show

if TYPE_CHECKING:
    from evse_pi.paths import Paths
    from evse_pi.recorder.recording import Recording
    from evse_pi.recorder.replay import Decision, ReplayStep


@click.command("replay")
@click.argument("file", type=click.Path(path_type=Path), shell_complete=recordings)
@json_option()
@of_a_box
def command(*, box: Paths, file: Path, as_json: bool) -> None:
    """Feed a recording through this software's core logic and show where the decision fell.

    FILE is a path, or the name of a recording of this box as `evse-pi faults` shows it. Status 3 when this software
    decides otherwise than the box did.
    """
    from evse_pi.recorder.archive import FOLDER
    from evse_pi.recorder.recording import RecordingError, load
    from evse_pi.recorder.replay import decisions, differences, steps

    own = box.state_dir / FOLDER / file
    try:
        recording = load(own if not file.exists() and own.exists() else file)
        replayed = list(steps(recording))
    except (RecordingError, OSError) as error:
        raise BoxError(str(error)) from error
    found, apart = decisions(replayed), differences(replayed)
    show(_answer(recording, replayed, found, apart), _lines(recording, replayed, found, apart), as_json=as_json)
    if apart:
        sys.exit(Exit.UNWELL)


def _lines(
    recording: Recording,
    replayed: list[ReplayStep],
    found: list[Decision],
    apart: list[tuple[ReplayStep, tuple[str, ...]]],
) -> list[str]:
    about = recording.about
    zero_ns = about["at_ns"] or replayed[-1].frame.inputs.now_ns
    span_s = (replayed[-1].frame.inputs.now_ns - replayed[0].frame.inputs.now_ns) / 1e9
    text = row(
        tr("recording"),
        tr("{value} of board {get}").format(value=about.get("fault") or tr("no fault"), get=about.get("board")),
    )
    text += row(
        tr("ticks"),
        tr("{number} in {span_s:.2f} s; times below are from the fault").format(number=len(replayed), span_s=span_s),
    )
    for each in found:
        text += row(f"{(each.step.frame.inputs.now_ns - zero_ns) / 1e9:+.2f} s", _decision(each))
    if not apart:
        return [*text, *row(tr("verdict"), tr("this software decides the same in every tick"))]
    first, names = apart[0]
    at_s = (first.frame.inputs.now_ns - zero_ns) / 1e9
    text += row(
        tr("verdict"),
        tr("THIS SOFTWARE DECIDES OTHERWISE in {number} ticks, first at {at_s:+.2f} s").format(
            number=len(apart), at_s=at_s
        ),
    )
    for name in names:
        text += row(
            "  " + name,
            tr("the box: {value}; now: {value_2}").format(
                value=_value(first.frame.outcome, name), value_2=_value(first.outcome, name)
            ),
        )
    return text


def _decision(decision: Decision) -> str:
    """Return what was seen and what came of it."""
    inputs, outcome = decision.step.frame.inputs, decision.step.outcome
    pilot = inputs.pilot
    seen = tr("pilot unread")
    if pilot is not None:
        seen = " / ".join(f"{mv / 1000:.2f} V" for mv in (pilot.high_mv, pilot.low_mv) if mv is not None)
    told = [
        f"{seen} -> {outcome.evse_state.name}",
        tr("closed") if outcome.close_ordered else tr("open"),
        outcome.phase.name,
    ]
    told += [outcome.reason.name, f"{outcome.offered_ma / 1000:.1f} A"]
    told += [f"+{fault.name}" for fault in sorted(decision.set_now)]
    told += [f"-{fault.name}" for fault in sorted(decision.cleared_now)]
    return ", ".join(told)


def _value(outcome: object, name: str) -> str:
    value = getattr(outcome, name)
    if isinstance(value, frozenset):
        return ", ".join(sorted(fault.name for fault in value)) or tr("none")
    return str(getattr(value, "name", value))


def _answer(
    recording: Recording,
    replayed: list[ReplayStep],
    found: list[Decision],
    apart: list[tuple[ReplayStep, tuple[str, ...]]],
) -> dict[str, Any]:
    about = {name: value for name, value in recording.about.items() if name != "columns"}
    return {
        "about": about,
        "ticks": len(replayed),
        "same": not apart,
        "decisions": [
            {
                "at_ns": each.step.frame.inputs.now_ns,
                "changed": list(each.changed),
                "set": sorted(fault.name for fault in each.set_now),
                "cleared": sorted(fault.name for fault in each.cleared_now),
                "state": each.step.outcome.evse_state.name,
                "close_ordered": each.step.outcome.close_ordered,
                "reason": each.step.outcome.reason.name,
            }
            for each in found
        ],
        "differences": [{"at_ns": step.frame.inputs.now_ns, "fields": list(names)} for step, names in apart[:100]],
    }
