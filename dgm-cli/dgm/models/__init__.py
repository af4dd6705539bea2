"""Densities and their parameters."""
