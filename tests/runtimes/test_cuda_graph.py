"""What surrounds a CUDA graph, tried on the processor with a record that only plays its part.

The stand-in does what a replayed graph does: it reads the batch where it was recorded, and writes
its outcome into the same memory every time.
"""

import logging

import numpy as np
import pytest
import torch

from roadanomaly.errors import OptionError
from roadanomaly.model import channels_last
from roadanomaly.refiners import REFINERS
from roadanomaly.runtimes import pytorch, replay
from roadanomaly.runtimes.graph import ScoringGraph
from roadanomaly.runtimes.pytorch import PyTorch, choose_mode
from roadanomaly.runtimes.transfer import Transfer, pack, unpack
from tests.contracts.tiny import NETWORKS, network
from tests.runtimes.models import SIZE, toy_head, toy_model

CUDA, PROCESSOR = torch.device("cuda"), torch.device("cpu")


def images(count, size=SIZE):
    rng = np.random.default_rng(0)
    return [rng.integers(0, 255, (*size, 3), dtype=np.uint8) for _ in range(count)]


def outputs(count, size):
    rng = np.random.default_rng(1)
    score, rarity = rng.normal(size=(2, count, *size)).astype(np.float32)
    return rng.integers(0, 255, (count, *size), dtype=np.uint8), score, rarity


@pytest.mark.parametrize("size", [(4, 6), (5, 7)])
def test_packed_outputs_come_back_as_they_were(size):
    wanted = outputs(3, size)
    packed = pack(*map(torch.from_numpy, wanted))
    assert packed.shape == (3, 9 * size[0] * size[1])
    for number, row in enumerate(packed.numpy()):
        found = unpack(row, size)
        for one, other in zip((found.classes, found.score, found.rarity), wanted, strict=True):
            assert one.dtype == other.dtype
            np.testing.assert_array_equal(one, other[number])
            assert not np.shares_memory(one, row)


def test_memory_on_the_way_is_used_again_and_results_are_not():
    way = Transfer(PROCESSOR, SIZE)
    frames = images(3)
    first = way.enter(frames)
    np.testing.assert_array_equal(first.numpy(), np.stack(frames))
    assert way.enter(frames[1:]).data_ptr() == first.data_ptr()
    wanted = outputs(2, SIZE)
    kept = way.leave(pack(*map(torch.from_numpy, wanted)))
    way.leave(torch.zeros(2, 9 * SIZE[0] * SIZE[1], dtype=torch.uint8))
    np.testing.assert_array_equal(kept[1].score, wanted[1][1])


@pytest.mark.parametrize(
    ("detector", "asked", "device", "taken"),
    [
        ("energy", "auto", CUDA, "cuda_graph"),
        ("energy", "auto", PROCESSOR, "eager"),
        ("energy", "eager", CUDA, "eager"),
        ("energy", "compile", PROCESSOR, "compile"),
        ("energy", "cuda_graph", CUDA, "cuda_graph"),
        ("maskomaly", "auto", CUDA, "cuda_graph"),
        ("image_resynthesis", "auto", CUDA, "cuda_graph"),
    ],
)
def test_auto_is_a_graph_where_one_can_be(detector, asked, device, taken):
    assert choose_mode(asked, device, toy_head(detector)) == taken


def test_auto_is_eager_for_what_takes_more_than_a_pass(monkeypatch):
    head = toy_model("energy").head
    assert choose_mode("auto", CUDA, None) == "cuda_graph"
    monkeypatch.setattr(type(head.detector), "asks", ("passes", "state"))
    assert choose_mode("auto", CUDA, head) == "eager"
    with pytest.raises(OptionError, match="asks for passes and state; `eager` runs it"):
        choose_mode("cuda_graph", CUDA, head)


def test_auto_is_eager_for_refiners_that_no_graph_can_hold(monkeypatch):
    model = toy_model("energy")
    smooth = REFINERS.build("smooth")
    model.head = type(model.head)(model.detector, (smooth,))
    assert choose_mode("auto", CUDA, model.head) == "cuda_graph"
    monkeypatch.setattr(type(smooth), "exports", False)
    assert choose_mode("auto", CUDA, model.head) == "eager"


@pytest.fixture
def recorded(monkeypatch):
    """Let graphs be "recorded" on the processor; return the sizes of batch that were."""
    sizes = []

    def stand_in(work, device, pool):
        outcome = work().clone()
        sizes.append(len(outcome))
        return (lambda: outcome.copy_(work())), outcome

    monkeypatch.setattr(replay, "record", stand_in)
    monkeypatch.setattr(pytorch, "choose_mode", lambda mode, device, head: "cuda_graph")
    return sizes


@pytest.mark.parametrize("count", [1, 2, 3, 5])
def test_replayed_batches_score_as_one_frame_alone(recorded, count):
    model = toy_model("densehybrid")
    graphs = PyTorch(model, SIZE, mode="cuda_graph")
    graphs.make_ready(3)
    assert recorded == [1, 2, 3]
    graphs.make_ready(2)
    assert recorded == [1, 2, 3]
    frames = images(count)
    with torch.inference_mode():
        alone = [ScoringGraph(model)(torch.from_numpy(one)[None]) for one in frames]
    for found, wanted in zip(graphs.run_many(frames), alone, strict=True):
        parts = (found.classes, found.score, found.rarity)
        for one, other in zip(parts, wanted, strict=True):
            np.testing.assert_allclose(one, other[0].numpy(), rtol=1e-5, atol=1e-5)


def test_a_result_outlives_the_next_replay(recorded):
    graphs = PyTorch(toy_model("energy"), SIZE, mode="cuda_graph")
    first = graphs(images(1)[0])
    kept = first.score.copy()
    graphs(np.zeros((*SIZE, 3), np.uint8))
    np.testing.assert_array_equal(first.score, kept)


def test_a_replay_reads_the_new_frame(recorded):
    graphs = PyTorch(toy_model("energy"), SIZE, mode="cuda_graph")
    dark, other = np.zeros((*SIZE, 3), np.uint8), images(1)[0]
    assert not np.array_equal(graphs(dark).score, graphs(other).score)
    np.testing.assert_array_equal(graphs(dark).score, graphs(dark).score)


@pytest.fixture
def unrecordable(monkeypatch):
    def refuse(work, device, pool):
        raise RuntimeError("called a synchronizing CUDA operation\nwith more lines")

    monkeypatch.setattr(replay, "record", refuse)
    monkeypatch.setattr(pytorch, "choose_mode", lambda mode, device, head: "cuda_graph")


def test_what_cannot_be_recorded_runs_eagerly_and_says_so(unrecordable, caplog):
    model, frame = toy_model("energy"), images(1)[0]
    with caplog.at_level(logging.WARNING):
        runtime = PyTorch(model, SIZE, mode="auto")
    assert "(called a synchronizing CUDA operation); it is run in mode eager." in caplog.text
    assert runtime.about == {"device": "cpu", "mode": "eager"}
    np.testing.assert_array_equal(runtime(frame).score, PyTorch(model, SIZE)(frame).score)


def test_a_graph_asked_for_by_name_is_refused_instead(unrecordable):
    with pytest.raises(OptionError, match="`eager` runs it"):
        PyTorch(toy_model("energy"), SIZE, mode="cuda_graph")


@pytest.mark.slow
@pytest.mark.parametrize("name", NETWORKS)
def test_networks_answer_the_same_with_channels_last(name):
    """A view that needs channels first would raise here as on a GPU."""
    plain, turned = network(name), network(name)
    channels_last(turned)
    image = torch.rand(1, 3, 70, 96, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        before, after = (one(image, tuple(one.features)) for one in (plain, turned))
    torch.testing.assert_close(after.logits, before.logits, rtol=1e-3, atol=1e-3)
    for feature, wanted in before.features.items():
        torch.testing.assert_close(after.features[feature], wanted, rtol=1e-3, atol=1e-3)


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", ["dacup", "densehybrid", "image_resynthesis", "jsrnet", "nflowjs", "synboost"]
)
def test_detectors_with_networks_score_the_same_with_channels_last(name):
    graph = ScoringGraph(toy_model(name))
    frame = torch.from_numpy(images(1)[0])[None]
    with torch.inference_mode():
        before = graph(frame)[1]
        channels_last(graph)
        torch.testing.assert_close(graph(frame)[1], before, rtol=1e-4, atol=1e-4)
