"""Class names of the cut-out sets, and which of them belong to an ordinary road."""

from __future__ import annotations

# fmt: off
COCO: tuple[str, ...] = (
    "person", "bicycle", "car", "motorcycle", "airplane", "bus", "train", "truck", "boat",
    "traffic light", "fire hydrant", "stop sign", "parking meter", "bench", "bird", "cat", "dog",
    "horse", "sheep", "cow", "elephant", "bear", "zebra", "giraffe", "backpack", "umbrella",
    "handbag", "tie", "suitcase", "frisbee", "skis", "snowboard", "sports ball", "kite",
    "baseball bat", "baseball glove", "skateboard", "surfboard", "tennis racket", "bottle",
    "wine glass", "cup", "fork", "knife", "spoon", "bowl", "banana", "apple", "sandwich",
    "orange", "broccoli", "carrot", "hot dog", "pizza", "donut", "cake", "chair", "couch",
    "potted plant", "bed", "dining table", "toilet", "tv", "laptop", "mouse", "remote",
    "keyboard", "cell phone", "microwave", "oven", "toaster", "sink", "refrigerator", "book",
    "clock", "vase", "scissors", "teddy bear", "hair drier", "toothbrush",
)
"""The 80 COCO object classes, in the order of the YOLO text files."""

ROAD_CLASSES: frozenset[str] = frozenset({
    # COCO
    "person", "bicycle", "car", "motorcycle", "bus", "train", "truck", "traffic light",
    "fire hydrant", "stop sign", "parking meter",
    # ADE20K, the first of each class's synonyms
    "wall", "building", "sky", "tree", "road", "grass", "sidewalk", "earth", "mountain", "plant",
    "house", "field", "fence", "railing", "column", "signboard", "skyscraper", "path", "runway",
    "bridge", "hill", "palm", "streetlight", "awning", "tower", "dirt track", "pole", "land",
    "van", "minibike", "trade name", "hovel",
})
"""Classes that an ordinary road scene shows, which are therefore no negatives."""

INDOOR: frozenset[str] = frozenset({
    "bottle", "wine glass", "cup", "fork", "knife", "spoon", "bowl", "banana", "apple",
    "sandwich", "orange", "broccoli", "carrot", "hot dog", "pizza", "donut", "cake", "couch",
    "bed", "dining table", "toilet", "tv", "laptop", "mouse", "remote", "keyboard", "cell phone",
    "microwave", "oven", "toaster", "sink", "refrigerator", "book", "vase", "scissors",
    "hair drier", "toothbrush",
})
"""Classes of COCO that belong into a house or on a table: a picture with one shows no road."""
# fmt: on
