from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.support.emulation import emulation

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def emulated(tmp_path: Path) -> Iterator[Any]:
    """A simulator with the default wiring, without noise and bounce, and Python children that see its nodes."""
    with emulation(tmp_path / "box") as running:
        yield running
