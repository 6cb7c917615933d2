"""Generators and what they learn from, on the pretended device."""

from __future__ import annotations

from pathlib import Path

import pytest

from roadanomaly.generators import GENERATORS
from roadanomaly.training.generator_config import GeneratorConfig
from roadanomaly.training.generator_task import GeneratorTask
from roadanomaly.training.run_folder import RunFolder
from tests.cuda import pretended
from tests.training import test_generator

pytestmark = pretended.tried

SMALL = {
    "pix2pixhd": {"width": 4, "downs": 2, "blocks": 1},
    "spade": {"width": 4, "ups": 3, "hidden": 8, "middle": 0},
}


def test_every_generator_is_here():
    assert set(SMALL) == set(GENERATORS)


@pytest.mark.slow
@pytest.mark.parametrize("name", SMALL)
def test_a_step_of_both_sides_is_taken_on_the_device(name, tmp_path):
    values = {
        **test_generator.SMALLEST,
        "generator": {"name": name, **SMALL[name]},
        "reader": test_generator.ESPNET,
        "r1": 1.0,
        "r1_interval": 2,
    }
    task = GeneratorTask(GeneratorConfig(**values), RunFolder(Path(tmp_path) / "run"))
    with pretended.device():
        module = pretended.on_device(task.module).train()
        terms = module(pretended.batch())
        assert len(terms) == 7
        assert {one.device for one in terms.values()} == {pretended.DEVICE}
        sum(terms.values()).backward()
        for part in (module.generator, module.discriminators):
            assert all(one.grad is not None for one in part.parameters())
