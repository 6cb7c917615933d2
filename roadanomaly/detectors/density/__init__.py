"""How likely the features at a pixel are among those of inliers."""
