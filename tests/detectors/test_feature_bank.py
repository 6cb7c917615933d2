"""The bank of feature vectors: its sample, its coreset and its search, against brute force."""

from __future__ import annotations

import itertools

import pytest
import torch
from scipy.spatial import cKDTree
from scipy.spatial.distance import cdist

from roadanomaly.detectors import neighbours
from roadanomaly.detectors.coreset import greedy_centres
from roadanomaly.detectors.feature_bank import FeatureBank


def filled(rows, size=None, **options):
    bank = FeatureBank(size or len(rows), **options)
    bank.add(rows)
    return bank


def test_a_sample_keeps_every_row_with_equal_chance():
    counts = torch.zeros(100)
    for _ in range(200):
        bank = FeatureBank(20)
        for first in range(0, 100, 10):
            bank.add(torch.arange(first, first + 10.0)[:, None])
        assert len(bank) == len(bank.rows.unique()) == 20
        counts[bank.rows[:, 0].long()] += 1
    assert counts[:50].sum() == pytest.approx(2000, abs=150)
    assert counts[::10].sum() == pytest.approx(400, abs=80)
    assert counts.min() > 15


def test_a_sample_of_parts_is_that_of_the_whole_and_of_the_seed():
    rows = torch.randn(500, 3, 2)
    banks = []
    for parts in (rows.split(7), rows.split(500), rows.split(111)):
        torch.manual_seed(3)
        bank = FeatureBank(40)
        for part in parts:
            bank.add(part)
        banks.append({tuple(row.flatten().tolist()) for row in bank.rows})
    assert banks[0] == banks[1] == banks[2]
    assert banks[0] <= {tuple(row.flatten().tolist()) for row in rows}


def test_memory_is_that_of_the_bank():
    bank = FeatureBank(30)
    for _ in range(50):
        bank.add(torch.randn(25, 4, dtype=torch.float64))
    assert bank.store.shape == (30, 4)
    assert bank.store.untyped_storage().nbytes() == 30 * 4 * 4
    bank.clear()
    assert len(bank) == bank.store.untyped_storage().nbytes() == 0


def test_it_is_saved_and_moved_with_its_module():
    module = torch.nn.ModuleDict({"a": filled(torch.randn(9, 4), 20), "b": FeatureBank(3)})
    module["c"] = filled(torch.randn(2, 2), saved=False)
    assert {key: value.shape for key, value in module.state_dict().items()} == {
        "a.rows": (9, 4),
        "b.rows": (0, 0),
    }
    again = torch.nn.ModuleDict({"a": FeatureBank(20), "b": FeatureBank(3)})
    again.load_state_dict(module.state_dict(), strict=True)
    assert torch.equal(again["a"].rows, module["a"].rows)
    again["a"].rows.zero_()
    assert module["a"].rows.abs().min() > 0
    with pytest.raises(ValueError, match="clear it first"):
        again["a"].add(torch.randn(1, 4))
    with pytest.raises(RuntimeError, match=r"Missing key.*b\.rows"):
        again.load_state_dict({"a.rows": torch.zeros(1, 4)})
    assert {tensor.device.type for tensor in module.to("meta").buffers()} == {"meta"}


def test_what_is_added_in_inference_mode_can_be_changed_and_copied_outside():
    with torch.inference_mode():
        bank = filled(torch.randn(20, 3), 10)
        bank.thin(5)
        cleared = filled(torch.randn(20, 3))
        cleared.clear()
    assert not any(one.is_inference() for one in (*bank.buffers(), *cleared.buffers()))
    bank.rows.add_(1)
    (bank.rows @ torch.randn(3, 1, requires_grad=True)).sum().backward()


@pytest.mark.parametrize("k", [1, 2, 4])
@pytest.mark.parametrize("cloud", ["even", "clusters"])
def test_a_coreset_covers_within_twice_the_optimum(k, cloud):
    for seed in range(5):
        generator = torch.Generator().manual_seed(seed)
        points = torch.randn(10, 2, generator=generator)
        if cloud == "clusters":
            points = 0.05 * points + torch.randint(0, 4, (10, 1), generator=generator)
        distances = cdist(points, points)
        radius = distances[:, greedy_centres(points, k).numpy()].min(1).max()
        sets = itertools.combinations(range(10), k)
        best = min(distances[:, list(chosen)].min(1).max() for chosen in sets)
        assert radius <= 2 * best + 1e-6


def test_centres_are_different_even_among_equal_vectors_and_far_even_when_projected():
    assert len(greedy_centres(torch.zeros(6, 3), 6).unique()) == 6
    corners = 100 * torch.eye(5, 300)
    points = torch.cat([corners + 0.1 * torch.randn(5, 300) for _ in range(20)])
    centres = greedy_centres(points, 5, dimensions=32)
    assert sorted((centres % 5).tolist()) == [0, 1, 2, 3, 4]
    for count in (0, 7):
        with pytest.raises(ValueError, match="1 to that"):
            greedy_centres(torch.zeros(6, 3), count)


def test_thinning_keeps_centres():
    rows = torch.randn(50, 4)
    bank = filled(rows)
    torch.manual_seed(1)
    bank.thin(7)
    torch.manual_seed(1)
    assert torch.equal(bank.rows, rows[greedy_centres(rows, 7)])
    bank.thin(100)
    assert len(bank) == 7


def test_neighbours_are_those_of_a_tree(monkeypatch):
    """In many small blocks, on queries of any shape, far from the origin."""
    monkeypatch.setattr(neighbours, "QUERIES", 64)
    monkeypatch.setattr(neighbours, "ROWS", 100)
    rows = 300 + torch.randn(1030, 6)
    queries = 300 + torch.randn(3, 50, 6)
    distances, numbers = filled(rows).nearest(queries, 5)
    expected, places = cKDTree(rows.double()).query(queries.double(), 5)
    assert distances.shape == numbers.shape == (3, 50, 5)
    torch.testing.assert_close(distances, torch.from_numpy(expected).float(), rtol=1e-5, atol=0)
    assert (numbers.numpy() == places).mean() > 0.999


def test_neighbours_that_nearly_coincide_keep_their_digits():
    """Distances a ten-thousandth of the vectors' length, where the expanded square has none."""
    rows = 100 * torch.randn(400, 64)
    queries = rows[:50] + 1e-3 * torch.randn(50, 64)
    distances, numbers = filled(rows).nearest(queries)
    expected = cdist(queries.double(), rows.double()).min(1)
    assert numbers[:, 0].tolist() == list(range(50))
    torch.testing.assert_close(
        distances[:, 0], torch.from_numpy(expected).float(), rtol=1e-5, atol=0
    )
    assert filled(rows).nearest(rows[:5])[0].abs().max() == 0


def test_as_many_neighbours_as_rows_and_no_more():
    bank = filled(torch.tensor([[0.0], [3.0], [1.0]]))
    distances, numbers = bank.nearest(torch.tensor([0.9]), 3)
    torch.testing.assert_close(distances, torch.tensor([0.1, 0.9, 2.1]))
    assert numbers.tolist() == [2, 0, 1]
    for k in (0, 4):
        with pytest.raises(ValueError, match="from 1 to their number"):
            bank.nearest(torch.tensor([0.9]), k)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_gpu_keeps_and_finds_the_same():
    rows, queries = torch.randn(3000, 32), torch.randn(500, 32)
    found = []
    for device in ("cpu", "cuda"):
        torch.manual_seed(0)
        bank = FeatureBank(1000).to(device)
        for part in rows.split(300):
            bank.add(part.to(device))
        bank.thin(200)
        found.append((bank.rows.cpu(), bank.nearest(queries.to(device), 3)[0].cpu()))
    assert {tuple(r.tolist()) for r in found[0][0]} == {tuple(r.tolist()) for r in found[1][0]}
    torch.testing.assert_close(found[0][1], found[1][1], rtol=1e-5, atol=1e-6)
