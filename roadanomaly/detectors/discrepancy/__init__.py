"""Where an image and what its labels would look like disagree: parts that detectors share."""
