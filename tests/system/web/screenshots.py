"""Make the pictures of docs/web by the tests' browser: `python -m tests.system.web.screenshots docs/web`."""

from __future__ import annotations

import socket
import sys
import tempfile
import time
from pathlib import Path

from tests.support.browser import Browser, browser
from tests.support.web_box import PIN, WebBox, free_port, web_box

DESKTOP, PHONE = (1000, 620), (360, 640)


def take(window: Browser, folder: Path, name: str, url: str, size: tuple[int, int], *, dark: bool = False) -> None:
    window.viewport(*size, dark=dark)
    window.open(url)
    time.sleep(1.5)
    height = min(int(window.run("return document.documentElement.scrollHeight")), 1400)
    window.viewport(size[0], max(height, size[1]), dark=dark)
    window.driver.save_screenshot(str(folder / f"{name}.png"))


def pictures(box: WebBox, window: Browser, folder: Path) -> None:
    box.car("plug_in", cable_ma=20_000)
    box.car("auto")
    box.until(lambda now: now["reason"] and now["reason"]["reason"] == "CHARGING", within_s=60)
    time.sleep(5)
    take(window, folder, "status-phone", f"{box.url}/", PHONE)
    take(window, folder, "status-desktop-dark", f"{box.url}/", DESKTOP, dark=True)
    take(window, folder, "why-phone", f"{box.url}/why", PHONE)
    take(window, folder, "pilot-phone-dark", f"{box.url}/scope", PHONE, dark=True)
    box.car("remove_diode")
    box.until(lambda now: now["faults"] and now["meter"]["power_mw"] == 0)
    take(window, folder, "fault-phone", f"{box.url}/", PHONE)
    window.open(f"{box.url}/pin")
    window.type("#pin-digits", PIN)
    window.click("main button")
    window.until(lambda: window.count("#acts form"))
    take(window, folder, "control-phone", f"{box.url}/control", PHONE)


def main() -> None:
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        udp = free_port(socket.SOCK_DGRAM)
        with web_box(Path(scratch) / "box", f"--port={udp}") as box, browser(Path(scratch) / "profile") as window:
            pictures(box, window, folder)


if __name__ == "__main__":
    main()
