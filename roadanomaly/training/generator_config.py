"""Everything that decides the training of a generator, flat and typed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from roadanomaly.errors import OptionError
from roadanomaly.training.run_config import Part, RunConfig

BETAS = (0.0, 0.9)


@dataclass(frozen=True, kw_only=True)
class GeneratorConfig(RunConfig):
    """Adversarial training on labelled frames. `lr`, `clip`, `schedule`: of the generator's Adam.

    Args:
        generator: name out of the catalogue of generators, and its options.
        encoder: name out of the catalogue of encoders, and its options: whose features compare
            resynthesis and image; none leaves the perceptual term out.
        reader: a segmenter, name and options of it, that must read the labels out of the
            resynthesis during the training; another network than the judge. None leaves it out.
        judge: segmenter whose labels of the resynthesis are compared with the labels that went
            in, and name and options of it; none selects by the L1 distance.
        discriminator_width: channels of the discriminators' first layer.
        discriminator_layers: of stride 2, in each.
        discriminator_scales: image sizes that are looked at.
        discriminator_lr: learning rate of their Adam; the schedule is the generator's.
        spectral: spectral normalisation of the discriminators.
        betas: of both Adams.
        adversarial: `hinge` or `lsgan`.
        adversarial_weight: of the generator's adversarial term.
        feature_matching: weight of the distance of the discriminators' inner maps. With both of
            these at 0 there are no discriminators.
        perceptual: weight of the distance of the encoder's maps.
        labels: weight of the cross-entropy of the reader's labels.
        pixel: weight of the L1 distance of the images themselves.
        r1: weight of the gradient penalty of the discriminators at real images; 0 for none.
        r1_interval: passes between two penalties, which are weighted by it.
        encoder_size: height and width that both images are brought to before the encoder and
            the reader; their own if not given.
        judge_size: height and width that the resynthesis is brought to before the judge; its own
            if not given.
        val_frames: validation frames, evenly spaced over `val_data`; 0 takes all.
        val_size: height and width of their resynthesis; that of a crop if not given.
    """

    task: ClassVar[str] = "generator"

    generator: Part
    encoder: Part | None = None
    reader: Part | None = None
    judge: Part | None = None
    crop: tuple[int, int] = (256, 512)
    scale: tuple[float, float] = (0.5, 0.6)
    jitter: float = 0.0
    degrade: float = 0.0
    steps: int = 60000
    lr: float = 1e-4
    average: float = 0.999
    discriminator_width: int = 64
    discriminator_layers: int = 3
    discriminator_scales: int = 2
    discriminator_lr: float = 4e-4
    spectral: bool = True
    betas: tuple[float, float] = BETAS
    adversarial: Literal["hinge", "lsgan"] = "hinge"
    adversarial_weight: float = 1.0
    feature_matching: float = 10.0
    perceptual: float = 10.0
    labels: float = 1.0
    pixel: float = 0.0
    r1: float = 0.0
    r1_interval: int = 16
    encoder_size: tuple[int, int] | None = None
    judge_size: tuple[int, int] | None = None
    val_frames: int = 0
    val_size: tuple[int, int] | None = None

    def __post_init__(self) -> None:
        """Refuse values that cannot work, before any data is read.

        Raises:
            OptionError: names the key, the value and what is allowed.
        """
        super().__post_init__()
        weights = ("adversarial_weight", "feature_matching", "perceptual", "labels", "pixel", "r1")
        for key in (*weights, "discriminator_lr", "val_frames"):
            self._require(key, getattr(self, key) >= 0, "not negative")
        for key in ("discriminator_width", "discriminator_layers", "discriminator_scales"):
            self._require(key, getattr(self, key) >= 1, "at least 1")
        self._require("r1_interval", self.r1_interval >= 1, "at least 1")
        self._require("betas", all(0 <= beta < 1 for beta in self.betas), "two numbers in 0..1")
        for key in ("encoder_size", "judge_size", "val_size"):
            size = getattr(self, key)
            self._require(key, size is None or min(size) >= 32, "two sides of at least 32 pixels")
        for part, weight in {"encoder": "perceptual", "reader": "labels"}.items():
            if getattr(self, part) is not None and getattr(self, weight) == 0:
                msg = f"config: `{part}` is of no use with `{weight}: 0`; leave one of them out."
                raise OptionError(msg)
        if not self.discriminated and self.encoder is None and not self.pixel:
            msg = (
                "config: without discriminators (`adversarial_weight: 0`, `feature_matching: 0`) "
                "something must say what the image looks like: give an `encoder` or `pixel`."
            )
            raise OptionError(msg)

    @property
    def discriminated(self) -> bool:
        """Whether discriminators take part."""
        return self.adversarial_weight > 0 or self.feature_matching > 0
