"""A language in which each text is its English one between brackets, and the box told in it.

`python -m tests.support.pseudo_language FOLDER` prints what people are shown as one JSON object; it is a process of its
own, because the language of a process is chosen when its modules are loaded.
"""

from __future__ import annotations

import gettext
import io
import json
import sys
from contextlib import redirect_stderr, redirect_stdout, suppress
from pathlib import Path
from typing import Any

BEGIN, END = "⟦", "⟧"


class PseudoLanguage(gettext.NullTranslations):
    """Translates by putting brackets round a text."""

    def info(self) -> dict[str, str]:
        """Return what a catalogue says of itself."""
        return {"language": "qps"}

    def gettext(self, message: str) -> str:
        """Return `message` between brackets."""
        return f"{BEGIN}{message}{END}"


def unbracketed(text: str) -> str:
    """Return what of `text` stands outside of all brackets."""
    depth, left = 0, []
    for letter in text:
        depth += (letter == BEGIN) - (letter == END)
        if depth == 0 and letter != END:
            left.append(letter)
    return "".join(left)


def _typed(*arguments: str, answers: str = "") -> str:
    """Return what a command prints, and what it is refused with."""
    from evse_pi.cli.main import main

    out = io.StringIO()
    sys.argv, sys.stdin = ["evse-pi", *arguments], io.StringIO(answers)
    with redirect_stdout(out), redirect_stderr(out), suppress(SystemExit):
        main()
    return out.getvalue()


def _commands(box: Path) -> dict[str, str]:
    from evse_pi.cli.main import COMMANDS

    at = ("--state-dir", str(box), "--run-dir", str(box))
    told = {f"{name} --help": _typed(name, "--help") for name in COMMANDS}
    told["--help"] = _typed("--help")
    told["overview, not set up"] = _typed(*at)
    told["setup, broken off"] = _typed(*at, "setup", "--name", "N", answers="\n")
    told["setup"] = _typed(*at, "setup", "--name", "N", answers="\nde\n" + "\n" * 5 + "20\n20A\n" + "\n" * 12)
    told["setup --yes"] = _typed(*at, "setup", "--yes", "--country", "DE", "--capacity", "20A", "--name", "N")
    told["overview"] = _typed(*at)
    told["capacity"] = _typed(*at, "capacity")
    told["capacity set 16"] = _typed(*at, "capacity", "set", "16")
    told["calibrate apply"] = _typed(*at, "calibrate", "apply")
    told["stop"] = _typed(*at, "stop")
    return told


def _box(folder: Path) -> dict[str, str]:
    from evse_pi.cli import status_text
    from evse_pi.cli.why import lines
    from evse_pi.diagnostics.explanation import why
    from evse_pi.web import layout
    from evse_pi.web.page_admission import PinSession
    from evse_pi.web.pages import history_page, protected_pages, scope_page, status_page
    from tests.support.diagnosed_box import DiagnosedBox

    session = PinSession("token", 1)

    def shown(page: Any, admitted: PinSession | None = None) -> str:
        return layout.document(page, "box", admitted, "1")

    told: dict[str, str] = {}
    box = DiagnosedBox(folder).ready()
    for name in ("ready", "charging", "fault"):
        if name == "charging":
            box.charging()
        if name == "fault":
            box.do("remove_diode")
            box.wait(2)
        status = box.status()
        told[f"status, {name}"] = "\n".join((*status_text.lines(status), status_text.line(status)))
        told[f"why, {name}"] = "\n".join(lines(why(status)))
        told[f"page /, {name}"] = shown(status_page.status_page(status, why(status)))
        told[f"page /why, {name}"] = shown(status_page.why_page(why(status)))
        told[f"page /selftest, {name}"] = shown(protected_pages.self_test_page(status, session))
        told[f"page /control, {name}"] = shown(protected_pages.control_page(status, session), session)
        told[f"page /codes, {name}"] = shown(protected_pages.codes_page(status, None, None, pin_set=False))
    told["page /pin"] = shown(protected_pages.pin_page(None, pin_set=True))
    told["page /sessions"] = shown(history_page.sessions_page(()))
    told["page /scope"] = shown(scope_page.no_scope_page("-"))
    return told


def main(folder: Path) -> None:
    """Print all that is said, by what was done."""
    gettext.translation = lambda *_, **__: PseudoLanguage()  # type: ignore[assignment]
    box, recordings = folder / "box", folder / "recordings"
    for each in (box, recordings):
        each.mkdir(parents=True)
    sys.stdout.write(json.dumps({**_commands(box), **_box(recordings)}))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
