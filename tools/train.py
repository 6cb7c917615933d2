"""`python tools/train.py ...` is `roadanomaly train ...`."""

import sys

from roadanomaly.cli.main import main

sys.exit(main(["train", *sys.argv[1:]]))
