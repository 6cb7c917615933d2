"""How sure the segmenter's own answer is; nothing is added to the network."""
