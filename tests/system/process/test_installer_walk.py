"""The walk in docs/INSTALLING.md is what happens: it is taken again, and only figures may differ."""

from __future__ import annotations

import pytest

from tests.support.installer_walk import of_the_document, walk, without_figures


def test_the_documented_walk_of_a_new_box_is_what_happens() -> None:
    taken = walk()
    if "TIMING_BUDGET" in taken:
        pytest.skip("this machine is too busy for a box: it refuses to energise, rightly")
    assert without_figures(taken) == without_figures(of_the_document()), "write it again: make walk"
