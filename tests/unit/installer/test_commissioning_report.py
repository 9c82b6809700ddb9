"""The commissioning report is one page, also where everything on it is as long as it can be."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest

from evse_pi.installer.commissioning_report import MAX_VALUE, ReportPage, ReportSection, markdown, web_page

if TYPE_CHECKING:
    from pathlib import Path

MARKDOWN_LINES = 75
LONG = "Jo Bloggs, installer of a company whose name is very long indeed, " * 4
SHAPE = {"Settings": 10, "Self-test": 9, "Control pilot": 3, "Versions": 3, "Record of changes": 7}
"""The sections and rows of a box that has every device."""
WORDY = ("Control pilot", "Record of changes")
"""Where names and reasons stand; the other values are of a few words."""


def page(value: str, result: str = "PASSED: fit for service") -> ReportPage:
    return ReportPage(
        result,
        result.startswith("PASSED"),
        tuple(
            ReportSection(
                heading, tuple((f"row {number}", value if heading in WORDY else value[:60]) for number in range(rows))
            )
            for heading, rows in SHAPE.items()
        ),
    )


def test_the_markdown_keeps_to_its_lines() -> None:
    assert len(markdown(page("16 A")).splitlines()) <= MARKDOWN_LINES
    assert len(markdown(page(LONG)).splitlines()) <= MARKDOWN_LINES


def test_a_value_without_end_is_cut_and_shows_that_it_was() -> None:
    for text in (markdown(page("x" * 5_000)), web_page(page("x" * 5_000))):
        assert "x" * (MAX_VALUE + 1) not in text
        assert "x..." in text


@pytest.mark.skipif(shutil.which("chromium") is None, reason="chromium is not here")
@pytest.mark.parametrize(
    "result", ["PASSED: fit for service", f"NOT FIT FOR SERVICE: {LONG * 3}"], ids=["passed", "failed"]
)
@pytest.mark.parametrize("value", ["16 A", LONG], ids=["short", "long"])
def test_a_browser_prints_it_on_one_sheet(tmp_path: Path, value: str, result: str) -> None:
    (tmp_path / "page.html").write_text(web_page(page(value, result)))
    subprocess.run(
        [
            "chromium", "--headless", "--no-sandbox", "--disable-gpu", "--no-pdf-header-footer",
            f"--user-data-dir={tmp_path}/profile", f"--print-to-pdf={tmp_path}/page.pdf", str(tmp_path / "page.html"),
        ],
        capture_output=True, check=True, timeout=120, env={**os.environ, "HOME": str(tmp_path)},
    )  # fmt: skip
    assert len(re.findall(rb"/Type\s*/Page\b", (tmp_path / "page.pdf").read_bytes())) == 1
