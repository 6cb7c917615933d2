"""OoDIS on AnomalyTrack's test, whose truth only the server has."""

from roadanomaly.evaluation.protocols.base import Protocol

PROTOCOL = Protocol(
    name="oodis-roadanomaly",
    source="Nekrasov et al., OoDIS, ICRA 2025: the instance AP of Cityscapes with one class",
    track="anomaly",
    further=("instances",),
)
