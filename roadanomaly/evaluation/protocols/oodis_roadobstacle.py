"""OoDIS on ObstacleTrack, whose truth only the server has."""

from roadanomaly.evaluation.protocols.base import Protocol

PROTOCOL = Protocol(
    name="oodis-roadobstacle",
    source="Nekrasov et al., OoDIS, ICRA 2025: the instance AP of Cityscapes with one class",
    track="obstacle",
    on_ground=True,
    further=("instances",),
)
