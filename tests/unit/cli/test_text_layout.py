"""What strangers chose reaches a terminal as letters, never as a command to it."""

from __future__ import annotations

import pytest

from evse_pi.api.commissioning import CommissionAnswer
from evse_pi.api.matter_status import FabricSummary
from evse_pi.cli import commission
from evse_pi.cli.text_layout import fitting, paragraph, readable, row, show

# ECMA-48: clear screen, window title, 8-bit CSI. Unicode TR 36: bidirectional override.
HOSTILE = ["\x1b[2J\x1b[H", "\x1b]0;title\x07", "\x9b31m", "\u202etxt.exe", "a\rb", "\x7f\x08", "\ud800"]


@pytest.mark.parametrize("label", HOSTILE)
def test_a_label_that_commands_a_terminal_is_shown_as_it_is_written(
    label: str, capsys: pytest.CaptureFixture[str]
) -> None:
    for told in (*row("1", f"home {label}"), *paragraph(f"home {label}"), fitting(f"home {label}"), readable(label)):
        assert told.isprintable()
    show(None, [f"home {label}"], as_json=False)
    assert capsys.readouterr().out.removesuffix("\n").isprintable()


def test_the_label_of_a_controller_is_escaped_in_the_list_of_controllers() -> None:
    fields = dict.fromkeys(FabricSummary._fields, 1)
    fabric = FabricSummary(**{**fields, "label": "home\x1b[2J"})  # type: ignore[arg-type]
    answer = CommissionAnswer(True, None, True, None, (fabric,), 5540, False)
    told = commission.lines(answer)
    assert any("home\\x1b[2J" in line for line in told)
    assert all(line.isprintable() for line in told)


def test_what_is_written_in_any_language_is_left_alone() -> None:
    text = "Gerät 5 — Großmütterchen 东京 °C Ω\nzweite Zeile"
    assert readable(text) == text
