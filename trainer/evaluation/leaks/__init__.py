"""Leak checks that need the trainer: its stores, splits, targets and encoders. The general ones are in core.leaks."""
