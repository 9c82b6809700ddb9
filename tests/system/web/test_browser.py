"""The page in a real browser: it follows the box, fits a phone, asks no other host, and acts for the PIN alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.support.browser import PHONE
from tests.support.web_box import PIN

if TYPE_CHECKING:
    from tests.support.browser import Browser
    from tests.support.web_box import WebBox

PAGES = ("", "why", "scope", "sessions", "faults", "selftest", "codes", "control", "pin")


def enter_pin(window: Browser, box: WebBox, pin: str = PIN, to: str = "") -> None:
    window.open(f"{box.url}/pin?to={to}")
    window.type("#pin-digits", pin)
    window.click("main button")


def test_the_status_follows_a_car_that_comes_and_charges(window: Browser, ready: WebBox) -> None:
    box = ready
    window.open(f"{box.url}/")
    window.until(lambda: window.text("#link") == "Live")
    assert window.text("h1") == "Not charging"
    box.car("plug_in", cable_ma=20_000)
    window.until(lambda: "20.0 A" in window.text("#figures"))
    box.car("auto")
    window.until(lambda: window.text("h1") == "Charging")
    window.until(lambda: "closed (mirror closed)" in window.text("#figures"))
    assert window.run("return performance.getEntriesByType('navigation').length") == 1
    window.read_logs()
    assert f"{box.url}/live/status" in window.requested


def test_why_names_the_limit_that_decides_as_it_changes(window: Browser, ready: WebBox) -> None:
    box = ready
    window.open(f"{box.url}/why")
    box.car("plug_in", cable_ma=20_000)
    box.car("auto")
    window.until(lambda: window.text("tr:has(.tag) th").startswith("The cable"))
    box.ask("set", limit_ma=8_000)
    try:
        window.until(lambda: window.text("tr:has(.tag)").startswith("The owner"))
        assert "8.0 A" in window.text("tr:has(.tag) td")
        window.until(lambda: "limited by the owner" in window.text("#headline"))
    finally:
        box.ask("set", limit_ma=None)


def test_the_waveform_is_drawn_and_drawn_again(window: Browser, ready: WebBox) -> None:
    box = ready
    box.car("plug_in", cable_ma=20_000)
    box.until(lambda now: now["pilot"] and now["pilot"]["mode"] == "PWM")
    window.open(f"{box.url}/scope")
    points = "return document.querySelector('.trace').getAttribute('points')"
    first = window.run(points)
    assert len(first.split()) == 96
    window.until(lambda: window.run(points) != first)
    window.until(lambda: window.text("text.chosen") in ("B", "C"))
    assert "present" in window.text("#verdicts")
    assert window.run("return document.querySelector('.scope').getBoundingClientRect().height") > 100


def test_the_codes_are_drawn_after_the_pin_and_not_before(window: Browser, box: WebBox) -> None:
    window.open(f"{box.url}/codes")
    assert window.count(".qr") == 0
    codes = box.ask("commission", action="CODES")["codes"]
    assert codes["qr"] not in window.driver.page_source
    window.click("#codes a")
    window.type("#pin-digits", PIN)
    window.click("main button")
    window.until(lambda: window.count(".qr") == 1)
    assert codes["qr"] in window.text("#codes")
    assert codes["manual"][:4] in window.text("#codes")
    assert window.run("return document.querySelector('.qr').getBoundingClientRect().width") > 200
    assert window.run("return document.cookie") == ""  # HttpOnly
    window.click("footer button")
    window.until(lambda: "Read-only" in window.text("footer"))
    window.open(f"{box.url}/codes")
    assert window.count(".qr") == 0


def test_a_self_test_is_started_with_the_pin_and_followed(window: Browser, ready: WebBox) -> None:
    box = ready
    window.open(f"{box.url}/selftest")
    assert window.count("main form") == 0
    before = max(each["at_ns"] for each in box.ask("status")["safety"]["evidence"])
    enter_pin(window, box, to="selftest")
    window.until(lambda: window.count("#start button") == 1)
    window.click("#start button")
    window.until(lambda: window.text("#result p") == "Running")
    window.until(lambda: window.text("#result p") == "Passed")
    assert max(each["at_ns"] for each in box.ask("status")["safety"]["evidence"]) > before


def test_the_owners_word_is_given_with_the_pin(window: Browser, box: WebBox) -> None:
    enter_pin(window, box)
    window.until(lambda: "permitted" in window.text("#word"))
    window.type("#limit", "10.5")
    window.click("#limit + button")
    window.until(lambda: "10.5" in window.text("#word"))
    assert box.ask("status")["owner"]["limit_ma"] == 10_500
    window.click("button.stop")
    window.until(lambda: "stopped" in window.text("#word"))
    window.click("form[action='/permit'] button")
    window.until(lambda: "permitted" in window.text("#word"))
    window.click("#limit + button")
    window.until(lambda: "none" in window.text("#word"))
    assert box.ask("status")["owner"] == {"permitted": True, "limit_ma": None}


def test_every_page_fits_a_phone_and_has_its_landmarks_labels_and_contrast(window: Browser, box: WebBox) -> None:
    enter_pin(window, box)
    window.until(lambda: "permitted" in window.text("#word"))
    for page in PAGES:
        window.open(f"{box.url}/{page}")
        assert window.run("return document.documentElement.lang") == "en"
        for landmark in ("header", "nav[aria-label]", "main", "footer"):
            assert window.count(landmark) == 1, (page, landmark)
        assert window.run(UNLABELLED) == [], page
        for width, dark in ((320, False), (PHONE[0], True)):
            window.viewport(width, PHONE[1], dark=dark)
            assert window.run("return document.documentElement.scrollWidth") <= width, page
            assert window.run(TOO_SMALL) == [], page
            assert window.run(FAINT) == [], (page, dark)


def test_without_scripts_the_page_still_shows_the_box_and_comes_again(window: Browser, box: WebBox) -> None:
    window.scripts(on=False)
    try:
        window.open(f"{box.url}/")
        assert "<h1>" in window.driver.page_source
        assert "The box does not charge" in window.driver.page_source
        box.car("plug_in", cable_ma=20_000)
        box.until(lambda now: now["cable_ma"])
        window.until(lambda: "20.0 A" in window.text("#figures"))  # it reloads
        window.open(f"{box.url}/why")
        assert "The cable" in window.driver.page_source
    finally:
        window.scripts(on=True)


UNLABELLED = (
    "return [...document.querySelectorAll('input:not([type=hidden])')].filter(e => !e.labels.length).map(e => e.id)"
)
TOO_SMALL = """
const big = (e) => e.getBoundingClientRect().height >= 44 && e.scrollWidth <= e.clientWidth + 1;
return [...document.querySelectorAll("nav a, .button, button, footer a, input:not([type=hidden])")]
  .filter((e) => !big(e)).map((e) => e.textContent || e.id);
"""
FAINT = """
const light = (c) => {
  const [r, g, b] = c.match(/[\\d.]+/g).slice(0, 3).map(Number).map((v) => v / 255)
    .map((v) => v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
};
const ground = (e) => {
  for (; e; e = e.parentElement) {
    const c = getComputedStyle(e).backgroundColor;
    if (!/, 0\\)$/.test(c)) return c;
  }
  return "rgb(255, 255, 255)";
};
const words = [...document.querySelectorAll("body *:not(svg, svg *, script)")]
  .filter((e) => [...e.childNodes].some((n) => n.nodeType === 3 && n.textContent.trim()) && e.offsetWidth);
return words.filter((e) => {
  const [a, b] = [light(getComputedStyle(e).color), light(ground(e))].sort((x, y) => y - x);
  return (a + 0.05) / (b + 0.05) < 4.5;
}).map((e) => e.textContent);
"""
"""Texts with a contrast of less than 4.5. Source: WCAG 2.1, success criterion 1.4.3"""
