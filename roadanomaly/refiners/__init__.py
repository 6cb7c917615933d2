"""What follows a score map and is part of the saved model, by short name."""

from roadanomaly.catalogue import Catalogue
from roadanomaly.refiners.base import Refiner

REFINERS: Catalogue[Refiner] = Catalogue(
    "refiner",
    {
        "guided": "roadanomaly.refiners.guided:Guided",
        "smooth": "roadanomaly.refiners.smoothing:Smooth",
    },
)

__all__ = ["REFINERS", "Refiner"]
