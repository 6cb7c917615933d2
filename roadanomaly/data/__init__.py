"""Data sets, by short name."""

from roadanomaly.catalogue import Catalogue
from roadanomaly.data.base import FrameSet

DATASETS: Catalogue[FrameSet] = Catalogue(
    "data set",
    {
        "camvid": "roadanomaly.data.camvid:CamVid",
        "cityscapes": "roadanomaly.data.cityscapes:Cityscapes",
        "folder": "roadanomaly.data.folder:Folder",
        "roadanomaly": "roadanomaly.data.roadanomaly:RoadAnomaly",
        "streets": "roadanomaly.data.streets:Streets",
    },
)

__all__ = ["DATASETS", "FrameSet"]
