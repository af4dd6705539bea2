"""Ranking, and exact search at scale."""
