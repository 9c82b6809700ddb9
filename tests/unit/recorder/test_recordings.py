"""Every recording in tests/data/recordings: this software must decide as the box did when it was recorded.

A recording of a real box becomes a case by being put there; its name begins with the fault that it must lead to.
"""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest

from evse_pi.core.faults import Fault
from evse_pi.core.records import Transition
from evse_pi.core.states import EvseState, PilotState, Reason
from evse_pi.recorder.archive import KEPT, MAX_FILE_BYTES, RecordingArchive
from evse_pi.recorder.frame import COLUMNS
from evse_pi.recorder.keyframe import KeyframeError, from_plain, to_plain
from evse_pi.recorder.recording import Recording, RecordingError, encoded, load, recording_of
from evse_pi.recorder.replay import decisions, differences, steps
from evse_pi.recorder.ring import RING_BYTES, RingError, contents_of, header_of
from evse_pi.sim.harness.virtual_box import VirtualBox, VirtualBoxSettings
from hal.units import Milliamps
from tests.support.diagnosed_box import DiagnosedBox

RECORDINGS = sorted((Path(__file__).parents[2] / "data" / "recordings").glob("*.json.gz"))


@pytest.mark.parametrize("path", RECORDINGS, ids=lambda path: path.name.removesuffix(".json.gz"))
def test_a_recorded_fault_is_decided_as_it_was(path: Path) -> None:
    replayed = list(steps(load(path)))
    assert [(step.frame.number, names) for step, names in differences(replayed)] == []
    fault = Fault[path.name.removesuffix(".json.gz").upper()]
    (decision,) = [each for each in decisions(replayed) if fault in each.set_now]
    assert fault in decision.step.outcome.faults


def test_there_are_recordings() -> None:
    assert len(RECORDINGS) >= 5


def test_there_is_a_recording_with_the_names_of_version_0_1_0() -> None:
    with gzip.open(RECORDINGS[0]) as stream:
        about, keyframe = (json.loads(stream.readline()) for _ in range(2))
    assert "contactor_closed" in about["columns"]
    assert "contactor_closed" in keyframe["state"]["outputs"]
    read = load(RECORDINGS[0])
    assert read.about["columns"] == COLUMNS
    assert read.state().outputs.close_ordered is keyframe["state"]["outputs"]["contactor_closed"]


def test_a_transition_in_a_ring_of_version_0_1_0_is_read() -> None:
    """A new version starts on the ring that the former one left in memory."""
    change = Transition(1, 0, EvseState.C2, PilotState.C, True, Milliamps(16_000), frozenset(), Reason.CHARGING)
    plain = to_plain(change)
    plain["contactor_closed"] = plain.pop("close_ordered")
    assert from_plain(plain) == change


def test_a_recording_comes_back_as_it_was_written(tmp_path: Path) -> None:
    recording = load(RECORDINGS[0])
    (tmp_path / "again").write_bytes(encoded(recording))
    assert load(tmp_path / "again") == recording


def test_other_decisions_are_found() -> None:
    recording = load(RECORDINGS[0])
    altered = [list(values) for values in recording.frames]
    closed = COLUMNS.index("close_ordered")
    place = next(index for index, values in enumerate(altered) if values[closed])
    altered[place][closed] = 0  # the box did not close where this software does
    ((step, names),) = differences(list(steps(Recording(recording.about, recording.keyframe, altered))))
    assert step.frame.number == altered[place][0]
    assert names == ("close_ordered",)


@pytest.mark.parametrize(
    "content",
    [b"", b"no gzip", gzip.compress(b"{}\n"), gzip.compress(b'{"format": 9}\n{}\n{}\n')],
    ids=["empty", "no gzip", "a line missing", "another format"],
)
def test_what_is_no_recording_is_refused_in_words(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(content)
    with pytest.raises(RecordingError, match="file: "):
        load(tmp_path / "file")


def test_a_bomb_is_not_unpacked(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(gzip.compress(bytes(64 << 20)))
    with pytest.raises(RecordingError, match="more than"):
        load(tmp_path / "file")


def test_a_portrait_of_another_version_is_refused_by_name() -> None:
    state = load(RECORDINGS[0]).state()
    drawn = to_plain(state)
    assert from_plain(json.loads(json.dumps(drawn))) == state
    drawn["watch"]["pilot"]["colour"] = 3
    with pytest.raises(KeyframeError, match="colour"):
        from_plain(drawn)
    with pytest.raises(KeyframeError, match="Painter"):
        from_plain({"is": "Painter"})


def test_a_slot_that_is_half_written_counts_as_absent(tmp_path: Path) -> None:
    box = DiagnosedBox(tmp_path).ready()
    ring = box.world.black_box
    whole = contents_of(bytes(ring))
    newest = whole.frames[-1][0]
    at = bytes(ring).index(newest.to_bytes(4, "little") + b"\x01\x00", 128)
    ring[at + 40] ^= 0xFF
    assert [values[0] for values in contents_of(bytes(ring)).frames] == [values[0] for values in whole.frames[:-1]]


def test_a_restarted_process_keeps_the_last_seconds_before_its_restart(tmp_path: Path) -> None:
    world = VirtualBox(VirtualBoxSettings(DiagnosedBox(tmp_path).world.settings.board, records=True))
    world.wait(3_000_000_000)
    world.kill()
    world.wait(2_000_000_000)  # dead, then started again
    world.wait(3_000_000_000)
    contents = contents_of(bytes(world.black_box))
    assert {values[1] for values in contents.frames} == {1, 2}
    assert (contents.header.life, contents.header.unclean, contents.header.running) == (2, 1, True)
    first = recording_of(contents, {}, at_ns=3_000_000_000)
    assert {values[1] for values in first.frames} == {1}
    assert not differences(list(steps(first)))
    assert not differences(list(steps(recording_of(contents, {}))))


def test_bytes_that_are_no_ring_are_refused() -> None:
    for content in (b"", bytes(RING_BYTES)):
        with pytest.raises(RingError):
            header_of(content)


def test_the_shelf_keeps_the_newest_and_gives_up_what_is_too_long(tmp_path: Path) -> None:
    archive = RecordingArchive(tmp_path / "recordings")
    for number in range(KEPT + 3):
        assert archive.put(f"{number:06}-x.json.gz", b"x")
    assert len(archive.names()) == KEPT
    assert archive.names()[0] == "000003-x.json.gz"
    assert archive.put("999999-y.json.gz", bytes(MAX_FILE_BYTES + 1))
    assert "999999-y.json.gz" not in archive.names()


def test_a_disk_that_takes_nothing_leaves_the_recording_waiting(tmp_path: Path) -> None:
    (tmp_path / "recordings").write_text("a file stands where the folder should be")
    box = DiagnosedBox(tmp_path / "recordings").charging()
    box.do("remove_diode")
    box.wait(6)
    box.save()
    assert box.diagnosis.notices[0].kind.name == "RECORDINGS"
    assert "RECORDINGS" in {finding.name for finding in box.why().findings}
    (tmp_path / "recordings").unlink()
    box.save()
    assert len(box.archive.names()) == 1
    assert box.diagnosis.notices == ()


def test_a_fault_that_comes_and_goes_fills_no_shelf_and_hides_no_other(tmp_path: Path) -> None:
    box = DiagnosedBox(tmp_path).charging()
    for _ in range(3):
        box.do("ask_ventilation")
        box.wait(2.5)
        box.do("close_s2")
        box.wait(0.5)
    box.do("press_stop")
    box.wait(4)
    box.save()
    assert len([name for name in box.archive.names() if "ventilation" in name]) == 1
    assert [name for name in box.archive.names() if "emergency_stop" in name]


def test_every_tick_of_a_charge_is_kept(tmp_path: Path) -> None:
    """A part of the machine that the key frames do not know would empty the black box without a word."""
    box = DiagnosedBox(tmp_path).charging()
    assert box.world.loop is not None
    assert box.world.loop._black_box is not None
    assert box.world.loop._black_box.lost == 0
