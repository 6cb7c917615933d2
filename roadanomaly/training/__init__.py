"""The training loop on Lightning Fabric, and all that a run keeps."""
