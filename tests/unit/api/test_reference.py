"""docs/API.md says what the records say."""

from __future__ import annotations

from pathlib import Path

from evse_pi.api import reference
from evse_pi.api.protocol import Command

ROOT = Path(__file__).parents[3]


def test_the_page_is_as_the_records_are() -> None:
    assert (ROOT / "docs" / "API.md").read_text() == reference.page(), "run: make commands"


def test_every_command_is_on_the_page() -> None:
    commands = [each for module in reference.MODULES for each in vars(module).values() if isinstance(each, Command)]
    assert len(commands) > 20
    for command in commands:
        assert f"| `{command.name}` |" in reference.page()
