"""What a recipe needs and does not find is told at once, not start by start."""

import copy
import pickle
from pathlib import Path

import pytest

from roadanomaly.catalogue import Catalogue
from roadanomaly.errors import DataError, Mistakes, OptionError, UserError, make_all

RECIPES = Path(__file__).parents[2] / "configs"
WEIGHTS = "espnetv2_s_2.0_city_1024x512.pth"
CAMVID, COCO = "the data set `camvid`", "the data set `coco128seg`"
NEEDS = {
    ("train", "synboost_camvid"): [CAMVID, COCO, WEIGHTS, "runs/spade_camvid"],
    ("train", "densehybrid_mixture_camvid"): [CAMVID, COCO, WEIGHTS, "runs/glow_camvid"],
    ("train", "densehybrid_espnetv2_camvid"): [CAMVID, COCO, WEIGHTS, "runs/wide/images"],
    ("train", "likelihood_ratio_camvid"): [CAMVID, COCO, WEIGHTS, "runs/glow_general"],
    ("train", "rpl_fpn_efficientnet_lite0_camvid"): [
        CAMVID,
        COCO,
        "runs/fpn_efficientnet_lite0_camvid",
    ],
    ("train generator", "spade_camvid"): [
        CAMVID,
        "espnetv2_s_0.5_city_1024x512.pth",
        "espnetv2_s_1.0_city_1024x512.pth",
    ],
    ("flow train", "glow_camvid"): ["`--train_data`: " + CAMVID, "`--val_data`: " + CAMVID],
    ("fit", "padim_camvid"): [CAMVID, WEIGHTS],
}
"""By command and recipe, what its files and comments say that it needs."""


@pytest.mark.parametrize(("words", "needed"), NEEDS.items(), ids=[name for _, name in NEEDS])
def test_a_recipe_names_all_that_it_lacks(command, tmp_path, monkeypatch, words, needed):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ROADANOMALY_DATA", str(tmp_path / "data"))
    given, name = words
    code, _, err = command(*given.split(), RECIPES / f"{name}.yaml")
    assert code == 2
    for one in needed:
        assert one in err
    lines = err.splitlines()[1:]
    assert f"{len(lines)} things are missing or wrong:" in err.splitlines()[0]
    assert all(line.startswith("  - ") for line in lines)
    assert len(set(lines)) == len(lines)


def test_what_is_alone_is_said_as_ever(command, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    words = ("--train_data", "{name: streets}", "--val_data", "{name: streets, split: vall}")
    code, _, err = command("flow", "train", RECIPES / "glow_camvid.yaml", *words)
    assert code == 2
    assert "vall" in err
    assert "things are missing" not in err


def raising(error):
    raise error


def noted(*errors):
    """Return what is raised after some mistakes were noted."""
    mistakes = Mistakes()
    for one in errors:
        with mistakes.noted():
            raising(one)
    with pytest.raises(UserError) as found:
        mistakes.refuse()
    return found.value


def test_mistakes_of_one_kind_stay_of_it_and_others_are_the_user_s():
    assert type(noted(DataError("a"), DataError("b"))) is DataError
    assert type(noted(DataError("a"), OptionError("b"))) is UserError
    one = DataError("a")
    assert noted(one) is one
    assert str(noted(DataError("a"), DataError("a"))) == "a"


def test_mistakes_within_mistakes_lie_side_by_side():
    found = noted(noted(DataError("a"), DataError("b")), OptionError("c"))
    assert str(found) == "3 things are missing or wrong:\n  - a\n  - b\n  - c"
    for again in (pickle.loads(pickle.dumps(found)), copy.copy(found)):
        assert str(again) == str(found)
        assert [str(one) for one in again.mistakes] == ["a", "b", "c"]


def test_a_programming_error_is_not_collected():
    mistakes = Mistakes()
    with pytest.raises(ValueError, match="broken"), mistakes.noted():
        raising(ValueError("broken"))


def test_without_a_mistake_all_is_made_in_order():
    Mistakes().refuse()
    assert make_all(str, [2, 1]) == ["2", "1"]


class Pair:
    """Lacks two files, or has an option that it refuses."""

    def __init__(self, size: int = 1):
        if size < 1:
            raise OptionError("size")
        raise noted(DataError("no `root`: x"), DataError("no `root`: y"))


def test_each_of_several_is_said_with_the_option_that_it_comes_from():
    catalogue = Catalogue("pair", {"pair": f"{__name__}:Pair"}, listed=False)
    with pytest.raises(DataError) as found:
        catalogue.from_spec({"name": "pair"}, "--data")
    assert [str(one) for one in found.value.mistakes] == [
        "`--data`: no `--data.root`: x",
        "`--data`: no `--data.root`: y",
    ]
    with pytest.raises(OptionError, match=r"^size$"):
        catalogue.from_spec({"name": "pair", "size": 0}, "--data")
