"""Where an image and what its labels would look like disagree."""
