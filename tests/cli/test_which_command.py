"""A recipe that is given to another command than its own is told which one it is for."""

from pathlib import Path

import pytest
import yaml

RECIPES = Path(__file__).parents[2] / "configs"
OWN = {
    "train": "streets_densehybrid",
    "train generator": "spade_camvid",
    "flow train": "glow_camvid",
    "fit": "padim_camvid",
    "leaderboard": "leaderboard_streets",
}
PAIRS = [(given, own) for given in OWN for own in OWN if given != own]


@pytest.mark.parametrize(("given", "own"), PAIRS, ids=lambda one: one.replace(" ", "_"))
def test_a_config_of_another_command_says_which(command, tmp_path, monkeypatch, given, own):
    monkeypatch.chdir(tmp_path)
    path = RECIPES / f"{OWN[own]}.yaml"
    code, _, err = command(*given.split(), path)
    assert code == 2
    assert f"{path} is a config of `roadanomaly {own}`, not of `{given}`" in err
    assert f"Run `roadanomaly {own} {path}`." in err
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("given", OWN)
def test_a_slip_in_its_own_config_is_named_as_such(command, tmp_path, given):
    keys = yaml.safe_load((RECIPES / f"{OWN[given]}.yaml").read_text())
    path = tmp_path / "slip.yaml"
    path.write_text(yaml.safe_dump({"oud": keys.pop("out"), **keys}, sort_keys=False))
    code, _, err = command(*given.split(), path)
    assert code == 2
    assert "`oud` is not a key of a config; did you mean `out`?" in err
    assert f"[{path}:1]" in err


def test_overrides_do_not_hide_it(command):
    path = RECIPES / f"{OWN['fit']}.yaml"
    code, _, err = command("train", "--config", path, "--steps", 5)
    assert code == 2
    assert "is a config of `roadanomaly fit`" in err
