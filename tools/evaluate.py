"""`python tools/evaluate.py ...` is `roadanomaly evaluate ...`."""

import sys

from roadanomaly.cli.main import main

sys.exit(main(["evaluate", *sys.argv[1:]]))
