"""Where the recipes are: `configs/` of a clone, or its copy in the installed package."""

from __future__ import annotations

from pathlib import Path

INSTALLED = Path(__file__).resolve().parents[1] / "configs"
RECIPES = INSTALLED if INSTALLED.is_dir() else INSTALLED.parents[1] / "configs"
"""Folder of the recipes."""
