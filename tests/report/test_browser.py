"""The pages in headless Chromium: they load alone, fit the screen, and answer clicks and keys."""

import base64
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from roadanomaly.evaluation.findings import save_findings
from roadanomaly.leaderboard.page import write_board
from roadanomaly.leaderboard.plan import plan_of
from roadanomaly.report.compare_page import write_comparison
from roadanomaly.report.comparison import compare, read_runs
from roadanomaly.report.page import write_report
from roadanomaly.report.thumbnails import write_thumbnails
from tests.leaderboard.made import make_all
from tests.report.axe import axe_script, grave_findings
from tests.report.browser import Visit, open_browser
from tests.report.made import make_findings, make_frames

pytestmark = pytest.mark.slow
SITE = Path(__file__).parents[2] / "site"
METHODS = ("made/methods/index", "made/methods/densehybrid")
SITE_PAGES = ("start", "video", *METHODS, "made/commands/predict", "search")
NAMES = (
    "Straße_Öl",
    "طريق",
    "two words",
    "quo\"te's",
    "<b>&amp; bold",
    "a#b?c",
    "50%25",
    "طريق (2)",
)
PAPER = 1032
"""Width of a landscape A4 sheet less its margins, CSS pixels."""
FIRST_MASK = "document.querySelector('#worst .four figure:nth-child(3) canvas')"


def smooth_scores(frames, strength, seed):
    rng = np.random.default_rng(seed)
    scores = {}
    for frame in frames:
        truth = frame.truth.numpy()
        noise = cv2.resize(rng.normal(0, 1, (8, 12)).astype(np.float32), truth.shape[::-1])
        scores[frame.id] = noise + strength * cv2.GaussianBlur((truth == 1) * 1.0, (0, 0), 3)
    return {name: score.astype(np.float32) for name, score in scores.items()}


@pytest.fixture(scope="module")
def driver():
    browser = open_browser()
    yield browser
    browser.quit()


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    made = make_frames(8, 180, 320)
    frames = [replace(frame, id=name) for frame, name in zip(made, NAMES, strict=True)]
    folders, kept = [], {}
    for place, name in enumerate(("Läufe <b>&", "تجربة #1 %")):
        folder = tmp_path_factory.mktemp("pages") / name
        scores = {
            detector: smooth_scores(frames, 1.5 + place, seed)
            for seed, detector in enumerate(("energy", "msp"))
        }
        for detector, maps in scores.items():
            save_findings(folder, make_findings(frames, maps, detector=detector))
        for frame in frames:
            held = {detector: maps[frame.id] for detector, maps in scores.items()}
            write_thumbnails(folder, "roadanomaly", frame, held)
        folders.append(folder)
        kept[folder] = scores
    return folders, frames, kept


@pytest.fixture(scope="module")
def report(runs):
    return write_report(runs[0][0])


@pytest.fixture(scope="module")
def comparison(runs, tmp_path_factory):
    path = tmp_path_factory.mktemp("comparison") / "compare.html"
    write_comparison(path, compare(read_runs(runs[0]), resamples=20), with_published=True)
    return path


@pytest.mark.parametrize("page", ["report", "comparison"])
@pytest.mark.parametrize(("width", "dark"), [(390, True), (1280, False)])
def test_page_loads_alone_and_fits(page, width, dark, driver, request):
    visit = Visit(driver, request.getfixturevalue(page), width, dark=dark)
    assert visit.run("return document.documentElement.dataset.theme") == ["light", "dark"][dark]
    drawn = visit.run("return document.querySelectorAll('#pr svg path').length")
    assert drawn == len(visit.texts("#legend button")) > 0
    ids = visit.run("return [...document.querySelectorAll('[id]')].map(one => one.id)")
    assert len(set(ids)) == len(ids)
    assert visit.run("return document.querySelectorAll('.chart:empty').length") == 0
    visit.run("scrollTo(0, document.body.scrollHeight)")
    assert visit.run("return document.documentElement.scrollWidth") <= width
    assert visit.run("return document.body.scrollWidth") <= width
    assert visit.errors() == []
    assert visit.requests() == []


@pytest.fixture(scope="module")
def leaderboard(tmp_path_factory):
    board = make_all(tmp_path_factory.mktemp("board"))
    write_board(board, plan_of(board, tmp_path_factory.mktemp("recipes")))
    return Path(board.out) / "leaderboard.html"


@pytest.mark.parametrize("width", [390, 1280])
def test_a_leaderboard_loads_alone_and_fits(width, leaderboard, driver):
    visit = Visit(driver, leaderboard, width)
    assert len(visit.texts(".ranked .who")) == 4
    visit.click("#figures th button")
    assert visit.run("return document.querySelector('#figures th').getAttribute('aria-sort')")
    before = visit.run("return document.documentElement.dataset.theme")
    visit.click("#theme")
    assert visit.run("return document.documentElement.dataset.theme") != before
    assert visit.run("return document.documentElement.scrollWidth") <= width
    assert visit.run("return document.body.scrollWidth") <= width
    assert visit.errors() == []
    assert visit.requests() == []


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("page", ["report", "comparison", "leaderboard"])
def test_page_has_no_grave_fault_for_anybody(page, dark, driver, request):
    script = axe_script()
    visit = Visit(driver, request.getfixturevalue(page), 1280, dark=dark)
    visit.run(
        "document.querySelectorAll('details').forEach(one => { one.open = true; });"
        "document.querySelector('#legend button')?.click()"
    )
    assert grave_findings(driver, script) == []


def test_frame_in_the_open_has_no_grave_fault(report, driver):
    script = axe_script()
    visit = Visit(driver, report, 1280)
    visit.click("#frame-table button.frame")
    assert grave_findings(driver, script) == []


@pytest.mark.parametrize("page", SITE_PAGES)
def test_site_has_no_grave_fault_for_anybody(page, driver):
    script, path = axe_script(), SITE / f"{page}.html"
    if not path.exists():
        pytest.skip("the site is not built: run `make docs`")
    found = []
    for dark in (False, True):
        Visit(driver, path, 1280, dark=dark)
        found += grave_findings(driver, script)
    assert found == []


def test_names_of_any_script_are_shown_as_they_are(report, comparison, driver):
    visit = Visit(driver, report, 1280)
    assert sorted(visit.texts("#frame-table button.frame")) == sorted(NAMES)
    assert set(visit.texts("#worst h3 bdi")) <= set(NAMES)
    assert visit.run("return document.querySelectorAll('main b').length") == 0
    visit = Visit(driver, comparison, 1280)
    assert visit.texts("h1 bdi") == ["Läufe <b>&", "تجربة #1 %"]
    assert any("\u2068تجربة #1 %: energy\u2069" in text for text in visit.texts("#pair option"))
    assert visit.texts("#frame-table td:first-child bdi")


def test_focus_stays_where_keys_redraw(report, driver):
    visit = Visit(driver, report, 1280)
    visit.press("#legend button:last-child", "\n")
    assert visit.run("return document.activeElement.getAttribute('aria-pressed')") == "false"
    visit.press("#f1 svg", "\ue014", "\ue014")
    told = visit.texts("#tip")[0]
    visit.press("#f1 svg", "\n")
    assert visit.run("return document.activeElement.closest('.chart')?.id") == "f1"
    chosen = float(visit.texts("#threshold-value")[0])
    assert told.splitlines()[1] == f"threshold {chosen:g}"


@pytest.mark.parametrize("page", ["report", "comparison", "leaderboard"])
def test_paper_is_light_holds_all_and_no_controls(page, driver, request):
    visit = Visit(driver, request.getfixturevalue(page), PAPER, dark=True)
    if page == "report":  # pictures that nobody has scrolled to are on paper too
        visit.until(
            "[...document.querySelectorAll('#worst figure:nth-child(3) canvas')]"
            ".every(one => one.dataset.called)"
        )
    scheme = {"name": "prefers-color-scheme", "value": "dark"}
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print", "features": [scheme]})
    run = driver.execute_script
    assert run("return getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert run("return document.documentElement.scrollWidth") <= PAPER
    cut = "[...document.querySelectorAll('table')].filter(one => one.offsetWidth > innerWidth)"
    assert run(f"return {cut}.length") == 0
    kept = "#legend button, th button, button.frame"
    shown = "one.checkVisibility() && !one.matches(arguments[0])"
    controls = "[...document.querySelectorAll('button, input, select, nav, dialog')]"
    assert run(f"return {controls}.filter(one => {shown}).length", kept) == 0
    paper = driver.execute_cdp_cmd("Page.printToPDF", {"printBackground": True})
    assert base64.b64decode(paper["data"]).count(b"/Type /Page\n") >= 1


def test_errors_and_requests_of_a_page_are_noticed(driver, tmp_path):
    path = tmp_path / "leaky.html"
    path.write_text('<img src="http://127.0.0.1:9/x.png"><script>missing()</script>')
    visit = Visit(driver, path, 1280)
    assert visit.requests() == ["http://127.0.0.1:9/x.png"]
    assert any("missing is not defined" in text for text in visit.errors())


@pytest.mark.parametrize("kind", ["constant", "no anomaly", "infinite", "exact only", "one frame"])
def test_odd_evaluations_have_a_page(kind, driver, tmp_path):
    frames = make_frames(1 if kind in ("no anomaly", "one frame") else 3, seed=3)
    if kind == "one frame":
        frames = make_frames(2)[1:]
    scores = smooth_scores(frames, 2.0, 0)
    if kind == "constant":
        scores = {name: np.zeros_like(score) for name, score in scores.items()}
    if kind == "infinite":
        scores = {name: np.where(score > 1, np.inf, score) for name, score in scores.items()}
    changes = {"official": {}, "thresholds": ()} if kind == "exact only" else {}
    found = make_findings(frames, scores, **changes)
    if kind == "exact only":
        found.curves.pop("official")
    save_findings(tmp_path, found)
    for frame in frames:
        write_thumbnails(tmp_path, "roadanomaly", frame, {"energy": scores[frame.id]})
    visit = Visit(driver, write_report(tmp_path), 1280)
    visit.run(
        "const s = document.getElementById('threshold'); s.value = 300;"
        "s.dispatchEvent(new Event('input')); document.querySelector('button.frame').click()"
    )
    visit.until("document.querySelector('#viewer figure:nth-child(3) canvas').dataset.called")
    assert visit.errors() == []


def test_a_header_sorts_and_sorts_back(report, driver):
    visit = Visit(driver, report, 1280)
    cells = "#frame-table tbody tr td:nth-child(4)"
    header = "#frame-table th:nth-child(4)"

    def numbers():
        return [float(text) for text in visit.texts(cells) if text != "–"]

    start = numbers()
    visit.click(f"{header} button")
    falling = numbers()
    assert falling == sorted(start, reverse=True)
    assert falling != start
    assert visit.texts(cells)[-1] == "–"
    visit.press(f"{header} button", "\n")
    assert numbers() == sorted(start)
    assert visit.texts(cells)[-1] == "–"
    assert visit.run(f"return document.querySelector('{header}').ariaSort") == "ascending"


def test_results_sort_by_name_and_number(report, driver):
    visit = Visit(driver, report, 1280)
    column = "#results-main tbody td:nth-child(2)"
    visit.click("#results-main th:nth-child(2) button")
    aps = [float(text) for text in visit.texts(column)]
    assert aps == sorted(aps, reverse=True)


def test_mask_follows_the_threshold_and_is_the_real_one(report, runs, driver):
    folders, frames, kept = runs
    visit = Visit(driver, report, 1280)
    visit.run("document.getElementById('masks').scrollIntoView()")
    visit.until(f"{FIRST_MASK}.dataset.called")
    frame_id = visit.run("return document.querySelector('#worst h3').firstChild.textContent")
    score = kept[folders[0]]["energy"][frame_id]
    counted = next(f for f in frames if f.id == frame_id).truth.numpy() != 255
    areas = []
    for place in (350, 500, 700):
        visit.run(
            f"const s = document.getElementById('threshold'); s.value = {place};"
            f"{FIRST_MASK}.dataset.called = ''; s.dispatchEvent(new Event('input'))"
        )
        called = int(visit.until(f"{FIRST_MASK}.dataset.called"))
        threshold = float(visit.texts("#threshold-value")[0])
        assert visit.texts("#masks-threshold")[0] == f"mask at threshold {threshold:g}"
        pixels = visit.run(f"return {FIRST_MASK}.width * {FIRST_MASK}.height")
        real = ((score >= threshold) & counted).mean()
        assert called / pixels == pytest.approx(real, abs=0.02)
        areas.append(called)
    assert areas[0] > areas[1] > areas[2]


def test_figures_under_the_slider_are_those_of_the_exact_pixels(report, runs, driver):
    folders, frames, kept = runs
    visit = Visit(driver, report, 1280)
    visit.click("#mode input[value=exact]")
    truth = np.concatenate([f.truth.numpy().ravel() for f in frames])
    scores = np.concatenate([kept[folders[0]]["energy"][f.id].ravel() for f in frames])
    before = visit.texts("#figures dd")
    for place in (400, 600):
        visit.run(
            f"const s = document.getElementById('threshold'); s.value = {place};"
            "s.dispatchEvent(new Event('input'))"
        )
        threshold = float(visit.texts("#threshold-value")[0])
        over = scores >= threshold
        tp, fp = (over & (truth == 1)).sum(), (over & (truth == 0)).sum()
        positives, negatives = (truth == 1).sum(), (truth == 0).sum()
        wanted = [tp / positives, fp / negatives, tp / (tp + fp), 2 * tp / (tp + fp + positives)]
        shown = [float(text) / 100 for text in visit.texts("#figures dd")]
        assert shown == pytest.approx(wanted, abs=0.006)
    assert visit.texts("#figures dd") != before


def test_a_way_to_choose_sets_slider_and_shows_its_components(report, driver):
    visit = Visit(driver, report, 1280)
    start = visit.run("return document.getElementById('threshold').value")
    assert len(visit.texts("#figures dd")) == 7
    visit.click("#ways button:nth-child(2)")
    assert visit.run("return document.getElementById('threshold').value") != start
    assert visit.texts("#ways [aria-pressed=true]") == ["false-positive rate 5 %"]
    assert visit.texts("#figures dd")[1] == "5.00"
    visit.press("#threshold", "\ue014")
    assert visit.texts("#ways [aria-pressed=true]") == []


def test_theme_switches_and_is_kept(report, driver):
    visit = Visit(driver, report, 1280)
    shade = "return getComputedStyle(document.body).backgroundColor"
    light = visit.run(shade)
    visit.click("#theme")
    assert visit.run("return document.documentElement.dataset.theme") == "dark"
    assert visit.run(shade) != light
    driver.refresh()
    assert visit.run("return document.documentElement.dataset.theme") == "dark"


def test_another_detector_changes_frames_and_curves(report, driver):
    visit = Visit(driver, report, 1280)
    before = visit.texts("#frame-table tbody tr:first-child td")
    visit.run(
        "const s = document.getElementById('detector'); s.value = 1;"
        "s.dispatchEvent(new Event('change'))"
    )
    assert visit.texts("#frame-table tbody tr:first-child td") != before
    assert "msp on roadanomaly" in visit.texts("#frames-about")[0]
    visit.click("#legend button:first-child")
    assert visit.run("return document.querySelectorAll('#pr svg path').length") == 1


def test_curves_tell_their_values_to_mouse_and_keys(report, driver):
    visit = Visit(driver, report, 1280)
    visit.press("#pr svg", "\ue014", "\ue014")
    text = visit.texts("#tip")[0]
    assert text.startswith("energy")
    assert "recall" in text
    visit.click("#roc svg")
    assert "FPR" in visit.texts("#tip")[0]


def test_a_frame_opens_steps_and_closes_by_keys(report, driver):
    visit = Visit(driver, report, 390)
    names = visit.texts("#frame-table button.frame")
    visit.run("document.querySelector('#frame-table button.frame').click()")
    assert visit.texts("#viewer-title") == names[:1]
    visit.until("document.querySelector('#viewer figure:nth-child(3) canvas').dataset.called")
    visit.press("#viewer", "\ue014")
    assert visit.texts("#viewer-title") == names[1:2]
    visit.press("#viewer", "\ue00c")
    assert visit.run("return document.getElementById('viewer').open") is False
    assert visit.errors() == []


def test_comparison_shows_each_pairs_frames(comparison, driver):
    visit = Visit(driver, comparison, 1280)
    pairs = visit.texts("#pair option")
    assert len(pairs) == 3
    shown = visit.texts("#frames-about")
    visit.run(
        "const s = document.getElementById('pair'); s.value = 1;"
        "s.dispatchEvent(new Event('change'))"
    )
    assert visit.texts("#frames-about") != shown
    assert len(visit.texts("#changed .shot")) == 7
    visit.click("#frame-table th:nth-child(4) button")
    changes = [float(text) for text in visit.texts("#frame-table td:nth-child(4)") if text != "–"]
    assert changes == sorted(changes, reverse=True)
    assert visit.run("return document.querySelectorAll('.whisker').length") == 21
    assert len(visit.texts("#side-by-side tr.quiet")) > 20
