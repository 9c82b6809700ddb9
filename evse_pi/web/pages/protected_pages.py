"""The pages behind the PIN: self-test, setup codes, what the owner sets, and the PIN itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

import segno

from evse_pi.api.matter_status import Window
from evse_pi.api.status import SelfTestStatus
from evse_pi.api.texts import english as words
from evse_pi.api.texts.catalogue import tr
from evse_pi.api.texts.quantities import exact_amps, sentence
from evse_pi.api.texts.self_test_texts import evidence_text
from evse_pi.web.layout import Page, button, definitions, form, note, pin_link, section
from evse_pi.web.markup import Markup, element

if TYPE_CHECKING:
    from evse_pi.api.commissioning import Codes
    from evse_pi.api.matter_status import MatterDeviceStatus
    from evse_pi.api.status import Status
    from evse_pi.web.page_admission import PinSession

KINDS = {SelfTestStatus.PASSED: "charging", SelfTestStatus.RUNNING: "waiting", SelfTestStatus.NOT_PASSED: "fault"}
WINDOWS = {
    None: tr("closed"),
    Window.BASIC: tr("open for the codes of this box"),
    Window.ENHANCED: tr("open for a controller's own code"),
}
PIN_LENGTH = 32
NO_PIN = tr(
    "This box has no installer PIN yet, so this page only shows. Set one on the box: "
    "echo PIN | sudo evse-pi setup --yes --set-pin-stdin"
)
CODES_ELSEWHERE = tr("They are shown on the box itself by: evse-pi commission --codes")


def self_test_page(status: Status, session: PinSession | None, told: str | None = None) -> Page:
    """Return what the last self-test measured, and what starts a new one."""
    safety, tested = status.safety, status.safety.self_test
    result = tr("not known: the safety process does not answer") if tested is None else words.SELF_TESTS[tested]
    items = [
        element("li", element("span", tr("passed") if each.passed else tr("FAILED"), class_="tag"),
                f" {sentence(evidence_text(each))}", class_="charging" if each.passed else "fault")
        for each in safety.evidence
    ]  # fmt: skip
    closed = status.contactor is not None and status.contactor.close_ordered
    why_not = (
        tr("The box is charging, and a self-test needs an open contactor: stop charging first.") if closed else None
    )
    kind = "fault" if tested is None else KINDS[tested]
    return Page(
        "/selftest",
        tr("Self-test"),
        (
            section("result", tr("Self-test"), element("p", sentence(result), class_=f"verdict {kind}", role="status")),
            section("evidence", None, element("ul", *items, class_="findings")),
            _act(
                "start",
                "/selftest",
                session,
                told or why_not,
                form("/selftest", session, button(tr("Start a self-test"))),
            ),
        ),
        live="/live/selftest",
    )


def codes_page(status: Status, codes: Codes | None, session: PinSession | None,
               *, pin_set: bool) -> Page:  # fmt: skip
    """Return how the box stands with Matter controllers and, to those who may see them, the setup codes."""
    matter = status.matter
    standing = section("standing", tr("Matter"), definitions(_standing(matter, status.matter_absence)))
    if matter is None or not lets_in(matter):
        shown = note(
            tr("Codes are shown while no controller owns the box, or while its own commissioning window is open.")
        )
    elif session is None:
        shown = (
            note(NO_PIN) if not pin_set else _enter("/codes", tr("The setup codes are shown after the installer PIN."))
        )
    elif codes is None:
        shown = note(tr("The codes are not known yet: the Matter device is coming up."))
    else:
        shown = _codes(codes)
    hint = None if codes and session else note(CODES_ELSEWHERE)
    return Page("/codes", tr("Codes"), (standing, section("codes", tr("Setup codes"), shown, hint)))


def lets_in(matter: MatterDeviceStatus) -> bool:
    """Return whether the setup codes would let a controller in; a window with a code of its own is another's."""
    return not matter.commissioned or matter.window is Window.BASIC


def control_page(status: Status, session: PinSession | None, told: str | None = None) -> Page:
    """Return what the owner has set and, to those who know the PIN, what changes it."""
    owner = status.owner
    limit = tr("none") if owner.limit_ma is None else exact_amps(owner.limit_ma)
    rows: list[tuple[str, str | Markup]] = [
        (tr("Charging is"), tr("permitted") if owner.permitted else tr("stopped")),
        (tr("Owner's limit"), limit),
    ]
    order = ("/stop", tr("Stop charging"), "stop") if owner.permitted else ("/permit", tr("Permit charging"), "go")
    forms = (
        form(order[0], session, button(order[1], order[2])),
        form("/limit", session, *_limit_input()),
        form("/start", session, button(tr("Start now, skip the delay"))),
    )
    word = section("word", tr("The owner's setting"), definitions(rows))
    capacity = note(tr("What the circuit carries is the installer's, and cannot be changed here: evse-pi capacity."))
    return Page(
        "/control",
        tr("Control"),
        (word, _act("acts", "/control", session, told, *forms), section("capacity", None, capacity)),
    )


def pin_page(told: str | None, *, pin_set: bool, to: str = "") -> Page:
    """Return where the PIN is entered."""
    if not pin_set:
        return Page("/pin", "PIN", (section("pin", tr("Installer PIN"), note(NO_PIN)),))
    entry = form(
        "/pin",
        None,
        element("input", type="hidden", name="to", value=to),
        element("label", tr("Installer PIN"), for_="pin-digits"),
        element(
            "input", id="pin-digits", name="pin", type="password", inputmode="numeric", pattern="[0-9]*",
            autocomplete="off", maxlength=PIN_LENGTH, required=True, autofocus=True,
        ),
        button(tr("Enter")),
    )  # fmt: skip
    plain = note(tr("For 15 minutes in this browser. The PIN travels unencrypted: use a network that you trust."))
    return Page("/pin", "PIN", (section("pin", None, note(told, "refused") if told else None, entry, plain),))


def refused_page(title: str, told: str) -> Page:
    """Return that something cannot be had, and why."""
    return Page("", title, (section("refused", title, note(told, "refused")),))


def _act(name: str, path: str, session: PinSession | None, told: str | None, *forms: Markup) -> Markup:
    remark = note(told, "refused") if told else None
    if session is None:
        return section(name, None, remark, _enter(path, tr("To act, enter the installer PIN.")))
    return section(name, None, remark, *forms, class_="acts")


def _enter(path: str, told: str) -> Markup:
    return element(
        "div", note(told), element("p", element("a", tr("Enter the PIN"), href=pin_link(path), class_="button"))
    )


def _limit_input() -> tuple[Markup, ...]:
    return (
        element("label", tr("Limit in A, empty for none"), for_="limit"),
        element("input", id="limit", name="amps", type="number", inputmode="decimal", min="6", max="80", step="0.1"),
        button(tr("Set the limit"), "plain"),
    )


def _standing(matter: MatterDeviceStatus | None, absence: str | None) -> list[tuple[str, str | Markup]]:
    if matter is None:
        return [(tr("Matter"), tr("the box is no Matter device: {absence}").format(absence=absence))]
    owners = len(matter.fabrics)
    runs = (
        tr("runs")
        if matter.running
        else tr("does not run: {value}").format(value=matter.trouble or tr("it is starting"))
    )
    rows: list[tuple[str, str | Markup]] = [
        (tr("Matter"), runs),
        (tr("Controllers"), str(owners or tr("none; the owner alone permits charging"))),
        (tr("Window"), WINDOWS[matter.window]),
    ]
    if matter.test_credentials:
        rows.append((tr("Credentials"), tr("for tests: they prove nothing, and phones want a developer setting")))
    return rows


def _codes(codes: Codes) -> Markup:
    drawn = segno.make(codes.qr, micro=False).svg_inline(
        border=4, dark="#000", light="#fff", omitsize=True, svgclass="qr"
    )
    manual = codes.manual
    return element(
        "div",
        element("figure", Markup(drawn), element("figcaption", tr("Scan with the controller's app."))),
        definitions([(tr("Or type"), f"{manual[:4]}-{manual[4:7]}-{manual[7:]}"), (tr("QR text"), codes.qr)]),
        class_="codes",
    )
