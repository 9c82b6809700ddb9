from __future__ import annotations

import pytest

from tests.support.emulation import emulation


@pytest.fixture
def emulated(tmp_path):
    """A simulator with the default wiring, without noise and bounce, and Python children that see its nodes."""
    with emulation(tmp_path / "box") as running:
        yield running
