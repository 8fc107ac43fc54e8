"""Scores beside their chance, baselines and leak checks."""
