"""The `roadanomaly` command and its sub-commands; thin."""
