"""`python tools/video.py ...` is `roadanomaly video ...`."""

import sys

from roadanomaly.cli.main import main

sys.exit(main(["video", *sys.argv[1:]]))
