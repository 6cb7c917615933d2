"""`python tools/compare.py ...` is `roadanomaly compare ...`."""

import sys

from roadanomaly.cli.main import main

sys.exit(main(["compare", *sys.argv[1:]]))
