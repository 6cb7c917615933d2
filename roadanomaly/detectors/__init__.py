"""Anomaly detectors, by short name; one file a published method."""

from roadanomaly.catalogue import Catalogue
from roadanomaly.detectors.base import Detector

DETECTORS: Catalogue[Detector] = Catalogue(
    "detector",
    {
        "dacup": "roadanomaly.detectors.road.dacup:DaCUP",
        "densehybrid": "roadanomaly.detectors.hybrid.densehybrid:DenseHybrid",
        "eam": "roadanomaly.detectors.masks.eam:Eam",
        "embedding_density": "roadanomaly.detectors.density.embedding_density:EmbeddingDensity",
        "energy": "roadanomaly.detectors.confidence.energy:Energy",
        "energy_oe": "roadanomaly.detectors.hybrid.energy_oe:EnergyOE",
        "ensemble": "roadanomaly.detectors.confidence.ensemble:Ensemble",
        "entropy": "roadanomaly.detectors.confidence.entropy:Entropy",
        "flips": "roadanomaly.detectors.flips:Flips",
        "fusion": "roadanomaly.detectors.fusion:Fusion",
        "gmmseg": "roadanomaly.detectors.density.gmmseg:GMMSeg",
        "image_resynthesis": "roadanomaly.detectors.resynthesis.image_resynthesis:ImageResynthesis",
        "jsrnet": "roadanomaly.detectors.road.jsrnet:JSRNet",
        "knn": "roadanomaly.detectors.density.knn:Knn",
        "mahalanobis": "roadanomaly.detectors.density.mahalanobis:Mahalanobis",
        "mask2anomaly": "roadanomaly.detectors.masks.mask2anomaly:Mask2Anomaly",
        "maskomaly": "roadanomaly.detectors.masks.maskomaly:Maskomaly",
        "max_entropy": "roadanomaly.detectors.confidence.max_entropy:MaxEntropy",
        "max_logit": "roadanomaly.detectors.confidence.max_logit:MaxLogit",
        "mc_dropout": "roadanomaly.detectors.confidence.mc_dropout:MCDropout",
        "msp": "roadanomaly.detectors.confidence.msp:MaxSoftmax",
        "nflowjs": "roadanomaly.detectors.hybrid.nflowjs:NFlowJS",
        "obsnet": "roadanomaly.detectors.errors.obsnet:ObsNet",
        "odin": "roadanomaly.detectors.confidence.odin:ODIN",
        "pebal": "roadanomaly.detectors.hybrid.pebal:Pebal",
        "rba": "roadanomaly.detectors.masks.rba:Rba",
        "rpl": "roadanomaly.detectors.hybrid.rpl:RPL",
        "sml": "roadanomaly.detectors.confidence.sml:StandardizedMaxLogits",
        "synboost": "roadanomaly.detectors.resynthesis.synboost:SynBoost",
        "uem": "roadanomaly.detectors.hybrid.uem:UEM",
        "ulre": "roadanomaly.detectors.hybrid.ulre:ULRE",
        "void_classifier": "roadanomaly.detectors.hybrid.void_classifier:VoidClassifier",
    },
)

__all__ = ["DETECTORS", "Detector"]
