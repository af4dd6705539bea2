"""Densities that are known exactly, a module each."""
