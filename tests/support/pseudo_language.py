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
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

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


class _Node:
    """A node that has no Matter device, is not permitted to charge, and hears nothing of its safety process."""

    matter = None
    matter_absence = f"{BEGIN}-{END}"
    owner_permits = False

    def __init__(self) -> None:
        from evse_pi.node.commands import ChangeNotifier

        self.notifier = ChangeNotifier()

    def renew(self) -> None: ...

    async def reload(self) -> None: ...


async def _refusals(folder: Path) -> dict[str, str]:
    """Return what requests are refused with that a person may send, by command line or page."""
    from evse_pi.api.protocol import request_line
    from evse_pi.api.refusal import Refusal
    from evse_pi.api.server import answered
    from evse_pi.api.service import Caller, Service
    from evse_pi.device.equipment import Equipment
    from evse_pi.installer.pin import FREE_FAILURES
    from evse_pi.node.charge_point_adapter import ChargePointAdapter
    from evse_pi.node.commands import Commands
    from evse_pi.node.matter_device import MatterDevice, _unknown_fabric
    from evse_pi.node.matter_options import MatterOptions
    from evse_pi.node.web import OwnPin, PinChecker, PinService
    from evse_pi.recorder.reader import Ring
    from tests.support.diagnosed_box import DiagnosedBox, DirectStorage

    told: dict[str, str] = {}
    box = DiagnosedBox(folder)
    box.diagnosis._ring = Ring(lambda: memoryview(b""))  # a black box that no safety process has written
    storage: Any = DirectStorage()
    commands = Commands(box.box, storage, None, _Node())  # type: ignore[arg-type]
    service = Service(*commands.offers, *box.diagnosis.offers(commands.view, storage))
    matter = MatterDevice(
        MatterOptions(), Equipment(True, True), storage, folder, ChargePointAdapter(box.box, lambda: None)
    )
    no_pin = PinChecker(OwnPin(folder, box.clock), box.clock)
    absent = PinChecker(PinService(folder / "absent.sock"), box.clock)

    def request(command: str, *, installer: bool = False, **fields: Any) -> Awaitable[Any]:
        async def ask() -> Any:
            return await answered(service.understand(request_line(command, fields), Caller(1, installer)))

        return ask()

    async def call(function: Callable[..., Any]) -> None:
        function()

    async def guess() -> None:
        for _ in range(FREE_FAILURES):
            with suppress(Refusal):
                await no_pin.check("480213", "-")
        await no_pin.check("480213", "-")

    async def refuse(refusal: Refusal) -> None:
        raise refusal

    refused: dict[str, Awaitable[Any]] = {
        "unknown command": request("stopp"),
        "start": request("start"),
        "commission": request("commission"),
        "repair": request("repair", action="RESET_FABRICS"),
        "clear as installer": request("clear", role="INSTALLER"),
        "reload as owner": request("reload"),
        "self-test without an answer": request("selftest"),
        "limit out of range": request("set", limit_ma=1),
        "sessions that fail": request("sessions"),
        "black box": request("scope"),
        "codes": call(matter.codes),
        "window": call(matter.open_window),
        "PIN unchecked": absent.check("480213", "-"),
        "no PIN": no_pin.check("480213", "-"),
        "PIN too early": guess(),
        "fabric": refuse(_unknown_fabric(2, ("1", "3"))),
    }
    for what, answer in refused.items():
        try:
            await answer
        except Refusal as refusal:
            told[f"refusal, {what}"] = str(refusal)
    return told


def main(folder: Path) -> None:
    """Print all that is said, by what was done."""
    gettext.translation = lambda *_, **__: PseudoLanguage()  # type: ignore[assignment]
    from tests.support.virtual_loop import run

    box, recordings = folder / "box", folder / "recordings"
    for each in (box, recordings):
        each.mkdir(parents=True)
    refusals = run(_refusals(recordings))
    sys.stdout.write(json.dumps({**_commands(box), **_box(recordings), **refusals}))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
