"""Data sets, by short name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from roadanomaly.catalogue import Catalogue

if TYPE_CHECKING:
    from roadanomaly.data.base import FrameSet

DATASETS: Catalogue[FrameSet] = Catalogue(
    "data set",
    {
        "acdc": "roadanomaly.data.acdc:Acdc",
        "ade20k": "roadanomaly.data.ade20k:Ade20k",
        "bdd-anomaly": "roadanomaly.data.bdd_anomaly:BddAnomaly",
        "bdd100k": "roadanomaly.data.bdd100k:Bdd100k",
        "camvid": "roadanomaly.data.camvid:CamVid",
        "cityscapes": "roadanomaly.data.cityscapes:Cityscapes",
        "coco_scenes": "roadanomaly.data.coco_scenes:CocoScenes",
        "fishyscapes-laf": "roadanomaly.data.fishyscapes:FishyscapesLostAndFound",
        "fishyscapes-static": "roadanomaly.data.fishyscapes:FishyscapesStatic",
        "folder": "roadanomaly.data.folder:Folder",
        "idd": "roadanomaly.data.idd:Idd",
        "issu": "roadanomaly.data.issu:Issu",
        "laf": "roadanomaly.data.lost_and_found:LostAndFound",
        "laf-noknown": "roadanomaly.data.lost_and_found:LostAndFoundNoKnown",
        "mapillary-vistas": "roadanomaly.data.mapillary_vistas:MapillaryVistas",
        "mapillary-vistas-v2": "roadanomaly.data.mapillary_vistas:MapillaryVistas2",
        "oodis-fishyscapes": "roadanomaly.data.oodis:OodisFishyscapes",
        "oodis-roadanomaly": "roadanomaly.data.oodis:OodisRoadAnomaly",
        "oodis-roadobstacle": "roadanomaly.data.oodis:OodisRoadObstacle",
        "roadanomaly": "roadanomaly.data.roadanomaly:RoadAnomaly",
        "smiyc-anomaly": "roadanomaly.data.smiyc:SmiycAnomaly",
        "smiyc-obstacle": "roadanomaly.data.smiyc:SmiycObstacle",
        "streethazards": "roadanomaly.data.streethazards:StreetHazards",
        "streets": "roadanomaly.data.streets:Streets",
        "union": "roadanomaly.data.union:Union",
    },
)


def __getattr__(name: str) -> Any:
    """Import `FrameSet` when it is first used: reading an image as an array needs no torch."""
    if name != "FrameSet":
        msg = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(msg)
    from roadanomaly.data.base import FrameSet

    return FrameSet


__all__ = ["DATASETS", "FrameSet"]
