"""Import it, and all of the drawn streets that frames share is there: trees, facades, vehicles.

`processes` has it imported where its processes are forked from, or each would draw them anew.
"""

import cv2

from roadanomaly.data.streets import Streets

cv2.setNumThreads(1)  # a fork takes no pool of threads along
for split in ("train", "val", "test"):
    list(Streets(split, count=3, height=64, width=96))
