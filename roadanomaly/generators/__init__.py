"""Label-to-image networks: what a scene with these labels could look like."""

from roadanomaly.catalogue import Catalogue
from roadanomaly.generators.base import Generator

GENERATORS: Catalogue[Generator] = Catalogue(
    "generator",
    {
        "pix2pixhd": "roadanomaly.generators.pix2pixhd:Pix2PixHD",
        "spade": "roadanomaly.generators.spade:Spade",
    },
)

__all__ = ["GENERATORS", "Generator"]
