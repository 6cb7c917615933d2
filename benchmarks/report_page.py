"""Size of the page for 100 frames of 1280x720 under one detector, and how fast Chromium opens it.

    python benchmarks/report_page.py

The frames are generated streets with a noisy score map. Opening time is what the browser itself
measures, from navigation to the end of the load event, with all scripts run and curves drawn.
"""

import statistics
import sys
import tempfile
import time
from pathlib import Path

import cv2
import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).parents[1]))

from roadanomaly.data.streets import Streets
from roadanomaly.evaluation.findings import save_findings
from roadanomaly.report.page import write_report
from roadanomaly.report.thumbnails import write_thumbnails
from roadanomaly.training.record import machine
from roadanomaly.types import Frame
from tests.report.browser import Visit, open_browser
from tests.report.made import make_findings

FRAMES, SIZE, OPENINGS = 100, (1280, 720), 5


def frames():
    """Yield streets, enlarged to the benchmark's size, with score maps."""
    rng = np.random.default_rng(0)
    for frame in Streets(split="test", count=FRAMES, height=180):
        image = cv2.resize(frame.image.permute(1, 2, 0).numpy(), SIZE)
        truth = cv2.resize(frame.truth.numpy(), SIZE, interpolation=cv2.INTER_NEAREST)
        grain = rng.normal(0, 8, image.shape).astype(np.float32)
        image = np.clip(image + grain, 0, 255).astype(np.uint8)
        noise = cv2.resize(rng.normal(0, 1, (90, 160)).astype(np.float32), SIZE)
        score = (noise + 2 * (truth == 1)).astype(np.float32)
        made = torch.from_numpy(image).permute(2, 0, 1)
        yield Frame(frame.id, made, anomaly=torch.from_numpy(truth)), score


def main():
    with tempfile.TemporaryDirectory() as name:
        folder, spent, small, scores = Path(name), [], [], {}
        for frame, score in frames():
            start = time.perf_counter()
            write_thumbnails(folder, "streets", frame, {"made": score})
            spent.append(1000 * (time.perf_counter() - start))
            truth = torch.from_numpy(np.ascontiguousarray(frame.truth.numpy()[::4, ::4]))
            small.append(Frame(frame.id, frame.image[:, ::4, ::4], anomaly=truth))
            scores[frame.id] = np.ascontiguousarray(score[::4, ::4])
        found = make_findings(small, scores, detector="made", set_name="streets")
        save_findings(folder, found)
        start = time.perf_counter()
        page = write_report(folder)
        written = time.perf_counter() - start
        driver = open_browser()
        opened = []
        for _ in range(OPENINGS):
            visit = Visit(driver, page, 1280)
            opened.append(
                visit.run("return performance.getEntriesByType('navigation')[0].duration")
            )
        driver.quit()
        print(f"machine: {machine()}")
        print(f"small pictures: {statistics.median(spent):.1f} ms a frame")
        size = page.stat().st_size / 1e6
        print(f"page: {size:.2f} MB for {FRAMES} frames, written in {written:.2f} s")
        middle, slowest = statistics.median(opened) / 1000, max(opened) / 1000
        print(f"opens in {middle:.2f} s (median of {OPENINGS}, slowest {slowest:.2f} s)")


if __name__ == "__main__":
    main()
