"""Write recipes that differ from `default`'s first stage in one part each, with few steps.

    python benchmarks/ablation.py --out runs/ablation
    for recipe in runs/ablation/*.yaml; do roadanomaly train $recipe; done
    roadanomaly worlds runs/ablation/*/

What the halves of the score and the refiners give needs no training: `halves.py` and `refiners.py`.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

Recipe = dict[str, Any]


def without_scenes(recipe: Recipe) -> None:
    """CamVid takes the share of the COCO scenes."""
    sets = recipe["train_data"]["sets"]
    scenes = next(one for one in sets if one["name"] == "coco_scenes")
    sets.remove(scenes)
    sets[0]["share"] = round(sets[0]["share"] + scenes["share"], 6)


def without_cutouts(recipe: Recipe) -> None:
    """Shapes with the textures of photographs are all that is pasted."""
    sources = recipe["negatives"]["sources"]
    recipe["negatives"]["sources"] = [one for one in sources if one["name"] != "paste"]


def without_teacher(recipe: Recipe) -> None:
    """Nothing is distilled; the class maps around the scenes' objects stay."""
    del recipe["teacher"], recipe["distill"]


def with_agreeing_teacher(recipe: Recipe) -> None:
    """The teacher is asked four views, and teaches where they agree."""
    recipe["teacher_agrees"] = True


def with_teacher_of_the_rest(recipe: Recipe) -> None:
    """The same, and only pixels that nobody labelled."""
    recipe |= {"teacher_agrees": True, "teach": "unlabelled"}


def with_known_objects(recipe: Recipe) -> None:
    """People and vehicles are pasted, too, under their own class."""
    recipe["negatives"]["sources"][0]["known"] = [0, 3]


def with_many_small(recipe: Recipe) -> None:
    """Half of the crops with cut-outs show many small ones, the others one large."""
    few, *others = recipe["negatives"]["sources"]
    half = {"weight": few["weight"] / 2}
    many = few | half | {"look": {"count": [4, 12], "side": [12, 64]}}
    one = few | half | {"look": {"count": [1, 1], "side": [64, 420]}}
    recipe["negatives"]["sources"] = [many, one, *others]


def on_ground(recipe: Recipe) -> None:
    """Cut-outs stand on the ground where a crop shows any, larger the nearer they are."""
    recipe["negatives"]["sources"][0]["look"] |= {"place": "ground", "perspective": 0.5}


def with_shadows(recipe: Recipe) -> None:
    """The same, and each darkens the ground at its foot."""
    on_ground(recipe)
    recipe["negatives"]["sources"][0]["look"]["shadow"] = [0.0, 0.7]


def with_streets(recipe: Recipe) -> None:
    """Drawn streets without obstacles take a tenth of the crops from CamVid."""
    sets = recipe["train_data"]["sets"]
    sets[0]["share"] = round(sets[0]["share"] - 0.1, 6)
    streets = {"name": "streets", "split": "train", "height": 512, "width": 1024, "seed": 401}
    sets.append({**streets, "share": 0.1})


def with_slow_encoder(recipe: Recipe) -> None:
    """The encoder learns at a tenth of the decoder's rate."""
    recipe["encoder_lr"] = recipe["lr"] / 10


def on_espnetv2(recipe: Recipe) -> None:
    """The network that teaches, from its Cityscapes weights, in place of ImageNet's."""
    recipe["segmenter"] = dict(recipe["teacher"])
    recipe["detector"]["features"] = ["decoder4", "decoder8", "encoder16"]


CHANGES: dict[str, Callable[[Recipe], None]] = {
    "all": lambda recipe: None,
    "no_scenes": without_scenes,
    "no_cutouts": without_cutouts,
    "no_teacher": without_teacher,
    "agreeing": with_agreeing_teacher,
    "unlabelled": with_teacher_of_the_rest,
    "known": with_known_objects,
    "many_small": with_many_small,
    "on_ground": on_ground,
    "shadows": with_shadows,
    "streets": with_streets,
    "slow_encoder": with_slow_encoder,
    "espnetv2": on_espnetv2,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--recipe", default="configs/models/default_first.yaml")
    parser.add_argument("--steps", type=int, default=400)
    parser.add_argument("--out", type=Path, default=Path("runs/ablation"))
    given = parser.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    for name, change in CHANGES.items():
        recipe = yaml.safe_load(Path(given.recipe).read_text())
        recipe |= {"steps": given.steps, "warmup": 30, "validate_every": given.steps}
        recipe["out"] = str(given.out / name)
        change(recipe)
        path = given.out / f"{name}.yaml"
        path.write_text(yaml.safe_dump(recipe, sort_keys=False))
        print(f"roadanomaly train {path}")


if __name__ == "__main__":
    main()
