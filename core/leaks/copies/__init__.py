"""Checks for the same thing twice: recordings, presentations, windows, pictures."""
