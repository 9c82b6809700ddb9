"""What breaks a controller or a box fails the test in which it broke, and no other."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING
from xml.etree import ElementTree

from tests.interop.controllers import ROOT

if TYPE_CHECKING:
    from tests.interop.namespaces import Namespaces

BREAKING = Path(__file__).with_name("breaking.py")


def test_a_broken_counterpart_fails_one_test(namespaces: Namespaces, tmp_path: Path) -> None:
    results = tmp_path / "results.xml"
    options = [f"--junitxml={results}", f"--basetemp={tmp_path / 'sub'}", "-p", "no:cacheprovider"]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", str(BREAKING), *options],
        cwd=ROOT, capture_output=True, text=True, check=False, timeout=600,
    )  # fmt: skip
    cases = ElementTree.parse(results).iter("testcase")
    ended = {case.get("name", ""): [each.tag for each in case if each.tag in ("failure", "error")] for case in cases}
    assert len(ended) == BREAKING.read_text().count("\ndef test_"), done.stdout
    expected = {name: ["failure"] if name.startswith("test_break_") else [] for name in ended}
    assert ended == expected, done.stdout
