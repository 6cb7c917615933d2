"""`python tools/predict.py ...` is `roadanomaly predict ...`."""

import sys

from roadanomaly.cli.main import main

sys.exit(main(["predict", *sys.argv[1:]]))
