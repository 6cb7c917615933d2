"""Losses on inliers and negatives that move the segmenter itself."""
