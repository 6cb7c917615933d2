"""The page in a real browser, without a screen."""

import shutil

import pytest

from roadanomaly.data.images import write_image
from tests.report.axe import axe_script, grave_findings
from tests.video.clips import picture

webdriver = pytest.importorskip(
    "selenium.webdriver", reason="the page is driven by selenium: pip install -e .[dev]"
)
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
DRIVER = shutil.which("chromedriver")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not (CHROMIUM and DRIVER), reason="install chromium and chromedriver"),
]


@pytest.fixture(scope="module")
def browser(served):
    options = webdriver.ChromeOptions()
    for word in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"):
        options.add_argument(word)
    options.binary_location = CHROMIUM
    options.page_load_strategy = "eager"  # the picture is a stream: nobody waits for its end
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(DRIVER))
    driver.set_page_load_timeout(60)
    driver.set_script_timeout(60)
    driver.get(served.address)
    yield driver
    driver.quit()


def find(browser, name):
    return browser.find_element("id", name)


def slide(browser, name, value):
    script = "const e=arguments[0];e.value=arguments[1];e.dispatchEvent(new Event('input'))"
    browser.execute_script(script, find(browser, name), value)


def test_page_shows_frames(browser, served):
    wide = "return document.getElementById('picture').naturalWidth"
    assert served.becomes(lambda: browser.execute_script(wide) == 128)
    assert served.becomes(lambda: "fps" in find(browser, "fps").text)
    faults = [line for line in browser.get_log("browser") if line["level"] == "SEVERE"]
    assert not faults


def test_page_is_loaded_though_its_picture_never_ends(browser, served):
    assert served.becomes(
        lambda: browser.execute_script("return document.readyState") == "complete"
    )


def pause_on_the_square(served):
    """Pause at a frame that shows it: a slow machine may be past it when a click arrives."""

    def caught():
        if served.live.status()["mask_share"] > 0:
            served.live.change(paused=True)
        return served.live.settings.paused

    assert served.becomes(caught)


def test_slider_changes_the_mask(browser, served):
    pause_on_the_square(served)
    slide(browser, "rate", -4)
    assert served.becomes(lambda: served.live.status()["mask_share"] == 0)
    slide(browser, "rate", -0.3)
    assert served.becomes(lambda: served.live.status()["mask_share"] > 0)
    browser.execute_script("arguments[0].click()", find(browser, "pause"))
    assert served.becomes(lambda: not served.live.settings.paused)


def test_keys_pause_and_change_the_view(browser, served):
    body = browser.find_element("tag name", "body")
    body.send_keys(" ")
    assert served.becomes(lambda: served.live.settings.paused)
    body.send_keys(" ")
    assert served.becomes(lambda: not served.live.settings.paused)
    body.send_keys("h")
    assert served.becomes(lambda: "/stream/heat" in find(browser, "picture").get_attribute("src"))
    body.send_keys("h")


def test_upload_gives_a_result_and_a_broken_one_an_error(browser, served, tmp_path):
    write_image(tmp_path / "a.png", picture(30))
    (tmp_path / "broken.mp4").write_bytes(b"\0" * 3000)
    for name, expected in (("a.png", "1 objects found"), ("broken.mp4", "cannot be used")):
        find(browser, "file").send_keys(str(tmp_path / name))
        browser.execute_script("document.querySelector('#upload button').click()")
        assert served.becomes(lambda: expected in find(browser, "said").text, 60)  # noqa: B023


def test_events_lead_to_their_moment(browser, served):
    assert served.becomes(
        lambda: browser.execute_script("return document.querySelectorAll('#events li').length")
    )
    before = served.live._session
    browser.execute_script("document.querySelector('#events button').click()")
    assert served.becomes(lambda: served.live._session > before)


@pytest.mark.parametrize("width", [390, 1280])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_page_fits_phones_and_desks_in_light_and_dark(browser, width, scheme):
    size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 500}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    media = {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", media)
    assert browser.execute_script("return document.documentElement.scrollWidth") <= width
    back = browser.execute_script("return getComputedStyle(document.body).backgroundColor")
    shade = sum(int(part) for part in back.strip("rgb()").split(","))
    assert (shade < 200) == (scheme == "dark")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_page_has_no_grave_fault_for_anybody(browser, served, scheme):
    script = axe_script()
    assert served.becomes(lambda: find(browser, "source").text)
    media = {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", media)
    assert grave_findings(browser, script) == []


def focused(browser):
    return browser.execute_script("return document.activeElement.id")


def tab_to(browser, name):
    """Press Tab until an element has the focus, which must be seen.

    The page gets the key, not an element: to the field of a file it would be a path.
    """
    for _ in range(60):
        webdriver.ActionChains(browser).send_keys("\ue004").perform()
        if focused(browser) == name:
            break
    assert focused(browser) == name
    style = "return getComputedStyle(document.activeElement)"
    assert browser.execute_script(f"{style}.outlineStyle") != "none"


def test_page_is_worked_by_keys_alone(browser, served):
    served.live.change(paused=False)
    assert served.becomes(lambda: find(browser, "pause").text == "Pause")
    browser.execute_script("document.activeElement.blur(); scrollTo(0, 0)")
    tab_to(browser, "view-heat")
    browser.switch_to.active_element.send_keys("\n")
    assert served.becomes(lambda: "/stream/heat" in find(browser, "picture").get_attribute("src"))
    tab_to(browser, "pause")
    browser.switch_to.active_element.send_keys(" ")
    assert served.becomes(lambda: served.live.settings.paused)
    assert served.becomes(lambda: find(browser, "state").text == "paused")
    tab_to(browser, "rate")
    before = served.live.settings.rate
    browser.switch_to.active_element.send_keys("\ue012")
    assert served.becomes(lambda: served.live.settings.rate < before)
    spoken = find(browser, "rate").get_attribute("aria-valuetext")
    assert spoken == find(browser, "rate-text").text
    tab_to(browser, "keys")
    browser.switch_to.active_element.send_keys(" ")
    browser.find_element("tag name", "body").send_keys("h")
    assert "/stream/heat" in find(browser, "picture").get_attribute("src")
    find(browser, "keys").send_keys(" ")
    tab_to(browser, "file")
    served.live.change(paused=False)


def test_an_upload_keeps_its_name_in_any_script(browser, served, tmp_path):
    name = "طريق <b>& #1 %.png"
    write_image(tmp_path / name, picture(30))
    find(browser, "file").send_keys(str(tmp_path / name))
    browser.execute_script("document.querySelector('#upload button').click()")
    assert served.becomes(lambda: f"{name}: 1 objects found" in find(browser, "said").text, 60)
    link = browser.find_element("css selector", "#result a")
    assert link.get_attribute("download") == "طريق <b>& #1 %_overlay.png"


def test_events_of_a_later_round_are_announced_though_their_numbers_begin_anew(
    browser, served, monkeypatch
):
    """Those that were there before the page are not; "1-2" is the second event of round one."""
    keys, status = ["1-2", "1-1"], served.live.status
    times = dict.fromkeys(("start_s", "end_s", "peak_s", "peak_score", "peak_frame"), 0)

    def told():
        events = [{**times, "key": key, "id": int(key[-1]), "on": True} for key in keys]
        return {**status(), "events": events}

    monkeypatch.setattr(served.live, "status", told)
    browser.get(served.address)
    news = "return ['count', 'news'].map((name) => document.getElementById(name).textContent)"
    assert served.becomes(lambda: browser.execute_script(news) == ["2", ""])
    keys.insert(0, "2-1")
    assert served.becomes(lambda: browser.execute_script(news) == ["3", "event 1, 3 in the list"])
