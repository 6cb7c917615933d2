"""`python tools/export_submission.py ...` is `roadanomaly export submission ...`."""

import sys

from roadanomaly.cli.main import main

sys.exit(main(["export", "submission", *sys.argv[1:]]))
