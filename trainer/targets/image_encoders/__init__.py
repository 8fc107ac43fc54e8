"""Frozen image encoders: a card each, and one file that loads them for each family."""
