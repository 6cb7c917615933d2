"""A headless Chromium that keeps what a page logs and asks for."""

from __future__ import annotations

import json
import os
import shutil
import time

import pytest

BINARY = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("chrome")
DRIVER = shutil.which("chromedriver")
WAIT = 60


def open_browser():
    """Start Chromium, or skip the test with what is missing."""
    webdriver = pytest.importorskip(
        "selenium.webdriver", reason="the page is driven by selenium: pip install -e .[dev]"
    )
    if not (BINARY and DRIVER):
        pytest.skip("no Chromium here: apt-get install -y chromium chromium-driver")
    options = webdriver.ChromeOptions()
    options.binary_location = BINARY
    words = ["--headless=new", "--disable-gpu", "--disable-dev-shm-usage", "--hide-scrollbars"]
    if os.geteuid() == 0:
        words.append("--no-sandbox")
    for word in words:
        options.add_argument(word)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    service = webdriver.ChromeService(DRIVER)
    driver = webdriver.Chrome(options=options, service=service)
    driver.set_page_load_timeout(WAIT)
    driver.set_script_timeout(WAIT)
    return driver


class Visit:
    """One page in a browser, at a width in pixels."""

    def __init__(self, driver, path, width: int, *, dark: bool = False) -> None:
        self.driver, self.path = driver, path
        size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 600}
        driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [scheme]})
        for kind in ("browser", "performance"):
            driver.get_log(kind)
        driver.get(path.as_uri())
        self.run("localStorage.clear()")

    def run(self, script: str):
        """Return what a script returns."""
        return self.driver.execute_script(script)

    def until(self, script: str):
        """Wait until an expression is true, and return it."""
        end = time.monotonic() + WAIT
        while time.monotonic() < end:
            if found := self.run(f"return {script}"):
                return found
            time.sleep(0.05)
        return pytest.fail(f"never became true: {script}")

    def click(self, selector: str) -> None:
        """Scroll to the first element of a selector and click it with the mouse."""
        element = self.driver.find_element("css selector", selector)
        self.run(
            "document.documentElement.style.scrollBehavior = 'auto';"
            f"document.querySelector({json.dumps(selector)}).scrollIntoView({{block: 'center'}})"
        )
        element.click()

    def press(self, selector: str, *keys: str) -> None:
        """Press keys in an element."""
        self.driver.find_element("css selector", selector).send_keys(*keys)

    def texts(self, selector: str) -> list[str]:
        """Return the text of each element of a selector."""
        return self.run(
            f"return [...document.querySelectorAll({json.dumps(selector)})]"
            ".map(one => one.textContent.trim())"
        )

    def errors(self) -> list[str]:
        """Return what the console complained about."""
        return [entry["message"] for entry in self.driver.get_log("browser")]

    def requests(self) -> list[str]:
        """Return every address that was asked for, but for the page and data in it."""
        messages = [
            json.loads(entry["message"])["message"] for entry in self.driver.get_log("performance")
        ]
        urls = [
            message["params"]["request"]["url"]
            for message in messages
            if message["method"] == "Network.requestWillBeSent"
        ]
        assert self.path.as_uri() in urls
        own = (self.path.as_uri(), "data:")
        return [url for url in urls if not url.startswith(own)]
