"""Which models a command line names: saved ones, and detectors put on a segmenter here."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from roadanomaly.calibration import Calibration
from roadanomaly.detectors import DETECTORS
from roadanomaly.detectors.head import Head
from roadanomaly.errors import OptionError
from roadanomaly.model import Model, load
from roadanomaly.segmenters import SEGMENTERS, Segmenter
from roadanomaly.weights_hash import network_key

UNTRAINED = ("msp", "max_logit", "entropy", "energy", "rba", "eam", "mask2anomaly")


@dataclass
class Group:
    """Detectors that share one segmenter, so one forward pass serves them all.

    Args:
        segmenter: on its device, in inference mode.
        heads: by their names in the table.
        calibrations: of the detectors that were saved with one.
        label: tells it from other groups: its first run's folder, or the network's name.
        first: the run that was the first to bring a detector, by the detector's catalogue name.
        runs: the run that each detector came with, by their names in the table.
    """

    segmenter: Segmenter
    heads: dict[str, Head] = field(default_factory=dict)
    calibrations: dict[str, Calibration | None] = field(default_factory=dict)
    label: str = ""
    first: dict[str, str] = field(default_factory=dict)
    runs: dict[str, str] = field(default_factory=dict)


def pick_device(name: str) -> torch.device:
    """Return the device that `--device` names; `auto` takes a GPU where there is one.

    `gpu`, as Lightning Fabric says for a training, is CUDA, or else Apple's.

    Raises:
        OptionError: not a device of this machine.
    """
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    msg = (
        f"--device {name}: not usable here; `cpu` always is, `cuda` and `cuda:1` are GPUs, "
        "`auto` takes the best."
    )
    try:
        gpu = "cuda" if torch.cuda.is_available() else "mps"
        device = torch.device(gpu if name == "gpu" else name)
        torch.zeros(1, device=device)
    except (RuntimeError, AssertionError) as error:
        raise OptionError(msg) from error
    if device.type == "meta":
        raise OptionError(msg)
    return device


def gather(
    runs: Sequence[str],
    segmenter: dict[str, Any] | None,
    names: Sequence[str] | None,
    device: torch.device,
) -> list[Group]:
    """Load the runs and attach the named detectors, grouped by equal segmenters.

    Args:
        runs: folders that `train`, `fit` or `Model.save` wrote.
        segmenter: `{name: ..., option: ...}`, or None.
        names: detectors that need no preparation, put on every segmenter given; None takes those
            that suit it.
        device: where to.

    Raises:
        OptionError: nothing was named, or a detector that must be trained or fitted first.
    """
    if not runs and segmenter is None:
        msg = "name a run folder, or a network: --segmenter.name espnetv2 --segmenter.weights FILE"
        raise OptionError(msg)
    groups: dict[str, Group] = {}
    for run in runs:
        _place(groups, load(run, device), run)
    if segmenter is not None:
        network = SEGMENTERS.from_spec(segmenter).to(device).eval()
        groups.setdefault(network_key(network), Group(network, label=segmenter["name"]))
    for group in groups.values():
        for name in suited(group.segmenter) if names is None else names:
            if name not in group.heads and name not in group.first:
                group.heads[name] = _posthoc(name, group.segmenter)
    if len(groups) > 1:
        _tell_apart(list(groups.values()))
    return list(groups.values())


def suited(segmenter: Segmenter) -> list[str]:
    """Return the detectors without preparation or choices that can read what a network answers."""
    return [name for name in UNTRAINED if set(DETECTORS.get(name).accepts) & set(segmenter.answers)]


def _place(groups: dict[str, Group], model: Model, run: str) -> None:
    key, label = network_key(model.segmenter), label_of(run)
    group = groups.setdefault(key, Group(model.segmenter, label=label))
    name = kind = DETECTORS.name_of(model.detector)
    if kind in group.first:
        _rename(group, {kind: f"{kind} ({group.first[kind]})"})
        name = unused(f"{kind} ({label})", group.heads)
    group.first.setdefault(kind, label)
    group.heads[name] = model.head
    group.calibrations[name] = model.calibration
    group.runs[name] = label


def _rename(group: Group, names: dict[str, str]) -> None:
    """Give detectors of a group other names in the table, where they are; the order stays."""
    group.heads = {names.get(key, key): one for key, one in group.heads.items()}
    group.calibrations = {names.get(key, key): one for key, one in group.calibrations.items()}
    group.runs = {names.get(key, key): one for key, one in group.runs.items()}


def label_of(run: str) -> str:
    """Return the name of a model in tables: its run folder's."""
    path = Path(run).resolve()
    return path.parent.name if path.name == "model" else path.name


def _tell_apart(groups: list[Group]) -> None:
    """Put its run, or else the group's label, behind each name; equal labels get numbers."""
    labels: list[str] = []
    taken: list[str] = []
    for group in groups:
        own, group.label = group.label, unused(group.label, labels)
        labels.append(group.label)
        names = {}
        for name in group.heads:
            names[name] = unused(_with_place(group, name, own), taken)
            taken.append(names[name])
        _rename(group, names)


def _with_place(group: Group, name: str, own: str) -> str:
    """Return a detector's name with its run behind it; `own` is the group's, without a number."""
    run = group.runs.get(name, own)
    place = group.label if run == own else run
    return name if name.endswith(f"({place})") else f"{name} ({place})"


def unused(name: str, used: Collection[str]) -> str:
    """Return a name that is not taken, numbered where it is."""
    numbered = (f"{name} {number}" for number in range(2, len(used) + 3))
    return next(one for one in (name, *numbered) if one not in used)


def _posthoc(name: str, segmenter: Segmenter) -> Head:
    kind = DETECTORS.get(name).kind
    if kind != "posthoc":
        verb = "fit" if kind == "fit" else "train"
        msg = (
            f"--detectors: `{name}` must be prepared first: `roadanomaly {verb}` writes a run "
            "folder that `evaluate` takes."
        )
        raise OptionError(msg)
    return Model(segmenter, DETECTORS.build(name)).to(segmenter.device).head
