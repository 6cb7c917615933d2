"""The torchmetrics metric gives what `score_frames` gives, also over processes."""

from __future__ import annotations

import pickle
import sys

import numpy as np
import pytest
import torch
import torch.distributed as dist
from scipy import ndimage
from sklearn.metrics import average_precision_score

from roadanomaly.errors import DataError, UnknownName
from roadanomaly.metrics import score_frames
from roadanomaly.metrics.torch import SegmentMeIfYouCan
from tests.processes import Begun


def frames(count=5, shape=(60, 80), kind=np.float32):
    """Return blobs with scores that partly find them; of some pixels nothing is known."""
    rng = np.random.default_rng(7)
    found = []
    for _ in range(count):
        noise = ndimage.gaussian_filter(rng.normal(size=shape), 4)
        label = (noise > np.quantile(noise, 0.85)).astype(np.uint8)
        label[rng.random(shape) < 0.05] = 255
        score = 100 * noise + rng.normal(size=shape)
        found.append((score.astype(kind), label))
    return found


def filled(given, track="obstacle", mode="official", batch=2, numbered=False):
    metric = SegmentMeIfYouCan(track, mode)
    for first in range(0, len(given), batch):
        scores, labels = zip(*given[first : first + batch], strict=True)
        numbers = torch.arange(first, first + len(scores)) if numbered else None
        metric.update(*(torch.from_numpy(np.stack(one)) for one in (scores, labels)), numbers)
    return metric


def plain(metric):
    return {name: value.item() for name, value in metric.compute().items()}


def close_to(expected):
    return pytest.approx(expected, rel=1e-6, nan_ok=True)


@pytest.mark.parametrize("mode", ["official", "exact"])
@pytest.mark.parametrize("track", ["anomaly", "obstacle"])
def test_batches_give_what_the_frames_give(track, mode):
    given = frames()
    metric = filled(given, track, mode)
    expected = score_frames(given, track, mode)
    assert plain(metric) == close_to(expected)
    assert list(metric.compute()) == list(expected)
    metric.reset()
    metric.update(*(torch.from_numpy(one)[None] for one in given[3]))
    assert plain(metric) == close_to(score_frames(given[3:4], track, mode))


@pytest.mark.parametrize("kind", [np.float16, np.float64])
def test_scores_keep_their_type(kind):
    given = frames(kind=kind)
    assert plain(filled(given)) == close_to(score_frames(given, "obstacle"))


def test_average_precision_is_scikit_learn_s():
    given = frames()
    scores, labels = (np.concatenate([one.ravel() for one in part]) for part in zip(*given))  # noqa: B905
    known = labels != 255
    expected = average_precision_score(labels[known], scores[known])
    assert filled(given, mode="exact").compute()["ap"].item() == pytest.approx(expected, rel=1e-6)


def test_sizes_may_differ_and_frames_may_come_twice_and_in_any_order():
    given = frames(2) + frames(1, (40, 50))
    numbered = SegmentMeIfYouCan("obstacle")
    for place in (2, 0, 1, 0):
        parts = (torch.from_numpy(one)[None] for one in given[place])
        numbered.update(*parts, torch.tensor([place]))
    assert plain(numbered) == close_to(score_frames(given, "obstacle"))


def test_it_is_pickled_cloned_and_moved_with_its_frames():
    metric = filled(frames())
    expected = plain(metric)
    for copy in (pickle.loads(pickle.dumps(metric)), metric.clone().to("cpu")):
        assert plain(copy) == close_to(expected)


def test_before_the_first_frame_all_is_nan():
    with pytest.warns(UserWarning, match="before the ``update``"):
        found = SegmentMeIfYouCan().compute()
    assert all(value.isnan() for value in found.values())


@pytest.mark.parametrize(
    ("scores", "labels", "numbers", "said"),
    [
        ((2, 4, 5), (2, 4, 6), None, r"\(B, H, W\)"),
        ((4, 5), (4, 5), None, r"\(B, H, W\)"),
        ((2, 4, 5), (2, 4, 5), [1], "2 numbers"),
        ((1, 4, 5), (1, 4, 5), [-1], "none below 0"),
    ],
)
def test_what_is_no_batch_is_refused(scores, labels, numbers, said):
    given = torch.zeros(scores), torch.zeros(labels, dtype=torch.uint8)
    with pytest.raises(DataError, match=said):
        SegmentMeIfYouCan().update(*given, None if numbers is None else torch.tensor(numbers))


def test_labels_that_are_no_ids_and_names_that_are_none_are_refused():
    with pytest.raises(DataError, match="whole numbers"):
        SegmentMeIfYouCan().update(torch.zeros(1, 4, 5), torch.zeros(1, 4, 5))
    metric = SegmentMeIfYouCan()
    metric.update(torch.zeros(1, 4, 5), torch.full((1, 4, 5), 7))
    with pytest.raises(DataError, match="holds the id 7"):
        metric.compute()
    with pytest.raises(UnknownName, match="did you mean `obstacle`"):
        SegmentMeIfYouCan(track="obstacles")
    metric = filled(frames(), numbered=True)
    metric.update(*(torch.from_numpy(one)[None] for one in frames()[0]))
    with pytest.raises(DataError, match="in all or none"):
        metric.compute()


@pytest.mark.parametrize(
    "label",
    [torch.tensor([[[256, 0]]]), torch.tensor([[[-255, 0]]]), torch.tensor([[[-1, 0]]]).char()],
    ids=["256", "-255", "255 in a byte with a sign"],
)
def test_a_label_that_fits_no_byte_is_no_other_label(label):
    metric = SegmentMeIfYouCan()
    metric.update(torch.zeros(label.shape), label)
    with pytest.raises(DataError, match="holds the id"):
        metric.compute()


SHARES = {"shared": ([0, 2, 4], [1, 3, 0]), "one has all": (range(5), [])}


def one_of_two(rank, meeting, case):
    """Judge a share of the frames, and print what both find together."""
    dist.init_process_group("gloo", init_method=f"file://{meeting}", rank=rank, world_size=2)
    given = frames()
    metric = SegmentMeIfYouCan("obstacle")
    refuse_scores_that_are_no_numbers(metric, at_fault=rank == 0)
    for number in SHARES[case][rank]:
        parts = (torch.from_numpy(one)[None] for one in given[number])
        metric.update(*parts, torch.tensor([number]))
    found = metric.compute()
    sys.stdout.write(str([value.item() for value in found.values()]))
    metric.reset()
    dist.destroy_process_group()


def refuse_scores_that_are_no_numbers(metric, at_fault):
    """Let all processes be told of one process's frame, and be ready for others afterwards."""
    score = torch.zeros(1, 40, 80)
    if at_fault:
        score[0, 3, 5] = torch.nan
    metric.update(score, torch.zeros(1, 40, 80, dtype=torch.uint8))
    with pytest.raises(DataError, match="1 of 3200 scores are NaN"):
        metric.compute()
    metric.reset()


@pytest.mark.slow
@pytest.mark.parametrize("case", SHARES)
def test_two_processes_give_what_one_gives(case, tmp_path):
    running = [Begun(one_of_two, rank, str(tmp_path / "meeting"), case) for rank in range(2)]
    answers = [process.communicate() for process in running]
    assert [process.returncode for process in running] == [0, 0], answers
    expected = [value.item() for value in filled(frames()).compute().values()]
    for out, _ in answers:
        assert out.strip() == str(expected)
