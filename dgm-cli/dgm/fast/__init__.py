"""Fused loops and random draws."""
