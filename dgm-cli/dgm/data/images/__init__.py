"""Data sets of images, a module each."""
