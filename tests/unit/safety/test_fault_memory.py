"""Faults that wait for a person outlive the process and a power cut, whatever the disk does."""

from __future__ import annotations

import os
import signal
import time
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from evse_pi.core.faults import NO_FAULTS, Fault
from evse_pi.safety.fault_memory import DOUBTFUL, FaultMemory, SlotFile, faults_in, outliving

if TYPE_CHECKING:
    from collections.abc import Callable

TRIP = frozenset({Fault.RCD_TRIPPED})
SLOT = 4_096
WITHIN_S = 20


def memory_in(folder: Path, said: list[str] | None = None) -> FaultMemory:
    complain = said.append if said is not None else print
    return FaultMemory(folder / "run", folder / "state" / "disk", complain)


def wait_for(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + WITHIN_S
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


def on_disk(folder: Path) -> frozenset[Fault] | None:
    disk = folder / "state" / "disk"
    return faults_in(disk.read_bytes()) if disk.exists() else None


def writer_of(memory: FaultMemory) -> int:
    """Return the process that writes the disk, once there is one."""
    writer = memory._writer
    assert writer is not None
    children = Path(f"/proc/{writer.pid}/task/{writer.pid}/children")
    wait_for(lambda: bool(children.read_text()))
    return int(children.read_text())


def keep_for_good(memory: FaultMemory, folder: Path, faults: frozenset[Fault]) -> None:
    memory.keep(faults)
    wait_for(lambda: on_disk(folder) == faults)


@pytest.mark.hazard("H-03")
@pytest.mark.hazard("H-14")
def test_welded_contactor_and_residual_current_outlive_the_process(tmp_path: Path) -> None:
    with closing(memory_in(tmp_path)) as memory:
        memory.keep(frozenset({Fault.CONTACTOR_WELDED, Fault.RCD_TRIPPED, Fault.PILOT_ADC_FAILED}))
    with closing(memory_in(tmp_path)) as memory:
        assert memory.former == {Fault.CONTACTOR_WELDED, Fault.RCD_TRIPPED}
        assert not memory.first_of_boot


@pytest.mark.hazard("H-14")
def test_a_trip_outlives_a_power_cut_and_its_acknowledgement_too(tmp_path: Path) -> None:
    with closing(memory_in(tmp_path)) as memory:
        assert memory.first_of_boot
        keep_for_good(memory, tmp_path, TRIP)
    (tmp_path / "run").unlink()
    with closing(memory_in(tmp_path)) as memory:
        assert memory.first_of_boot
        assert memory.former == TRIP
        keep_for_good(memory, tmp_path, NO_FAULTS)
    (tmp_path / "run").unlink()
    with closing(memory_in(tmp_path)) as memory:
        assert memory.former == NO_FAULTS


@pytest.mark.hazard("H-09")
@pytest.mark.hazard("H-14")
def test_a_disk_that_hangs_blocks_no_caller_and_gets_the_newest_when_it_answers_again(tmp_path: Path) -> None:
    with closing(memory_in(tmp_path)) as memory:
        keep_for_good(memory, tmp_path, NO_FAULTS)
        writer = writer_of(memory)
        os.kill(writer, signal.SIGSTOP)
        begun = time.thread_time()
        for number in range(20_000):
            memory.keep(TRIP if number % 2 else NO_FAULTS)
        assert time.thread_time() - begun < WITHIN_S
        memory.keep(TRIP)
        assert on_disk(tmp_path) == NO_FAULTS
        os.kill(writer, signal.SIGCONT)
        for _ in range(100):
            memory.keep(TRIP)
            time.sleep(0.01)
        wait_for(lambda: on_disk(tmp_path) == TRIP)


@pytest.mark.hazard("H-09")
@pytest.mark.hazard("H-14")
def test_a_writer_that_dies_is_replaced_and_what_it_had_not_written_is_kept(tmp_path: Path) -> None:
    def say(text: str) -> None:  # in the writer, which is another process
        with (tmp_path / "said").open("a") as said:
            said.write(f"{text}\n")

    with closing(FaultMemory(tmp_path / "run", tmp_path / "state" / "disk", say)) as memory:
        keep_for_good(memory, tmp_path, NO_FAULTS)
        for faults in (TRIP, NO_FAULTS):
            former = writer_of(memory)
            os.kill(former, signal.SIGSTOP)  # as a card holds it
            memory.keep(faults)
            os.kill(former, signal.SIGKILL)
            wait_for(lambda faults=faults: on_disk(tmp_path) == faults)  # type: ignore[misc]
            assert writer_of(memory) != former
    said = (tmp_path / "said").read_text().splitlines()
    assert [line.split(" disk ")[1] for line in said] == [
        "has died with status -9; another is started in 1 s",
        "has died with status -9; another is started in 2 s",
    ]


@pytest.mark.hazard("H-14")
def test_a_writer_that_dies_after_the_safety_process_is_replaced_as_well(tmp_path: Path) -> None:
    with closing(memory_in(tmp_path)) as memory:
        keep_for_good(memory, tmp_path, NO_FAULTS)
        writer = writer_of(memory)
        os.kill(writer, signal.SIGSTOP)
        memory.keep(TRIP)
    os.kill(writer, signal.SIGKILL)
    wait_for(lambda: on_disk(tmp_path) == TRIP)


def test_a_writer_that_is_gone_is_told_once_and_costs_nothing_else(tmp_path: Path) -> None:
    said: list[str] = []
    with closing(memory_in(tmp_path, said)) as memory:
        writer = memory._writer
        assert writer is not None
        os.kill(writer.pid, signal.SIGKILL)
        os.waitpid(writer.pid, 0)
        for _ in range(3):
            memory.keep(TRIP)
            memory.keep(NO_FAULTS)
    assert len(said) == 1
    assert "writer" in said[0]


@pytest.mark.hazard("H-14")
def test_what_fails_to_be_written_is_told_once_and_tried_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    with closing(memory_in(tmp_path, said)) as memory:

        def full(*_: object) -> int:
            raise OSError(28, "No space left on device")

        with monkeypatch.context() as patch:
            patch.setattr(os, "pwrite", full)
            for _ in range(5):
                memory.keep(TRIP)
        assert len(said) == 1
        memory.keep(TRIP)
    with closing(memory_in(tmp_path)) as memory:
        assert memory.former == TRIP


def test_a_write_needs_no_space_that_the_file_has_not_got_yet(tmp_path: Path) -> None:
    with closing(SlotFile(tmp_path / "file", wait=False)) as file:
        before = (tmp_path / "file").stat()
        for _ in range(5):
            file.write(TRIP)
        after = (tmp_path / "file").stat()
    assert (before.st_size, before.st_blocks) == (after.st_size, after.st_blocks)
    assert before.st_size == 2 * SLOT


@pytest.mark.parametrize("cut", range(21))
def test_a_write_that_a_power_cut_tears_leaves_the_one_before(tmp_path: Path, cut: int) -> None:
    path = tmp_path / "file"
    with closing(SlotFile(path, wait=False)) as file:
        file.write(TRIP)
        before = path.read_bytes()
        file.write(NO_FAULTS)
        after = path.read_bytes()
    changed = [at for at in range(len(before)) if before[at] != after[at]]
    torn = bytearray(before)
    first = changed[0] // SLOT * SLOT
    torn[first : first + cut] = after[first : first + cut]
    path.write_bytes(torn)
    with closing(SlotFile(path, wait=False)) as file:
        assert file.kept in ((TRIP,) if cut < 20 else (TRIP, NO_FAULTS))


@pytest.mark.hazard("H-14")
def test_a_memory_that_cannot_be_read_is_taken_for_a_trip(tmp_path: Path) -> None:
    with closing(memory_in(tmp_path)) as memory:
        keep_for_good(memory, tmp_path, TRIP)
    (tmp_path / "run").unlink()
    (tmp_path / "state" / "disk").write_bytes(b"\x55" * 2 * SLOT)
    said: list[str] = []
    with closing(memory_in(tmp_path, said)) as memory:
        assert memory.former == DOUBTFUL == TRIP
    assert len(said) == 1


def test_new_memory_is_empty_and_a_second_process_is_kept_out(tmp_path: Path) -> None:
    with closing(memory_in(tmp_path)) as memory:
        assert memory.former == NO_FAULTS
        with pytest.raises(BlockingIOError):
            memory_in(tmp_path)


def test_faults_that_a_restart_or_time_clears_do_not_outlive() -> None:
    assert outliving(frozenset({Fault.INTERNAL, Fault.OVERVOLTAGE, Fault.CONTACTOR_DRIVE_FAILED})) == frozenset()
