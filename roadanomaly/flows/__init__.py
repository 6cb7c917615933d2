"""Normalizing flows on images: exact densities, and samples that gradients pass through."""

from roadanomaly.catalogue import Catalogue
from roadanomaly.flows.denseflow import DenseFlow
from roadanomaly.flows.glow import Glow
from roadanomaly.flows.image_flow import ImageFlow
from roadanomaly.flows.realnvp import RealNVP

FLOWS: Catalogue[ImageFlow] = Catalogue(
    "flow",
    {
        "denseflow": "roadanomaly.flows.denseflow:DenseFlow",
        "glow": "roadanomaly.flows.glow:Glow",
        "realnvp": "roadanomaly.flows.realnvp:RealNVP",
    },
)

__all__ = ["FLOWS", "DenseFlow", "Glow", "ImageFlow", "RealNVP"]
