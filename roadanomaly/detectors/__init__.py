"""Anomaly detectors, by short name; one file a published method."""

from roadanomaly.catalogue import Catalogue
from roadanomaly.detectors.base import Detector

DETECTORS: Catalogue[Detector] = Catalogue(
    "detector",
    {
        "densehybrid": "roadanomaly.detectors.densehybrid:DenseHybrid",
        "embedding_density": "roadanomaly.detectors.embedding_density:EmbeddingDensity",
        "energy": "roadanomaly.detectors.energy:Energy",
        "entropy": "roadanomaly.detectors.entropy:Entropy",
        "mahalanobis": "roadanomaly.detectors.mahalanobis:Mahalanobis",
        "max_logit": "roadanomaly.detectors.max_logit:MaxLogit",
        "msp": "roadanomaly.detectors.msp:MaxSoftmax",
        "nflowjs": "roadanomaly.detectors.nflowjs:NFlowJS",
    },
)

__all__ = ["DETECTORS", "Detector"]
