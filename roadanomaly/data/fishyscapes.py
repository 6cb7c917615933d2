"""Fishyscapes: the public validation parts of its LostAndFound and Static tracks."""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import ClassVar

import numpy as np
from torch import Tensor

from roadanomaly.data.benchmark import BenchmarkSet, Files, id_table, named, pair, pair_numbered
from roadanomaly.data.cards import Card, Split
from roadanomaly.data.handed_round import tops
from roadanomaly.data.images import image_size, read_image, to_array, to_tensor
from roadanomaly.data.roots import shorten
from roadanomaly.errors import DataError
from roadanomaly.files import expanded
from roadanomaly.scores.arrays import UNREADABLE, read_npz
from roadanomaly.types import IGNORE

_CODING = "0 inlier, 1 anomaly, 255 ignore; any other id counts as ignore"
_PAPER = "Blum et al., The Fishyscapes Benchmark, IJCV 2021"
_NUMBERED = re.compile(r"\d+_(\d{2}_.+)")

_TIMES: Mapping[str, Mapping[int, tuple[int, ...]]] = {
    "01_Hanns_Klemm_Str_45": {
        0: (80, 140, 200, 230, 260),
        1: (60, 120, 180, 210, 240),
        2: (70, 130, 190, 220),
        3: (30, 90, 150, 180, 210),
        4: (120, 180, 210),
        5: (80, 140, 200, 230),
        8: (60, 120, 180, 240),
        9: (90, 150, 210),
        10: (50, 110, 170, 200),
        11: (50, 110, 170, 200, 230, 260),
        12: (160, 220, 250, 280),
    },
    "04_Maurener_Weg_8": {
        0: (30, 90, 150, 180),
        1: (30, 90, 150, 180, 210),
        2: (60, 120, 150),
        3: (30, 90, 120),
        4: (20, 80, 140, 170, 200),
        5: (50, 110, 170, 200),
        6: (40, 100, 130),
        7: (20, 80, 140, 170),
        8: (40, 100, 130, 160, 190),
    },
    "13_Elly_Beinhorn_Str": {
        0: (50, 110, 170, 230, 260, 290),
        1: (80, 140, 200, 230),
        2: (30, 90, 120),
        3: (80, 140, 200, 260),
    },
}
VALIDATION = frozenset(
    f"{scene}_{sequence:06d}_{time:06d}"
    for scene, sequences in _TIMES.items()
    for sequence, times in sequences.items()
    for time in times
)
"""Ids of Fishyscapes LostAndFound's 100 validation frames, by scene, sequence and time."""

VERSIONS = ("fs_val_v3", "fs_val_v2", "fs_val_v1")
"""Folders of Fishyscapes Static's versions, the newest first."""


class _Validation(BenchmarkSet):
    """What the two tracks share: one public split and the coding."""

    anomaly_table = id_table({0: 0, 1: 1, IGNORE: IGNORE})

    @classmethod
    def members(cls, split: str, found: Mapping[str, Files]) -> dict[str, Files]:
        """Take every frame that has an image."""
        return {key: one for key, one in found.items() if one.image}


class FishyscapesLostAndFound(_Validation):
    """Fishyscapes LostAndFound validation: frames of LostAndFound, every pixel judged.

    A frame's id is LostAndFound's. Labels are `fishyscapes_lostandfound/<n>_<id>_labels.png` as
    Fishyscapes packs them, or `labels/val/<id>_fishy-labels.png`. The images are LostAndFound's,
    looked for in `leftImg8bit/`, `laf_images/` and `images/` of the set, and in
    `dataset_LostAndFound/leftImg8bit/` in it or beside it.

    Args:
        split: `val` (100 frames), the only public one.
        root: folder that holds `fishyscapes/` or is it: holds the label folder.
    """

    card: ClassVar[Card] = Card(
        name="fishyscapes-laf",
        source=f"Fishyscapes LostAndFound, 100 public validation frames of 2048×1024; {_PAPER}",
        licence="labels CC BY 4.0 (as a third party states); images under LostAndFound's terms",
        where="http://robotics.ethz.ch/~asl-datasets/Fishyscapes/fishyscapes_lostandfound.zip "
        "(md5 0d3bf7c0ec38bd50b84f3d8aaa4b2e26) and LostAndFound's leftImg8bit.zip",
        layout="fishyscapes_lostandfound/<n>_<id>_labels.png or labels/val/<id>_fishy-labels.png, "
        "with LostAndFound's leftImg8bit/ in it",
        coding=_CODING,
        tops=("fishyscapes", "Fishyscapes", "dataset_FishyLAF", *tops("fishyscapes-laf")),
        markers=("fishyscapes_lostandfound", "labels/val"),
        splits={"val": Split(100, True, "the labels that are public")},
        default="val",
        ids=frozenset({0, 1, IGNORE}),
        size=(2048, 1024),
        sums=(
            "100 val; 98 of them have valid LostAndFound labels too (Obstacle-val); the hidden "
            "test is on the benchmark's server",
        ),
        unverified=("the licence of the labels", "the number of hidden test frames"),
    )

    @classmethod
    def scan(cls, root: Path) -> dict[str, Files]:
        """Find the labels, and the images that they belong to."""
        if copied := pair_numbered(root, cls.card.name):
            return copied
        labels = named(root / "labels" / "val", "_fishy-labels")
        for stem, path in named(root / "fishyscapes_lostandfound", "_labels").items():
            numbered = _NUMBERED.fullmatch(stem)
            labels[numbered[1] if numbered else stem] = path
        images: dict[str, Path] = {}
        for place in (
            root / "laf_images",
            root / "images",
            root / "leftImg8bit",
            root / "dataset_LostAndFound" / "leftImg8bit",
            root.parent / "dataset_LostAndFound" / "leftImg8bit",
        ):
            images |= named(place, "_leftImg8bit")
        return pair({key: path for key, path in images.items() if key in labels}, labels)

    @classmethod
    def official(cls, split: str) -> frozenset[str] | None:
        """Return the ids of the validation frames."""
        return VALIDATION

    @classmethod
    def version(cls, root: Path) -> str:
        """Say who packed the labels."""
        official = (root / "fishyscapes_lostandfound").is_dir()
        return "Fishyscapes' archive" if official else "labels named by LostAndFound id"


class FishyscapesStatic(_Validation):
    """Fishyscapes Static validation: objects pasted into Cityscapes validation images.

    A frame's id is `<n>_<Cityscapes id>`. The overlays `fs_val_v3/<id>_rgb.npz` hold differences
    that are added to the Cityscapes image; `fs_static_images*/<id>_rgb.png`, where present, are
    the sums. Of several versions the highest is taken; their numbers differ.

    Args:
        split: `val` (30 frames), the only public one.
        root: folder that holds `fishyscapes/` or is it: holds `fs_val_v3/` (or `_v2`, `_v1`).
        cityscapes: folder of Cityscapes, which holds `leftImg8bit/`; None looks for `leftImg8bit/`
            and `cityscapes/leftImg8bit/` in the set's folder and beside it.
    """

    card: ClassVar[Card] = Card(
        name="fishyscapes-static",
        source=f"Fishyscapes Static, 30 public validation frames of 2048×1024; {_PAPER}",
        licence="research; unverified: the images are under Cityscapes' terms",
        where="http://robotics.ethz.ch/~asl-datasets/Fishyscapes/fs_val_v3.zip "
        "(md5 0dc11db9e57088c5bb18de4c55a53f3a) and Cityscapes' leftImg8bit (validation)",
        layout="fs_val_v3/<n>_<city id>_labels.png and fs_val_v3/<n>_<city id>_rgb.npz with "
        "Cityscapes' leftImg8bit/val/, or fs_static_images/<n>_<city id>_rgb.png",
        coding=_CODING,
        tops=("fishyscapes", "Fishyscapes", *tops("fishyscapes-static")),
        markers=VERSIONS,
        splits={"val": Split(30, True, "the labels that are public")},
        default="val",
        ids=frozenset({0, 1, IGNORE}),
        size=(2048, 1024),
        sums=("30 val; versions 1 to 3 hold the same frames, blended better each time",),
        unverified=("the count of 30", "the licence"),
    )

    cityscapes: str | Path | None = None

    def __init__(
        self,
        split: str | None = None,
        root: str | Path | None = None,
        cityscapes: str | Path | None = None,
    ) -> None:
        self.cityscapes = cityscapes
        super().__init__(split, root)

    @classmethod
    def scan(cls, root: Path) -> dict[str, Files]:
        """Find labels and, for each, the finished image or else the overlay."""
        if copied := pair_numbered(root, cls.card.name):
            return copied
        folder = root / cls.version(root)
        images = {path.name.removesuffix("_rgb.npz"): path for path in folder.glob("*_rgb.npz")}
        number = folder.name[-3:]
        for place in ("fs_static_images", f"fs_static_images{number}"):
            images |= named(root / place, "_rgb")
        return pair(images, named(folder, "_labels"))

    @classmethod
    def version(cls, root: Path) -> str:
        """Return the folder of the newest version that is there."""
        return next((name for name in VERSIONS if (root / name).is_dir()), "fs_val_v3")

    def picture(self, files: Files) -> Tensor:
        """Read the image, or add the overlay to its Cityscapes image."""
        if files.image is None or files.image.suffix != ".npz":
            return super().picture(files)
        base = to_array(read_image(self._city_image(files.image), upright=False))
        overlay = _overlay(files.image, base.shape)
        return to_tensor(np.clip(base + overlay, 0, 255).astype(np.uint8))

    def files_of(self, frame_id: str) -> list[Path]:
        """Return image and label; beside an overlay the Cityscapes image that it is added to."""
        found = super().files_of(frame_id)
        image = self.files[frame_id].image
        if image is not None and image.suffix == ".npz":
            with suppress(DataError):  # whoever reads the frame says that it is missing
                found.append(self._city_image(image))
        return found

    def size(self, frame_id: str) -> tuple[int, int]:
        """Return a frame's `(H, W)`; of an overlay, that of its Cityscapes image."""
        image = self.files[frame_id].image
        if image is None or image.suffix != ".npz":
            return super().size(frame_id)
        return image_size(self._city_image(image), upright=False)

    def _city_image(self, overlay: Path) -> Path:
        name = overlay.name.removesuffix("_rgb.npz").split("_", 1)[1]
        name = name.removesuffix("_leftImg8bit")
        below = Path("leftImg8bit", "val", name.split("_")[0], f"{name}_leftImg8bit.png")
        root = self.root
        places = [root, root / "cityscapes", root.parent, root.parent / "cityscapes"]
        if self.cityscapes is not None:
            places = [expanded(self.cityscapes)]
        for place in places:
            if (place / below).is_file():
                return place / below
        msg = (
            f"Fishyscapes Static is Cityscapes with overlays, but {below} is in none of "
            f"{shorten([str(place.absolute()) for place in places])}. Name the folder of "
            "Cityscapes by the option `cityscapes`."
        )
        raise DataError(msg)


def _overlay(path: Path, shape: tuple[int, ...]) -> np.ndarray:
    """Read what is added to a Cityscapes image of `shape`, `(H, W, 3)` int32.

    Raises:
        DataError: the file is damaged, or of another shape.
    """

    def check(found: tuple[int, ...]) -> None:
        if found != shape:
            msg = (
                f"the overlay {path} is {found}, but its Cityscapes image {shape}; use "
                "Cityscapes' leftImg8bit at full size."
            )
            raise DataError(msg)

    try:
        return read_npz(path, "rgb", check).astype(np.int32)
    except UNREADABLE as error:
        msg = f"the overlay {path} cannot be read ({error}); download it again."
        raise DataError(msg) from error
