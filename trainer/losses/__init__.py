"""Losses: what a head's output costs, one a file over a `LossInput`, registered by name; and batch transforms."""
