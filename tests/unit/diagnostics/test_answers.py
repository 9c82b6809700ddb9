"""What the answers look like to the person at the terminal, and the arithmetic behind counters and timing."""

from __future__ import annotations

import zlib
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from evse_pi.api.diagnosis import Diode
from evse_pi.api.readings import NO_READINGS
from evse_pi.api.status import NoticeKind
from evse_pi.api.texts import english as words
from evse_pi.api.texts.fault_texts import clearing, happened
from evse_pi.api.why import Verdict
from evse_pi.cli.counters import lines as counter_lines
from evse_pi.cli.faults import lines as fault_lines
from evse_pi.cli.scope import lines as scope_lines
from evse_pi.cli.timing import lines as timing_lines
from evse_pi.cli.why import lines as why_lines
from evse_pi.core.evidence import Check
from evse_pi.core.faults import Clear, Fault
from evse_pi.core.states import LimitSource, PilotMode, Reason
from evse_pi.diagnostics.counters import Counters, recalled, saved, view
from evse_pi.diagnostics.image import HEIGHT, WIDTH, picture
from evse_pi.diagnostics.node_unreachable import explain_without_node
from evse_pi.diagnostics.scope import scope_view
from evse_pi.diagnostics.timing_report import timing_view
from evse_pi.node.box_status import fault_event
from evse_pi.recorder.reader import Ring, RingFile
from tests.support.diagnosed_box import DiagnosedBox
from tests.support.node_box import IDLE

if TYPE_CHECKING:
    from pathlib import Path


def test_every_fault_reason_limit_check_and_notice_has_its_words() -> None:
    for table in (words.FAULT_SEEN, words.FAULT_TITLES, words.FAULT_HINTS):
        assert set(table) == set(Fault)
    assert set(words.WAITS) == set(words.REASONS) == set(Reason)
    assert set(words.LIMITS) == set(LimitSource)
    assert set(words.CLEARS) == set(Clear)
    assert set(words.NOTICES) == set(NoticeKind)
    assert set(words.CHECKS) == set(Check)
    assert set(words.VERDICTS) == set(Verdict)
    assert set(words.DIODES) == set(Diode)
    assert set(words.PILOT_MODES) == set(PilotMode)
    for fault in Fault:
        told = happened(fault, NO_READINGS)
        assert told.endswith(".")
        assert "{" not in told
        assert fault.name not in words.FAULT_TITLES[fault]
    assert clearing(()) == words.CLEARS_BY_RESTART


def test_all_that_is_shown_of_a_fault_fits_80_columns(tmp_path: Path) -> None:
    box = DiagnosedBox(tmp_path).charging()
    ring = Ring(lambda: memoryview(box.world.black_box))
    charging = why_lines(box.why())
    scoped = scope_lines(scope_view(ring.frames(64), ring.windows(), ring.header()))
    box.do("remove_diode")
    box.wait(4)
    faults = tuple(
        fault_event(record)._replace(recording="000001-pilot_diode.json.gz") for record in box.box.event_recorder.faults
    )
    shown = [
        *charging,
        *scoped,
        *why_lines(box.why()),
        *fault_lines(faults),
        *counter_lines(view(box.diagnosis.counters, 25)),
        *timing_lines(timing_view(ring.contents())),
    ]
    assert max(map(len, shown)) <= 80
    assert any("<- this one" in line for line in charging)
    assert "diode        present" in scoped
    assert any("-5.6" in line for line in fault_lines(faults))


def test_the_opening_of_the_contactor_is_timed_by_its_mirror_contact(tmp_path: Path) -> None:
    box = DiagnosedBox(tmp_path).charging()
    box.do("remove_diode")
    box.wait(4)
    release = view(box.diagnosis.counters, 25).release
    assert release is not None
    assert release.measured == 1
    assert 5_000 <= release.last_us <= 45_000
    assert release.promised_us == 25_000


def test_counters_go_on_over_lives_and_come_back_as_saved() -> None:
    counters = (
        Counters()
        .started("one")
        .after_snapshot(replace(IDLE, safety_run_id=1, contactor_cycles=3, openings_under_load=1))
    )
    counters = counters.after_snapshot(replace(IDLE, safety_run_id=1, contactor_cycles=5, openings_under_load=1))
    counters = (
        counters.after_snapshot(replace(IDLE, safety_run_id=2, contactor_cycles=1))
        .ended(1)
        .ended(1)
        .released(24_000, None)
    )
    assert (counters.contactor_cycles, counters.openings_under_load) == (6, 1)
    assert (counters.safety_starts, counters.safety_unclean_ends) == (2, 1)
    assert recalled(saved(counters)) == counters
    former = {"kernel_boot_id": "machine_boot", "safety_run_id": "boot_id"}  # as version 0.1.0 stored them
    assert recalled({former.get(name, name): value for name, value in saved(counters).items()}) == counters
    again = recalled({**saved(counters), "of a newer version": 1}).started("two")
    assert (again.node_starts, again.machine_starts) == (2, 2)
    assert again.ended(1).safety_unclean_ends == 2  # the ring of a new machine life counts from 0


def test_the_picture_is_a_whole_png(tmp_path: Path) -> None:
    box = DiagnosedBox(tmp_path).charging()
    ring = Ring(lambda: memoryview(box.world.black_box))
    content = picture(scope_view(ring.frames(64), ring.windows(), ring.header()))
    start = content.index(b"IDAT")
    length = int.from_bytes(content[start - 4 : start], "big")
    pixels = zlib.decompress(content[start + 4 : start + 4 + length])
    assert len(pixels) == HEIGHT * (WIDTH + 1)
    assert set(pixels) <= {0, 1, 2, 3, 4}
    assert pixels.count(3) > 500


def test_without_a_node_the_ring_tells_who_is_missing(tmp_path: Path) -> None:
    box = DiagnosedBox(tmp_path).charging()
    ring = Ring(lambda: memoryview(box.world.black_box))
    now_ns = box.world.clock.now_ns
    told = explain_without_node(ring.frames(2), ring.header(), now_ns)
    assert told is not None
    assert told.findings[0].name == "NODE_SILENT"
    assert "charges" in told.findings[0].what
    dead = explain_without_node(ring.frames(2), ring.header(), now_ns + 60_000_000_000)
    assert dead is not None
    assert "ended without a word 60 s ago" in dead.paragraph
    assert explain_without_node([], ring.header(), now_ns) is None
    with pytest.raises(FileNotFoundError):
        Ring(RingFile(tmp_path / "none")).frames(1)
