"""The record of changes: what is added stays, what is touched shows."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evse_pi.charging.stored_fields import UnknownRecord
from evse_pi.installer import audit
from evse_pi.installer.audit import AuditRef, append, read_trail
from evse_pi.installer.audit_entries import (
    CLEAR,
    PIN,
    Author,
    CalibrationChange,
    CalibrationDropped,
    CapacityChange,
    OtherChange,
    RefusedWish,
    Restored,
    SetUp,
    Undone,
    entry_of,
)
from evse_pi.installer.box_settings import BoxSettings, Who
from evse_pi.installer.refusals import fold
from evse_pi.sim.harness.virtual_clock import UNIX_S, VirtualClock

if TYPE_CHECKING:
    from pathlib import Path

WHO, LAST = Author("Jo", "root"), OtherChange("last", {})


@pytest.fixture
def three(tmp_path: Path) -> Path:
    file, clock = tmp_path / "audit.log", VirtualClock()
    for current in (10_000, 16_000, 20_000):
        clock.advance_s(60)
        append(file, clock, WHO, CapacityChange(8_000, current))
    return file


def lines_of(file: Path) -> list[bytes]:
    return file.read_bytes().splitlines(keepends=True)


def test_entries_are_read_back_in_order_with_time_and_name(three: Path) -> None:
    trail = read_trail(three)
    assert trail.intact
    assert [(each.number, each.change, each.author.name) for each in trail.entries] == [
        (1, CapacityChange(8_000, 10_000), "Jo"),
        (2, CapacityChange(8_000, 16_000), "Jo"),
        (3, CapacityChange(8_000, 20_000), "Jo"),
    ]
    assert [each.at.unix_s for each in trail.entries] == [UNIX_S + 60, UNIX_S + 120, UNIX_S + 180]
    assert trail.state() == "3 entries, chain intact"


def test_a_clock_that_was_never_set_is_no_time(tmp_path: Path) -> None:
    append(tmp_path / "audit.log", VirtualClock(unix_s=None), WHO, OtherChange("PIN", {}))
    entry = read_trail(tmp_path / "audit.log").entries[0]
    assert entry.at.unix_s is None
    assert (entry.at.kernel_boot_id, entry.at.uptime_s) == ("first", 1_000)


@pytest.mark.parametrize("line", [0, 1, 2])
def test_a_changed_line_breaks_the_chain(three: Path, line: int) -> None:
    lines = lines_of(three)
    lines[line] = lines[line].replace(b'"name": "Jo"', b'"name": "Al"')
    three.write_bytes(b"".join(lines))
    assert f"line {line + 1} was changed" in read_trail(three).problems


def test_a_removed_line_breaks_the_chain(three: Path) -> None:
    lines = lines_of(three)
    three.write_bytes(lines[0] + lines[2])
    assert read_trail(three).problems == ("line 2 does not follow the one before it",)


def test_a_line_that_was_computed_again_does_not_follow(three: Path) -> None:
    lines = lines_of(three)
    forged = three.with_name("forged")
    append(forged, VirtualClock(), WHO, CapacityChange(8_000, 32_000))
    three.write_bytes(forged.read_bytes() + b"".join(lines[1:]))
    assert "line 2 does not follow the one before it" in read_trail(three).problems


def test_lines_cut_off_at_the_end_are_missed_by_the_mark(three: Path) -> None:
    mark = read_trail(three).newest
    assert mark is not None
    assert AuditRef.of(str(mark)) == mark
    three.write_bytes(b"".join(lines_of(three)[:2]))
    assert read_trail(three).intact
    assert read_trail(three, [mark]).problems == ("entry 3, named in an installer's file, is missing",)
    three.unlink()
    assert not read_trail(three, [mark]).intact


def test_a_torn_line_is_shown_and_the_next_entry_still_stands_on_its_own(three: Path) -> None:
    three.write_bytes(three.read_bytes()[:-40])
    assert "the last line is torn" in read_trail(three).problems
    append(three, VirtualClock(), WHO, CapacityChange(8_000, 6_000))
    trail = read_trail(three)
    assert [each.change for each in trail.entries] == [CapacityChange(8_000, ma) for ma in (10_000, 16_000, 6_000)]
    assert trail.problems == ("line 3 is torn or no entry",)
    assert "CHAIN BROKEN" in trail.state()


def test_a_name_is_kept_in_its_place_and_at_its_length(tmp_path: Path) -> None:
    append(tmp_path / "audit.log", VirtualClock(), Author('x"}\n{"number": 9' * 50, "PIN"), OtherChange("PIN", {}))
    trail = read_trail(tmp_path / "audit.log")
    assert trail.intact
    assert len(trail.entries) == 1
    assert len(trail.entries[0].author.name) == 200


def test_the_file_may_be_read_by_everybody_and_written_by_its_owner(three: Path) -> None:
    assert three.stat().st_mode & 0o777 == 0o644


@given(st.data())
def test_any_changed_byte_is_noticed(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    file = tmp_path_factory.mktemp("trail") / "audit.log"
    for number in range(2):
        append(file, VirtualClock(), WHO, CapacityChange(8_000, number))
    mark = read_trail(file).newest
    assert mark is not None
    content = bytearray(file.read_bytes())
    at = data.draw(st.integers(0, len(content) - 1))
    before = read_trail(file).entries
    content[at] = data.draw(st.integers(0, 255).filter(lambda value: value != content[at]))
    file.write_bytes(content)
    trail = read_trail(file, [mark])
    assert not trail.intact or trail.entries == before


def test_an_entry_is_added_without_reading_all_that_came_before(three: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = VirtualClock()
    for number in range(200):
        append(three, clock, WHO, CapacityChange(8_000, number))
    with monkeypatch.context() as patch:
        patch.setattr(audit, "read_trail", lambda _path: pytest.fail("all was read"))
        append(three, clock, WHO, LAST)
    assert read_trail(three).state() == "204 entries, chain intact"


def test_an_entry_behind_a_tail_of_rubbish_still_follows_the_last_one(three: Path) -> None:
    with three.open("ab") as file:
        file.write(b"\xff" * (audit.TAIL_BYTES + 1))
    append(three, VirtualClock(), WHO, LAST)
    trail = read_trail(three)
    assert trail.entries[-1].former == trail.entries[-2].digest
    assert trail.problems == ("line 4 is torn or no entry",)


def test_refusals_without_end_are_a_few_entries_and_a_number(tmp_path: Path) -> None:
    clock = VirtualClock()
    settings, stranger = BoxSettings(tmp_path, clock), Who("Al (uid 1000) \ud800", "none")
    for _ in range(1_000):
        settings.note_refusal(stranger, "check of the PIN", "only the installer may do this")
    entries = settings.trail().entries
    assert len(entries) == 10
    clock.advance_s(3_601)
    settings.note_refusal(stranger, "check of the PIN", "only the installer may do this")
    trail = settings.trail()
    assert trail.intact
    assert trail.entries[-1].change == RefusedWish("check of the PIN", "only the installer may do this", 1_000 - 10)
    settings.note_refusal(stranger, "check of the PIN", "only the installer may do this")
    assert "folded" not in settings.trail().entries[-1].fields()


@pytest.mark.parametrize("rubbish", [b"", b"\x00\x00", b"[1]", b"[" * 100_000])
def test_a_count_that_was_torn_begins_again(tmp_path: Path, rubbish: bytes) -> None:
    (tmp_path / "count").write_bytes(rubbish)
    assert fold(tmp_path / "count", VirtualClock()) == 0


LINE = {"number": 1, "unix_s": None, "machine_boot": "first", "uptime_s": 9, "name": "Jo", "right": "root"}
ENDS = {"former": "0" * 64, "digest": "f" * 64}


@pytest.mark.parametrize(
    ("told", "change"),
    [
        ({"what": "capacity", "from_ma": 6_000, "to_ma": 9_000}, CapacityChange(6_000, 9_000)),
        (
            {"what": "capacity", "from_ma": 6_000, "to_ma": 9_000, "from_phases": 1, "to_phases": 3},
            CapacityChange(6_000, 9_000, 1, 3),
        ),
        ({"what": "setup", "board": "reference", "phases": 3}, SetUp("reference", {"phases": 3})),
        (
            {"what": "restore", "board": "reference", "calibrated": True, "phases": 3},
            Restored("reference", True, {"phases": 3}),
        ),
        (
            {"what": "calibration", "from": [7_312, -14_925], "to": [7_300, -14_900], "residuals_mv": {"A": -3}},
            CalibrationChange((7_312, -14_925), (7_300, -14_900), {"A": -3}),
        ),
        ({"what": "calibration", "to": [7_312, -14_925], "dropped": True}, CalibrationDropped((7_312, -14_925))),
        ({"what": "refused", "wish": "clear", "reason": "no"}, RefusedWish("clear", "no")),
        ({"what": "refused", "wish": "clear", "reason": "no", "folded": 4}, RefusedWish("clear", "no", 4)),
        ({"what": "undone", "entry": 7, "reason": "full"}, Undone(7, "full")),
        ({"what": "clear"}, CLEAR),
        ({"what": "PIN"}, PIN),
        ({"what": "capacity", "to": "much"}, OtherChange("capacity", {"to": "much"})),
        ({"what": "of the next version", "x": [1]}, OtherChange("of the next version", {"x": [1]})),
    ],
)
def test_each_line_that_was_ever_written_is_read_as_what_it_is_and_written_back_the_same(
    told: dict[str, object], change: object
) -> None:
    """The lines are those that a box has on its card, field by field; that of a restore is of this version."""
    line = {**LINE, **told, **ENDS}
    entry = entry_of(line)
    assert entry.change == change
    assert entry.fields() == line


@pytest.mark.parametrize("name", [*LINE, "what", *ENDS])
def test_a_line_that_does_not_say_who_when_and_what_is_no_entry(name: str) -> None:
    line = {**LINE, "what": "clear", **ENDS}
    del line[name]
    with pytest.raises(UnknownRecord, match=name):
        entry_of(line)
