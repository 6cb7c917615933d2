"""`python -m roadanomaly` is the `roadanomaly` command."""

from roadanomaly.cli.main import script

script()
