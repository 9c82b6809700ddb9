"""The three walks of docs/ARCHITECTURE.md stay as short as they are, in files and in representations."""

from __future__ import annotations

import pytest

from bench.walks import WALKS, is_value, resolve, walk
from evse_pi.core.records import Demand
from evse_pi.storage.writer_thread import WriterThread

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
