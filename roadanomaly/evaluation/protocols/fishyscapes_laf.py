"""Fishyscapes LostAndFound: exact pooled pixels, as its server sorts them; SMIYC's components."""

from roadanomaly.evaluation.protocols.base import Protocol

PROTOCOL = Protocol(
    name="fishyscapes-laf",
    source="Blum et al., The Fishyscapes Benchmark, IJCV 2021: pooled AP and FPR95 by a full sort, "
    "which is `exact` here; component sizes are those that SegmentMeIfYouCan takes for this set",
    track="anomaly",
)
