"""The reference is what the commands say of themselves, and man can read it."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from evse_pi.cli.reference import manual, markdown
from tests.support.commands import every_command


def test_the_page_of_commands_is_up_to_date() -> None:
    page = Path(__file__).parents[3] / "docs/COMMANDS.md"
    assert page.read_text() == markdown(), "write it again: make commands"


@pytest.mark.parametrize("form", [markdown, manual])
def test_every_command_stands_in_the_reference(form: object) -> None:
    assert callable(form)
    text = form().replace("\\-", "-")
    missing = [words for words in every_command() if f"evse-pi {words}\n" not in text]
    assert not missing


@pytest.mark.skipif(shutil.which("groff") is None, reason="groff is not here")
def test_the_manual_page_is_printed_without_a_warning() -> None:
    done = subprocess.run(
        ["groff", "-man", "-Tascii", "-ww", "-rLL=78n", "-P-c"],
        input=manual(),
        capture_output=True,
        text=True,
        check=True,
    )
    assert not done.stderr
    shown = re.sub(".\b", "", done.stdout)  # bold is struck over
    assert "evse-pi - turn a Raspberry Pi into an EV wallbox" in shown
    assert "--rcd-type TEXT" in shown
    assert all(len(line) <= 80 for line in shown.splitlines())
