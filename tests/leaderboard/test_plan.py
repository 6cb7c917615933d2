"""What a config says, and the runs that come of it."""

from pathlib import Path

import pytest
import yaml

from roadanomaly.catalogue import Catalogue
from roadanomaly.data import DATASETS
from roadanomaly.detectors import DETECTORS
from roadanomaly.errors import OptionError
from roadanomaly.evaluation.worlds import read_worlds
from roadanomaly.flows import FLOWS
from roadanomaly.generators import GENERATORS
from roadanomaly.leaderboard.config import read_board
from roadanomaly.leaderboard.plan import plan_of
from roadanomaly.negatives import NEGATIVES
from roadanomaly.segmenters import SEGMENTERS
from tests.leaderboard.made import STREETS, make_board, runs_of

CONFIGS = Path(__file__).parents[2] / "configs"
PARTS: dict[str, Catalogue] = {
    "segmenter": SEGMENTERS,
    "detector": DETECTORS,
    "generator": GENERATORS,
    "flow": FLOWS,
    "data": DATASETS,
    "calibration_data": DATASETS,
    "train_data": DATASETS,
    "val_data": DATASETS,
    "negatives": NEGATIVES,
    "val_negatives": NEGATIVES,
}
CLASSIC = [
    "max_entropy",
    "densehybrid",
    "obsnet",
    "nflowjs",
    "synboost",
    "image_resynthesis",
    "embedding_density",
    "void_classifier",
    "jsrnet",
    "odin",
    "mc_dropout",
    "msp",
    "mahalanobis",
]
MORE = ["max_logit", "energy", "entropy", "sml", "ensemble", "dacup", "fusion"]
BOARDS = sorted(CONFIGS.glob("leaderboard_*.yaml"))
GENERATIVE = ("density", "reconstruction", "pixels")
"""Rooms whose detectors the generative board holds."""


@pytest.mark.slow
@pytest.mark.parametrize("path", BOARDS, ids=lambda path: path.stem)
def test_our_boards_hold_every_row_and_name_what_there_is(path):
    board = read_board(path)
    if path.stem == "leaderboard_streets":
        assert set(board.rows) == {*CLASSIC, *MORE}
    if path.stem == "leaderboard_roadanomaly":
        assert set(board.rows) == {*CLASSIC, *MORE, "member", "obsnet_on_member"}
    for run in plan_of(board, path.parent):
        for key, catalogue in PARTS.items():
            part = run.values.get(key)
            if part:
                options = {option: one for option, one in part.items() if option != "name"}
                catalogue.check_options(part["name"], options)
                catalogue.check_types(part["name"], options)


@pytest.mark.slow
@pytest.mark.parametrize("path", BOARDS, ids=lambda path: path.stem)
def test_our_boards_count_false_alarms_on_roads_that_no_row_learned_from(path):
    board = read_board(path)
    assert board.ordinary
    learned = str([run.values for run in plan_of(board, path.parent)])
    for one in board.ordinary.values():
        if one.data["name"] == "streets":
            assert f"'seed': {one.data['seed']}," not in learned
        else:
            assert one.data["kind"] == "ordinary"
            assert str(one.data["images"]).split("/")[0] not in learned
    if path.stem != "leaderboard_streets":
        worlds = read_worlds(CONFIGS / "models" / "worlds.yaml")
        held_out = [worlds["brazil_held_out"]["data"], worlds["kitti"]["data"]]
        assert [one.data for one in board.ordinary.values()] == held_out
        assert board.ordinary["brazil"].frames == worlds["brazil_held_out"]["frames"]


@pytest.mark.slow
def test_the_generative_board_holds_every_generative_detector():
    board = CONFIGS / "leaderboard_generative.yaml"
    shown = {
        run.values["detector"]["name"]
        for run in plan_of(read_board(board), CONFIGS)
        if "detector" in run.values
    }
    rooms = {name: path.split(".")[2] for name, path in DETECTORS.entries.items()}
    elsewhere = {"mahalanobis", "knn", "gmmseg"}
    assert {n for n, room in rooms.items() if room in GENERATIVE} - elsewhere <= shown


@pytest.mark.slow
def test_the_board_of_exposure_holds_its_detectors_beside_posthoc_scores():
    board = read_board(CONFIGS / "leaderboard_exposure.yaml")
    made = [run for run in plan_of(board, CONFIGS) if run.member in board.rows]
    shown = {run.values["detector"]["name"] for run in made}
    assert shown >= {"energy_oe", "pebal", "rpl", "uem", "ulre", "knn", "gmmseg"}
    assert shown >= {"msp", "max_logit", "entropy", "energy"}
    network = str(Path(board.out) / "runs" / "segmenter_0")
    assert {run.values["start" if run.how == "train" else "run"] for run in made} == {network}


@pytest.mark.slow
@pytest.mark.parametrize("name", ["leaderboard_roadanomaly", "leaderboard_exposure"])
def test_rows_of_one_board_share_their_setting(name):
    board = read_board(CONFIGS / f"{name}.yaml")
    trained = [run for run in plan_of(board, CONFIGS) if run.how == "train"]
    assert {run.values["steps"] for run in trained if run.member in board.rows} == {400}
    for run in trained:
        values = run.values
        assert values["train_data"]["name"] == "camvid"
        assert values["train_data"]["split"] == "train"
        usual = (values["batch_size"], values["crop"]) == (4, [288, 384])
        member = (board.rows | board.first)[run.member]
        assert usual or member.note or run.member in board.first, run.name


def test_options_lie_over_the_boards_and_these_over_the_recipe(tmp_path):
    recipe = {"detector": {"name": "entropy"}, "steps": 9, "lr": 0.5, "crop": [64, 64]}
    (tmp_path / "recipe.yaml").write_text(yaml.safe_dump(recipe))
    row = {"recipe": "recipe.yaml", "options": {"crop": [48, 48]}}
    board = make_board(tmp_path, rows={"a": row}, against="")
    (run,) = plan_of(board, tmp_path)
    assert (run.values["lr"], run.values["steps"], run.values["crop"]) == (0.5, 4, [48, 48])


def test_a_network_of_its_own_lies_over_the_recipes(tmp_path):
    recipe = {"segmenter": {"name": "espnetv2", "scale": 0.5}, "detector": {"name": "entropy"}}
    (tmp_path / "recipe.yaml").write_text(yaml.safe_dump(recipe))
    own = {"recipe": "recipe.yaml", "options": {"segmenter": {"name": "espnetv2"}}}
    rows = {"own": own, "boards": {"recipe": "recipe.yaml"}}
    changes = {"segmenter": {"name": "espnetv2", "scale": 2.0}, "against": ""}
    of_own, of_board = plan_of(make_board(tmp_path, rows=rows, **changes), tmp_path)
    assert of_own.values["segmenter"]["scale"] == 0.5
    assert of_board.values["segmenter"]["scale"] == 2.0


def test_a_run_comes_after_what_it_names(tmp_path):
    rows = {
        "pair": {
            "how": "fit",
            "options": {
                "run": "@base/1",
                "detector": {"name": "ensemble", "members": [{"run": "@base/1"}, {"run": "@base"}]},
            },
        },
        "base": {"options": {"detector": {"name": "entropy"}}, "seeds": [0, 1]},
    }
    runs = plan_of(make_board(tmp_path, rows=rows, against=""), tmp_path)
    assert [run.name for run in runs] == ["base_0", "base_1", "pair_0"]
    assert runs[-1].needs == ("base_1", "base_0")
    assert runs[-1].values["run"] == str(tmp_path / "runs" / "base_1")
    assert runs[-1].values["segmenter"] is None


def test_a_circle_is_refused(tmp_path):
    def fit(name):
        return {"how": "fit", "options": {"run": name, "detector": {"name": "msp"}}}

    with pytest.raises(OptionError, match="circle: a_0, b_0"):
        runs_of(make_board(tmp_path, rows={"a": fit("@b"), "b": fit("@a")}, against=""))


ROW = {"options": {"detector": {"name": "msp"}}}


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"rowz": {}}, "did you mean `rows`"),
        ({"sets": {}}, "`sets` must be a mapping"),
        ({"rows": {"a b": ROW}}, "letters, digits"),
        ({"rows": {"a": {**ROW, "sed": 1}}}, "`a` has the key `sed`"),
        ({"rows": {"a": {**ROW, "seeds": [1, 1]}}}, "give each once"),
        ({"rows": {"a": ROW}, "first": {"a": ROW}}, "among `rows` and among `first`"),
        ({"against": "mps"}, "did you mean `msp`"),
        ({"published": "smiyc-anomly"}, "did you mean `smiyc-anomaly`"),
        ({"rows": {"a": {**ROW, "published": "MPS"}}, "against": ""}, "did you mean `MSP`"),
        ({"rows": {"a": {**ROW, "how": "flow"}}, "against": ""}, "belongs under `first`"),
        ({"cost": {"repeats": 0}}, "`repeats` and both numbers"),
        ({"cost": {"repeats": None}}, "`cost`: `repeats` has no value"),
        ({"training": None}, "the config: `training` has no value"),
        ({"frames": None}, "the config: `frames` has no value"),
        ({"rows": {"a": {"options": None}}}, "`a`: `options` has no value"),
        ({"rows": {"a": {**ROW, "seeds": None}}}, "`a`: `seeds` has no value"),
        ({"rows": {"a": {**ROW, "how": None}}}, "`a`: `how` has no value"),
        ({"sets": {"s": {"data": None}}}, "`s`: `data` has no value"),
        ({"rows": {"a": {"options": {"steps": None}}}, "against": ""}, "`a`: `steps` has no value"),
        ({"sets": {"s": {"data": {"name": "streetz"}}}}, "did you mean `streets`"),
        ({"ordinary": []}, "`ordinary` must be a mapping"),
        ({"ordinary": {"a b": {"data": STREETS}}}, "letters, digits"),
        ({"ordinary": {"q": {}}}, "`q` lacks the key `data`"),
        ({"ordinary": {"q": {"data": {"name": "streetz"}}}}, "`q`: .*did you mean `streets`"),
        ({"ordinary": {"q": {"data": {**STREETS, "sed": 1}}}}, "`q`: .*did you mean `seed`"),
        ({"ordinary": {"q": {"data": STREETS, "frames": -1}}}, "`frames` is a number from 0"),
        ({"ordinary": {"q": {"data": STREETS, "size": [8, 8]}}}, "from 32 each"),
        ({"ordinary": {"q": {"data": STREETS, "negatives": {}}}}, "has the key `negatives`"),
        ({"rows": {"a": {"options": {"stepz": 4}}}, "against": ""}, "did you mean `steps`"),
        ({"rows": {"a": {"options": {"steps": "many"}}}, "against": ""}, "steps"),
        ({"rows": {"a": {"options": {"steps": 0}}}, "against": ""}, "`a`: config: `steps` must be"),
        ({"rows": {"a": {"recipe": "none.yaml"}}, "against": ""}, "none.yaml cannot be read"),
        ({"rows": {"a": {"options": {"start": "@b"}}}, "against": ""}, "needs `@b`"),
    ],
)
def test_a_mistake_is_named(tmp_path, changes, said):
    with pytest.raises(OptionError, match=said):
        runs_of(make_board(tmp_path, **changes))
