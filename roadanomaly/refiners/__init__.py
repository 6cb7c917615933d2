"""What follows a score map and is part of the saved model, by short name."""

from roadanomaly.catalogue import Catalogue
from roadanomaly.refiners.base import Refiner

REFINERS: Catalogue[Refiner] = Catalogue(
    "refiner",
    {
        "blur": "roadanomaly.refiners.blur:Blur",
        "boundary_suppression": "roadanomaly.refiners.boundary_suppression:BoundarySuppression",
        "correction": "roadanomaly.refiners.correction:Correction",
        "dilated_smoothing": "roadanomaly.refiners.dilated_smoothing:DilatedSmoothing",
        "guided": "roadanomaly.refiners.guided:Guided",
        "meta_classification": "roadanomaly.refiners.meta_classification:MetaClassification",
        "p_value": "roadanomaly.refiners.p_value:PValue",
        "segments": "roadanomaly.refiners.segment_mean:SegmentMean",
        "smooth": "roadanomaly.refiners.smoothing:Smooth",
    },
)

__all__ = ["REFINERS", "Refiner"]
