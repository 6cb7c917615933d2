"""What learns in an adaptation, and which models can be adapted in which way."""

from __future__ import annotations

from torch import nn

from roadanomaly.catalogue import called
from roadanomaly.detectors import DETECTORS
from roadanomaly.detectors.head import Head
from roadanomaly.detectors.supervision import foremost
from roadanomaly.errors import NotCalibrated, OptionError
from roadanomaly.model import Model, load
from roadanomaly.negatives import NEGATIVES, NegativeSource
from roadanomaly.negatives.mixed import require_loader
from roadanomaly.refiners.base import refuse_ids
from roadanomaly.refiners.correction import Correction
from roadanomaly.training.adapt_config import AdaptConfig
from roadanomaly.training.run_config import Part

ALONE = "its threshold alone can be set on your frames: `roadanomaly fit --data YOUR_FRAMES`."


def load_calibrated(folder: str) -> Model:
    """Load a model that has a threshold.

    Raises:
        NotCalibrated: it has none, so nobody can say what it gets wrong.
        DataError: no model there, or a broken one.
    """
    model = load(folder)
    if model.calibration is None:
        msg = (
            f"the model in {folder} has no threshold, so it draws no objects that could be false: "
            f"calibrate it first, `roadanomaly fit --run {folder} --data.name SET`."
        )
        raise NotCalibrated(msg)
    return model.eval()


def prepare_model(model: Model, config: AdaptConfig) -> list[nn.Parameter]:
    """Put a correction behind the detector where one is to learn, and return what learns.

    A model that was adapted before keeps its correction, which learns on.

    Raises:
        OptionError: the detector cannot be adapted like this, or a refiner is fitted to its scores.
    """
    refuse_ids(model.head.refiners, "adapt")
    _refuse_fitted(model.head)
    _require_plain_pass(model, config.moves)
    if config.moves != "heads":
        _correct(model, config.hidden)
    learning: list[nn.Parameter] = []
    for refiner in model.head.refiners if config.moves != "heads" else ():
        if isinstance(refiner, Correction):
            learning += refiner.parameters()
    if config.moves != "correction":
        learning += _own(model, config.moves)
    if config.moves == "all":
        learning += [one for one in model.segmenter.parameters() if one.is_floating_point()]
    return learning


def note_negatives(model: Model, content: str, config: AdaptConfig) -> None:
    """Note in all that learns which negatives it learns from, for the tables.

    Args:
        model: prepared.
        content: of the negatives.
        config: says what learns.
    """
    for one in model.head.refiners if config.moves != "heads" else ():
        if isinstance(one, Correction):
            one.learned_from = foremost([one.learned_from, content])
    if config.moves != "correction":
        model.detector.trained_on = foremost([content, model.detector.trained_on])
    if config.moves == "all":
        model.segmenter.learned_from = foremost([model.segmenter.learned_from, content])


def negatives_to_learn(spec: Part) -> NegativeSource:
    """Build the source that an adaptation learns from; its step asks none, all are in the loader.

    Raises:
        OptionError: it, or a member of a mixture, works inside the step or labels no negatives.
    """
    source = NEGATIVES.from_spec(spec)
    require_loader(source)
    for one in source.modules():
        if isinstance(one, NegativeSource) and one.keeps_labels:
            msg = (
                "an adaptation learns from pixels that are labelled as negatives, and these keep "
                "the label of what they change: take others, such as paste."
            )
            raise OptionError(msg)
    return source


def has_correction(head: Head) -> bool:
    """Whether a correction follows the detector."""
    return any(isinstance(one, Correction) for one in head.refiners)


def _refuse_fitted(head: Head) -> None:
    for one in head.refiners:
        if one.learns:
            msg = (
                f"the refiner `{called(one)}` is fitted to the scores of this model, and an "
                f"adaptation would change these. The model cannot be adapted behind it; {ALONE}"
            )
            raise OptionError(msg)


def _require_plain_pass(model: Model, moves: str) -> None:
    plain = not model.detector.asks if moves == "heads" else model.head.shares_pass
    if not plain:
        asks = ", ".join(model.detector.asks) or "the image alone"
        msg = (
            f"`{DETECTORS.name_of(model.detector)}` does not score from one plain pass of its "
            f"segmenter ({asks}), so it cannot be compared with what it said before; {ALONE}"
        )
        raise OptionError(msg)


def _correct(model: Model, hidden: int) -> None:
    """Put a correction before all other refiners, so that what it says is smoothed, too."""
    if has_correction(model.head):
        return
    correction = Correction(model.detector.needs or None, hidden)
    correction.attach(model.segmenter)
    model.head = Head(model.detector, (correction, *model.head.refiners))
    model.to(model.device)


def _own(model: Model, moves: str) -> list[nn.Parameter]:
    """Return the detector's own parameters.

    Raises:
        OptionError: it has none that learn by a loss.
    """
    name = DETECTORS.name_of(model.detector)
    own = [one for one in model.detector.parameters() if one.requires_grad]
    if model.detector.kind not in ("train", "finetune") or not own:
        msg = (
            f"--moves {moves}: `{name}` (kind {model.detector.kind}) has no parameters that learn "
            "by a loss; take --moves correction, which learns behind any detector."
        )
        raise OptionError(msg)
    return own
