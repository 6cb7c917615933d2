import hashlib
import subprocess
import sys
from itertools import pairwise

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import average_precision_score, roc_auc_score

from roadanomaly.data.class_names import CITYSCAPES
from roadanomaly.data.streets import Streets
from roadanomaly.errors import OptionError
from roadanomaly.streets.anomalies import FLATS, KINDS, SOLIDS, Anomaly
from roadanomaly.streets.camera import Camera
from roadanomaly.streets.canvas import Canvas
from roadanomaly.streets.ordering import painting_order
from roadanomaly.streets.scene import Scene
from roadanomaly.streets.sky import _draw_layer, _grain
from roadanomaly.streets.structures import Barrier, Building
from roadanomaly.streets.textures import random_texture
from roadanomaly.streets.traffic import Vehicle
from roadanomaly.types import IGNORE, NEGATIVE, VOID

SMALL = {"height": 96, "width": 192}
SPLITS = ("train", "test", "sequence")


@pytest.fixture(scope="module")
def strange_frames():
    return list(Streets("test", count=60, **SMALL))


@pytest.fixture(scope="module")
def train_frames():
    return list(Streets("train", count=40, **SMALL))


def digest(frame):
    return hashlib.sha256(frame.image.numpy().tobytes() + frame.label.numpy().tobytes()).hexdigest()


@pytest.fixture(scope="module")
def drawn_elsewhere():
    """The digest of one frame of each split, all by one fresh process, which draws nothing else."""
    code = (
        "import hashlib\nfrom roadanomaly.data.streets import Streets\n"
        f"for split in {SPLITS}:\n"
        f"    f = Streets(split, **{SMALL})[3]\n"
        "    drawn = f.image.numpy().tobytes() + f.label.numpy().tobytes()\n"
        "    print(split, hashlib.sha256(drawn).hexdigest())"
    )
    other = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return dict(line.split() for line in other.stdout.splitlines())


@pytest.mark.slow
@pytest.mark.parametrize("split", SPLITS)
def test_a_fresh_process_draws_the_same_bytes(split, drawn_elsewhere):
    frames = Streets(split, **SMALL)
    frames[0], frames[1]
    assert drawn_elsewhere[split] == digest(frames[3])


def test_the_order_of_reading_does_not_matter():
    forwards, backwards = Streets("sequence", **SMALL), Streets("sequence", **SMALL)
    first = [digest(forwards[index]) for index in (0, 4, 9)]
    second = [digest(backwards[index]) for index in (9, 4, 0)]
    assert first == second[::-1]


def test_the_count_does_not_change_a_frame():
    assert digest(Streets("train", count=3, **SMALL)[2]) == digest(Streets("train", **SMALL)[2])


@pytest.mark.slow
def test_seeds_and_splits_differ():
    digests = {
        digest(Streets(split, seed=seed, **SMALL)[0])
        for split in ("train", "val", "test", "sequence")
        for seed in (0, 1)
    }
    assert len(digests) == 8


def test_shapes_types_and_names():
    frames = Streets("test", count=8, height=120, width=200)
    frame = frames[7]
    assert frame.id == "test_0007"
    assert (frame.image.shape, frame.image.dtype) == ((3, 120, 200), torch.uint8)
    assert (frame.label.shape, frame.label.dtype) == ((120, 200), torch.uint8)
    assert frames.classes == CITYSCAPES
    assert frames.record() == {
        "name": "streets",
        "split": "test",
        "count": 8,
        "size": [120, 200],
        "seed": 0,
    }


@pytest.mark.slow
def test_labels_are_class_ids(train_frames, strange_frames):
    allowed = {*range(len(CITYSCAPES)), IGNORE}
    for frame in train_frames:
        assert set(frame.label.unique().tolist()) <= allowed
    for frame in strange_frames:
        assert set(frame.label.unique().tolist()) <= allowed | {NEGATIVE}


@pytest.mark.slow
def test_val_holds_no_anomaly():
    assert not any((frame.label == NEGATIVE).any() for frame in Streets("val", count=20, **SMALL))


@pytest.mark.slow
def test_every_class_occurs(train_frames):
    seen = set().union(*(frame.label.unique().tolist() for frame in train_frames))
    assert set(range(len(CITYSCAPES))) <= seen


@pytest.mark.slow
def test_main_classes_are_common(train_frames):
    label = torch.stack([frame.label for frame in train_frames])
    share = {name: (label == i).float().mean().item() for i, name in enumerate(CITYSCAPES)}
    for name, least in {"road": 0.2, "building": 0.07, "vegetation": 0.07, "sky": 0.07}.items():
        assert least < share[name] < 0.5, name
    for name, least in {"sidewalk": 0.01, "terrain": 0.01, "car": 0.02, "person": 0.002}.items():
        assert least < share[name] < 0.3, name


def test_strange_objects_may_be_void_as_sets_label_what_is_no_class():
    usual, void = (
        Streets("outliers", count=2, **SMALL, strange=one) for one in ("negative", "void")
    )
    for one, other in zip(usual, void, strict=True):
        assert torch.equal(one.image, other.image)
        assert torch.equal(one.label == NEGATIVE, other.label == VOID)
        assert torch.equal(one.label != NEGATIVE, one.label == other.label)
    assert any((frame.label == VOID).any() for frame in void)
    assert void.record() == {**usual.record(), "strange": "void"}


@pytest.mark.slow
def test_anomalies_are_in_most_strange_frames_and_cover_little(strange_frames):
    share = np.array([(frame.label == NEGATIVE).float().mean().item() for frame in strange_frames])
    assert 0.05 <= (share == 0).mean() <= 0.3
    assert 0.003 < share.mean() < 0.05
    assert share.max() < 0.3
    assert np.quantile(share[share > 0], 0.2) < 0.004 < np.quantile(share[share > 0], 0.8)


def test_every_kind_of_anomaly_can_be_seen():
    camera = Camera(192, 96, 190.0, 96.0, 40.0, 1.5, 0.0, 0.0, 0.0)
    scene = Scene((0, 3, 0), 96, 192)
    assert set(KINDS) == {*SOLIDS, *FLATS}
    for kind in KINDS:
        canvas = Canvas(96, 192, 0.0, np.ones(3))
        thing = Anomaly(5, 0.0, 8.0, kind=kind, heading=0.4)
        thing.draw(canvas, camera, scene.light)
        rows, columns = np.nonzero(canvas.label == NEGATIVE)
        assert len(rows) > 20, kind
        foot = camera.foot(0.0, 8.0)
        assert abs(rows.max() - foot[1]) < 0.13 * foot[2] * (1 + 2 * thing.half[1]) + 2, kind
        assert abs(columns.mean() - foot[0]) < 0.7 * foot[2], kind


@pytest.mark.slow
def test_anomalies_stand_on_the_ground(monkeypatch, strange_frames):
    ground = [CITYSCAPES.index(name) for name in ("road", "sidewalk", "terrain")]
    monkeypatch.setattr(Anomaly, "draw", lambda *_: None)
    without = Streets("test", count=60, **SMALL)
    feet = standing = 0
    for index, frame in enumerate(strange_frames):
        strange = frame.label == NEGATIVE
        if not strange.any():
            continue
        row = int(strange.any(1).nonzero().max())
        below = without[index].label[row][strange[row]]
        feet += 1
        standing += all(value in (*ground, IGNORE) for value in below.tolist())
    assert feet > 35
    assert standing >= 0.95 * feet


@pytest.mark.slow
def test_colour_alone_does_not_find_anomalies(strange_frames):
    def pixels(frames):
        image = np.concatenate([frame.image.reshape(3, -1).T.numpy() for frame in frames])
        label = np.concatenate([frame.label.reshape(-1).numpy() for frame in frames])
        kept = label != IGNORE
        return image[kept].astype(int), label[kept] == NEGATIVE

    (seen, truth), (new, answer) = pixels(strange_frames[:36]), pixels(strange_frames[36:])

    def cells(colours):
        return (colours // 32) @ np.array([64, 8, 1])

    strange = np.bincount(cells(seen[truth]), minlength=512) + 1.0
    usual = np.bincount(cells(seen[~truth]), minlength=512) + 50.0
    histogram = np.log(strange / usual)[cells(new)]

    def terms(colours):
        c = colours / 255
        return np.concatenate([c, c**2, c * np.roll(c, 1, axis=1)], 1)

    model = LogisticRegression(class_weight="balanced").fit(terms(seen[::5]), truth[::5])
    for score in (histogram, model.decision_function(terms(new))):
        assert roc_auc_score(answer, score) < 0.8
        assert average_precision_score(answer, score) < 0.2


@pytest.mark.slow
def test_a_drive_is_smooth(strange_frames):
    frames = [frame.image.float() for frame in Streets("sequence", count=12, **SMALL)]
    still = [frame.image.float() for frame in strange_frames[:12]]
    near = np.mean([(a - b).abs().mean() for a, b in pairwise(frames)])
    apart = np.mean([(a - b).abs().mean() for a, b in pairwise(still)])
    assert near < 0.45 * apart


def test_things_keep_their_identity_and_grow_as_we_approach():
    scene = Scene((0, 4, 0), 96, 192, anomalies=KINDS, moving=True)
    ahead = {thing.key: thing for thing in scene.strange(0)}
    later = {thing.key: thing for thing in scene.strange(6)}
    shared = ahead.keys() & later.keys()
    assert shared
    assert all(ahead[key].x == later[key].x and ahead[key].s == later[key].s for key in shared)
    first, second = scene.camera(0), scene.camera(6)
    assert second.s > first.s
    for key in shared:
        thing = ahead[key]
        if thing.s > second.s + 3:
            assert second.foot(thing.x, thing.s)[2] > first.foot(thing.x, thing.s)[2]


def test_an_object_ahead_covers_more_pixels_the_nearer_it_is():
    scene = Scene((2, 4, 0), 96, 192, moving=True)
    area = []
    for gap in (30.0, 20.0, 12.0, 8.0):
        canvas = Canvas(96, 192, 0.0, np.ones(3))
        camera = scene.start
        Anomaly(9, camera.x, camera.s + gap, kind="sofa").draw(canvas, camera, scene.light)
        area.append(int((canvas.label == NEGATIVE).sum()))
    assert area == sorted(area)
    assert area[0] > 0
    expected = (30.0 / 12.0) ** 2
    assert area[2] / area[0] == pytest.approx(expected, rel=0.45)


def test_nothing_strange_lies_in_the_path_of_a_drive():
    for seed in range(5):
        scene = Scene((seed, 4, 0), 96, 192, anomalies=KINDS, moving=True)
        for time in range(0, 60, 20):
            for thing in scene.strange(time):
                assert abs(thing.x - scene.start.x) >= thing.half[0] + 1.2


def test_a_tram_covers_the_fence_beside_it_and_a_box_before_it_covers_the_tram():
    camera = Camera(192, 96, 190.0, 96.0, 40.0, 1.5, 1.5, 0.0, 0.0)
    tram = Vehicle(1, -3.0, 20.0, kind="tram")
    fence = Barrier(2, -7.0, 14.0, kind="fence")
    box = Anomaly(3, 0.5, 16.0, kind="box")
    house = Building(4, 14.0, 40.0)
    order = painting_order([box, tram, house, fence], camera)
    assert order == [house, fence, tram, box]
    assert painting_order([], camera) == []


def test_a_projected_point_obeys_similar_triangles():
    camera = Camera(400, 200, 300.0, 200.0, 90.0, 1.5, 0.5, 10.0, 0.0)
    pixel, distance = camera.project(np.array([2.5, 0.5, 30.0]))
    assert distance == 20
    assert pixel == pytest.approx([200 + 300 * 2.0 / 20, 90 + 300 * 1.0 / 20])
    first, distances, x = camera.ground()
    row = 150
    assert distances[row - first] == pytest.approx(300 * 1.5 / (row + 0.5 - 90))
    assert x[row - first, 320] == pytest.approx(
        0.5 + distances[row - first] * 120.5 / 300, rel=1e-5
    )


@pytest.mark.parametrize(
    ("options", "hint"),
    [
        ({"split": "tests"}, "test"),
        ({"count": 0}, "count"),
        ({"height": 0}, "height"),
        ({"width": -4}, "width"),
        ({"seed": -1}, "seed"),
        ({"strange": "viod"}, "`strange` of streets is 'viod'; did you mean `void`"),
    ],
)
def test_bad_arguments_are_named(options, hint):
    with pytest.raises(OptionError, match=hint):
        Streets(**options)


@pytest.mark.parametrize("index", [-1, 5])
def test_an_index_outside_the_set_is_refused(index):
    with pytest.raises(IndexError, match="5"):
        Streets("val", count=5, **SMALL)[index]


def test_textures_have_the_size_that_was_asked_for_and_vary():
    rng = np.random.default_rng(3)
    drawn = [random_texture(40, 64, rng) for _ in range(30)]
    assert all(image.shape == (40, 64, 3) and image.dtype == np.uint8 for image in drawn)
    means = np.array([image.mean((0, 1)) for image in drawn])
    assert means.std(0).min() > 25
    assert np.median([image.std((0, 1)).max() for image in drawn]) > 10
    again = random_texture(1, 17, np.random.default_rng(8))
    assert np.array_equal(again, random_texture(1, 17, np.random.default_rng(8)))


@pytest.mark.slow
def test_chosen_kinds_are_another_set_and_stand_in_the_record():
    usual, balls = (
        Streets("test", count=6, **SMALL),
        Streets("test", count=6, kinds=["ball"], **SMALL),
    )
    assert "kinds" not in usual.record()
    assert balls.record()["kinds"] == ["ball"]
    assert [digest(frame) for frame in usual] != [digest(frame) for frame in balls]
    objects = [
        one for i in range(6) for one in balls._scene(i).things(i) if isinstance(one, Anomaly)
    ]
    assert {one.kind for one in objects} == {"ball"}


@pytest.mark.parametrize(
    ("split", "kinds", "said"),
    [("test", ["bal"], "`ball`"), ("train", ["ball"], "test, sequence"), ("test", [], "at least")],
)
def test_kinds_that_cannot_be_shown_are_refused(split, kinds, said):
    with pytest.raises(OptionError, match=said):
        Streets(split, kinds=kinds, **SMALL)


def test_a_tall_skyline_repeats_its_grain():
    """The grain has 512 rows, and here every row shows a layer of 1500."""
    canvas = Canvas(1600, 8, 0.0, np.ones(3))
    camera = Camera(8, 1600, 300.0, 4.0, 1500.0, 1.5, 0.0, 0.0, 0.0)
    _draw_layer(canvas, camera, 0, 100, 1e6, np.full(3, 0.4))
    shown = canvas.image[:1500]
    assert np.array_equal(shown[:-512], shown[512:])
    grain = (shown / 0.4 - 1) / 0.025
    np.testing.assert_allclose(grain[:512, :, 0], _grain()[:, 100:108], atol=1e-4)
