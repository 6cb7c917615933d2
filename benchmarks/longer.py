"""Write the recipes that put together what `ablation.py` speaks for, as long as whole trainings.

    python benchmarks/longer.py --out runs/longer
    for name in shapes balanced shapes_on second_on third_on_ground; do
        roadanomaly train runs/longer/$name.yaml
    done
    roadanomaly worlds runs/longer/*/

All paste known objects beside the negatives. `shapes` and `balanced` begin with ImageNet's weights,
`shapes_on` goes on from `shapes`, `second_on` from the second stage of `default`; none of these has
a teacher. `third_on_ground` is the third stage of `default` with a teacher of unlabelled pixels
alone, and cut-outs that stand on the ground, many small ones or one or two large.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import yaml
from ablation import Recipe, with_known_objects, without_teacher

FIRST = Path("configs/models/default_first.yaml")
THIRD = Path("configs/models/default.yaml")
SECOND = "runs/default_second"
PARTS = ("segmenter", "detector", "refiners")
"""What a recipe that goes on takes from its start."""


def recipe_of(out: Path, steps: int, shapes: int) -> Recipe:
    """Return a recipe with crops where shapes are pasted, `shapes` for each one with cut-outs."""
    recipe: Recipe = yaml.safe_load(FIRST.read_text())
    without_teacher(recipe)
    with_known_objects(recipe)
    cutouts, drawn = recipe["negatives"]["sources"]
    cutouts["weight"], drawn["weight"] = 1, shapes
    return recipe | {"out": str(out), "steps": steps, "validate_every": steps}


def going_on(out: Path, start: str) -> Recipe:
    """Return a recipe with balanced crops that goes on from a run, and half the way back."""
    recipe = recipe_of(out, 900, 1)
    rest = {key: value for key, value in recipe.items() if key not in PARTS}
    rates: dict[str, Any] = {"lr": 3e-4, "head_lr": 5e-4, "warmup": 30}
    return {"start": start, "keep_start": 0.5} | rest | rates | {"balance": 0.5}


def third_on_ground(out: Path) -> Recipe:
    """Return the third stage with other cut-outs, and a teacher that leaves labels alone."""
    recipe: Recipe = yaml.safe_load(THIRD.read_text())
    cutouts, drawn = recipe["negatives"]["sources"]
    ground = {"place": "ground", "perspective": 0.5}
    looks = ({"count": [4, 12], "side": [16, 80]}, {"count": [1, 2], "side": [80, 520]})
    half = cutouts | {"weight": cutouts["weight"] / 2}
    recipe["negatives"]["sources"] = [*(half | {"look": look | ground} for look in looks), drawn]
    return recipe | {"out": str(out), "teach": "unlabelled"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--out", type=Path, default=Path("runs/longer"))
    out = parser.parse_args().out
    out.mkdir(parents=True, exist_ok=True)
    recipes = {
        "shapes": recipe_of(out / "shapes", 1700, 3),
        "balanced": recipe_of(out / "balanced", 1700, 1) | {"balance": 0.5},
        "shapes_on": going_on(out / "shapes_on", str(out / "shapes")),
        "second_on": going_on(out / "second_on", SECOND),
        "third_on_ground": third_on_ground(out / "third_on_ground"),
    }
    for name, recipe in recipes.items():
        path = out / f"{name}.yaml"
        path.write_text(yaml.safe_dump(recipe, sort_keys=False))
        print(f"roadanomaly train {path}")


if __name__ == "__main__":
    main()
