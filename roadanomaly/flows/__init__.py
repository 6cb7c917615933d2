"""Normalizing flows on images: exact densities, and samples that gradients pass through."""

from roadanomaly.catalogue import Catalogue
from roadanomaly.flows.glow import Glow
from roadanomaly.flows.image_flow import ImageFlow
from roadanomaly.flows.realnvp import RealNVP

FLOWS: Catalogue[ImageFlow] = Catalogue(
    "flow",
    {
        "glow": "roadanomaly.flows.glow:Glow",
        "realnvp": "roadanomaly.flows.realnvp:RealNVP",
    },
)

__all__ = ["FLOWS", "Glow", "ImageFlow", "RealNVP"]
