"""PaDiM, PCA, GMM and PatchCore against scikit-learn and brute force."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest
import torch
from sklearn.covariance import EmpiricalCovariance
from sklearn.decomposition import PCA
from sklearn.mixture import GaussianMixture as SklearnMixture
from sklearn.neighbors import NearestNeighbors

from roadanomaly.detectors import DETECTORS
from roadanomaly.detectors.coreset import greedy_centres
from roadanomaly.detectors.density.fitted_density import MARK
from roadanomaly.detectors.density.grouping import Grouping
from roadanomaly.detectors.density.mixture_fit import GaussianMixture, _joint, maximised
from roadanomaly.errors import DataError, OptionError
from roadanomaly.segmenters.base import FeatureInfo, Segmenter
from roadanomaly.types import IGNORE, NEGATIVE, Batch, Segmentation
from tests.contracts.built import ENCODER
from tests.contracts.tiny import network

WIDTH, CLASSES, ROWS, COLUMNS = 5, 3, 12, 15


class Features(Segmenter):
    """Says only what it offers; the tests make the features themselves."""

    default_feature = "f"

    def __init__(self):
        super().__init__(tuple("abc"))
        self.features = {"f": FeatureInfo(WIDTH, 1)}

    def maps(self, image, features):
        pytest.fail("these tests hand segmentations to the detector themselves")

    def options(self):
        return {}


def draw(count=4, seed=0):
    """Correlated features of several clusters; the first rows are void and negatives."""
    rng = np.random.default_rng(seed)
    kind = rng.integers(0, CLASSES, (count, ROWS, COLUMNS))
    features = 5 * rng.normal(size=(CLASSES, WIDTH))[kind]
    features = features + rng.normal(size=(*kind.shape, WIDTH)) @ rng.normal(size=(WIDTH, WIDTH))
    label = kind.astype(np.uint8)
    label[:, 0], label[:, 1] = IGNORE, NEGATIVE
    features[label > CLASSES] += 1000
    return features.astype(np.float32), label


def segmentation(features, kind=None):
    maps = torch.from_numpy(features).permute(0, 3, 1, 2)
    size = (maps.shape[2], maps.shape[3])
    logits = torch.zeros(len(maps), CLASSES, *size)
    if kind is not None:
        logits = torch.nn.functional.one_hot(kind, CLASSES).permute(0, 3, 1, 2).float()
    return Segmentation(logits, size, size, features={"f": maps})


def fitted(name, features, label, kind=None, **options):
    detector = DETECTORS.build(name, options)
    detector.attach(Features())
    image = torch.zeros(len(label), 3, ROWS, COLUMNS)
    batch = Batch(image, torch.from_numpy(label), tuple(map(str, range(len(label)))))
    detector.update(segmentation(features, kind), batch, "fit")
    detector.finish("fit")
    return detector


def scored(detector, features, kind=None):
    image = torch.zeros(len(features), 3, ROWS, COLUMNS)
    return detector.score(segmentation(features, kind), image).numpy()


def inliers(features, label):
    return features[label < CLASSES].astype(np.float64)


def test_padim_is_the_empirical_mahalanobis_distance():
    features, label = draw()
    found = scored(fitted("padim", features, label, shrinkage=0.0), features)
    reference = EmpiricalCovariance().fit(inliers(features, label))
    expected = np.sqrt(reference.mahalanobis(features.reshape(-1, WIDTH).astype(np.float64)))
    np.testing.assert_allclose(found.ravel(), expected, rtol=2e-3)


def test_padim_keeps_the_channels_that_it_drew():
    features, label = draw()
    detector = fitted("padim", features, label, dimensions=2, shrinkage=0.0)
    chosen = detector.chosen.numpy()
    assert len(set(chosen)) == 2
    reference = EmpiricalCovariance().fit(inliers(features, label)[:, chosen])
    expected = np.sqrt(reference.mahalanobis(features[..., chosen].reshape(-1, 2).astype(float)))
    np.testing.assert_allclose(scored(detector, features).ravel(), expected, rtol=2e-3)


@pytest.mark.parametrize("name", ["padim", "pca"])
def test_rows_and_predicted_classes_have_statistics_of_their_own(name):
    features, label = draw(6)
    kind = torch.from_numpy(label).long() % CLASSES
    bands = np.broadcast_to((np.arange(ROWS) * 2 // ROWS)[:, None], label.shape)
    for condition, groups in (("classes", kind.numpy()), ("rows", bands)):
        options = {"condition": condition, "bands": 2}
        found = scored(fitted(name, features, label, kind, **options), features, kind)
        for number in range(2):
            mine = groups == number
            alone = np.where(mine & (label < CLASSES), label, IGNORE).astype(np.uint8)
            expected = scored(fitted(name, features, alone, kind), features, kind)
            np.testing.assert_allclose(found[mine], expected[mine], rtol=1e-4, atol=1e-4)


def test_pca_is_the_residual_of_scikit_learns_projection():
    features, label = draw()
    detector = fitted("pca", features, label, variance=0.9)
    reference = PCA(0.9, svd_solver="full").fit(inliers(features, label))
    assert 1 <= reference.n_components_ < WIDTH
    rows = features.reshape(-1, WIDTH).astype(np.float64)
    rest = rows - reference.inverse_transform(reference.transform(rows))
    expected = np.linalg.norm(rest, axis=1)
    np.testing.assert_allclose(scored(detector, features).ravel(), expected, rtol=1e-3, atol=1e-3)


def test_the_robust_projection_lets_no_channel_pull():
    """One of 12 channels is spoilt: the plain projection spreads the error, the robust does not."""
    rng = np.random.default_rng(0)
    basis = np.linalg.qr(rng.normal(size=(12, 2)))[0]
    wide = type("Wide", (Features,), {})
    codes = 5 * rng.normal(size=(4, ROWS, COLUMNS, 2))
    clean = (codes @ basis.T + 0.05 * rng.normal(size=(4, ROWS, COLUMNS, 12))).astype(np.float32)
    spoilt = clean.copy()
    spoilt[..., 3] += 10
    label = torch.zeros(4, ROWS, COLUMNS, dtype=torch.uint8)
    batch = Batch(torch.zeros(4, 3, ROWS, COLUMNS), label, tuple("abcd"))
    found = {}
    for rounds in (0, 60):
        detector = DETECTORS.build("pca", {"robust": rounds, "variance": 0.99})
        segmenter = wide()
        segmenter.features = {"f": FeatureInfo(12, 1)}
        detector.attach(segmenter)
        detector.update(segmentation(clean), batch, "fit")
        detector.finish("fit")
        found[rounds] = scored(detector, spoilt)
        ordinary = scored(detector, clean)
        assert np.median(ordinary) < 0.3
    plain = 10 * np.sqrt(1 - np.square(basis[3]).sum())
    np.testing.assert_allclose(np.median(found[0]), plain, rtol=0.05)
    np.testing.assert_allclose(np.median(found[60]), 10, rtol=0.02)


def test_gmm_takes_the_steps_of_scikit_learn():
    rng = np.random.default_rng(0)
    rows = np.concatenate([rng.normal(at, 1, (200, 3)) for at in (-2, 0, 3)])
    rows = rows @ rng.normal(size=(3, 3))
    shares = rng.dirichlet(np.ones(3), len(rows))
    start = maximised(torch.from_numpy(rows), torch.from_numpy(shares), 0.0)
    weights, means = start[0].exp().numpy(), start[1].numpy()
    precisions = np.stack([f @ f.T for f in start[2].numpy()])
    reference = SklearnMixture(
        3,
        max_iter=7,
        tol=0,
        reg_covar=1e-10,
        weights_init=weights,
        means_init=means,
        precisions_init=precisions,
    )
    with pytest.warns(Warning, match="did not converge"):
        reference.fit(rows)
    parts = start
    for _ in range(7):
        parts = maximised(
            torch.from_numpy(rows), _joint(torch.from_numpy(rows), parts).softmax(-1), 0.0
        )
    found = _joint(torch.from_numpy(rows), parts).logsumexp(-1).numpy()
    np.testing.assert_allclose(found, reference.score_samples(rows), rtol=1e-6, atol=1e-6)


def test_gmm_finds_clusters_as_likely_as_scikit_learn_does():
    torch.manual_seed(0)
    centres = torch.tensor([[0.0, 0.0], [6.0, 0.0], [0.0, 6.0]])
    rows = centres.repeat(200, 1) + torch.randn(600, 2)
    mixture = GaussianMixture(3, 2)
    mixture.fit(rows, 20, 0.0)
    reference = SklearnMixture(3, n_init=3, random_state=0).fit(rows.numpy())
    assert mixture.log_prob(rows).mean() > reference.score(rows.numpy()) - 0.01


def test_patchcore_measures_the_exact_distance_to_a_coreset():
    features, label = draw()
    options = {"pool": 1, "coreset": 0.2, "projection": 0}
    detector = fitted("patchcore", features, label, **options)
    rows = detector.bank.rows.numpy()
    known = inliers(features, label)
    assert len(rows) == round(0.2 * len(known))
    assert all((np.abs(known - row).max(1) < 1e-5).any() for row in rows)
    index = NearestNeighbors(n_neighbors=3).fit(rows)
    vectors = features.reshape(-1, WIDTH)
    distances, numbers = index.kneighbors(vectors)
    found = scored(detector, features).ravel()
    np.testing.assert_allclose(found, distances[:, 0], rtol=1e-4, atol=1e-4)
    around = index.kneighbors(rows[numbers[:, 0]])[1]
    others = np.linalg.norm(vectors[:, None] - rows[around], axis=2)
    shares = np.exp(others - others.max(1, keepdims=True))
    weight = 1 - shares[:, 0] / shares.sum(1)
    detector.reweight = 3
    expected = weight * distances[:, 0]
    np.testing.assert_allclose(scored(detector, features).ravel(), expected, rtol=1e-3, atol=1e-3)


def test_the_coreset_covers_within_twice_the_best():
    for seed in range(5):
        torch.manual_seed(seed)
        rows = torch.rand(9, 2)
        distances = torch.cdist(rows, rows)
        best = min(distances[list(some)].amin(0).max() for some in combinations(range(9), 3))
        found = distances[greedy_centres(rows, 3)].amin(0).max()
        assert found <= 2 * best + 1e-6


def test_patchcore_averages_neighbouring_cells():
    features, label = draw()
    detector = fitted("patchcore", features, np.zeros_like(label), coreset=1.0)
    cells = torch.from_numpy(features).permute(0, 3, 1, 2)
    mean = torch.nn.functional.avg_pool2d(cells, 3, 1, 1, count_include_pad=False)
    rows = mean.permute(0, 2, 3, 1).reshape(-1, WIDTH)
    exact = "donot_use_mm_for_euclid_dist"
    assert torch.cdist(detector.bank.rows, rows, compute_mode=exact).amin(1).max() < 1e-4


def test_bands_follow_the_image_and_not_its_padding():
    size, padded = (20, 8), (32, 8)
    seen = Segmentation(torch.zeros(1, 3, 8, 2), size, padded)
    group = Grouping("padim", "rows", 4).of(seen, torch.zeros(1, 1, 8, 2), aligned=False)
    assert group[0, :, 0].tolist() == [0, 1, 2, 2, 3, 3, 3, 3]


def middles(count, pixels, aligned):
    """Return where the cells of a line lie: corners on corner pixels, or half a cell in."""
    if aligned:
        return np.linspace(0, pixels - 1, count)
    return (np.arange(count) + 0.5) * pixels / count - 0.5


def brought(values, to, pixels, aligned, to_aligned):
    """Bring `(C, h, w)` to other cells: one line at a time, linearly between where cells lie."""
    for axis in (1, 2):
        known = middles(values.shape[axis], pixels[axis - 1], aligned)
        wanted = middles(to[axis - 1], pixels[axis - 1], to_aligned)
        lines = np.moveaxis(values, axis, -1)
        rows = [np.interp(wanted, known, one) for one in lines.reshape(-1, len(known))]
        values = np.moveaxis(np.reshape(rows, (*lines.shape[:-1], len(wanted))), -1, axis)
    return values


@pytest.mark.parametrize("aligned", [False, True])
def test_maps_are_joined_where_the_networks_cells_lie(aligned):
    fine, coarse = torch.rand(1, 2, 9, 13).double(), torch.rand(1, 3, 4, 5).double()
    seen = Segmentation(torch.zeros(1, 3, 9, 13), (70, 100), (72, 104), aligned)
    found = DETECTORS.build("padim", {}).source.joined(seen, [fine, coarse])[0].numpy()
    np.testing.assert_allclose(found[:2], fine[0], atol=1e-6)
    expected = brought(coarse[0].numpy(), (9, 13), (72, 104), aligned, aligned)
    np.testing.assert_allclose(found[2:], expected, atol=1e-5)


@pytest.mark.parametrize("cells", [False, True])
@pytest.mark.parametrize("logits", [False, True])
def test_a_cell_takes_the_class_of_where_it_lies(logits, cells):
    """Stripes of classes meet the cells of a segmenter's maps, or of an encoder's beside it."""
    values = np.random.default_rng(5).normal(size=(4, 6, 7))
    seen = Segmentation(torch.from_numpy(values)[None].float(), (240, 280), (240, 280), logits)
    found = Grouping("pca", "classes", 1).of(seen, torch.zeros(1, 1, 20, 31), aligned=cells)
    expected = brought(values, (20, 31), (240, 280), logits, cells)
    first, second = np.sort(expected, 0)[[-1, -2]]
    sure = first - second > 0.02  # by way of the pixels it is rounded to straight lines of those
    assert sure.mean() > 0.95
    np.testing.assert_array_equal(found[0].numpy()[sure], expected.argmax(0)[sure])


def test_bands_of_an_align_corners_network_follow_its_corners():
    seen = Segmentation(torch.zeros(1, 3, 5, 2), (17, 9), (17, 9), align_corners=True)
    group = Grouping("gmm", "rows", 17).of(seen, torch.zeros(1, 1, 5, 2), aligned=True)
    assert group[0, :, 0].tolist() == [0, 4, 8, 12, 16]


@pytest.mark.parametrize("name", ["padim", "pca", "gmm"])
def test_a_density_by_class_asks_where_an_align_corners_networks_cells_lie(name):
    """One class in each half, and features of two levels: the corner cells are on the corners."""
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(1, CLASSES, 5, 5, generator=generator)
    fine = torch.randn(1, WIDTH, 9, 13, generator=generator)
    seen = Segmentation(logits, (72, 104), (72, 104), True, {"f": fine})
    detector = DETECTORS.build(name, {"condition": "classes"}).eval()
    detector.attach(Features())
    taken = []
    detector.add = lambda vectors, group: taken.append(group)
    batch = Batch(torch.zeros(1, 3, 72, 104), torch.zeros(1, 72, 104, dtype=torch.uint8), ("a",))
    detector.update(seen, batch, "fit")
    expected = brought(logits[0].numpy(), (9, 13), (72, 104), True, True).argmax(0)
    np.testing.assert_array_equal(taken[0].numpy(), expected.ravel())


FRAMES = 8
LEVELS = {"a": FeatureInfo(WIDTH, 1), "b": FeatureInfo(WIDTH, 1)}


def two_levels(aligned):
    """A segmentation with a fine and a coarse map, and a batch of inliers beside it."""
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(FRAMES, CLASSES, 5, 5, generator=generator)
    fine = torch.randn(FRAMES, WIDTH, 9, 13, generator=generator)
    coarse = torch.randn(FRAMES, WIDTH, 5, 7, generator=generator)
    seen = Segmentation(logits, (72, 104), (72, 104), aligned, {"a": fine, "b": coarse})
    label = torch.zeros(FRAMES, 72, 104, dtype=torch.uint8)
    return seen, Batch(torch.zeros(FRAMES, 3, 72, 104), label, tuple(map(str, range(FRAMES))))


def on_levels(name, features, **options):
    segmenter = Features()
    segmenter.features = LEVELS
    detector = DETECTORS.build(name, {"features": features, **options}).eval()
    detector.attach(segmenter)
    return detector


def fit_on(detector, seen, batch):
    torch.manual_seed(0)
    detector.begin("fit")
    detector.update(seen, batch, "fit")
    detector.finish("fit")


def loaded_unmarked(name, features, state, **options):
    """Return a detector as a version that knew no mark saved it."""
    found = on_levels(name, features, **options)
    found.load_state_dict({key: one for key, one in state.items() if key != MARK})
    return found


@pytest.mark.slow
@pytest.mark.parametrize("joined", [False, True])
@pytest.mark.parametrize("condition", ["none", "rows", "classes"])
@pytest.mark.parametrize("name", ["padim", "pca", "gmm"])
def test_what_was_saved_without_a_mark_scores_as_it_was_fitted(name, condition, joined, caplog):
    """Earlier versions took cells half a cell inside, whatever the network; one warning says so."""
    options = {"condition": condition, "bands": 6}
    features = ["a", "b"] if joined else ["a"]
    seen, batch = two_levels(aligned=True)
    detector = on_levels(name, features, **options)
    fit_on(detector, seen, batch)
    state, score = detector.state_dict(), detector.native(seen, batch.image)
    whole = on_levels(name, features, **options)
    whole.load_state_dict(state)
    assert torch.equal(whole.native(seen, batch.image), score)
    assert not caplog.records

    old = loaded_unmarked(name, features, state, **options)
    found = [old.native(seen, batch.image) for _ in range(2)]
    inside = replace(seen, align_corners=False)
    assert torch.equal(found[0], detector.native(inside, batch.image))
    touched = joined or condition != "none"
    assert torch.equal(found[0], score) == (not touched)
    assert len(caplog.records) == touched
    assert not touched or "Fit it anew" in caplog.text
    assert MARK not in old.state_dict()
    again = loaded_unmarked(name, features, old.state_dict(), **options)
    assert torch.equal(again.native(seen, batch.image), found[0])

    fit_on(old, seen, batch)
    assert MARK in old.state_dict()
    torch.testing.assert_close(old.native(seen, batch.image), score)


def test_where_cells_lie_half_inside_anyway_there_is_nothing_to_warn_of(caplog):
    seen, batch = two_levels(aligned=False)
    detector = on_levels("padim", ["a", "b"])
    fit_on(detector, seen, batch)
    old = loaded_unmarked("padim", ["a", "b"], detector.state_dict())
    assert torch.equal(old.native(seen, batch.image), detector.native(seen, batch.image))
    assert not caplog.records


@pytest.mark.parametrize("name", ["padim", "patchcore"])
def test_an_encoders_maps_serve_in_place_of_the_segmenters(name):
    """And they are saved with the detector; maps of several levels are joined."""
    segmenter = network("espnetv2")
    detector = DETECTORS.build(name, {"encoder": ENCODER})
    detector.eval().attach(segmenter)
    assert detector.needs == ()
    image = torch.rand(4, 3, 45, 70)
    batch = Batch(image, torch.zeros(4, 45, 70, dtype=torch.uint8), tuple("abcd"))
    with torch.no_grad():
        seen = detector.look(segmenter, image)
        detector.update(seen, batch, "fit")
        detector.finish("fit")
        score = detector.score(seen, image)
        again = DETECTORS.build(name, detector.options())
        again.eval().attach(segmenter)
        again.load_state_dict(detector.state_dict())
        assert torch.equal(again.score(seen, image), score)
    assert score.shape == (4, 45, 70)
    assert not any(one.requires_grad for one in detector.parameters())


@pytest.mark.parametrize(
    ("name", "options", "match"),
    [
        ("padim", {"dimensions": 0}, "dimensions"),
        ("padim", {"condition": "clases"}, "clases|classes"),
        ("padim", {"shrinkage": 2.0}, "0..1"),
        ("pca", {"variance": 1.0}, "between 0 and 1"),
        ("gmm", {"components": 0}, "components"),
        ("patchcore", {"pool": 2}, "odd"),
        ("patchcore", {"reweight": 1}, "at least 2"),
        ("patchcore", {"features": ["f"], "encoder": ENCODER}, "one of the two"),
    ],
)
def test_values_that_cannot_work_are_refused(name, options, match):
    with pytest.raises(OptionError, match=match):
        DETECTORS.build(name, options)


@pytest.mark.parametrize("name", ["padim", "pca", "gmm", "patchcore"])
def test_frames_without_inliers_are_too_few(name):
    features, label = draw(1)
    with pytest.raises(DataError, match="too few"):
        fitted(name, features, np.full_like(label, IGNORE))
