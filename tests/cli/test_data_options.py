"""A data set that is not there is told with the option that names it."""

import pytest

STREETS = "{name: streets, count: 2, height: 64, width: 96}"
CONFIG = """
segmenter: {name: espnetv2, scale: 0.5}
detector: {name: max_logit}
flow: {name: glow, levels: 1, steps: 1, hidden: 8}
generator: {name: spade, classes: 19}
"""
KEYS = {
    "train": ("segmenter", "detector"),
    "flow train": ("flow",),
    "train generator": ("generator",),
}


def mistyped(option, folder):
    return [f"--{option}", f"{{name: camvid, split: train, root: {folder}}}"]


@pytest.mark.parametrize("name", KEYS)
@pytest.mark.parametrize("option", ["train_data", "val_data"])
def test_a_training_names_its_option(name, option, command, tmp_path):
    lines = [one for one in CONFIG.splitlines() if one.split(":")[0] in KEYS[name]]
    lines += [f"{one}: {STREETS}" for one in ("train_data", "val_data")]
    (tmp_path / "a.yaml").write_text("\n".join([*lines, f"out: {tmp_path / 'run'}", "steps: 1"]))
    words = mistyped(option, tmp_path / "nowhere")
    code, _, err = command(*name.split(), tmp_path / "a.yaml", "--device", "cpu", *words)
    assert code == 2
    assert f"`--{option}`: the data set `camvid` was looked for" in err
    assert str(tmp_path / "nowhere") in err


@pytest.mark.parametrize("option", ["data", "calibration_data", "validation_data"])
def test_fit_names_its_option(option, command, model_folder, tmp_path):
    data = ["--data", STREETS] if option != "data" else []
    words = ["--run", model_folder, *data, *mistyped(option, tmp_path / "nowhere")]
    code, _, err = command("fit", *words, "--out", tmp_path / "out")
    assert code == 2
    assert f"`--{option}`: the data set `camvid` was looked for" in err
