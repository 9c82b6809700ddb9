"""Each sequence of Table A.6 keeps its limit in every pair of circumstances; docs/TIMING_MARGINS.md has the margins."""

from __future__ import annotations

import pytest

from tests.component.timing.sequences import HEAD, PAGE, TABLE, UNSUPPORTED, Sequence, covering, every_case, judge, line

pytestmark = [pytest.mark.hazard("H-01"), pytest.mark.hazard("H-09")]

NOISE_MS = 2.0
"""By how much a figure of the page may differ: where in a tick something happens."""
SHOWN = [row for row in PAGE.read_text().splitlines() if row.startswith("| ") and row[2].isdigit()]


@pytest.mark.parametrize(("number", "sequence"), list(enumerate(TABLE)), ids=[f"{s.number} {s.title}" for s in TABLE])
def test_a_sequence_keeps_its_limit_and_the_page_its_margin(number: int, sequence: Sequence) -> None:
    worst = judge(sequence, covering(sequence))
    assert not worst.problems
    shown, measured = ([cell.strip() for cell in row.split("|")] for row in (SHOWN[number], line(worst)))
    assert shown[:6] == measured[:6], "make timing"
    if shown[6] != "–":
        assert float(shown[6]) == pytest.approx(worst.took_ms, abs=NOISE_MS), "make timing"


@pytest.mark.parametrize("sequence", TABLE[:2], ids=lambda sequence: sequence.number)
def test_every_pair_of_two_circumstances_is_tried(sequence: Sequence) -> None:
    def pairs(cases: object) -> set[object]:
        return {(i, case[i], j, case[j]) for case in cases for i in range(5) for j in range(i)}  # type: ignore[attr-defined]

    assert pairs(covering(sequence)) == pairs(every_case(sequence))


def test_the_page_has_every_row_and_says_what_is_not_supported() -> None:
    text = PAGE.read_text()
    assert len(SHOWN) == len(TABLE)
    assert text.startswith(HEAD)
    assert all(f"* *{number}*: {why}." in text for number, why in UNSUPPORTED.items())
