"""Findings as other tools read them: outlines, COCO, CVAT, supervision."""
