"""A toy world of three colours in which every detector can be prepared in a second.

Red, green and blue are the known classes; what is dark or grey is none of them. The toy network is
sure of the three pure colours and of nothing else, and its feature map is the image itself.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from roadanomaly.data.base import FrameSet
from roadanomaly.detectors import DETECTORS, Detector
from roadanomaly.detectors.losses import masked_mean
from roadanomaly.errors import DataError
from roadanomaly.fitting import run_passes, split_for
from roadanomaly.model import Model
from roadanomaly.segmenters.base import FeatureInfo, Segmenter
from roadanomaly.segmenters.closed_set import labels_at
from roadanomaly.types import IGNORE, NEGATIVE, VOID, Batch, Frame, Masks, is_known
from tests.contracts.built import ON_NORMS, build_detector

CLASSES = ("road", "sidewalk", "pavement")
"""Of red, green and blue; all are ground, so that detectors of the road judge every inlier."""

HEIGHT, WIDTH = 20, 28
PATCH = np.s_[:, 6:14, 10:20]
"""Where the strange object is."""


class ToySegmenter(Segmenter):
    """Logits that follow the colour, at stride 2; sides are padded to multiples of 4."""

    default_feature = "colour"
    classified = "colour"

    def __init__(self, classes=CLASSES):
        super().__init__(classes, mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0), divisor=4)
        self.features = {"colour": FeatureInfo(4, 2)}
        self.classifier = nn.Conv2d(4, len(classes), 1)
        with torch.no_grad():
            self.classifier.weight.zero_()
            for index in range(3):
                self.classifier.weight[index, index] = 12
            self.classifier.bias.fill_(-2)

    def maps(self, image, features):
        half = functional.avg_pool2d(image, 2)
        colour = torch.cat([half, half.mean(1, keepdim=True)], 1)
        return self.classifier(colour), dict.fromkeys(features, colour)

    def classify(self, feature):
        return self.classifier(feature)

    def options(self):
        return {"classes": self.classes}


class ToyNormed(ToySegmenter):
    """The same with a BatchNorm layer that leaves its map nearly as it is."""

    def __init__(self, classes=CLASSES):
        super().__init__(classes)
        self.norm = nn.BatchNorm2d(4)

    def maps(self, image, features):
        half = functional.avg_pool2d(image, 2)
        colour = self.norm(torch.cat([half, half.mean(1, keepdim=True)], 1))
        return self.classifier(colour), dict.fromkeys(features, colour)


class ToyMasks(Segmenter):
    """The same as a mask network: a query a colour, which knows its class and where it is."""

    answers = ("evidence", "masks")
    default_feature = "colour"

    def __init__(self, classes=CLASSES):
        super().__init__(classes, mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0), divisor=4)
        self.features = {"colour": FeatureInfo(4, 2)}
        self.queries = nn.Parameter(8 * torch.eye(3, len(classes) + 1))
        self.query_width = len(classes) + 1

    def maps(self, image, features):
        half = functional.avg_pool2d(image, 2)
        colour = torch.cat([half, half.mean(1, keepdim=True)], 1)
        classes = self.queries.expand(len(image), -1, -1)
        masks = Masks(classes, 12 * half - 6, queries=classes)
        return masks, dict.fromkeys(features, colour)

    def loss(self, segmentation, label):
        """Each query is matched with its colour's class, and its mask with where this lies."""
        masks = segmentation.masks
        cells = labels_at(label, segmentation)
        lies = torch.stack([cells == index for index in range(3)], 1).float()
        off = functional.binary_cross_entropy_with_logits(masks.masks, lies, reduction="none")
        named = torch.arange(3, device=label.device).expand(len(label), 3)
        return {
            "query_classes": functional.cross_entropy(masks.classes.transpose(1, 2), named),
            "masks": masked_mean(off.mean(1), is_known(cells)),
        }

    def options(self):
        return {"classes": self.classes}


def segmenter_for(name: str) -> Segmenter:
    """Return the toy network that a detector can read."""
    if name in ON_NORMS:
        return ToyNormed()
    return ToySegmenter() if "logits" in DETECTORS.get(name).accepts else ToyMasks()


def inliers(count: int, seed: int) -> Batch:
    """Vertical stripes of the three colours with a little noise; the last rows are void."""
    rng = np.random.default_rng(seed)
    stripes = rng.integers(0, 3, (count, 1, WIDTH // 4)).repeat(4, 2).repeat(HEIGHT, 1)
    image = np.eye(3, dtype=np.float32)[stripes].transpose(0, 3, 1, 2)
    image = np.clip(image + rng.normal(0, 0.05, image.shape), 0, 1).astype(np.float32)
    label = stripes.astype(np.uint8)
    label[:, -4:] = IGNORE
    ids = tuple(f"{seed}_{i}" for i in range(count))
    return Batch(torch.from_numpy(image), torch.from_numpy(label), ids)


def planted(batch: Batch, shade: float) -> Batch:
    """Put a grey patch of a shade in 0..1 into every image."""
    image, label = batch.image.clone(), batch.label.clone()
    image.movedim(1, -1)[PATCH] = shade
    label[PATCH] = NEGATIVE
    return Batch(image, label, batch.ids, batch.image)


class Frames(FrameSet):
    """The images of batches, one by one."""

    source, licence, classes = "the toy world", "none", CLASSES

    def __init__(self, *batches: Batch):
        self.frames = [
            Frame(name, (255 * image).round().to(torch.uint8), label)
            for batch in batches
            for name, image, label in zip(batch.ids, batch.image, batch.label, strict=True)
        ]
        self.ids = [frame.id for frame in self.frames]

    def __len__(self):
        return len(self.frames)

    def __getitem__(self, index):
        return self.frames[index]

    def record(self):
        return {"name": "toy"}


class Interrupted(Frames):
    """The last frame cannot be read."""

    def __getitem__(self, index):
        if index == len(self) - 1:
            raise DataError("the last frame is broken.")
        return super().__getitem__(index)


def walk(model: Model, frames: FrameSet, *, held_out: bool) -> None:
    """Do the held-in or the held-out passes of a detector, a quarter of the frames held out."""
    passes = [one for one in model.detector.fit_passes if one.held_out == held_out]
    run_passes(model, passes, split_for(model.detector, frames, 0.25), 4)


STEPS = {
    "autoencoder": 40,
    "csflow": 12,
    "dacup": 30,
    "ddpm": 40,
    "differnet": 12,
    "draem": 30,
    "fanogan": 320,
    "fastflow": 6,
    "image_resynthesis": 30,
    "jsrnet": 40,
    "mae": 100,
    "pixelcnn": 30,
    "riad": 30,
    "synboost": 30,
}
"""Of training, for those whose steps are slow, for flows of windows, which the toy world's few
windows overfit soon, for a transformer at its low rate, and for a generator that learns against a
critic; others take 60."""
RATES = {"mae": 5e-3}
"""Learning rates of those that 0.02 is too high for."""


def prepared(name: str, segmenter: Segmenter | None = None, steps: int | None = None) -> Detector:
    """Build a detector on a toy segmenter and do what its kind asks for.

    Args:
        name: in the catalogue.
        segmenter: a toy one; None takes the one that it reads.
        steps: of training; None takes as many as it needs to find a patch.
    """
    segmenter = segmenter or segmenter_for(name)
    model = Model(segmenter, build_detector(name, len(segmenter.classes)))
    own = STEPS.get(name, 60) if steps is None else steps
    prepare(model, own, rate=RATES.get(name, 0.02))
    return model.detector.eval()


def prepare(model: Model, steps: int = 60, shade: float | None = None, rate: float = 0.02) -> None:
    """Do what a detector's kind asks for.

    Args:
        model: on the toy segmenter.
        steps: of training.
        shade: of patches in the frames of its passes; None for none.
        rate: of learning.
    """
    batches = [inliers(4, seed) for seed in range(3)]
    if shade is not None:
        batches = [planted(batch, shade) for batch in batches]
    walk(model, Frames(*batches), held_out=False)
    if model.detector.kind in ("train", "finetune"):
        _train(model.segmenter, model.detector, steps, rate)
    walk(model, Frames(*batches), held_out=True)


def _train(segmenter: Segmenter, detector: Detector, steps: int, rate: float) -> None:
    detector.train()
    detector.expect(steps)
    paces = detector.learners().values()
    own = {id(parameter) for pace in paces for parameter in pace.parameters}
    moved = [one for one in detector.parameters() if id(one) not in own]
    if detector.kind == "finetune":
        moved += segmenter.parameters()
    groups = [{"params": one.parameters, "lr": one.lr, "betas": one.betas} for one in paces]
    optimiser = torch.optim.Adam([{"params": moved}, *groups], lr=rate)
    for step in range(steps):
        batch = planted(inliers(4, 100 + step), shade=0.1 + 0.3 * (step % 2))
        if detector.supervision == "void":
            batch.label[batch.negative] = VOID
        segmentation = detector.look(segmenter, batch.image)
        optimiser.zero_grad()
        losses = detector.loss(segmentation, batch)
        if detector.kind == "finetune":
            losses |= segmenter.loss(*detector.taught(segmentation, batch))
        sum(losses.values()).backward()
        optimiser.step()
