"""Anomaly detectors, by short name; one file a published method."""

from roadanomaly.catalogue import Catalogue
from roadanomaly.detectors.base import Detector

DETECTORS: Catalogue[Detector] = Catalogue(
    "detector",
    {
        "dacup": "roadanomaly.detectors.dacup:DaCUP",
        "densehybrid": "roadanomaly.detectors.densehybrid:DenseHybrid",
        "eam": "roadanomaly.detectors.eam:Eam",
        "embedding_density": "roadanomaly.detectors.embedding_density:EmbeddingDensity",
        "energy": "roadanomaly.detectors.energy:Energy",
        "entropy": "roadanomaly.detectors.entropy:Entropy",
        "image_resynthesis": "roadanomaly.detectors.image_resynthesis:ImageResynthesis",
        "jsrnet": "roadanomaly.detectors.jsrnet:JSRNet",
        "mahalanobis": "roadanomaly.detectors.mahalanobis:Mahalanobis",
        "mask2anomaly": "roadanomaly.detectors.mask2anomaly:Mask2Anomaly",
        "maskomaly": "roadanomaly.detectors.maskomaly:Maskomaly",
        "max_logit": "roadanomaly.detectors.max_logit:MaxLogit",
        "msp": "roadanomaly.detectors.msp:MaxSoftmax",
        "nflowjs": "roadanomaly.detectors.nflowjs:NFlowJS",
        "rba": "roadanomaly.detectors.rba:Rba",
        "synboost": "roadanomaly.detectors.synboost:SynBoost",
    },
)

__all__ = ["DETECTORS", "Detector"]
