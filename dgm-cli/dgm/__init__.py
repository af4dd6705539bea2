"""Reproduce the figures and tables of a graduate lecture on deep generative models."""
