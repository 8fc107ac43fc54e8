"""Leak checks that need no trainer: whether a score could come from anything but the brain's answer to the picture."""
