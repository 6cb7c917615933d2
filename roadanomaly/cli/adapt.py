"""`roadanomaly adapt`: teach a trained model what is ordinary on your own roads, without labels."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import yaml
from jsonargparse import ArgumentParser, Namespace

from roadanomaly.cli.adapt_worlds import Opened, claim, compare, open_asked
from roadanomaly.cli.parsing import DEVICES, add_size, new_parser, parse
from roadanomaly.cli.runs import carry_out
from roadanomaly.cli.which_model import add_model, the_model
from roadanomaly.errors import DataError, OptionError, UserError
from roadanomaly.files import write_text
from roadanomaly.ledger import Ledger
from roadanomaly.locks import holding
from roadanomaly.training.adapt_config import AdaptConfig
from roadanomaly.training.adapt_parts import (
    load_calibrated,
    negatives_to_learn,
    prepare_model,
)
from roadanomaly.training.adapted import RESULT, SHEET, Adapted
from roadanomaly.training.run_folder import FINISHED, RunFolder, plain
from roadanomaly.video.drives import HELD_OUT, LEARN, Sampled, sample

EXAMPLES = """
roadanomaly adapt drive.mp4 --out mine
roadanomaly adapt --model runs/densehybrid_espnetv2_camvid drive.mp4 --out mine
roadanomaly adapt --model runs/a monday.mp4 tuesday.mp4 "photos/*.jpg" --frames 240 --out mine
roadanomaly adapt --model runs/a frames/ --negatives '{name: paste, root: cutouts}' --out mine
roadanomaly adapt drive.mp4 --worlds my_worlds.yaml --out mine
roadanomaly adapt drive.mp4 --worlds none --out mine
roadanomaly adapt --out mine --resume
roadanomaly video drive.mp4 --model mine
"""
WORLDS = (
    "held-out worlds scored before and after: a YAML file, own (the package's; by default) or "
    "none; beside --resume it takes the place of what was told before"
)
"""Help of the option."""

FRAMES = "frames"
"""Folder of the sampled frames in the run folder."""

WORLD = {"name": "streets", "height": 360, "width": 640}
OBJECTS = {"count": [3, 5], "side": [40, 300]}
"""How negatives are put in that are judged on: none so small that it would not count."""

NEGATIVES: dict[str, Any] = {
    "name": "mixture",
    "sources": [
        {"name": "street_objects", "weight": 2},
        {"name": "shapes", "weight": 1},
    ],
}
"""Those to learn from where nobody has others: all are drawn by the program itself."""


def run(arguments: Sequence[str]) -> None:
    """Sample the drives, adapt, and say what the model had and has, also in held-out worlds."""
    given = parse(_parser(), arguments)
    folder = RunFolder(given.out)
    with holding(folder.path, ["adapt", *arguments]) as leads:  # from the first frame taken
        config = _begun(folder, given) if given.resume else _asked(folder, given)
        opened = _opened(config, told=given.worlds is not None or not given.resume)
        if not given.resume:
            prepare_model(load_calibrated(config.model), config)
            negatives_to_learn(config.negatives)
        if given.resume and given.worlds and leads:
            write_text(folder.path / "config.yaml", yaml.safe_dump(plain(config), sort_keys=False))
        if opened and leads:
            claim(folder)
            sys.stderr.write(f"{opened.in_words()}\n")
        if not given.resume:
            config = _sampled(folder, given)
        if not (given.resume and _is_done(folder, config)):
            carry_out(config, resume=given.resume)
        told = json.loads((folder.path / RESULT).read_text())
        sys.stdout.write(f"{Adapted.from_dict(told).in_words()}\n")
        sys.stdout.write(f"the model is in {folder.model}, pictures in {folder.path / SHEET}\n")
        sys.stdout.flush()
        if opened and leads:
            compare(opened, config, folder)


def _is_done(folder: RunFolder, config: AdaptConfig) -> bool:
    """Whether all is there but the held-out worlds, so that a run that goes on begins with them."""
    if not (folder.finished and (folder.path / RESULT).exists()):
        return False
    try:
        held = json.loads((folder.path / FINISHED).read_text())
    except (OSError, ValueError):
        return False
    return held == {"steps": config.steps}


def _parser() -> ArgumentParser:
    parser = new_parser("adapt", __doc__ or "", EXAMPLES)
    parser.usage = "roadanomaly adapt DRIVE [DRIVE ...] [--model NAME|RUN] --out FOLDER [options]"
    part = dict[str, Any]
    add = parser.add_argument
    add("drives", nargs="*", help="videos, folders of images or quoted globs, in order of time")
    add_model(parser, "the folder of a trained, calibrated one")
    add("--out", type=str, required=True, help="run folder to write")
    add("--frames", type=int, default=160, help="taken from the drives, a quarter to judge on")
    add_size(parser, "height and width to bring frames to")
    add("--fps", type=float, default=0.0, help="of the drives, where images do not say it")
    add("--negatives", type=part, default=None, help="a source to learn from beside drawn objects")
    add("--moves", type=str, default="correction", help="what learns: correction, heads or all")
    add("--steps", type=int, default=AdaptConfig.steps, help="optimiser steps")
    add("--keep", type=float, default=AdaptConfig.keep, help="weight of scores on other worlds")
    add("--spare", type=float, default=AdaptConfig.spare, help="recall to give for a threshold")
    add("--worlds", type=str, default=None, help=WORLDS)
    add("--workers", type=int, default=1, help="data loading processes")
    add("--device", type=str, default="auto", help=DEVICES)
    add("--seed", type=int, default=0, help="of everything random")
    add("--resume", action="store_true", help="continue the run in --out; it knows the rest")
    return parser


def _begun(folder: RunFolder, given: Namespace) -> AdaptConfig:
    """Return the config of the run that is to be continued.

    Raises:
        OptionError: something else was asked for, too; or the run knows itself elsewhere.
        DataError: there is no such run.
    """
    usual = _parser().get_defaults().as_dict()
    told = {key: given[key] or None for key in usual if key not in ("out", "resume", "worlds")}
    asked = [key for key, value in told.items() if value != (usual[key] or None)]
    if asked:
        named = ", ".join("the drives" if key == "drives" else f"--{key}" for key in asked)
        msg = f"--resume goes on with all that the run was told; leave them out: {named}."
        raise OptionError(msg)
    try:
        held = yaml.safe_load((folder.path / "config.yaml").read_text())
        config = AdaptConfig(**{key: _tuple(one) for key, one in held.items()})
        home = Path(config.out).resolve()
    except (OSError, ValueError, TypeError, AttributeError, yaml.YAMLError) as error:
        msg = f"--out {folder.path} holds no adaptation that could be continued ({error})."
        raise DataError(msg) from error
    if home != folder.path.resolve():
        msg = (
            f"--resume: the config.yaml in --out {folder.path} says that its run is in "
            f"`{config.out}`, which is {home} from here, and not {folder.path.resolve()}. Go on "
            "from the working directory in which it began, and with its folder where it was; or "
            "begin anew: give the drives, and another folder with --out."
        )
        raise OptionError(msg)
    return replace(config, worlds=given.worlds) if given.worlds else config


def _opened(config: AdaptConfig, *, told: bool) -> Opened | None:
    """Open the held-out worlds; those of a run that goes on may be gone since, and are left out.

    Args:
        config: of the run.
        told: whether this command was given them, or begins the run.

    Raises:
        UserError: as `open_asked`, where they were told.
    """
    try:
        return open_asked(config.worlds)
    except UserError as error:
        if told:
            raise
        sys.stderr.write(
            f"warning: {error} The run goes on without; --worlds beside --resume names others.\n"
        )
        return None


def _tuple(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def _asked(folder: RunFolder, given: Namespace) -> AdaptConfig:
    """Return what was asked for, as far as it is known before the drives are looked at.

    Raises:
        UserError: an option is not possible, or the folder is taken.
    """
    if not given.drives:
        msg = "give at least one drive: a video, a folder of images or a quoted glob."
        raise OptionError(msg)
    if given.frames < 8:
        msg = f"--frames is {given.frames}; give at least 8."
        raise OptionError(msg)
    if given.size and min(given.size) < 32:
        msg = f"--size must be a height and a width of at least 32 pixels, not {list(given.size)}."
        raise OptionError(msg)
    folder.require_free()
    return _config(folder, given, Sampled(1, 1, 0.0))


def _sampled(folder: RunFolder, given: Namespace) -> AdaptConfig:
    """Take frames from the drives.

    Raises:
        UserError: a drive cannot be used, or the folder holds files of somebody else.
    """
    Ledger(folder.path).claim([f"{FRAMES}/", RESULT, SHEET])
    sampled = sample(given.drives, given.frames, folder.path / FRAMES, given.size)
    sys.stderr.write(
        f"{sampled.learn} frames to learn from, {sampled.held_out} held out to judge on\n"
    )
    for warning in sampled.warnings:
        sys.stderr.write(f"warning: {warning}\n")
    return _config(folder, given, sampled)


def _config(folder: RunFolder, given: Namespace, sampled: Sampled) -> AdaptConfig:
    frames = folder.path / FRAMES
    ordinary = {"name": "folder", "kind": "ordinary"}
    seed = given.seed
    streets = {**WORLD, "split": "outliers", "count": 40, "seed": seed, "share": 0.2}
    own = {**ordinary, "images": str(frames / LEARN), "share": 0.8}
    return AdaptConfig(
        model=the_model(None, given.model),
        out=given.out,
        train_data={"name": "union", "sets": [own, streets]},
        val_data={**ordinary, "images": str(frames / HELD_OUT)},
        world={**WORLD, "split": "test", "count": 16},
        negatives=_negatives(given.negatives),
        val_negatives={"name": "street_objects", "part": "held_out", "look": OBJECTS},
        moves=given.moves,
        steps=given.steps,
        validate_every=max(1, given.steps // 2),
        keep=given.keep,
        spare=given.spare,
        worlds=given.worlds or AdaptConfig.worlds,
        fps=given.fps or sampled.fps,
        accelerator=given.device,
        workers=given.workers,
        seed=seed,
    )


def _negatives(own: dict[str, Any] | None) -> dict[str, Any]:
    """Return what to learn from: drawn objects, and half of the crops a person's own source."""
    if own is None:
        return NEGATIVES
    drawn = sum(one["weight"] for one in NEGATIVES["sources"])
    return {**NEGATIVES, "sources": [*NEGATIVES["sources"], {**own, "weight": drawn}]}
