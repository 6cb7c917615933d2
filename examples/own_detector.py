# %% [markdown]
# # A detector in 30 lines
#
# A detector turns what a segmenter says into a score of every pixel. This one asks how far the
# likeliest class is ahead of the second: where two classes are nearly as likely, something is odd.

# %%
from typing import Any

from torch import Tensor

import roadanomaly as ra
from roadanomaly.data.streets import Streets
from roadanomaly.evaluation.truth import truth_of
from roadanomaly.metrics import score_frames
from roadanomaly.report.pictures import rgb


class Margin(ra.Detector):
    """One minus the lead of the likeliest class over the second, 0..1."""

    paper = "an example"

    def options(self) -> dict[str, Any]:
        """Return the constructor options."""
        return {}

    def score(self, segmentation: ra.Segmentation, image: Tensor) -> Tensor:
        """Return the score, `(B, H, W)`, higher = more anomalous."""
        best = segmentation.image_logits().float().softmax(1).topk(2, dim=1).values
        return 1 - (best[:, 0] - best[:, 1])


# %% [markdown]
# It works on any segmenter; here on the one of the package's own model.

# %%
segmenter = ra.load().segmenter
frames = list(Streets(split="test", count=3, height=256, width=512))


def judge(detector: ra.Detector) -> dict[str, float]:
    """Score the frames as SegmentMeIfYouCan does."""
    model = ra.Model(segmenter, detector)
    scored = [(model(rgb(frame)).score, truth_of(frame)) for frame in frames]
    result = score_frames(scored, track="anomaly", mode="exact")
    return {name: round(100 * result[name], 1) for name in ("ap", "fpr95")}


for name, detector in (("margin", Margin()), ("max softmax", ra.detector("msp"))):
    print(name, judge(detector))

# %% [markdown]
# To use it in configs and commands, put the class into `roadanomaly/detectors/`, and a line into
# the catalogue beside it: `docs/architecture.md` shows how, and the contract tests then cover it.
