"""A segmenter with a detector on it: images in, scores and masks out; saved and loaded whole."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor, nn

from roadanomaly.calibration import Calibration
from roadanomaly.data.images import read_image
from roadanomaly.detectors import DETECTORS, Detector
from roadanomaly.errors import DataError, NotCalibrated
from roadanomaly.folders import standing, write_folder
from roadanomaly.objects import find_components
from roadanomaly.saved_model import check_model, read_description, require_finite
from roadanomaly.segmenters import SEGMENTERS, Segmenter
from roadanomaly.types import Component, Segmentation

FORMAT = 1
FILES = ("README.md", "model.json", "weights.safetensors")
"""What a saved model's folder holds."""
ImageLike = str | Path | Image.Image | np.ndarray | Tensor


@dataclass(frozen=True)
class Result:
    """What a model says of one image.

    Args:
        score: `(H, W)` float32, higher = more anomalous, unbounded.
        classes: `(H, W)` uint8, most likely known class of each pixel.
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


class Model:
    """A segmenter and a detector that fit together.

    Args:
        segmenter: any `Segmenter`.
        detector: any `Detector` that accepts what the segmenter answers; it is attached to the
            segmenter here.
        calibration: thresholds, once they are known.
        min_area: of a reported component, in pixels of the image.

    Raises:
        KindError: the detector cannot read what the segmenter answers.
    """

    def __init__(
        self,
        segmenter: Segmenter,
        detector: Detector,
        calibration: Calibration | None = None,
        min_area: int = 100,
    ) -> None:
        self.segmenter = segmenter
        self.detector = detector
        self.calibration = calibration
        self.min_area = min_area
        detector.check_kind(segmenter)
        detector.attach(segmenter)
        self.eval()

    @property
    def networks(self) -> nn.ModuleDict:
        """Both parts as one module, for saving and moving."""
        return nn.ModuleDict({"segmenter": self.segmenter, "detector": self.detector})

    @property
    def device(self) -> torch.device:
        """Where the networks are."""
        return self.segmenter.device

    def to(self, device: torch.device | str) -> Model:
        """Move both parts."""
        self.networks.to(device)
        return self

    def eval(self) -> Model:
        """Put both parts into inference mode."""
        self.networks.eval()
        return self

    @torch.inference_mode()
    def score(self, image: Tensor) -> tuple[Tensor, Segmentation]:
        """Score a batch.

        Args:
            image: `(B, 3, H, W)` float in 0..1 on the model's device.

        Returns:
            scores `(B, H, W)` float32, and the segmentation they come from.
        """
        segmentation = self.segmenter(image, self.detector.needs)
        return self.detector.score(segmentation, image), segmentation

    def __call__(self, image: ImageLike) -> Result:
        """Score one image at its own size.

        Args:
            image: path, PIL image, `(H, W, 3)` uint8 RGB array, or tensor `(3, H, W)`, uint8 or
                float in 0..1.

        Raises:
            DataError: not an image, or an array of another shape or type.
        """
        batch = as_tensor(image)[None].to(self.device)
        score, segmentation = self.score(batch)
        with torch.inference_mode():
            classes = segmentation.classes()[0].to(torch.uint8)
        return Result(
            score[0].cpu().numpy(), classes.cpu().numpy(), self.calibration, self.min_area
        )

    def save(self, folder: str | Path, record: dict[str, Any] | None = None) -> Path:
        """Write the model into a folder: `model.json`, `weights.safetensors`, `README.md`.

        The folder appears whole or not at all; a model that is there is replaced.

        Args:
            folder: where to.
            record: what to remember of its making.

        Raises:
            UserError: the folder cannot be written, or holds files of other kinds.
        """
        description = {
            "format": FORMAT,
            "segmenter": {"name": SEGMENTERS.name_of(self.segmenter), **self.segmenter.options()},
            "segmenter_learned_from": self.segmenter.learned_from,
            "detector": {"name": DETECTORS.name_of(self.detector), **self.detector.options()},
            "detector_trained_on": self.detector.trained_on,
            "calibration": self.calibration.as_dict() if self.calibration else None,
            "min_area": self.min_area,
            "record": record or {},
        }
        weights = {key: value.contiguous() for key, value in self.networks.state_dict().items()}
        contents = (
            card(description).encode(),
            (json.dumps(description, indent=1) + "\n").encode(),
            save(weights),
        )
        write_folder(Path(folder), dict(zip(FILES, contents, strict=True)))
        return Path(folder).absolute()


def card(description: dict[str, Any]) -> str:
    """Write the page that lies beside saved weights."""
    calibration = description["calibration"]
    threshold = (
        f"At most {100 * calibration['rate']:.3g} % of inlier pixels of {calibration['data']} "
        "exceed the threshold."
        if calibration
        else "Not calibrated."
    )
    body = json.dumps({key: description[key] for key in ("segmenter", "detector")}, indent=1)
    record = json.dumps(description["record"], indent=1)
    return (
        "# Road-anomaly model\n\n"
        'Load with `roadanomaly.load("this folder")`.\n\n'
        f"```json\n{body}\n```\n\n{threshold}\n\n## Record\n\n```json\n{record}\n```\n"
    )


def load(folder: str | Path, device: torch.device | str = "cpu") -> Model:
    """Load a model that `Model.save` wrote; a run folder works too.

    Raises:
        DataError: no model there, or a broken one.
    """
    path = standing(Path(folder))
    below = standing(path / "model")
    if not (path / "model.json").exists() and (below / "model.json").exists():
        path = below
    try:
        description = read_description(path / "model.json")
        weights = load_file(path / "weights.safetensors", device="cpu")
    except (FileNotFoundError, NotADirectoryError) as error:
        msg = (
            f"no model at {path}: {Path(error.filename or path).name} is missing. Give the folder "
            "that `roadanomaly train` or `Model.save` wrote."
        )
        raise DataError(msg) from error
    except (ValueError, SafetensorError, OSError) as error:
        msg = f"the model at {path} is broken: {error}. Save it again, or use an older one."
        raise DataError(msg) from error
    check_model(description, path)
    require_finite(weights, path)
    try:
        model = rebuild(description)
        model.networks.load_state_dict(weights)
    except (RuntimeError, KeyError, TypeError, ValueError) as error:
        reason = str(error).splitlines()[0]
        msg = (
            f"the model at {path} was written by another version of roadanomaly ({reason}). "
            "Train it again, or load it with that version."
        )
        raise DataError(msg) from error
    return model.to(device)


def rebuild(description: dict[str, Any]) -> Model:
    """Build the model that a `model.json` describes, with fresh weights."""
    if description["format"] != FORMAT:
        msg = f"its format is {description['format']!r}, and this version reads {FORMAT}"
        raise ValueError(msg)
    calibration = description["calibration"]
    model = Model(
        SEGMENTERS.from_spec(description["segmenter"]),
        DETECTORS.from_spec(description["detector"]),
        Calibration.from_dict(calibration) if calibration else None,
        description["min_area"],
    )
    model.segmenter.learned_from = description["segmenter_learned_from"]
    model.detector.trained_on = description.get("detector_trained_on")
    return model


def as_tensor(image: ImageLike) -> Tensor:
    """Turn what users hold in their hands into `(3, H, W)` float32 in 0..1.

    Raises:
        DataError: not an image, or an array of another shape or type.
    """
    if isinstance(image, (str, Path)):
        return read_image(Path(image)).float() / 255
    if isinstance(image, Image.Image):
        image = np.asarray(image.convert("RGB"))
    if isinstance(image, np.ndarray):
        if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8:
            msg = f"an image array must be (H, W, 3) uint8 RGB, not {image.shape} {image.dtype}."
            raise DataError(msg)
        image = torch.from_numpy(np.array(image)).permute(2, 0, 1)
    if image.dim() != 3 or image.shape[0] != 3:
        msg = f"an image tensor must be (3, H, W), not {tuple(image.shape)}."
        raise DataError(msg)
    if image.dtype != torch.uint8 and not image.is_floating_point():
        msg = f"an image tensor must be uint8, or float in 0..1, not {image.dtype}."
        raise DataError(msg)
    return image.float() / 255 if image.dtype == torch.uint8 else image.float()
