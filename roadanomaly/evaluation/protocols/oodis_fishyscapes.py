"""OoDIS on LostAndFound: instance AP and AP50 of the components above the threshold."""

from roadanomaly.evaluation.protocols.base import Protocol

PROTOCOL = Protocol(
    name="oodis-fishyscapes",
    source="Nekrasov et al., OoDIS, ICRA 2025: the instance AP of Cityscapes with one class",
    track="obstacle",
    further=("instances",),
)
