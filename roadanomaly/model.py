"""A segmenter with a detector on it: images in, scores and masks out; saved and loaded whole."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePath
from typing import Any

import numpy as np
import torch
from safetensors.torch import save
from torch import Tensor, nn

from roadanomaly.calibration import Calibration
from roadanomaly.detectors import Detector
from roadanomaly.detectors.head import Head
from roadanomaly.errors import DataError, NotCalibrated
from roadanomaly.exchange.features import feature_collection
from roadanomaly.exchange.to_supervision import detections
from roadanomaly.folders import write_folder
from roadanomaly.formats import FORMAT, upgrade_model
from roadanomaly.hub import push
from roadanomaly.hub_card import hub_card
from roadanomaly.image_input import ImageLike, as_tensor, extremes, require_range
from roadanomaly.models import DEFAULT, folder_of
from roadanomaly.objects import find_components
from roadanomaly.precision import Precision, autocast
from roadanomaly.refiners import Refiner
from roadanomaly.saved_model import read_saved
from roadanomaly.segmenters import SEGMENTERS, Segmenter
from roadanomaly.types import Component, Segmentation

FILES = ("README.md", "model.json", "weights.safetensors")
"""What a saved model's folder holds."""


@dataclass(frozen=True)
class Result:
    """What a model says of one image.

    Args:
        score: `(H, W)` float32, higher = more anomalous, unbounded.
        classes: `(H, W)` uint8, most likely known class of each pixel; 255 of a detector that reads
            the image alone.
        calibration: the model's, or None.
        min_area: components below so many pixels are dropped from `mask` and `components`.
    """

    score: np.ndarray
    classes: np.ndarray
    calibration: Calibration | None
    min_area: int

    @property
    def _calibrated(self) -> Calibration:
        if self.calibration is None:
            msg = (
                "this model has no threshold yet: calibrate it with `roadanomaly fit`, or train "
                "it with `roadanomaly train`, which calibrates on its validation set."
            )
            raise NotCalibrated(msg)
        return self.calibration

    @cached_property
    def _found(self) -> tuple[np.ndarray, list[Component]]:
        return find_components(self.score, self._calibrated.threshold, self.min_area)

    @property
    def mask(self) -> np.ndarray:
        """`(H, W)` bool, anomalous pixels at the calibrated threshold.

        Raises:
            NotCalibrated: the model has no threshold yet.
        """
        return self._found[0]

    @property
    def components(self) -> list[Component]:
        """The separate objects of `mask`, the highest mean score first.

        Raises:
            NotCalibrated: the model has no threshold yet.
        """
        return self._found[1]

    @property
    def p_value(self) -> np.ndarray:
        """`(H, W)` float32: share of inlier pixels that score at least as high.

        Raises:
            NotCalibrated: the model has no calibration yet.
        """
        return self._calibrated.p_value(self.score)

    def to_polygons(self) -> dict[str, Any]:
        """Return `components` as a GeoJSON `FeatureCollection` in pixels, rings with holes.

        Raises:
            NotCalibrated: the model has no threshold yet.
        """
        return feature_collection(*self._found)

    def to_supervision(self) -> Any:
        """Return `components` as a `supervision.Detections`, with their masks.

        Raises:
            NotCalibrated: the model has no threshold yet.
            MissingExtra: the library supervision is not installed.
        """
        return detections(*self._found)


class Model:
    """A segmenter and a detector that fit together.

    Args:
        segmenter: any `Segmenter`.
        detector: any `Detector` that accepts what the segmenter answers; it is attached to the
            segmenter here.
        calibration: thresholds, once they are known.
        min_area: of a reported component, in pixels of the image.
        refiners: of the detector's score, in order.

    Attributes:
        precision: what `score` computes in; not saved, since it belongs to the machine.
        record: of the making of the saved model that this one came from; empty for a new one.

    Raises:
        KindError: the detector cannot read what the segmenter answers.
    """

    precision: Precision = "f32"

    def __init__(
        self,
        segmenter: Segmenter,
        detector: Detector,
        calibration: Calibration | None = None,
        min_area: int = 100,
        refiners: Sequence[Refiner] = (),
    ) -> None:
        self.segmenter = segmenter
        self.head = Head(detector, tuple(refiners))
        self.calibration = calibration
        self.min_area = min_area
        self.record: dict[str, Any] = {}
        self.head.attach(segmenter)
        self.eval()

    @property
    def detector(self) -> Detector:
        """The detector, without its refiners."""
        return self.head.detector

    @property
    def networks(self) -> nn.ModuleDict:
        """All parts as one module, for saving and moving."""
        parts: dict[str, nn.Module] = {"segmenter": self.segmenter, "detector": self.detector}
        if self.head.refiners:
            parts["refiners"] = nn.ModuleList(self.head.refiners)
        return nn.ModuleDict(parts)

    @property
    def device(self) -> torch.device:
        """Where the networks are."""
        return self.segmenter.device

    def refine(self, refiners: Sequence[Refiner]) -> Model:
        """Put other refiners behind the detector, which stays as it is; they may need fitting.

        The calibration goes, since the scores are others.

        Raises:
            FeatureError: the segmenter does not offer a feature that one of them needs.
        """
        for refiner in refiners:
            refiner.attach(self.segmenter)
        self.head = Head(self.detector, tuple(refiners))
        self.calibration = None
        return self.to(self.device).eval()

    def to(self, device: torch.device | str) -> Model:
        """Move all parts; on a GPU they are laid out as its convolutions read fastest."""
        networks = self.networks.to(device)
        if self.device.type == "cuda":
            channels_last(networks)
        return self

    def eval(self) -> Model:
        """Put all parts into inference mode."""
        self.networks.eval()
        return self

    def score(self, image: Tensor, ids: Sequence[str] = ()) -> tuple[Tensor, Segmentation]:
        """Score a batch.

        Args:
            image: `(B, 3, H, W)` float in 0..1 on the model's device.
            ids: of the frames, which some refiners ask for.

        Returns:
            scores `(B, H, W)` float32, and the segmentation they come from.
        """
        with self.head.inference(), autocast(self.precision, self.device):
            segmentation = self.head.look(self.segmenter, image).named(ids)
            return self.head.score(segmentation, image), segmentation

    def __call__(self, image: ImageLike, frame_id: str = "") -> Result:
        """Score one image at its own size.

        Args:
            image: path or PIL image (read upright, as its EXIF orientation says), `(H, W, 3)` uint8
                RGB array, or tensor `(3, H, W)`, uint8 or float in 0..1.
            frame_id: as `score` takes it; of a path the file's name without its ending.

        Raises:
            DataError: not an image, an array of another shape or type, or floats beyond 0..1.
        """
        given = as_tensor(image)
        range_of = extremes(given)
        self.detector.reset()
        name = frame_id or (Path(image).stem if isinstance(image, (str, PurePath)) else "")
        score, segmentation = self.score(given[None].to(self.device), (name,) if name else ())
        with torch.inference_mode():
            classes = segmentation.classes()[0].to(torch.uint8)
        found = score[0].detach().cpu().numpy()
        require_range(range_of)
        return Result(found, classes.cpu().numpy(), self.calibration, self.min_area)

    def save(self, folder: str | Path, record: dict[str, Any] | None = None) -> Path:
        """Write the model into a folder: `model.json`, `weights.safetensors`, `README.md`.

        The folder appears whole or not at all; a model that is there is replaced.

        Args:
            folder: where to.
            record: what to remember of its making.

        Raises:
            UserError: the folder cannot be written, or holds files of other kinds.
        """
        return write_model(Path(folder), self.describe(record or {}), self.networks.state_dict())

    def push_to_hub(
        self,
        repository: str,
        *,
        record: Mapping[str, Any] | None = None,
        figures: Mapping[str, Mapping[str, float]] | None = None,
        licence: str = "other",
        private: bool = False,
    ) -> str:
        """Put the model into a repository of the Hugging Face hub, which is made if needed.

        `roadanomaly.load("hf:owner/name")` takes it from there.

        Args:
            repository: `owner/name`.
            record: what to tell of its making, as `save` takes it; nothing is told by itself.
            figures: measured: set to figure to number, as `{"RoadAnomaly": {"AP": 65.9}}`.
            licence: the hub's word for the weights' licence, as `apache-2.0`; `other` leaves it to
                the terms of the data that it was trained on.
            private: of a repository that is made.

        Returns:
            the repository's address.

        Raises:
            MissingExtra: the extra `hub` is not installed.
            OptionError: not such a name.
            DataError: no connection, or not allowed.
        """
        named = {"name": repository.rpartition("/")[2], "figures": dict(figures or {})}
        description = {**self.describe(dict(record or {})), **named}
        page = hub_card(description, licence)
        with tempfile.TemporaryDirectory() as folder:
            place = write_model(
                Path(folder) / "model", description, self.networks.state_dict(), page
            )
            return push(place, repository, private)

    def describe(self, record: dict[str, Any]) -> dict[str, Any]:
        """Return what `model.json` holds, with what to remember of the model's making."""
        return {
            "format": FORMAT,
            "segmenter": {"name": SEGMENTERS.name_of(self.segmenter), **self.segmenter.options()},
            "segmenter_learned_from": self.segmenter.learned_from,
            **self.head.describe(),
            "detector_trained_on": self.detector.trained_on,
            "calibration": self.calibration.as_dict() if self.calibration else None,
            "min_area": self.min_area,
            "record": record,
        }


def write_model(
    folder: Path, description: dict[str, Any], weights: Mapping[str, Tensor], page: str = ""
) -> Path:
    """Write the files of a model, whole or not at all.

    Args:
        folder: where to.
        description: for `model.json`.
        weights: by name.
        page: Markdown for `README.md`; without it what the description says.

    Raises:
        UserError: the folder cannot be written, or holds files of other kinds.
    """
    contents = (
        (page or card(description)).encode(),
        (json.dumps(description, indent=1) + "\n").encode(),
        save({key: value.contiguous() for key, value in weights.items()}),
    )
    write_folder(folder, dict(zip(FILES, contents, strict=True)))
    return folder.absolute()


def channels_last(network: nn.Module) -> None:
    """Lay out weights so that the channels of a pixel lie together; values stay as they are."""
    for one in (*network.parameters(), *network.buffers()):
        if one.dim() == 4:
            one.data = one.data.contiguous(memory_format=torch.channels_last)


def card(description: dict[str, Any]) -> str:
    """Write the page that lies beside saved weights."""
    calibration = description["calibration"]
    threshold = (
        f"At most {100 * calibration['rate']:.3g} % of inlier pixels of {calibration['data']} "
        "exceed the threshold."
        if calibration
        else "Not calibrated."
    )
    body = json.dumps(
        {key: description[key] for key in ("segmenter", "detector", "refiners")}, indent=1
    )
    record = json.dumps(description["record"], indent=1)
    return (
        "# Road-anomaly model\n\n"
        'Load with `roadanomaly.load("this folder")`.\n\n'
        f"```json\n{body}\n```\n\n{threshold}\n\n## Record\n\n```json\n{record}\n```\n"
    )


def load(model: str | Path = DEFAULT, device: torch.device | str = "cpu") -> Model:
    """Load a saved model, or one that comes with the package.

    Args:
        model: folder that `Model.save` wrote or of a run, which wins over a name: `default`,
            `fast`, ... (`roadanomaly list models`); or `hf:owner/name` of the Hugging Face hub,
            with `@revision` where not the newest.
        device: where to.

    Raises:
        DataError: no model there, or a broken one, or the hub cannot be reached.
        MissingExtra: a model of the hub, and the extra `hub` is not installed.
    """
    path, description, weights = read_saved(folder_of(model))
    try:
        description, weights = upgrade_model(description, weights)
        loaded = rebuild(description)
        loaded.networks.load_state_dict(weights)
    except (RuntimeError, KeyError, TypeError, ValueError) as error:
        reason = str(error).splitlines()[0]
        msg = (
            f"the model at {path} was written by another version of roadanomaly ({reason}). "
            "Train it again, or load it with that version."
        )
        raise DataError(msg) from error
    return loaded.to(device)


def rebuild(description: dict[str, Any]) -> Model:
    """Build the model that a `model.json` describes, with fresh weights."""
    calibration = description["calibration"]
    head = Head.from_description(description)
    model = Model(
        SEGMENTERS.from_spec(description["segmenter"]),
        head.detector,
        Calibration.from_dict(calibration) if calibration else None,
        description["min_area"],
        head.refiners,
    )
    model.segmenter.learned_from = description["segmenter_learned_from"]
    model.detector.trained_on = description.get("detector_trained_on")
    model.record = description.get("record") or {}
    return model
