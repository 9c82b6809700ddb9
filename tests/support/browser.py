"""A real browser, Debian's Chromium, driven by its own driver; what it asked for and complained about is kept."""

from __future__ import annotations

import json
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from selenium import webdriver
from selenium.common.exceptions import NoSuchElementException, StaleElementReferenceException, WebDriverException
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from selenium.webdriver.remote.webelement import WebElement

CHROMIUM, DRIVER = "/usr/bin/chromium", "/usr/bin/chromedriver"
PHONE = (360, 640)
REPLACED = "does not belong to the document"
"""What the browser says of an element that was replaced while its driver looked at it."""
REPLACED_AT_MOST = 5
FLAGS = (
    "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
    "--disable-background-networking", "--disable-component-update", "--disable-dev-shm-usage", "--lang=en",
)  # fmt: skip


class Browser:
    """One window."""

    def __init__(self, driver: webdriver.Chrome) -> None:
        self.driver = driver
        self.requested: list[str] = []
        self.complaints: list[str] = []

    def open(self, url: str) -> None:
        self.driver.get(url)

    def text(self, selector: str = "body") -> str:
        return str(self._on(selector, lambda element: element.text))

    def count(self, selector: str) -> int:
        return len(self.driver.find_elements(By.CSS_SELECTOR, selector))

    def click(self, selector: str) -> None:
        self._on(selector, lambda element: element.click())

    def type(self, selector: str, keys: str) -> None:
        self._on(selector, lambda element: element.send_keys(keys))

    def _on(self, selector: str, act: Callable[[WebElement], Any]) -> Any:
        """Do something with an element; news may replace it in that moment, and then it is looked for again."""
        for _ in range(REPLACED_AT_MOST):
            try:
                return act(self.driver.find_element(By.CSS_SELECTOR, selector))
            except StaleElementReferenceException:
                continue
            except WebDriverException as error:
                if REPLACED not in str(error):
                    raise
        return act(self.driver.find_element(By.CSS_SELECTOR, selector))

    def run(self, script: str) -> Any:
        return self.driver.execute_script(script)

    def viewport(self, width: int, height: int, *, dark: bool = False, scale: float = 1) -> None:
        metrics = {"width": width, "height": height, "deviceScaleFactor": scale, "mobile": width < 600}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
        feature = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [feature]})

    def scripts(self, *, on: bool) -> None:
        self.driver.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": not on})

    def until(self, holds: Callable[[], Any], within_s: float = 12) -> Any:
        deadline = time.monotonic() + within_s
        while time.monotonic() < deadline:
            try:
                if found := holds():
                    return found
            except (NoSuchElementException, StaleElementReferenceException):
                pass  # on its way, or replaced by news again and again
            time.sleep(0.05)
        raise AssertionError(f"never came about; the page says {self.text()}")

    def read_logs(self) -> None:
        """Take in what the browser noted since the last call."""
        for entry in self.driver.get_log("performance"):
            message = json.loads(entry["message"])["message"]
            if message["method"] == "Network.requestWillBeSent":
                self.requested.append(message["params"]["request"]["url"])
        self.complaints += [
            entry["message"] for entry in self.driver.get_log("browser") if entry["level"] in ("SEVERE", "WARNING")
        ]

    def strangers(self, url: str) -> list[str]:
        """Return what was requested from anywhere but `url`."""
        return [each for each in self.requested if urlsplit(each).netloc != urlsplit(url).netloc]


@contextmanager
def browser(profile: Path) -> Iterator[Browser]:
    """Open a window with an empty profile."""
    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for flag in (*FLAGS, f"--user-data-dir={profile}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"performance": "ALL", "browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=Service(executable_path=DRIVER))
    try:
        yield Browser(driver)
    finally:
        driver.quit()
