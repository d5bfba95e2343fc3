"""The Lab: step a window across a grid with every number live."""
