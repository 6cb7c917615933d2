"""Fishyscapes Static: exact pooled pixels, as its server sorts them."""

from roadanomaly.evaluation.protocols.base import Protocol

PROTOCOL = Protocol(
    name="fishyscapes-static",
    source="Blum et al., The Fishyscapes Benchmark, IJCV 2021: pooled AP and FPR95 by a full sort, "
    "which is `exact` here",
    track="anomaly",
)
