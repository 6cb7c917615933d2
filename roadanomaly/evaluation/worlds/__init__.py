"""Held-out worlds: small sets that no model learned from, by which recipes are chosen."""

from roadanomaly.evaluation.worlds.alarms import Choice, choose_thresholds, require_ordinary
from roadanomaly.evaluation.worlds.config import open_world, open_worlds, read_worlds
from roadanomaly.evaluation.worlds.result import WorldResult
from roadanomaly.evaluation.worlds.score import score_together, score_world
from roadanomaly.evaluation.worlds.world import World

__all__ = [
    "Choice",
    "World",
    "WorldResult",
    "choose_thresholds",
    "open_world",
    "open_worlds",
    "read_worlds",
    "require_ordinary",
    "score_together",
    "score_world",
]
