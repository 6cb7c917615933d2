"""Anomaly detectors, by short name; one file a published method."""

from roadanomaly.catalogue import Catalogue
from roadanomaly.detectors.base import Detector

DETECTORS: Catalogue[Detector] = Catalogue(
    "detector",
    {
        "autoencoder": "roadanomaly.detectors.reconstruction.autoencoder:Autoencoder",
        "cflow": "roadanomaly.detectors.density.cflow:CFlow",
        "csflow": "roadanomaly.detectors.density.csflow:CSFlow",
        "dacup": "roadanomaly.detectors.road.dacup:DaCUP",
        "densehybrid": "roadanomaly.detectors.hybrid.densehybrid:DenseHybrid",
        "differnet": "roadanomaly.detectors.density.differnet:DifferNet",
        "draem": "roadanomaly.detectors.reconstruction.draem:Draem",
        "eam": "roadanomaly.detectors.masks.eam:Eam",
        "embedding_density": "roadanomaly.detectors.density.embedding_density:EmbeddingDensity",
        "energy": "roadanomaly.detectors.confidence.energy:Energy",
        "ensemble": "roadanomaly.detectors.confidence.ensemble:Ensemble",
        "entropy": "roadanomaly.detectors.confidence.entropy:Entropy",
        "fastflow": "roadanomaly.detectors.density.fastflow:FastFlow",
        "flips": "roadanomaly.detectors.flips:Flips",
        "fusion": "roadanomaly.detectors.fusion:Fusion",
        "ganomaly": "roadanomaly.detectors.reconstruction.ganomaly:Ganomaly",
        "gmm": "roadanomaly.detectors.density.gmm:Gmm",
        "image_resynthesis": "roadanomaly.detectors.resynthesis.image_resynthesis:ImageResynthesis",
        "jsrnet": "roadanomaly.detectors.road.jsrnet:JSRNet",
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
        "padim": "roadanomaly.detectors.density.padim:Padim",
        "patchcore": "roadanomaly.detectors.density.patchcore:PatchCore",
        "pca": "roadanomaly.detectors.density.pca:Pca",
        "rba": "roadanomaly.detectors.masks.rba:Rba",
        "reverse_distillation": "roadanomaly.detectors.reconstruction.reverse:ReverseDistillation",
        "riad": "roadanomaly.detectors.reconstruction.riad:Riad",
        "sml": "roadanomaly.detectors.confidence.sml:StandardizedMaxLogits",
        "synboost": "roadanomaly.detectors.resynthesis.synboost:SynBoost",
        "vae": "roadanomaly.detectors.reconstruction.vae:VAE",
        "void_classifier": "roadanomaly.detectors.hybrid.void_classifier:VoidClassifier",
    },
)

__all__ = ["DETECTORS", "Detector"]
