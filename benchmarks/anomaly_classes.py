r"""What a segmenter calls anomalies, beside what it calls known pixels, class by class.

    python benchmarks/anomaly_classes.py runs/max_logit \
        --data '{name: camvid, split: val}' --size 720 960 --frames 12 \
        --negatives '{name: paste, root: coco128seg, part: held_out, min_area: 0.003,
                      look: {side: [24, 600]}}'

It shows what a detector that measures a score by its class (`sml`) can gain: where anomalies are
given to classes that reach low logits on known pixels, the class itself tells them. One line a
class: its share of anomalous and of known pixels, how many of the known ones are right, and the
mean largest logit of known pixels.
"""

from __future__ import annotations

import argparse

import torch
from given_frames import add_frames, frames_of
from torch import Tensor

from roadanomaly.data.base import FrameSet
from roadanomaly.data.stack import stack
from roadanomaly.model import Model, load
from roadanomaly.types import NEGATIVE, is_known


@torch.inference_mode()
def count(model: Model, frames: FrameSet) -> dict[str, Tensor]:
    """Return sums over all frames' pixels, by predicted class.

    Returns:
        `anomaly`, `known` and `right`, pixels of each class, and `logits`, the sum of the largest
        logit over known pixels; `(K,)` float64 each.
    """
    classes = len(model.segmenter.classes)
    names = ("anomaly", "known", "right", "logits")
    sums = {name: torch.zeros(classes, dtype=torch.float64) for name in names}
    for frame in frames:
        batch = stack([frame]).to(model.device)
        _, segmentation = model.score(batch.image)
        largest, predicted = segmentation.image_logits().double().max(1)
        known = is_known(batch.label)
        for name, chosen, weight in (
            ("anomaly", batch.label == NEGATIVE, torch.ones_like(largest)),
            ("known", known, torch.ones_like(largest)),
            ("right", known & (predicted == batch.label), torch.ones_like(largest)),
            ("logits", known, largest),
        ):
            sums[name].index_add_(0, predicted[chosen].cpu(), weight[chosen].cpu())
    return sums


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", help="a model whose segmenter answers with logits")
    add_frames(parser)
    given = parser.parse_args()
    frames = frames_of(given)
    model = load(given.run).eval()
    found = count(model, frames)
    anomaly, known = (found[name] / found[name].sum().clamp_min(1) for name in ("anomaly", "known"))
    right = found["right"] / found["known"].clamp_min(1)
    mean = found["logits"] / found["known"].clamp_min(1)
    print(f"{len(frames)} frames, {int(found['anomaly'].sum())} anomalous pixels")
    print(f"{'class':14}  anomalies   known   right  mean logit")
    for number, name in enumerate(model.segmenter.classes):
        shares = f"{anomaly[number]:9.1%}  {known[number]:6.1%}  {right[number]:6.1%}"
        print(f"{name:14}  {shares}  {mean[number]:10.1f}")


if __name__ == "__main__":
    main()
