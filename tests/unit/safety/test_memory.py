"""Faults that wait for a person outlive the process."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from evse_pi.core.faults import Fault
from evse_pi.safety.fault_memory import FaultMemory, outliving

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.hazard("H-03")
@pytest.mark.hazard("H-14")
def test_welded_contactor_and_residual_current_outlive_the_process(tmp_path: Path) -> None:
    memory = FaultMemory(tmp_path / "former")
    memory.keep(frozenset({Fault.CONTACTOR_WELDED, Fault.RCD_TRIPPED, Fault.PILOT_ADC_FAILED}))
    # No close: a killed process does not tidy up.
    assert FaultMemory(tmp_path / "former").former == {Fault.CONTACTOR_WELDED, Fault.RCD_TRIPPED}
    memory.close()


def test_cleared_fault_is_forgotten(tmp_path: Path) -> None:
    memory = FaultMemory(tmp_path / "former")
    memory.keep(frozenset({Fault.RCD_TRIPPED}))
    memory.keep(frozenset())
    assert FaultMemory(tmp_path / "former").former == frozenset()


def test_new_memory_is_empty(tmp_path: Path) -> None:
    assert FaultMemory(tmp_path / "former").former == frozenset()


def test_torn_file_gives_the_bits_that_are_there(tmp_path: Path) -> None:
    (tmp_path / "former").write_bytes(bytes([1 << Fault.CONTACTOR_WELDED]))
    assert FaultMemory(tmp_path / "former").former == {Fault.CONTACTOR_WELDED}


def test_faults_that_a_restart_or_time_clears_do_not_outlive() -> None:
    assert outliving(frozenset({Fault.INTERNAL, Fault.OVERVOLTAGE, Fault.CONTACTOR_DRIVE_FAILED})) == frozenset()
