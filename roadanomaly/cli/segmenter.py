"""`roadanomaly segmenter check`: load networks, say what they offer and cost, draw one image."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from roadanomaly.cli.models import pick_device
from roadanomaly.cli.parsing import DEVICES, frame_size, new_parser, parse
from roadanomaly.data import DATASETS
from roadanomaly.data.images import read_image, to_array, write_image
from roadanomaly.errors import (
    ClassesError,
    DataError,
    MissingExtra,
    OptionError,
    UnknownName,
    UserError,
)
from roadanomaly.ledger import Ledger
from roadanomaly.report.class_colours import class_sheet
from roadanomaly.segmenters import SEGMENTERS, Segmenter
from roadanomaly.segmenters.measure import Cost, measure
from roadanomaly.types import Segmentation

EXAMPLES = """
roadanomaly segmenter check espnetv2 smp torchvision
roadanomaly segmenter check espnetv2 --segmenter.scale 2.0 \\
    --segmenter.weights espnetv2_s_2.0_city_1024x512.pth --image street.jpg
roadanomaly segmenter check mmseg --segmenter.config my_config.py \\
    --segmenter.weights iter_80000.pth --size 512x1024
roadanomaly segmenter check transformers --segmenter.model nvidia/segformer-b0-finetuned-cityscapes
roadanomaly segmenter check onnx --segmenter.file network.onnx --segmenter.classes "[road, sky]"
"""
FAULTS = (
    (MissingExtra, "extra"),
    (ClassesError, "classes"),
    (DataError, "weights"),
    (UnknownName, "name"),
    (OptionError, "option"),
)
"""Kinds of errors to the part that is at fault, the first that fits."""


def run(arguments: Sequence[str]) -> None:
    """Check each network; one that fails does not keep the others from being checked."""
    parser = new_parser("segmenter", __doc__ or "", EXAMPLES)
    parser.usage = "roadanomaly segmenter check NAME [NAME ...] [--segmenter.OPTION VALUE ...]"
    parser.add_argument("action", help="check")
    parser.add_argument("names", nargs="+", help=", ".join(SEGMENTERS))
    parser.add_argument("--segmenter", type=dict[str, Any], default={}, help="options of the one")
    parser.add_argument("--size", type=str, default="512x1024", help="HxW, pixels")
    parser.add_argument("--image", type=str, default=None, help="default: an embedded street")
    parser.add_argument("--out", type=str, default="runs/segmenters", help="folder of the pictures")
    parser.add_argument("--device", type=str, default="auto", help=DEVICES)
    given = parse(parser, arguments)
    if given.action != "check":
        msg = f"`segmenter {given.action}` is unknown; there is `segmenter check NAME`."
        raise OptionError(msg)
    if given.segmenter and len(given.names) > 1:
        msg = f"--segmenter gives options of one network, and {len(given.names)} are named."
        raise OptionError(msg)
    Ledger(Path(given.out)).claim([f"{name}.png" for name in given.names if name in SEGMENTERS])
    device = pick_device(given.device)
    image = _image(given.image, frame_size(given.size))
    failed = [
        name
        for name in given.names
        if not _check(name, given.segmenter, image.to(device), Path(given.out))
    ]
    if failed:
        msg = f"{len(failed)} of {len(given.names)} networks cannot be used: {', '.join(failed)}."
        raise DataError(msg)


def _image(path: str | None, size: tuple[int, int]) -> Tensor:
    """Return `(1, 3, H, W)` float in 0..1 at the given size."""
    stored = read_image(path) if path else DATASETS.build("streets", {"split": "val"})[0].image
    image = stored[None].float() / 255
    return functional.interpolate(image, size=size, mode="bilinear", antialias=True).clamp(0, 1)


def _check(name: str, options: dict[str, Any], image: Tensor, out: Path) -> bool:
    """Print what a network is, or what is at fault; return whether it can be used."""
    size = tuple(image.shape[-2:])
    try:
        segmenter = SEGMENTERS.build(name, options).to(image.device).eval()
        segmentation, cost = measure(segmenter, image)
        classes = segmentation.classes()[0].cpu().numpy()
    except UserError as error:
        sys.stdout.write(f"{name}: at fault: {fault_of(error)}\n  {error}\n\n")
        return False
    except (RuntimeError, ValueError) as error:
        reason = str(error).splitlines()[0]
        sys.stdout.write(
            f"{name}: at fault: size\n  it cannot segment {size[0]}×{size[1]} pixels ({reason}); "
            "try another with --size.\n\n"
        )
        return False
    picture = out / f"{name}.png"
    shown = to_array((image[0].cpu() * 255).round().to(torch.uint8))
    write_image(picture, class_sheet(shown, classes, segmenter.classes))
    lines = describe(segmenter, segmentation, cost)
    sys.stdout.write("\n".join([f"{name}: {type(segmenter).__name__}", *lines]))
    sys.stdout.write(f"\n  picture     {picture}\n\n")
    return True


def fault_of(error: UserError) -> str:
    """Name the part that an error is about: extra, classes, weights, name or option."""
    return next((part for kind, part in FAULTS if isinstance(error, kind)), "option")


def describe(segmenter: Segmenter, segmentation: Segmentation, cost: Cost) -> list[str]:
    """Return the lines that say what a network is and costs."""
    height, width = segmentation.size
    names = ", ".join(segmenter.classes)
    rule = f"any size, padded to multiples of {segmenter.divisor}"
    if segmenter.input_size:
        rule = "{}×{} alone; other images are resized to it".format(*segmenter.input_size)
    gflops = f"{cost.gflops:.1f} GFLOPs, " if cost.gflops else ""
    strides = segmentation.padded[0] / segmentation.logits.shape[-2]
    lines = [
        f"  answers     {' and '.join(segmenter.answers)} at stride {strides:g}"
        + ("" if segmenter.trainable else "; cannot be trained"),
        f"  classes     {len(segmenter.classes)}: {names}",
        f"  input       {rule}; mean {_three(segmenter.mean)}, std {_three(segmenter.std)}",
        f"  parameters  {cost.parameters / 1e6:.2f} M",
        f"  {height}×{width}".ljust(14) + f"{gflops}{cost.milliseconds:.0f} ms, "
        f"{cost.megabytes:.0f} MB process peak, on {segmentation.logits.device}",
        f"  {'feature':<12}{'channels':>8}{'stride':>8}",
    ]
    for name, info in segmenter.features.items():
        marks = {"default": segmenter.default_feature, "classified": segmenter.classified}
        mark = "".join(f"  {word}" for word, one in marks.items() if one == name)
        lines.append(f"  {name:<12}{info.channels:>8}{info.stride:>8}{mark}")
    if not segmenter.features:
        lines[-1] = "  features    none: for detectors that read its answers alone"
    if segmenter.on_request:
        lines.append(f"  on request  {', '.join(segmenter.on_request)}")
    return lines


def _three(values: Tensor) -> str:
    return "/".join(f"{value:.3g}" for value in values.flatten().tolist())
