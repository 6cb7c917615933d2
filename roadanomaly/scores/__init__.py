"""Score maps as files: read from anywhere, doubted where needed, written for the benchmarks."""

from roadanomaly.scores.doubts import ScoreDoubts, doubt_ap
from roadanomaly.scores.folder import ScoreFolder, open_scores
from roadanomaly.scores.ranking import HalfMap, RankSketch
from roadanomaly.scores.read import read_map
from roadanomaly.scores.write import verify_map, write_fishyscapes, write_hdf5

__all__ = [
    "HalfMap",
    "RankSketch",
    "ScoreDoubts",
    "ScoreFolder",
    "doubt_ap",
    "open_scores",
    "read_map",
    "verify_map",
    "write_fishyscapes",
    "write_hdf5",
]
