"""The three walks of docs/ARCHITECTURE.md stay as short as they are, as they are told and as they run."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from bench.walk_trace import walks as traced
from bench.walks import WALKS, is_value, resolve, walk
from evse_pi.core.records import Demand
from evse_pi.storage.writer_thread import WriterThread
from tests.support import virtual_loop

if TYPE_CHECKING:
    from pathlib import Path

TRACED = {"pilot sample": (8, 10), "EnableCharging": (6, 8), "owner's stop": (6, 8)}
"""Files and representations that run on a walk and not while nothing happens."""
MOST = dict(zip(WALKS, ((36, 10), (17, 3), (13, 1)), strict=True))
"""Files and representations; what needs more says in its commit why."""


@pytest.mark.parametrize("title", WALKS)
def test_a_walk_gets_no_longer(title: str) -> None:
    files, values = walk(title)
    most_files, most_values = MOST[title]
    assert len(files) <= most_files
    assert len(values) <= most_values


def test_what_is_counted_is_what_holds_a_value() -> None:
    assert is_value(Demand)
    assert not is_value(WriterThread)
    assert resolve("evse_pi.core") is None


def test_what_a_cause_has_run_gets_no_longer(tmp_path: Path) -> None:
    found = virtual_loop.run(traced(tmp_path))
    idle = found.pop("idle")
    assert found.keys() == TRACED.keys()
    for name, trace in found.items():
        most_files, most_values = TRACED[name]
        assert len(trace.files - idle.files) <= most_files, sorted(trace.files - idle.files)
        assert len(trace.values - idle.values) <= most_values, sorted(trace.values - idle.values)
