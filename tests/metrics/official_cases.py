"""Twenty small data sets, the same bytes with any numpy, on which the official tool was run.

Scores are integers over a power of two, made from `RandomState.randint` (a frozen stream) and
exact box sums. `official_values.json` holds the SHA-256 of each case and what the benchmark's own
code (SegmentMeIfYouCan/road-anomaly-benchmark, commit 1c7804e, with its pinned numpy 1.23.3)
said of it. To run another tool on them, write them out:

    python tests/metrics/official_cases.py FOLDER     # FOLDER/<case>/<index>.npz: score, label
"""

import hashlib
import sys
from functools import cache
from pathlib import Path

import cv2
import numpy as np

VOID = 255
CASES = {}


def case(make):
    """Add a case under its function's name; `make(rng)` yields the frames."""
    seed = 100 + int(make.__name__[1:3])

    @cache
    def frames():
        return list(make(np.random.RandomState(seed)))

    CASES[make.__name__] = frames
    return make


def digest(frames):
    """SHA-256 over the bytes of score and label, frame after frame."""
    sha = hashlib.sha256()
    for score, label in frames:
        sha.update(np.ascontiguousarray(score).tobytes())
        sha.update(label.tobytes())
    return sha.hexdigest()


def smooth(field, radius):
    """Floor of the mean over a square window, its edge pixels repeated; exact for integers."""
    side = 2 * radius + 1
    total = cv2.boxFilter(
        field.astype(np.float64), -1, (side, side), normalize=False, borderType=cv2.BORDER_REPLICATE
    )
    return total.astype(np.int64) // side**2


def noise(rng, shape, radius=0, passes=1, top=4096):
    field = rng.randint(0, top, size=shape).astype(np.int64)
    for _ in range(passes if radius else 0):
        field = smooth(field, radius)
    return field


def ellipse(shape, centre, radii):
    y, x = np.ogrid[: shape[0], : shape[1]]
    (cy, cx), (ry, rx) = centre, radii
    return (y - cy) ** 2 * rx**2 + (x - cx) ** 2 * ry**2 <= (ry * rx) ** 2


def scaled(values, bits):
    return (values / float(1 << bits)).astype(np.float32)


def road(rng, h, w, objects=3, radius=3, gain=3000, void=True, size=(8, 40), false=2, soft=2):
    """Ellipses as objects, found more or less, some false alarms, smooth noise, a void sky."""
    shape, (small, large) = (h, w), size
    label, lift = np.zeros(shape, np.uint8), np.zeros(shape, np.int64)
    for _ in range(objects):
        cy, cx = rng.randint(h // 3, h - 5), rng.randint(5, w - 5)
        ry, rx = rng.randint(small, large), rng.randint(small, large)
        label[ellipse(shape, (cy, cx), (ry, rx))] = 1
        dy, dx = rng.randint(-ry // 2, ry // 2 + 1), rng.randint(-rx // 2, rx // 2 + 1)
        found = ellipse(shape, (cy + dy, cx + dx), (max(2, ry - ry // 4), max(2, rx - rx // 5)))
        lift[found] = np.maximum(lift[found], rng.randint(gain // 3, gain))
    for _ in range(false):
        centre = rng.randint(0, h), rng.randint(0, w)
        alarm = ellipse(shape, centre, [rng.randint(small // 2 + 1, large) for _ in range(2)])
        lift[alarm] = np.maximum(lift[alarm], rng.randint(gain // 4, gain))
    score = (noise(rng, shape, radius, 2) + smooth(lift, soft)) * 64 + noise(rng, shape, top=64)
    if void:
        horizon = h // 4 + noise(rng, (1, w), top=max(2, h // 20))
        label[np.arange(h)[:, None] < horizon] = VOID
        label[h - h // 12 :, w // 3 : 2 * w // 3] = VOID
    return scaled(score, 20), label


def whole(score, bits=20):
    """The integers below `score * 2**bits`."""
    return np.floor(score.astype(np.float64) * 2**bits).astype(np.int64)


@case
def c01_basic(rng):
    for _ in range(4):
        yield road(rng, 480, 640)


@case
def c02_ties(rng):
    for _ in range(4):
        score, label = road(rng, 360, 480)
        yield scaled(whole(score, 3).clip(0, 7), 3), label


@case
def c03_constant(rng):
    for _ in range(3):
        yield np.full((200, 300), 0.5, np.float32), road(rng, 200, 300)[1]


@case
def c04_constant_large(rng):
    for _ in range(2):
        yield np.full((200, 300), 2048, np.float32), road(rng, 200, 300)[1]


@case
def c05_extreme_range(rng):
    for _ in range(3):
        score, label = road(rng, 300, 400)
        yield scaled((whole(score, 12) - 800).clip(-390, 390) ** 3, 10), label


@case
def c06_tiny_values(rng):
    for _ in range(3):
        score, label = road(rng, 300, 400)
        yield scaled(whole(score), 36), label


@case
def c07_small_components(rng):
    true = [1, 4, 9, 10, 11, 25, 49, 50, 99, 100, 101, 225, 600]
    called = [1, 9, 10, 49, 50, 51, 99, 100, 101, 225, 499, 500, 501, 900]
    h, w = 420, 700

    def places(areas, top):
        """Put near-squares of the given areas in rows; yield their pixels."""
        left = 5
        for number, area in enumerate(areas):
            side = int(np.ceil(area**0.5))
            if left + side + 12 > w:
                left, top = 5, top + 45
            row, column = np.divmod(np.arange(area), side)
            yield number, top + row, left + column
            left += side + 12

    for frame in range(3):
        label = np.zeros((h, w), np.uint8)
        score = noise(rng, (h, w), 2, 1, 256)
        for number, y, x in places(true, 5):
            label[y, x] = 1
            if (number + frame) % 3:
                score[y + number % 3, x] = 3000 + 10 * number
        for number, y, x in places(called, 220):
            score[y, x] = 2900 + 7 * number
            if (number + frame) % 2 == 0:
                label[y, x] = 1
        yield scaled(score, 12), label


@case
def c08_diagonal(rng):
    for frame in range(3):
        label = np.zeros((260, 340), np.uint8)
        score = noise(rng, label.shape, 2, 1, 256)
        for y in range(20, 68, 12):
            label[y : y + 12, y : y + 12] = 1
            score[y + 2 : y + 14, y : y + 12] = 3500
        label[120:150, 30:60] = label[150:180, 60:90] = 1
        score[120:150, 30:60] = 3300
        label[120:150, 200:230] = label[151:181, 231:261] = 1
        if frame == 0:
            score[120:181, 200:261] += 3200
        if frame == 2:
            checks = np.indices((60, 60)).sum(0) % 2 == 0
            score[190:250, 20:80] = np.where(checks, 3400, 100)
            label[190:250, 20:80] = 1
        yield scaled(score, 12), label


@case
def c09_ignore_cuts(rng):
    for frame in range(3):
        label = np.zeros((300, 420), np.uint8)
        score = noise(rng, label.shape, 3, 1, 512)
        label[60:180, 40:160] = label[100:220, 240:380] = 1
        score[50:170, 50:170], score[110:230, 230:370] = 3600, 3100
        score[240:290, 20:200] = 2800
        label[:, 90 + frame : 94 + frame] = label[:, 130] = VOID
        label[120 + 3 * frame : 150] = VOID
        step = np.arange(200)
        label[np.minimum(299, 90 + step), np.minimum(419, 230 + step)] = VOID
        label[262, 20:200] = label[:40] = VOID
        yield scaled(score, 12), label


def without_anomaly(frame):
    score, label = frame
    return score, np.where(label == 1, 0, label).astype(np.uint8)


@case
def c10_one_inlier_frame(rng):
    frames = [road(rng, 300, 400) for _ in range(4)]
    frames[1] = without_anomaly(frames[1])
    return frames


@case
def c11_only_inlier(rng):
    for _ in range(2):
        yield without_anomaly(road(rng, 200, 300, 2))


@case
def c12_one_void_frame(rng):
    frames = [road(rng, 240, 320) for _ in range(3)]
    frames[2] = frames[2][0], np.full_like(frames[2][1], VOID)
    return frames


@case
def c13_perfect(rng):
    for _ in range(3):
        label = road(rng, 300, 400, 4)[1]
        yield np.where(label == VOID, 0.25, label).astype(np.float32), label


@case
def c14_inverted(_):
    for _score, label in CASES["c13_perfect"]():
        yield (label != 1).astype(np.float32), label


@case
def c15_mixed_resolution(rng):
    for number, (h, w) in enumerate([(37, 53), (101, 97), (720, 1280), (333, 500), (64, 64)]):
        score, label = road(rng, h, w, 2, size=(4, max(6, h // 6)), void=number % 2 == 0)
        yield score + np.float32(number / 16), label


@case
def c16_many_to_one(rng):
    for frame in range(3):
        label = np.zeros((400, 600), np.uint8)
        score = noise(rng, label.shape, 3, 1, 256)
        for x in (30, 100, 170):
            label[40:90, x : x + 50] = 1
        score[45:85, 30 : 220 + 20 * frame] = 3500
        label[150:250, 40:340] = 1
        for number in range(4):
            score[150 + 5 * number : 240, 45 + 75 * number : 95 + 75 * number] = 3300
        label[300:340, 400:560] = label[60:160, 420:520] = 1
        score[310:380, 380:480], score[20:200, 400:560] = 3000, 2600 + 100 * frame
        yield scaled(score, 12), label


@case
def c17_single_pixel(rng):
    for frame in range(3):
        score, label = road(rng, 120, 160, 0, void=False)
        label[50 + frame, 60 + frame] = 1
        score[50 + frame, 60 + frame] = 0.5 + frame / 4
        yield score, label


@case
def c18_overflow_half(rng):
    for _ in range(2):
        score, label = road(rng, 160, 240)
        yield scaled(whole(score), 2), label


@case
def c19_noisy_components(rng):
    for _ in range(2):
        label = road(rng, 720, 1280, 5)[1]
        score = noise(rng, label.shape, 1)
        score[label == 1] += 1200
        yield scaled(score, 13), label


@case
def c20_large(rng):
    for _ in range(20):
        yield road(rng, 720, 1280, 4, radius=6, gain=2600, size=(8, 70), false=5, soft=3)


if __name__ == "__main__":
    for name, frames in CASES.items():
        folder = Path(sys.argv[1]) / name
        folder.mkdir(parents=True)
        for index, (score, label) in enumerate(frames()):
            np.savez_compressed(folder / f"{index:03d}.npz", score=score, label=label)
