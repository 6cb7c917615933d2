"""Protocols, by the name of their data set: one namespace for `--on` and `data check`."""

from collections.abc import Mapping

from roadanomaly.evaluation.protocols import (
    acdc,
    ade20k,
    bdd100k,
    bdd_anomaly,
    camvid,
    cityscapes,
    coco_scenes,
    fishyscapes_laf,
    fishyscapes_static,
    folder,
    idd,
    issu,
    laf,
    laf_noknown,
    mapillary_vistas,
    mapillary_vistas_v2,
    oodis_fishyscapes,
    oodis_roadanomaly,
    oodis_roadobstacle,
    roadanomaly,
    smiyc_anomaly,
    smiyc_obstacle,
    streethazards,
    streets,
)
from roadanomaly.evaluation.protocols.base import Protocol

PROTOCOLS: Mapping[str, Protocol] = {
    "acdc": acdc.PROTOCOL,
    "ade20k": ade20k.PROTOCOL,
    "bdd-anomaly": bdd_anomaly.PROTOCOL,
    "bdd100k": bdd100k.PROTOCOL,
    "camvid": camvid.PROTOCOL,
    "cityscapes": cityscapes.PROTOCOL,
    "coco_scenes": coco_scenes.PROTOCOL,
    "fishyscapes-laf": fishyscapes_laf.PROTOCOL,
    "fishyscapes-static": fishyscapes_static.PROTOCOL,
    "folder": folder.PROTOCOL,
    "idd": idd.PROTOCOL,
    "issu": issu.PROTOCOL,
    "laf": laf.PROTOCOL,
    "laf-noknown": laf_noknown.PROTOCOL,
    "mapillary-vistas": mapillary_vistas.PROTOCOL,
    "mapillary-vistas-v2": mapillary_vistas_v2.PROTOCOL,
    "oodis-fishyscapes": oodis_fishyscapes.PROTOCOL,
    "oodis-roadanomaly": oodis_roadanomaly.PROTOCOL,
    "oodis-roadobstacle": oodis_roadobstacle.PROTOCOL,
    "roadanomaly": roadanomaly.PROTOCOL,
    "smiyc-anomaly": smiyc_anomaly.PROTOCOL,
    "smiyc-obstacle": smiyc_obstacle.PROTOCOL,
    "streethazards": streethazards.PROTOCOL,
    "streets": streets.PROTOCOL,
}

__all__ = ["PROTOCOLS", "Protocol"]
